"""Folds phases of like names into one row each: `epoch 0` … `epoch 99`, `第1天` … `第100天`.

Decides which phases make a row and what its figures are; knows neither tables nor words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter

from memdeep.analysis.alike import alike, numbered, shared
from memdeep.analysis.phases import Figures
from memdeep.frozen import replace
from memdeep.model import (
    Pattern,
    Peak,
    Phase,
    PhaseKind,
    PhaseOutline,
    Stretch,
)

MIN_NUMBERED = 4  # members of a row whose names differ in their numbers only
MANY = 10  # members that are alike whatever is inside them; of fewer the insides are compared
MIN_OTHERS = 8  # members of any other row: a few steps of like names are told one by one

Group = tuple[str, PhaseKind, tuple[int, ...]]  # of phases: their pattern, their kind, their places


def patterns(figures: Figures, phases: Sequence[Phase]) -> tuple[Pattern, ...]:
    """Find the rows that phases of one parent are folded into, and give them their figures.

    What is inside the members of a row is folded as well: within each of them, and for all of them
    together (``within``).
    """
    inside: dict[int | None, list[int]] = {}
    for place, phase in enumerate(phases):
        inside.setdefault(phase.outline.parent, []).append(place)
    found: list[tuple[Group, int | None]] = [
        (group, None)
        for places in inside.values()
        for group in _groups(phases, places)
        if _is_of_like_insides(phases, inside, group)
    ]
    folded = {place for (*_, members), _ in found for place in members}
    number = 0
    while number < len(found):
        (*_, members), within = found[number]
        around = phases[members[0]].outline.parent
        if within is not None or not _is_beneath(phases, around, folded):
            children = [child for place in members for child in inside.get(place, ())]
            found += [
                (group, number)
                for group in _groups(phases, children)
                if _is_of_like_insides(phases, inside, group)
            ]
        number += 1
    return _with_figures(figures, phases, found)


def _groups(phases: Sequence[Phase], places: Iterable[int]) -> Iterator[Group]:
    """Group phases by the pattern of their names; leave out groups that are too small for a row."""
    spans: dict[int, PhaseOutline] = {}
    segments: dict[str, list[int]] = {}
    for place in places:
        outline = phases[place].outline
        if outline.kind is PhaseKind.SPAN:
            spans[place] = outline
        else:
            segments.setdefault(numbered(outline.name), []).append(place)
    for pattern, members in alike(spans):
        is_numbered = len({numbered(spans[place].name) for place in members}) == 1
        if len(members) >= (MIN_NUMBERED if is_numbered else MIN_OTHERS):
            yield pattern, PhaseKind.SPAN, members
    for numbers in segments.values():
        if len(numbers) >= MIN_NUMBERED:
            name = shared(phases[place].outline.name for place in numbers)
            yield name, PhaseKind.SEGMENT, tuple(numbers)


def _is_of_like_insides(
    phases: Sequence[Phase], inside: Mapping[int | None, Sequence[int]], group: Group
) -> bool:
    """Tell if all members of a group do the same: stages 1 to 4 of a program hardly do."""
    *_, members = group
    if len(members) >= MANY:
        return True
    names = {
        frozenset(
            numbered(phases[child].name)
            for child in inside.get(place, ())
            if phases[child].outline.kind is PhaseKind.SPAN
        )
        for place in members
    }
    return len(names) == 1


def _is_beneath(phases: Sequence[Phase], place: int | None, folded: set[int]) -> bool:
    """Tell if ``place``, or a phase around it, is folded into a row."""
    while place is not None and place not in folded:
        place = phases[place].outline.parent
    return place is not None


def _with_figures(
    figures: Figures, phases: Sequence[Phase], found: Sequence[tuple[Group, int | None]]
) -> tuple[Pattern, ...]:
    outlines = []
    for (pattern, kind, members), within in found:
        first = phases[members[0]].outline
        parent = first.parent if within is None else None
        stretches = _joined(s for place in members for s in phases[place].outline.stretches)
        outlines.append(PhaseOutline(pattern, kind, first.depth, parent, stretches))
    peaks = [_highest(phases[place] for place in members) for (*_, members), _ in found]
    summed = figures.of(outlines, peaks, {})
    return tuple(
        Pattern(_of_members(phase, [phases[place] for place in members]), members, within)
        for phase, ((*_, members), within) in zip(summed, found, strict=True)
    )


def _of_members(summed: Phase, members: Sequence[Phase]) -> Phase:
    """Add what is so of the members: their thread, if they have one, and if any overlaps.

    The figures are those of all threads: where others moved memory beside a member, the sum is of
    no single thread.
    """
    threads = {phase.outline.thread for phase in members}
    is_one = len(threads) == 1 and not any(phase.shares_rss for phase in members)
    (thread,) = threads if is_one else {None}
    outline = replace(
        summed.outline,
        threads=() if thread is None else (thread,) * summed.repeats,
        overlaps=any(phase.outline.overlaps for phase in members),
    )
    return replace(summed, outline=outline)


def _joined(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Return ``stretches`` in order, those that overlap as one: no byte counts twice."""
    joined: list[Stretch] = []
    for stretch in sorted(stretches, key=attrgetter("start", "end")):
        if joined and stretch.start < joined[-1].end:
            last = joined[-1]
            end = max(last.end, stretch.end)
            joined[-1] = Stretch(last.start, end, last.complete and stretch.complete)
        else:
            joined.append(stretch)
    return tuple(joined)


def _highest(phases: Iterable[Phase]) -> Peak | None:
    """Return the highest heap of the process in any of ``phases``."""
    heaps = [phase.heap for phase in phases if phase.heap is not None]
    peaks = [heap.process_peak or heap.peak for heap in heaps]
    return max(peaks, key=lambda peak: peak.bytes, default=None)
