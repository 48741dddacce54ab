"""Words what the processes that the program started moved in a phase, beside the program itself."""

from __future__ import annotations

from memdeep.analysis.workers import lived
from memdeep.model import GroupShare, Phase, Report, Run
from memdeep.report import sentences
from memdeep.text import units
from memdeep.text.language import Language

OF_HEAP = "*"  # behind a figure of workers whose PSS was not read
MAX_GROUPS = 3  # of workers that are told of a phase


def has_workers(phase: Phase) -> bool:
    """Tell if processes that the program started are known to have been there."""
    return bool(phase.workers) or phase.workers_pss_delta_bytes is not None


def is_of_heap(phase: Phase) -> bool:
    """Tell if what workers moved is known of their heap only."""
    return bool(phase.workers) and phase.workers_pss_delta_bytes is None


def size(phase: Phase) -> int | None:
    """Return what the processes that the program started moved: their PSS, else their heap."""
    if phase.workers_pss_delta_bytes is not None:
        return phase.workers_pss_delta_bytes
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


def moved(report: Report, phase: Phase, language: Language) -> str:
    """Return what a phase moved in the program and in its workers; empty if there were none."""
    grown, shares = size(phase), _moved(phase)
    if grown is None or not (shares or grown):
        return ""
    is_of_one = len(shares) == 1 and count(report.run, phase) > 0
    parts = [
        _moved_in(report, share, grown if is_of_one else share.delta_bytes, language)
        for share in shares
    ]
    own = units.signed_size(phase.rss_delta_bytes)
    if is_of_one:
        key = "workers.heap_of_one" if is_of_heap(phase) else "workers.of_one"
        return language.say(key, own=own, workers=parts[0])
    if not parts:
        return language.say("workers.pss", own=own, size=units.signed_size(grown))
    return language.say(
        "workers.heap_of_several" if is_of_heap(phase) else "workers.of_several",
        own=own,
        size=units.signed_size(grown),
        workers=language.say("workers.and").join(parts[:MAX_GROUPS]),
    )


def _moved_in(report: Report, share: GroupShare, size: int, language: Language) -> str:
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
    return sentences.short(first.command or units.UNKNOWN) if at is None else sentences.location(at)
