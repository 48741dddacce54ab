"""Folds small stacks into their callers, so that a page stays small. Bytes are moved, not lost."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from memdeep.model import Heap, LargeAllocation, Lifetime, Peak, StackBytes, Transient
from memdeep.tally import Tally, lifetimes_of, stacks_of

MAX_NODES = 25_000
MAX_ENTRIES = 100_000  # lifetimes and transients
MAX_AT_PEAKS = 90_000  # stacks, over all peaks; each peak may have the same number

# Next to the largest segment, one that allocated less than this share of it may be coarse.
SMALL_SEGMENT = 1 / 100


@dataclass(frozen=True, slots=True)
class FoldedHeap:
    """A heap over fewer stacks: the nodes ``kept`` (of the old tree), parents before children.

    A node that was folded is replaced by its nearest kept ancestor, or by -1 (no stack). The stacks
    at a peak may be fewer still. ``share`` is the part of all lifetimes' bytes that moved,
    ``peak_shares`` that of the bytes at each peak.
    """

    kept: tuple[int, ...]
    lifetimes: tuple[Lifetime, ...]
    transients: tuple[Transient, ...] | None
    largest: tuple[LargeAllocation, ...] | None
    peaks: tuple[tuple[StackBytes, ...] | None, ...]
    share: float
    peak_shares: tuple[float, ...]


def fold(heap: Heap, peaks: Sequence[Peak | None]) -> FoldedHeap:
    """Fold the stacks that matter least, as few of them as make the rest small enough.

    A stack matters by the largest share that it makes, with all it called, of the bytes of one
    segment or of one peak.
    """
    weights = _weights(heap, peaks)
    # A subtree weighs at least what its parts weigh, so the first ones are closed under parents.
    ranked = sorted(range(len(weights)), key=lambda node: (-weights[node], node))
    size = _size(heap, ranked[: min(MAX_NODES, sum(weight > 0 for weight in weights))])
    target = _targets(heap.tree.parents, ranked[:size])
    known = [() if peak is None else peak.stacks or () for peak in peaks]
    most = MAX_AT_PEAKS // max(1, sum(bool(stacks) for stacks in known))
    at_peaks = [_fold_peak(_fold_stacks(s, target), heap.tree.parents, most) for s in known]
    kept = frozenset(ranked[:size])
    return FoldedHeap(
        kept=tuple(sorted(kept)),
        lifetimes=_fold_lifetimes(heap.lifetimes, target),
        transients=None if heap.transients is None else _fold_transients(heap.transients, target),
        largest=None if heap.largest is None else _fold_largest(heap.largest, target),
        peaks=tuple(
            None if peak is None or peak.stacks is None else folded
            for peak, folded in zip(peaks, at_peaks, strict=True)
        ),
        share=_moved_share(heap.lifetimes, kept),
        peak_shares=tuple(
            _moved_share(stacks, {stack.node for stack in folded})
            for stacks, folded in zip(known, at_peaks, strict=True)
        ),
    )


def _size(heap: Heap, ranked: Sequence[int]) -> int:
    """How many of the nodes ``ranked`` can stay if the entries are not to be too many."""
    # Counted as numbers that are equal where entries would be added up; no node is ``step - 1``, so
    # that -1 is like no other.
    ends = 1 + max((life.died or 0 for life in heap.lifetimes), default=0)
    kinds = [life.born * ends + (life.died or 0) for life in heap.lifetimes]
    places = [life.node for life in heap.lifetimes]
    segments = [gone.segment for gone in heap.transients or ()]
    gone_places = [gone.node for gone in heap.transients or ()]
    size = len(ranked)
    while size:
        target = _targets(heap.tree.parents, ranked[:size])
        step = len(target)
        lifetimes = {kind * step + target[node] for kind, node in zip(kinds, places, strict=True)}
        transients = {
            segment * step + target[node]
            for segment, node in zip(segments, gone_places, strict=True)
        }
        if len(lifetimes) + len(transients) <= MAX_ENTRIES:
            break
        size = size * 3 // 4
    return size


def _weights(heap: Heap, peaks: Sequence[Peak | None]) -> list[float]:
    """How much each node matters; a parent at least as much as its children together."""
    weights = [0.0] * len(heap.tree.parents)
    born: Tally[tuple[int, int]] = Tally()
    for life in heap.lifetimes:
        born.add((life.born, life.node), life.bytes, 0)
    for gone in heap.transients or ():
        born.add((gone.segment, gone.node), gone.bytes, 0)
    in_segment: Tally[int] = Tally()
    for (segment, _), (size, _) in born.items():
        in_segment.add(segment, size, 0)
    least = SMALL_SEGMENT * max((size for size, _ in in_segment.values()), default=0)
    for (segment, node), (size, _) in born.items():
        if size:
            weights[node] = max(weights[node], size / max(in_segment[segment][0], least))
    for peak in peaks:
        stacks = () if peak is None else peak.stacks or ()
        total = sum(stack.bytes for stack in stacks)
        for stack in stacks:
            if stack.bytes:
                weights[stack.node] = max(weights[stack.node], stack.bytes / total)
    for node in range(len(weights) - 1, -1, -1):
        parent = heap.tree.parents[node]
        if parent >= 0:
            weights[parent] += weights[node]
    return weights


def _targets(parents: Sequence[int], kept: Iterable[int]) -> list[int]:
    """What stands for each node: itself, its nearest kept ancestor or -1; -1 stands for -1."""
    keeps = bytearray(len(parents))
    for node in kept:
        keeps[node] = 1
    target: list[int] = []
    for node, parent in enumerate(parents):
        target.append(node if keeps[node] else target[parent] if parent >= 0 else -1)
    return [*target, -1]


def _moved_share(items: Iterable[Lifetime | StackBytes], kept: Collection[int]) -> float:
    total = moved = 0
    for item in items:
        total += item.bytes
        moved += 0 if item.node in kept else item.bytes
    return moved / total if total else 0.0


def _fold_peak(
    stacks: Sequence[StackBytes], parents: Sequence[int], most: int
) -> tuple[StackBytes, ...]:
    """``stacks`` over at most ``most`` nodes, those of most bytes with all they called."""
    if len(stacks) <= most:
        return tuple(stacks)
    held: dict[int, int] = {}
    for stack in stacks:
        node = stack.node
        while node >= 0:
            held[node] = held.get(node, 0) + stack.bytes
            node = parents[node]
    kept = set(sorted(held, key=lambda node: (-held[node], node))[:most])
    tally: Tally[int] = Tally()
    for stack in stacks:
        node = stack.node
        while node >= 0 and node not in kept:
            node = parents[node]
        tally.add(node, stack.bytes, stack.allocations)
    return stacks_of(tally)


def _fold_lifetimes(lifetimes: Iterable[Lifetime], target: Sequence[int]) -> tuple[Lifetime, ...]:
    tally: Tally[tuple[int, int, int | None]] = Tally()
    for life in lifetimes:
        tally.add((target[life.node], life.born, life.died), life.bytes, life.allocations)
    return lifetimes_of(tally)


def _fold_transients(
    transients: Iterable[Transient], target: Sequence[int]
) -> tuple[Transient, ...]:
    tally: Tally[tuple[int, int]] = Tally()
    for gone in transients:
        tally.add((target[gone.node], gone.segment), gone.bytes, gone.allocations)
    return tuple(Transient(*key, held, count) for key, (held, count) in tally.items())


def _fold_largest(
    largest: Iterable[LargeAllocation], target: Sequence[int]
) -> tuple[LargeAllocation, ...]:
    return tuple(
        LargeAllocation(target[one.node], one.born, one.died, one.bytes) for one in largest
    )


def _fold_stacks(stacks: Iterable[StackBytes], target: Sequence[int]) -> tuple[StackBytes, ...]:
    tally: Tally[int] = Tally()
    for stack in stacks:
        tally.add(target[stack.node], stack.bytes, stack.allocations)
    return stacks_of(tally)
