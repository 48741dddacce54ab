"""Words what became of the bytes of a finding."""

from __future__ import annotations

from memdeep.analysis.culprits import ChargedLines
from memdeep.analysis.weights import in_arenas, passed_through
from memdeep.model import DETACHED, RUNNING, Finding, FindingKind, Report
from memdeep.model.sums import Tally
from memdeep.report import sentences
from memdeep.text.language import Language

MAX_FATES = 4  # parts of a finding's bytes that are told
MIN_FATE_SHARE = 0.01  # of a finding's bytes: smaller parts are left out


def fate(report: Report, item: Finding, language: Language) -> str:
    """Return what became of a finding's bytes, without small parts; empty if it is unknown.

    A peak's own sentence says that they were freed before the phase ended; a reservation holds next
    to nothing.
    """
    if item.fate is None or item.kind in (FindingKind.PEAK, FindingKind.RESERVED):
        return ""
    alive = f"finding.alive_at_{_last_known(report, item)}"
    if in_arenas(report, item):
        alive = alive.replace("alive", "there")
    freed: Tally[str] = Tally()
    gone_bytes = 0
    for place, size in item.fate.freed:
        taken = _taken_along(report, item) if _is_last(report, place) else 0
        gone_bytes += min(size, taken)
        if size > taken:
            freed.add(_freed_in(report, item, place, language), size - taken, 0)
    unused = item.fate.unused_bytes
    parts = [(item.fate.alive_bytes - unused, alive, ""), (unused, "finding.unused", "")]
    parts += [(item.fate.given_back_bytes, "finding.given_back", "")]
    parts += [(gone_bytes, "finding.alive_at_exec", "")]
    parts += [
        (size, "finding.freed_in" if name else "finding.freed_outside", name)
        for name, (size, _) in freed.items()
    ]
    parts.sort(key=lambda part: part[0], reverse=True)
    said = [
        language.say(key, size_bytes=size, phase=name)
        for place, (size, key, name) in enumerate(parts)
        if size and (place == 0 or size >= MIN_FATE_SHARE * item.bytes)
    ]
    told = language.say("finding.fate", parts=language.say("finding.and").join(said[:MAX_FATES]))
    if item.fate.moved_bytes >= MIN_FATE_SHARE * item.bytes > 0:
        told += language.say("finding.moved_on", moved_bytes=item.fate.moved_bytes)
    return told


def _is_last(report: Report, place: int | None) -> bool:
    """Tell if a phase, or what lies outside of all, lasted to the end of the run."""
    return place is None or report.phases[place].end == len(report.run.checkpoints) - 1


def _taken_along(report: Report, item: Finding) -> int:
    """Return what of a finding's line an exec took along, where the heap goes on with another's."""
    own = report.heap.own
    if own is None or item.culprit is None or item.is_of_workers or not report.run.was_replaced:
        return 0
    alive = own.lifetimes.alive_at(len(own.at_checkpoints) - 1)
    found = ChargedLines(own.tree).by_line(alive).get(item.culprit.line)
    return 0 if found is None else found.bytes


def _last_known(report: Report, item: Finding) -> str:
    """Return what ended the time in which it is known what became of a finding's bytes."""
    if report.run.was_replaced and not item.is_of_workers:
        return "exec"
    if not report.is_traced_to(item, len(report.run.checkpoints) - 1):
        return "untraced"
    ends = {"completed": "end", DETACHED: "detach", "ended": "exit", RUNNING: "now"}
    return ends.get(sentences.verdict(report.run.exit), "death")


def passed(report: Report, item: Finding, language: Language) -> str:
    """Return what repeats of a phase kept only until a later one; empty if that is too little.

    Or what they kept to their own ends, where nobody saw if it was freed.
    """
    found = passed_through(report, item)
    if found is None:
        return ""
    if len(report.heap.traced) > 1:  # what was freed meanwhile was not seen
        key = "finding.untraced" if len(item.phases) == 1 else "finding.untraced_many"
        return language.say(key, repeats=found.repeats, retained_bytes=found.retained_bytes)
    return language.say(
        "finding.passed" if len(item.phases) == 1 else "finding.passed_many",
        repeats=found.repeats,
        retained_bytes=found.retained_bytes,
        passed_bytes=found.freed_bytes,
    )


def _freed_in(report: Report, item: Finding, place: int | None, language: Language) -> str:
    """Return the phase that freed bytes, or those of like names; empty outside of all phases.

    Another phase of the finding's own name is told apart by the phases around it.
    """
    if place is None:
        return ""
    others = {other for other, _ in item.fate.freed} if item.fate is not None else set()
    for pattern in report.patterns:
        if pattern.within is None and place in pattern.members:
            if len(others.intersection(pattern.members)) > 1:
                return sentences.pattern_label(report.run, pattern.phase, language)
            break
    name = sentences.short(sentences.phase_label(report.run, report.phases[place], language))
    is_other = place not in item.phases and name == sentences.finding_name(report, item, language)
    return (sentences.spans(report, place) if is_other else None) or name
