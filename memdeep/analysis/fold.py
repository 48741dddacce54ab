"""Folds small stacks into their callers, so that a page stays small. Bytes are moved, not lost."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import add

from memdeep.model import (
    FoldedStack,
    Heap,
    LargeAllocation,
    Lifetime,
    Peak,
    StackBytes,
    Transient,
)
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
    parents = heap.tree.parents
    stacks = [None if peak is None else peak.stacks for peak in peaks]
    most = MAX_AT_PEAKS // max(1, sum(alive is not None for alive in stacks))
    at_peaks = [None if alive is None else alive.folded(parents, most) for alive in stacks]
    weights = _weights(heap, at_peaks)
    # A subtree weighs at least what its parts weigh, so the first ones are closed under parents.
    ranked = sorted(range(len(weights)), key=weights.__getitem__, reverse=True)
    size = _size(heap, ranked[: min(MAX_NODES, sum(weight > 0 for weight in weights))])
    target = _targets(parents, ranked[:size])
    kept = frozenset(ranked[:size])
    return FoldedHeap(
        kept=tuple(sorted(kept)),
        lifetimes=_fold_lifetimes(heap.lifetimes, target),
        transients=None if heap.transients is None else _fold_transients(heap.transients, target),
        largest=None if heap.largest is None else _fold_largest(heap.largest, target),
        peaks=tuple(None if few is None else _fold_stacks(few, target) for few in at_peaks),
        share=_moved_share(heap.lifetimes, kept),
        peak_shares=tuple(_moved_peak_share(few or (), kept) for few in at_peaks),
    )


def _size(heap: Heap, ranked: Sequence[int]) -> int:
    """How many of the nodes ``ranked`` can stay if the entries are not to be too many."""
    # Counted as numbers that are equal where entries would be added up; no node is ``step - 1``, so
    # that -1 is like no other.
    step = len(heap.tree.parents) + 1
    ends = 1 + max((life.died or 0 for life in heap.lifetimes), default=0)
    kinds = [step * (life.born * ends + (life.died or 0)) for life in heap.lifetimes]
    places = [life.node for life in heap.lifetimes]
    segments = [step * gone.segment for gone in heap.transients or ()]
    gone_places = [gone.node for gone in heap.transients or ()]

    def fits(size: int) -> bool:
        target = _targets(heap.tree.parents, ranked[:size])
        lifetimes = set(map(add, kinds, map(target.__getitem__, places)))
        transients = set(map(add, segments, map(target.__getitem__, gone_places)))
        return len(lifetimes) + len(transients) <= MAX_ENTRIES

    sizes = [len(ranked)]
    while sizes[-1]:
        sizes.append(sizes[-1] * 3 // 4)
    if not ranked or fits(len(ranked)):  # as most do
        return len(ranked)
    return sizes[bisect_left(sizes, True, 1, len(sizes) - 1, key=fits)]


def _weights(heap: Heap, at_peaks: Sequence[Sequence[FoldedStack] | None]) -> list[float]:
    """How much each node matters; a parent at least as much as its children together."""
    weights = [0.0] * len(heap.tree.parents)
    born: defaultdict[int, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
    for life in heap.lifetimes:
        born[life.born][life.node] += life.bytes
    for gone in heap.transients or ():
        born[gone.segment][gone.node] += gone.bytes
    totals = [(nodes, sum(nodes.values())) for nodes in born.values()]
    least = SMALL_SEGMENT * max((total for _, total in totals), default=0)
    for nodes, total in totals:
        whole = max(total, least)
        for node, size in nodes.items():
            if size and size / whole > weights[node]:
                weights[node] = size / whole
    for stacks in at_peaks:
        total = sum(stack.bytes for stack in stacks or ())
        for stack in stacks or ():
            if stack.bytes and stack.node >= 0:
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


def _moved_share(items: Iterable[Lifetime], kept: Collection[int]) -> float:
    total = moved = 0
    for item in items:
        total += item.bytes
        moved += 0 if item.node in kept else item.bytes
    return moved / total if total else 0.0


def _moved_peak_share(stacks: Iterable[FoldedStack], kept: Collection[int]) -> float:
    total = stayed = 0
    for stack in stacks:
        total += stack.bytes
        stayed += stack.own_bytes if stack.node in kept else 0
    return (total - stayed) / total if total else 0.0


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


def _fold_stacks(stacks: Iterable[FoldedStack], target: Sequence[int]) -> tuple[StackBytes, ...]:
    tally: Tally[int] = Tally()
    for stack in stacks:
        tally.add(target[stack.node], stack.bytes, stack.allocations)
    return stacks_of(tally)
