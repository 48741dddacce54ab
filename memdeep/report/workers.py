"""Words what the processes that the program started moved in a phase, beside the program itself."""

from __future__ import annotations

from memdeep.model import GroupShare, Phase, Report
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


def count(phase: Phase) -> int:
    """Return how many processes kept or freed memory in ``phase``, as far as is known."""
    moved = [share for share in phase.workers if share.delta_bytes or share.kept_bytes]
    return sum(len(share.processes) for share in moved)


def figure(phase: Phase, language: Language) -> str:
    """Return what the processes that the program started moved, and how many of them did."""
    grown = size(phase)
    if grown is None:
        return units.UNKNOWN
    text = units.signed_size(grown) + (OF_HEAP if is_of_heap(phase) else "")
    number = count(phase)
    return language.say("terminal.workers_in", size=text, n=number) if grown and number else text


def moved(report: Report, phase: Phase, language: Language) -> str:
    """Return what a phase moved in the program and in its workers; empty if there were none."""
    grown = size(phase)
    shares = [share for share in phase.workers if share.delta_bytes or share.kept_bytes]
    if grown is None or not (shares or grown):
        return ""
    parts = [
        _moved_in(report, share, grown if len(shares) == 1 else share.delta_bytes, language)
        for share in shares
    ]
    own = units.signed_size(phase.rss_delta_bytes)
    if len(parts) == 1:
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
