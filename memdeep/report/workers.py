"""Words what the processes that the program started moved in a phase, beside the program itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter

from memdeep.analysis.workers import lived
from memdeep.frozen import replace
from memdeep.model import Finding, GroupShare, Phase, Report, Run
from memdeep.model.sums import sum_of_known
from memdeep.report import frame_names, sentences
from memdeep.text import units
from memdeep.text.language import Language

OF_HEAP = "*"  # behind a figure of workers whose PSS was not read
MAX_GROUPS = 3  # of workers that are told of a phase


def has_workers(phase: Phase) -> bool:
    """Tell if processes that the program started are known to have been there."""
    return bool(phase.workers) or phase.workers_added_bytes is not None


def is_of_heap(phase: Phase) -> bool:
    """Tell if what workers moved is known of their heap only."""
    return bool(phase.workers) and phase.workers_added_bytes is None


def size(phase: Phase) -> int | None:
    """Return what the processes that the program started moved: of their PSS, else their heap."""
    if phase.workers_added_bytes is not None:
        return phase.workers_added_bytes
    return sum(share.delta_bytes for share in phase.workers) if phase.workers else None


def count(run: Run, phase: Phase) -> int:
    """Return how many processes the figure of a phase is of; 0 if that is not known.

    The PSS is that of all processes but the program: those that kept or freed memory are told only
    if no other one was there meanwhile.
    """
    moved = _moved(phase)
    told = {place for share in moved for place in share.processes}
    return len(told) if is_of_heap(phase) or told >= _there(run, phase) else 0


def _moved(phase: Phase) -> list[GroupShare]:
    return [share for share in phase.workers if share.delta_bytes or share.kept_bytes]


def _there(run: Run, phase: Phase) -> set[int]:
    """Return the processes of which the PSS was read, and that were there in a phase."""
    start_s, end_s = run.checkpoints[phase.start].time_s, run.checkpoints[phase.end].time_s
    found = set()
    for place, process in enumerate(run.processes):
        born_s, died_s = lived(process)
        if place and process.curve and born_s <= end_s and start_s <= died_s:
            found.add(place)
    return found


def figure(run: Run, phase: Phase, language: Language) -> str:
    """Return what the processes that the program started moved, and how many of them did."""
    grown = size(phase)
    if grown is None:
        return units.UNKNOWN
    text = units.signed_size(grown) + (OF_HEAP if is_of_heap(phase) else "")
    number = count(run, phase) if grown else 0
    return language.say("terminal.workers_in", size=text, n=number) if number else text


def moved_in(report: Report, item: Finding, language: Language) -> str:
    """Return what the phases of a finding moved in the program and in its workers."""
    return moved(report, [report.phases[place] for place in item.phases], language)


def moved(report: Report, phases: Sequence[Phase], language: Language) -> str:
    """Return what phases moved in the program and in its workers; empty if there were none.

    Nothing is said of phases that overlap: what they moved cannot be added up.
    """
    phase = _summed(phases)
    if phase is None:
        return ""
    grown, shares = size(phase), _moved(phase)
    if grown is None or not (shares or grown):
        return ""
    is_of_one = len(shares) == 1 and count(report.run, phase) > 0
    parts = [
        _part_of(report, share, grown if is_of_one else share.delta_bytes, language)
        for share in shares
    ]
    subject = language.say("workers.phase")
    if len(phases) > 1:
        subject = language.say("workers.phases", n=sum(one.repeats for one in phases))
    own = units.signed_size(phase.rss_delta_bytes)
    if is_of_one:
        key = "workers.heap_of_one" if is_of_heap(phase) else "workers.of_one"
        return language.say(key, subject=subject, own=own, workers=parts[0])
    if not parts:
        return language.say("workers.pss", subject=subject, own=own, size=units.signed_size(grown))
    return language.say(
        "workers.heap_of_several" if is_of_heap(phase) else "workers.of_several",
        subject=subject,
        own=own,
        size=units.signed_size(grown),
        workers=language.say("workers.and").join(parts[:MAX_GROUPS]),
    )


def _summed(phases: Sequence[Phase]) -> Phase | None:
    """Return the sum of phases, as far as workers are concerned; None if some overlap."""
    if len(phases) == 1:
        return phases[0]
    stretches = sorted(
        (stretch for phase in phases for stretch in phase.outline.stretches),
        key=attrgetter("start", "end"),
    )
    if any(later.start < before.end for before, later in pairwise(stretches)):
        return None
    shares: dict[int, GroupShare] = {}
    for share in (share for phase in phases for share in phase.workers):
        known = shares.get(share.group, GroupShare(share.group, (), 0, 0, 0))
        shares[share.group] = replace(
            known,
            processes=tuple(sorted({*known.processes, *share.processes})),
            delta_bytes=known.delta_bytes + share.delta_bytes,
            kept_bytes=known.kept_bytes + share.kept_bytes,
            peak_bytes=max(known.peak_bytes, share.peak_bytes),
        )
    return replace(
        phases[0],
        outline=replace(phases[0].outline, stretches=tuple(stretches)),
        rss_delta_bytes=sum_of_known([phase.rss_delta_bytes for phase in phases]),
        workers=tuple(sorted(shares.values(), key=lambda one: -one.kept_bytes)),
        workers_added_bytes=sum_of_known([one.workers_added_bytes for one in phases]),
    )


def _part_of(report: Report, share: GroupShare, size: int, language: Language) -> str:
    first, moved = report.run.processes[share.group], units.signed_size(size)
    if first.started_at is None and len(share.processes) == 1:
        name = sentences.short(first.command or units.UNKNOWN)
        return language.say("workers.in_process", size=moved, name=name)
    return language.say(
        "workers.in_group",
        size=moved,
        n=len(share.processes),
        line=_line_of_group(report, share),
    )


def _line_of_group(report: Report, share: GroupShare) -> str:
    """Return the line that started the processes of a group; their command if it is not known."""
    first = report.run.processes[share.group]
    at = first.started_at
    return (
        sentences.short(first.command or units.UNKNOWN) if at is None else frame_names.location(at)
    )
