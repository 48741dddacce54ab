"""Words a report: names, findings, the end of the program, its death, notes.

Decides which sentence applies and which figures are in it. The words themselves are in the tables
of the languages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import PurePath

from memdeep.model import (
    Advice,
    CheckpointKind,
    Death,
    Exit,
    Finding,
    FindingKind,
    Frame,
    LastGrowth,
    MemoryLimit,
    Origin,
    Phase,
    PhaseKind,
    Report,
    Run,
    StackDump,
    ThreadStack,
)
from memdeep.model.statement import Statement
from memdeep.model.sums import sum_of_known
from memdeep.text import units
from memdeep.text.language import Language

_LIBRARIES = re.compile(r"(site|dist)-packages|python3(\.\d+t?)?")  # directories of packages
_BUILD_TAGS = re.compile(r"(\.(cpython|pypy)[^.]*|\.abi3)(?=\.so)|(-[0-9a-f]{8})+(?=\.)")

VERDICTS = ("completed", "failed", "killed", "oom-killed")  # those that have words
MAX_NAME = 100  # characters of a name within a sentence
MAX_DEATH_PHASES = 3  # named in one sentence
MIN_FATE_SHARE = 0.05  # of a finding's bytes: smaller parts are left out


def location(frame: Frame) -> str:
    """Return ``learning.py:88``, ``json/__init__.py:293``, or the function if there is no file."""
    if not frame.filename:
        return frame.function
    name = file_name(frame.filename)
    return f"{name}:{frame.lineno}" if frame.lineno else name


def file_name(path: str) -> str:
    """Return the name of a file, with its directory where the name alone would not tell which.

    So it is for ``__init__.py`` and for the modules of a library's packages, such as
    ``multiprocessing/reduction.py``. Compiled libraries lose the tags that their builds gave them.
    ``templates/js/payload.js`` says the same.
    """
    parts = PurePath(path).parts or (path,)
    if "/" not in path or len(parts) < 2:
        return _without_tags(parts[-1])
    parent = parts[-2]
    is_of_package = not _LIBRARIES.fullmatch(parent) and any(map(_LIBRARIES.fullmatch, parts[:-2]))
    is_generic = PurePath(path).stem in ("__init__", "__main__")
    if is_generic or (is_of_package and path.endswith(".py")):
        return f"{parent}/{parts[-1]}"
    return _without_tags(parts[-1])


def function_name(frame: Frame) -> str:
    """Return the function of ``frame``; one that is not known is in a library without tags."""
    return _without_tags(frame.function)


def _without_tags(name: str) -> str:
    return _BUILD_TAGS.sub("", name) if ".so" in name else name


def short(name: str) -> str:
    """Cut ``name`` so that it fits into a sentence."""
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1].rstrip()}…"


def phase_label(run: Run, phase: Phase, language: Language) -> str:
    """Return a span's own name, or the name of a segment, made of its two checkpoints."""
    outline = phase.outline
    if outline.kind is PhaseKind.SPAN:
        return outline.name
    stretch = outline.stretches[0]
    return language.say(
        "checkpoint.stretch",
        start=checkpoint_label(run, stretch.start, language),
        end=checkpoint_label(run, stretch.end, language),
    )


def checkpoint_label(
    run: Run, place: int, language: Language, cut: Callable[[str], str] = str
) -> str:
    """Return the label of checkpoint ``place``, marked where it begins or ends a span.

    ``cut`` may shorten the label.
    """
    if place == 0:
        return language.say("checkpoint.run_start")
    if place == len(run.checkpoints) - 1:
        return language.say("checkpoint.run_end")
    point = run.checkpoints[place]
    if point.kind is CheckpointKind.POINT:
        return cut(point.label)
    return language.say(f"checkpoint.{point.kind.value}", label=cut(point.label))


def headline(report: Report, language: Language) -> str:
    """Return the first finding as a sentence, or that there is none."""
    if report.findings:
        return finding(report, report.findings[0], language)
    if report.heap.traced:
        return language.say("finding.none", peak_bytes=report.heap.peak_bytes)
    grown = [phase for phase in report.phases if (phase.rss_delta_bytes or 0) > 0]
    if not grown:
        return language.say("finding.none_untraced")
    parents = {phase.outline.parent for phase in report.phases}
    innermost = [p for p in grown if report.phases.index(p) not in parents] or grown
    most = max(innermost, key=lambda phase: phase.rss_delta_bytes or 0)
    return language.say(
        "finding.most_untraced",
        phase=_subject(report, most, language),
        size_bytes=most.rss_delta_bytes,
    )


def no_findings(report: Report, language: Language) -> str:
    """Return why the list of findings is empty."""
    return language.say("finding.see_phases" if report.heap.traced else "finding.not_traced")


def finding(report: Report, item: Finding, language: Language) -> str:
    """Return a finding as one sentence."""
    phase = report.phases[item.phase]
    if item.culprit is None:
        return language.say(
            f"finding.{item.kind.value}",
            phase=_subject(report, phase, language),
            size_bytes=item.bytes,
            rss_bytes=phase.rss_delta_bytes,
        )
    where = location(item.culprit.frame)
    if item.kind is FindingKind.PEAK:
        return language.say(
            "finding.highest" if item.fate is None else "finding.peak",
            phase=_subject(report, phase, language),
            peak_bytes=phase.peak_bytes,
            where=where,
            size_bytes=item.bytes,
        )
    phases = [report.phases[place] for place in item.phases]
    until = "finding.until_end" if len(phases) == 1 else "finding.until_last_end"
    return language.say(
        "finding.growth",
        phase=_finding_subject(report, item, language),
        grew=_growth(phases, language),
        where=where,
        size_bytes=item.bytes,
        until=language.say(until if phases[-1].complete else "finding.until_death"),
    )


def finding_name(report: Report, item: Finding, language: Language) -> str:
    """Return the name of the phase that a finding is about, or how many of which names."""
    if len(item.phases) == 1:
        return short(phase_label(report.run, report.phases[item.phase], language))
    key = "finding.pattern" if item.pattern else "finding.segments"
    return language.say(key, name=short(item.pattern), n=len(item.phases))


def _finding_subject(report: Report, item: Finding, language: Language) -> str:
    if len(item.phases) == 1:
        return _subject(report, report.phases[item.phase], language)
    return language.say("finding.several", name=finding_name(report, item, language))


def share(item: Finding, language: Language) -> str:
    """Return the share of a finding's bytes, and of which total it is the share."""
    many = "_many" if len(item.phases) > 1 else ""
    return language.say(f"finding.share_{item.kind.value}{many}", part_share=item.share)


def advice(item: Finding, language: Language) -> str:
    """Return what to do about a finding; empty if no advice applies."""
    if item.advice is None:
        return ""
    key = f"advice.{item.advice.name.lower()}"
    if item.kind is FindingKind.PEAK and item.advice is Advice.GROWING_CONTAINER:
        key += "_peak"  # it grew, but what was put into it did not stay
    return language.say(key, **item.evidence)


def evidence(item: Finding, language: Language) -> str:
    """Return the figures that the advice rests on; empty if no advice applies."""
    if item.advice is None:
        return ""
    text = language.say(f"evidence.{item.advice.name.lower()}", **item.evidence)
    for further in ("warm_up_bytes", "tracker_bytes", "libraries"):
        if item.evidence.get(further):
            text += language.say(f"evidence.with_{further}", **item.evidence)
    return text


def fate(report: Report, item: Finding, language: Language) -> str:
    """Return what became of a finding's bytes, without small parts; empty if it is unknown."""
    if item.fate is None:
        return ""
    died = report.run.exit is None or report.run.exit.verdict != "completed"
    alive = "finding.alive_at_death" if died else "finding.alive_at_end"
    parts = [(item.fate.alive_bytes, alive, "")]
    for place, size in item.fate.freed:
        if place is None:
            parts.append((size, "finding.freed_outside", ""))
        else:
            name = short(phase_label(report.run, report.phases[place], language))
            is_same = place == item.phase and item.kind is FindingKind.PEAK
            parts.append((size, "finding.freed_itself" if is_same else "finding.freed_in", name))
    parts.sort(key=lambda part: part[0], reverse=True)
    said = [
        language.say(key, size_bytes=size, phase=name)
        for place, (size, key, name) in enumerate(parts)
        if size and (place == 0 or size >= MIN_FATE_SHARE * item.bytes)
    ]
    return language.say("finding.fate", parts=language.say("finding.and").join(said))


def outcome(report: Report, language: Language) -> str:
    """Return how the program ended."""
    run = report.run
    if run.exit is None:
        return language.say("outcome.unknown", duration_s=run.duration_s)
    label = last_checkpoint(report)
    text = language.say(
        f"outcome.{run.exit.verdict}" if run.exit.verdict in VERDICTS else "outcome.ended",
        duration_s=run.duration_s,
        status=str(run.exit.code),
        signal=run.exit.signal or "",
    )
    if label is not None and run.exit.signal is not None and report.death is None:
        text += language.say("outcome.last_checkpoint", label=short(label))
    return text


def last_checkpoint(report: Report) -> str | None:
    """Return the label of the last checkpoint that the program itself set, or None."""
    points = report.run.checkpoints
    if report.death is not None:
        last = report.death.last_checkpoint
        return None if last is None else points[last].label
    return points[-2].label if len(points) > 2 else None


def exit_facts(end: Exit | None) -> str:
    """Return the exit in a word, for the list of facts: its signal or its status."""
    if end is None:
        return units.UNKNOWN
    if end.signal is not None:
        return end.signal
    return units.UNKNOWN if end.code is None else str(end.code)


def exit_evidence(end: Exit | None, language: Language) -> tuple[str, ...]:
    """Return the sentences that the verdict on the program's end rests on."""
    return () if end is None else tuple(statement(said, language) for said in end.evidence)


def statement(said: Statement, language: Language) -> str:
    """Word a statement of the recording side, as a sentence or a part of one."""
    values = {
        name: statement(value, language) if isinstance(value, Statement) else value
        for name, value in said.values.items()
    }
    return language.say(said.key, **values)


def death_place(report: Report, death: Death, language: Language) -> str:
    """Return the phases of death, and how long after the last checkpoint it came."""
    paths = dict.fromkeys(filter(None, (_spans(report, phase) for phase in death.phases)))
    named = list(paths)[:MAX_DEATH_PHASES]
    if len(paths) > MAX_DEATH_PHASES:
        named.append(language.say("death.more", n=len(paths) - MAX_DEATH_PHASES))
    if death.last_checkpoint is None:
        key = "death.place_early_in" if named else "death.place_early"
    else:
        key = "death.place_in" if named else "death.place"
    return language.say(
        key,
        phases=language.say("death.and").join(named),
        since_s=death.since_s,
        label=_point(report, death.last_checkpoint or 0, language),
    )


def death_alive(report: Report, death: Death, language: Language) -> str:
    """Return how much memory was alive at the death, or when that was last known."""
    if death.known_at is None:
        return language.say("death.alive_untraced", rss_bytes=death.rss_bytes)
    points = report.run.checkpoints
    return language.say(
        "death.alive" if death.known_at == len(points) - 1 else "death.alive_before",
        rss_bytes=death.rss_bytes,
        heap_bytes=death.heap_bytes,
        label=_point(report, death.known_at, language),
    )


def death_growth(report: Report, growth: LastGrowth, language: Language) -> str:
    """Return the last segment that grew: by how much, and the line that allocated most in it."""
    path = None if growth.phase is None else _spans(report, growth.phase)
    line = ""
    if growth.culprits:
        most = growth.culprits[0]
        line = language.say("death.line", where=location(most.frame), size_bytes=most.bytes)
    is_heap = growth.heap_bytes is not None
    return language.say(
        "death.grew_heap" if is_heap else "death.grew_rss",
        size_bytes=growth.heap_bytes if is_heap else growth.rss_bytes,
        inside="" if path is None else language.say("death.in", phases=path),
        start=_point(report, growth.stretch.start, language),
        end=_point(report, growth.stretch.end, language),
        line=line,
    )


def memory_limit(limit: MemoryLimit, language: Language) -> str:
    """Return the limit in force and where it is set."""
    source = statement(limit.source, language)
    return language.say("death.limit", size_bytes=limit.bytes, source=source)


def stack_dump(dump: StackDump, language: Language) -> str:
    """Return which line ran when RSS exceeded a limit."""
    running = next((thread for thread in dump.threads if thread.is_current), None)
    running = running or next(iter(dump.threads), None)
    return language.say(
        "death.dump",
        time_s=dump.time_s,
        rss_bytes=dump.rss_bytes,
        reason=dump.reason,
        where="" if running is None else _where(running, language),
    )


def notes(report: Report, language: Language) -> tuple[str, ...]:
    """Return what a reader must know to trust the figures, then the problems of this run."""
    run = report.run
    memray = run.mode.backend == "memray"
    applies = {
        "notes.heap_is_not_rss": True,
        "notes.tracker": memray,
        "notes.tracemalloc": run.mode.backend == "tracemalloc",
        "notes.rss_only": run.mode.backend == "rss",
        "notes.focus": bool(run.mode.focus),
        "notes.arenas": memray and not run.mode.python_allocators,
        "notes.small_stacks": memray and run.mode.native,
        "notes.peaks": memray and report.heap.transients is None,
        "notes.no_gross": memray and report.heap.transients is None,
        "notes.private": bool(report.private_files),
        "notes.no_source": not report.sources and bool(report.heap.tree.frames),
        "notes.end_unknown": run.exit is None,
    }
    said = [
        language.say(key, focus=", ".join(run.mode.focus), files=", ".join(report.private_files))
        for key, is_needed in applies.items()
        if is_needed
    ]
    return (*said, *run.problems)


def _subject(report: Report, phase: Phase, language: Language) -> str:
    """Return the name of ``phase`` as the subject of a sentence."""
    is_segment = phase.outline.kind is PhaseKind.SEGMENT
    key = "finding.stretch" if is_segment else "finding.name"
    return language.say(key, name=short(phase_label(report.run, phase, language)))


def _growth(phases: Sequence[Phase], language: Language) -> str:
    rss = sum_of_known([phase.rss_delta_bytes for phase in phases])
    heap = sum_of_known([phase.heap_delta_bytes for phase in phases])
    if rss is not None and rss > 0:
        text = language.say("finding.grew_rss", size_bytes=rss)
    elif (heap or 0) > 0:
        text = language.say("finding.grew_heap", size_bytes=heap)
    else:
        text = language.say("finding.kept_new")
    if len(phases) == 1 and phases[0].repeats > 1:
        text += language.say("finding.over_repeats", repeats=phases[0].repeats)
    return text


def _where(thread: ThreadStack, language: Language) -> str:
    frames = thread.frames
    own = [frame for frame in frames if frame.origin is Origin.USER]
    own = own or [frame for frame in frames if frame.origin is Origin.TOOL] or list(frames)
    if not own:
        return ""
    return language.say("death.where", function=own[-1].function, where=location(own[-1]))


def _spans(report: Report, phase: int) -> str | None:
    """Return the spans around ``phase``, outermost first, and itself; None if all are segments."""
    names: list[str] = []
    place: int | None = phase
    while place is not None:
        outline = report.phases[place].outline
        if outline.kind is PhaseKind.SPAN:
            names.append(short(outline.name))
        place = outline.parent
    return " › ".join(reversed(names)) or None


def _point(report: Report, place: int, language: Language) -> str:
    return checkpoint_label(report.run, place, language, short)
