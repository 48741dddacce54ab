"""Folds small stacks into their callers, so that a page stays small. Bytes are moved, not lost."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from memdeep.model import Heap, LargeAllocation, Lifetime, Peak, StackBytes, Transient
from memdeep.tally import Tally, lifetimes_of, stacks_of

MAX_NODES = 25_000
MAX_ENTRIES = 150_000  # lifetimes, transients, and stacks at all peaks

# Next to the largest segment, one that allocated less than this share of it may be coarse.
SMALL_SEGMENT = 1 / 100


@dataclass(frozen=True, slots=True)
class FoldedHeap:
    """A heap over fewer stacks: the nodes ``kept`` (of the old tree), parents before children.

    A node that was folded is replaced by its nearest kept ancestor, or by -1 (no stack).
    ``share`` is the part of all lifetimes' bytes that moved.
    """

    kept: tuple[int, ...]
    lifetimes: tuple[Lifetime, ...]
    transients: tuple[Transient, ...] | None
    largest: tuple[LargeAllocation, ...] | None
    peaks: tuple[tuple[StackBytes, ...] | None, ...]
    share: float


def fold(heap: Heap, peaks: Sequence[Peak | None]) -> FoldedHeap:
    """Fold the stacks that matter least, as few of them as make the rest small enough.

    A stack matters by the largest share that it makes, with all it called, of the bytes of one
    segment or of one peak.
    """
    weights = _weights(heap, peaks)
    # A subtree weighs at least what its parts weigh, so the first ones are closed under parents.
    ranked = sorted(range(len(weights)), key=lambda node: (-weights[node], node))
    size = min(MAX_NODES, sum(weight > 0 for weight in weights))
    folded = FoldedHeap(
        kept=(),
        lifetimes=heap.lifetimes,
        transients=heap.transients,
        largest=heap.largest,
        peaks=tuple(None if peak is None else peak.stacks for peak in peaks),
        share=0.0,
    )
    while True:
        # What was folded once can be folded on from there: it is less than all of the heap.
        folded = _fold(folded, _targets(heap, ranked[:size]))
        if size == 0 or _is_small(folded):
            break
        size = size * 3 // 4
    kept = frozenset(ranked[:size])
    return replace(folded, kept=tuple(sorted(kept)), share=_moved_share(heap, kept))


def _is_small(folded: FoldedHeap) -> bool:
    at_peaks = sum(len(stacks or ()) for stacks in folded.peaks)
    return len(folded.lifetimes) + len(folded.transients or ()) + at_peaks <= MAX_ENTRIES


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


def _targets(heap: Heap, kept: Sequence[int]) -> list[int]:
    """What stands for each node: itself, its nearest kept ancestor or -1; -1 stands for -1."""
    keeps = bytearray(len(heap.tree.parents))
    for node in kept:
        keeps[node] = 1
    target: list[int] = []
    for node, parent in enumerate(heap.tree.parents):
        target.append(node if keeps[node] else target[parent] if parent >= 0 else -1)
    return [*target, -1]


def _moved_share(heap: Heap, kept: Collection[int]) -> float:
    total = sum(life.bytes for life in heap.lifetimes)
    moved = sum(life.bytes for life in heap.lifetimes if life.node not in kept)
    return moved / total if total else 0.0


def _fold(folded: FoldedHeap, target: Sequence[int]) -> FoldedHeap:
    lifetimes: Tally[tuple[int, int, int | None]] = Tally()
    for life in folded.lifetimes:
        lifetimes.add((target[life.node], life.born, life.died), life.bytes, life.allocations)
    return replace(
        folded,
        lifetimes=lifetimes_of(lifetimes),
        transients=None
        if folded.transients is None
        else _fold_transients(folded.transients, target),
        largest=None
        if folded.largest is None
        else tuple(replace(item, node=target[item.node]) for item in folded.largest),
        peaks=tuple(
            None if stacks is None else _fold_stacks(stacks, target) for stacks in folded.peaks
        ),
    )


def _fold_transients(
    transients: Iterable[Transient], target: Sequence[int]
) -> tuple[Transient, ...]:
    tally: Tally[tuple[int, int]] = Tally()
    for gone in transients:
        tally.add((target[gone.node], gone.segment), gone.bytes, gone.allocations)
    return tuple(Transient(*key, held, count) for key, (held, count) in tally.items())


def _fold_stacks(stacks: Iterable[StackBytes], target: Sequence[int]) -> tuple[StackBytes, ...]:
    tally: Tally[int] = Tally()
    for stack in stacks:
        tally.add(target[stack.node], stack.bytes, stack.allocations)
    return stacks_of(tally)
