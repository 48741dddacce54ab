"""Finds the lines whose memory became resident in a phase without being allocated in it.

Those are pages of mapped files, which the kernel can take back; of shared memory, which it cannot;
and of what was reserved before and used only now. Of the pool of a library, which hands out itself
what it has reserved, the line that reserved it is not the one that uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from memdeep.analysis.charges import Charge, charges
from memdeep.analysis.ground import Ground
from memdeep.analysis.resident import Reading, ResidentHeap
from memdeep.model import Advice, Culprit, FindingKind, Lifetime, Phase, StackBytes
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
            there = _resident(resident.last(charge.end), kind)
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
    """The end of a stretch of a phase, with the readings before its start and before its end."""

    phase: int
    end: int
    first: Reading | None
    last: Reading


def _changed(phases: Sequence[Phase], resident: ResidentHeap) -> Sequence[_Changed]:
    """List the stretches of the innermost phases in which there was a reading."""
    parents = {phase.outline.parent for phase in phases}
    found = []
    for place, phase in enumerate(phases):
        if place in parents:
            continue
        for stretch in phase.outline.stretches:
            last = resident.last(stretch.end)
            if last is not None and last.checkpoint > stretch.start:
                found.append(_Changed(place, stretch.end, resident.last(stretch.start), last))
    return found


def _became_resident(
    changed: Sequence[_Changed], resident: ResidentHeap, kind: FindingKind
) -> dict[int, list[Lifetime]]:
    """Find what became resident in each phase, as bytes that never died."""
    kept: dict[int, list[Lifetime]] = {}
    for place, end, first, last in changed:
        if kind is FindingKind.TOUCHED:
            grown = {} if first is None else _filled(resident, first, last)
        else:
            before = _resident(first, kind)
            there = _resident(last, kind)
            grown = {node: size - before.get(node, 0) for node, size in there.items()}
        kept.setdefault(place, []).extend(
            Lifetime(node, end, None, size, 1) for node, size in grown.items() if size > 0
        )
    return kept


def _filled(resident: ResidentHeap, start: Reading, end: Reading) -> dict[int, int]:
    """Return what came into use of the bytes that were alive before: touched, or copied."""
    filled = {node: idle - end.idle.get(node, 0) for node, idle in start.idle.items()}
    if sum(size for size in filled.values() if size > 0) < WORTH_A_LOOK_BYTES:
        return {}
    both = resident.alive_at_both(start, end)  # takes its time
    return {node: min(size, both.get(node, 0)) for node, size in filled.items()}


def _resident(reading: Reading | None, kind: FindingKind) -> Mapping[int, int]:
    """Return the resident bytes of each stack that are of one kind."""
    if reading is None:
        return {}
    if kind is FindingKind.TOUCHED:
        idle = reading.idle
        return {node: size - idle.get(node, 0) for node, size in reading.alive.items()}
    mapped = reading.file if kind is FindingKind.FILE else reading.shared
    return {node: one.bytes for node, one in mapped.items()}
