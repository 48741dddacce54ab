"""Divides memory that was asked for into what is in use and what is only reserved.

A reservation costs nothing until its pages are written. A line that reserves 4 GB and fills 100 MB
elsewhere is two statements, not one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from memdeep.analysis.charges import Charge
from memdeep.analysis.ground import Ground
from memdeep.analysis.resident import ResidentHeap
from memdeep.frozen import replace
from memdeep.model import Culprit, Heap, Lifetime, Peak, Phase, StackBytes
from memdeep.model.sums import by_stack

RESERVED_SHARE = 0.1  # of a reservation at most is in use
RESERVED_BYTES = 16 << 20  # of it in use are more than a reservation, whatever its size
HARDLY_IN_USE = 0.25  # of a small one, too, no more than this is in use
AS_HIGH = 0.99  # of the highest heap
TOLD_APART_BYTES = 16 << 20  # that a stack reserved, beside what its line has in use: no arena


def by_line_in_use(ground: Ground, charge: Charge) -> Iterator[tuple[Charge, Culprit]]:
    """Yield each line with its part of a charge, and with what of it was resident at its end.

    What a line only reserved is a part by itself, beside what it has in use.
    """
    for lifetimes in _reserved_apart(ground, charge):
        by_line: dict[tuple[str, int], list[Lifetime]] = {}
        for life in lifetimes:
            by_line.setdefault(ground.lines.line(life.node), []).append(life)
        for culprit in ground.lines.culprits(by_stack(lifetimes), 0):
            own = by_line[culprit.line]
            in_use = _bytes_in_use(ground, culprit.node, own, charge.end)
            yield replace(charge, lifetimes=own), replace(culprit, resident_bytes=in_use)


def is_reservation(size_bytes: int, in_use_bytes: int, least_bytes: int) -> bool:
    """Tell whether so little of bytes is in use that they were only reserved."""
    share = min(RESERVED_BYTES, RESERVED_SHARE * size_bytes)
    most = min(max(least_bytes, share), HARDLY_IN_USE * size_bytes)
    return in_use_bytes < most


def _reserved_apart(ground: Ground, charge: Charge) -> Sequence[Sequence[Lifetime]]:
    """Divide the bytes of a charge: those in use, and those that large stacks only reserved."""
    by_node: dict[int, list[Lifetime]] = {}
    for life in charge.lifetimes:
        by_node.setdefault(life.node, []).append(life)
    used: list[Lifetime] = []
    reserved: list[Lifetime] = []
    for node, own in by_node.items():
        size = sum(life.bytes for life in own)
        is_large = size >= max(ground.least_bytes, TOLD_APART_BYTES)
        in_use = _bytes_in_use(ground, node, own, charge.end) if is_large else None
        is_used = in_use is None or not is_reservation(size, in_use, ground.least_bytes)
        (used if is_used else reserved).extend(own)
    return used, reserved


def _bytes_in_use(ground: Ground, node: int, lifetimes: Sequence[Lifetime], end: int) -> int | None:
    """Return what of bytes, most by ``node``, was resident at ``end``; None if not known."""
    if ground.heap.tree.process(node) != 0:  # of others no mappings were read
        return None
    untouched = ground.resident.untouched_bytes(lifetimes, end, with_files=True)
    return None if untouched is None else sum(life.bytes for life in lifetimes) - untouched


def highest_peak(
    phases: Sequence[Phase], resident: ResidentHeap
) -> tuple[int, Peak, Sequence[StackBytes]] | None:
    """Find the outermost phase with the highest peak of which the stacks are known.

    With it comes what of them was in use at the reading nearest to it. While a heap is as high,
    what it has reserved may come into use: of such peaks it is the one with most in use.
    """
    known = [
        (peak.bytes, -phase.outline.depth, place, peak, peak.stacks)
        for place, phase in enumerate(phases)
        if phase.heap is not None
        and (peak := phase.heap.process_peak or phase.heap.peak).stacks is not None
    ]
    known.sort(key=lambda item: item[:2], reverse=True)
    least_bytes = AS_HIGH * known[0][0] if known else 0
    readings, found = set(), []
    for top_bytes, _, place, peak, stacks in known:
        at = phases[place].end if peak.checkpoint is None else peak.checkpoint
        reading = id(resident.last(at))  # it is kept
        if top_bytes >= least_bytes and stacks and reading not in readings:
            readings.add(reading)
            found.append((place, peak, resident.in_use_before(stacks, at)))
    return max(found, key=lambda item: _sum(item[2]), default=None)


def peak_in_use(heap: Heap, phases: Sequence[Phase], resident: ResidentHeap) -> int:
    """Return the highest heap without what was not in use at the reading nearest to it."""
    at_top = highest_peak(phases, resident)
    if at_top is None or (not heap.residency and heap.earlier is None):
        return heap.peak_bytes or 0
    return _sum(at_top[2])


def reserved_at_peak(heap: Heap, phases: Sequence[Phase]) -> int | None:
    """Return what of the highest heap large stacks had only reserved; None where nothing tells.

    What was resident is known at the reading nearest to it. Of other processes none is read.
    """
    at_top = highest_peak(phases, ResidentHeap(heap))
    if at_top is None or not heap.residency or heap.processes:
        return None
    _, peak, in_use = at_top
    used = {one.node: one.bytes for one in in_use}
    return sum(
        stack.bytes - used[stack.node]
        for stack in peak.stacks or ()
        if stack.bytes >= TOLD_APART_BYTES
        and stack.node in used
        and is_reservation(stack.bytes, used[stack.node], 0)
    )


def _sum(stacks: Sequence[StackBytes]) -> int:
    return sum(stack.bytes for stack in stacks)
