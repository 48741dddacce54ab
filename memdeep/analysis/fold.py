"""Folds small stacks into their callers, so that a page stays small. Bytes are moved, not lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memdeep.model import Heap, Lifetime, Peak, StackBytes, Transient
from memdeep.tally import Tally, lifetimes_of, stacks_of

MAX_NODES = 25_000
MAX_LIFETIMES = 150_000
FIRST_SHARE = 1 / 20_000


@dataclass(frozen=True, slots=True)
class FoldedHeap:
    """The lifetimes and peaks of a heap over fewer stacks: the nodes ``kept`` (of the old tree).

    ``target`` gives for each node of the old tree what stands for it: itself, its nearest kept
    ancestor, or -1 (no stack). ``share`` is the part of all lifetimes' bytes that moved.
    """

    kept: tuple[int, ...]
    target: tuple[int, ...]
    lifetimes: tuple[Lifetime, ...]
    peaks: tuple[tuple[StackBytes, ...] | None, ...]
    transients: tuple[Transient, ...] | None
    share: float


def fold(heap: Heap, peaks: Sequence[Peak | None]) -> FoldedHeap:
    """Fold stacks below a share of the bytes, raising the share until the rest is small enough."""
    weights = _weights(heap, peaks)
    share = FIRST_SHARE
    while True:
        folded = _fold(heap, peaks, weights, share)
        is_small = len(folded.kept) <= MAX_NODES and len(folded.lifetimes) <= MAX_LIFETIMES
        if is_small or share >= 1:
            return folded
        share *= 2


def _weights(heap: Heap, peaks: Sequence[Peak | None]) -> list[float]:
    """For each node, the largest part its subtree makes of the lifetimes or of one peak."""
    parents = heap.tree.parents
    weights = _subtree_shares([(life.node, life.bytes) for life in heap.lifetimes], parents)
    for peak in peaks:
        if peak is not None and peak.stacks:
            pairs = [(stack.node, stack.bytes) for stack in peak.stacks]
            shares = _subtree_shares(pairs, parents)
            weights = [max(pair) for pair in zip(weights, shares, strict=True)]
    return weights


def _subtree_shares(pairs: Iterable[tuple[int, int]], parents: Sequence[int]) -> list[float]:
    sums = [0] * len(parents)
    total = 0
    for node, size in pairs:
        sums[node] += size
        total += size
    for node in range(len(parents) - 1, -1, -1):
        if parents[node] >= 0:
            sums[parents[node]] += sums[node]
    return [size / total if total else 0.0 for size in sums]


def _fold(
    heap: Heap, peaks: Sequence[Peak | None], weights: Sequence[float], share: float
) -> FoldedHeap:
    target: list[int] = []
    for node, parent in enumerate(heap.tree.parents):
        keeps = weights[node] >= share
        target.append(node if keeps else target[parent] if parent >= 0 else -1)
    lifetimes: Tally[tuple[int, int, int | None]] = Tally()
    moved = total = 0
    for life in heap.lifetimes:
        lifetimes.add((target[life.node], life.born, life.died), life.bytes, life.allocations)
        total += life.bytes
        moved += life.bytes if target[life.node] != life.node else 0
    return FoldedHeap(
        kept=tuple(node for node, kept in enumerate(target) if node == kept),
        target=tuple(target),
        lifetimes=lifetimes_of(lifetimes),
        peaks=tuple(
            None if peak is None or peak.stacks is None else _fold_stacks(peak.stacks, target)
            for peak in peaks
        ),
        transients=None if heap.transients is None else _fold_transients(heap.transients, target),
        share=moved / total if total else 0.0,
    )


def _fold_transients(
    transients: Iterable[Transient], target: Sequence[int]
) -> tuple[Transient, ...]:
    tally: Tally[tuple[int, int]] = Tally()
    for gone in transients:
        tally.add((target[gone.node], gone.segment), gone.bytes, gone.allocations)
    return tuple(
        Transient(node, segment, held, count) for (node, segment), (held, count) in tally.items()
    )


def _fold_stacks(stacks: Iterable[StackBytes], target: Sequence[int]) -> tuple[StackBytes, ...]:
    tally: Tally[int] = Tally()
    for stack in stacks:
        tally.add(target[stack.node], stack.bytes, stack.allocations)
    return stacks_of(tally)
