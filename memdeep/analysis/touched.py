"""Finds the lines whose memory became resident in a phase without being allocated in it.

Those are pages of mapped files, which the kernel can take back; of shared memory, which it cannot;
and of what was reserved before and used only now. Of the pool of a library, which hands out itself
what it has reserved, the line that reserved it is not the one that uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import NamedTuple

from memdeep.analysis.charges import Charge, charges
from memdeep.analysis.ground import Ground, outside
from memdeep.analysis.resident import Change, Reading, ResidentHeap
from memdeep.model import Advice, Culprit, FindingKind, Lifetime, Phase, StackBytes, Stretch
from memdeep.model.sums import by_stack

WORTH_A_LOOK_BYTES = 1 << 20  # a reading is taken where more than this has changed


class Touched(NamedTuple):
    """A line, and how many bytes of its memory became resident in the phases of the charge."""

    kind: FindingKind
    charge: Charge
    culprit: Culprit


class Pooled(NamedTuple):
    """A pool, by the advice on it, and how many bytes of it came into use in a phase."""

    phase: int
    advice: Advice
    bytes: int


def touched(
    ground: Ground, pool_of: Callable[[int], Advice | None]
) -> tuple[list[Touched], list[Pooled]]:
    """Find the lines, and the pools, of whose memory much became resident in a phase.

    No more is said than was resident at the end of the phases. ``pool_of`` tells the pool in which
    the bytes of a stack lie.
    """
    phases, resident, lines = ground.phases, ground.resident, ground.lines
    found = []
    changed = _changed(phases, resident)
    by_kind = {
        kind: _became_resident(changed, resident, kind)
        for kind in (FindingKind.FILE, FindingKind.SHARED, FindingKind.TOUCHED)
    }
    pools = _taken_out(by_kind[FindingKind.TOUCHED], pool_of)
    for kind, grown in by_kind.items():
        for charge in charges(phases, grown, lines, ground.first_calls):
            there = _most_resident(resident.next_to(charge.end), kind)
            stacks = [
                StackBytes(node, min(size, there.get(node, 0)), count)
                for node, size, count in by_stack(charge.lifetimes)
            ]
            rss = sum(phases[place].rss_delta_bytes or 0 for place in charge.places)
            found += [
                Touched(kind, charge, culprit)
                for culprit in lines.culprits(stacks, max(rss, sum(one.bytes for one in stacks)))
                if culprit.bytes >= ground.least_bytes
            ]
    return found, [pool for pool in pools if pool.bytes >= ground.least_bytes]


def _taken_out(
    filled: dict[int, list[Lifetime]], pool_of: Callable[[int], Advice | None]
) -> list[Pooled]:
    """Take what lies in pools out of what came into use in each phase, and add it up."""
    found = []
    for place, lifetimes in filled.items():
        sizes: dict[Advice, int] = {}
        others = []
        for life in lifetimes:
            pool = pool_of(life.node)
            if pool is None:
                others.append(life)
            else:
                sizes[pool] = sizes.get(pool, 0) + life.bytes
        filled[place] = others
        found += [Pooled(place, pool, size) for pool, size in sizes.items()]
    return found


class _Changed(NamedTuple):
    """What changed in a stretch of a phase, and its end."""

    phase: int
    end: int
    changes: Sequence[Change]


def _changed(phases: Sequence[Phase], resident: ResidentHeap) -> Sequence[_Changed]:
    """List the stretches with what changed in them; no two of them overlap.

    They are those of the innermost phases, and where phases of several threads or tasks overlap, of
    the phase around them: which of them touched a page is not known. Without one around them, each
    counts from the end of the one before.
    """
    found = []
    until = 0
    for stretch, place in _in_order(phases, _apart(phases)):
        start, until = max(stretch.start, until), max(stretch.end, until)
        changes = list(resident.changes(start, stretch.end)) if start < stretch.end else ()
        if changes:
            found.append(_Changed(place, stretch.end, changes))
    return found


def _apart(phases: Sequence[Phase]) -> Iterable[int]:
    """Choose the innermost phases that do not overlap, as far as there are such."""
    parents = {phase.outline.parent for phase in phases}
    chosen = {place for place in range(len(phases)) if place not in parents}
    while True:
        overlapping = set()
        until, latest = 0, -1
        for stretch, place in _in_order(phases, chosen):
            if stretch.start < until and place != latest:
                overlapping |= {place, latest}
            if stretch.end > until:
                until, latest = stretch.end, place
        inside = (phases[place].outline.parent for place in overlapping)
        around = {parent for parent in inside if parent is not None}
        if not around:
            return chosen
        chosen = {place for place in chosen | around if around.isdisjoint(outside(phases, place))}


def _in_order(phases: Sequence[Phase], places: Iterable[int]) -> list[tuple[Stretch, int]]:
    stretches = ((one, place) for place in places for one in phases[place].outline.stretches)
    return sorted(stretches, key=lambda item: (item[0].start, item[0].end))


def _became_resident(
    changed: Sequence[_Changed], resident: ResidentHeap, kind: FindingKind
) -> dict[int, list[Lifetime]]:
    """Find what became resident in each phase, as bytes that never died."""
    kept: dict[int, list[Lifetime]] = {}
    grown_between = cache(partial(_grown, resident, kind))
    for place, end, changes in changed:
        grown: dict[int, float] = {}
        for before, after, mapped_part, other_part in changes:
            part = other_part if kind is FindingKind.TOUCHED else mapped_part
            if part > 0:
                for node, size in grown_between(before, after).items():
                    if size > 0 or part == 1:  # what was given back was so at one moment
                        grown[node] = grown.get(node, 0) + part * size
        kept.setdefault(place, []).extend(
            Lifetime(node, end, None, round(size), 1) for node, size in grown.items() if size >= 1
        )
    return kept


def _grown(
    resident: ResidentHeap, kind: FindingKind, before: Reading | None, after: Reading
) -> Mapping[int, int]:
    """Return by how much more of each stack is resident at the later of two readings."""
    if kind is FindingKind.TOUCHED:
        return {} if before is None else _filled(resident, before, after)
    was, there = _resident(before, kind), _resident(after, kind)
    return {node: there.get(node, 0) - was.get(node, 0) for node in {**was, **there}}


def _filled(resident: ResidentHeap, start: Reading, end: Reading) -> dict[int, int]:
    """Return what surely came into use of the bytes that were alive before: touched, or copied."""
    filled = {node: idle - end.most_idle.get(node, 0) for node, idle in start.idle.items()}
    if sum(size for size in filled.values() if size > 0) < WORTH_A_LOOK_BYTES:
        return {}
    both = resident.alive_at_both(start, end)  # takes its time
    return {node: min(size, both.get(node, 0)) for node, size in filled.items()}


def _most_resident(readings: Iterable[Reading], kind: FindingKind) -> Mapping[int, int]:
    """Return the most bytes of each stack that were resident at any of ``readings``."""
    most: dict[int, int] = {}
    for reading in readings:
        for node, size in _resident(reading, kind).items():
            most[node] = max(size, most.get(node, 0))
    return most


def _resident(reading: Reading | None, kind: FindingKind) -> Mapping[int, int]:
    """Return the resident bytes of each stack that are of one kind."""
    if reading is None:
        return {}
    if kind is FindingKind.TOUCHED:
        idle = reading.most_idle
        return {node: size - idle.get(node, 0) for node, size in reading.alive.items()}
    mapped = reading.file if kind is FindingKind.FILE else reading.shared
    return {node: one.bytes for node, one in mapped.items()}
