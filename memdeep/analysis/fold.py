"""Folds small stacks into their callers, so that a page stays small; no byte is lost."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from memdeep.analysis.repeats import Unrepeated, unrepeated
from memdeep.frozen import frozen, replace
from memdeep.model import FoldedStack, Heap, LargeAllocation, Lifetimes, Peak, StackBytes
from memdeep.model.sums import Tally, stacks_of

MAX_NODES = 25_000
MAX_ENTRIES = 100_000  # lifetimes and transients
MAX_AT_PEAKS = 90_000  # stacks, over all peaks; each peak may have the same number

# Next to the largest segment, one that allocated less than this share of it may be coarse.
SMALL_SEGMENT = 1 / 100


@frozen
class FoldedHeap:
    """A heap over fewer stacks: the ``nodes`` kept of the old tree, parents before children.

    A node that was folded is replaced by its nearest kept ancestor, or by a number behind those of
    the old tree (no stack). The stacks at a peak may be fewer still. ``share`` is the part of all
    lifetimes' bytes that moved, ``peak_shares`` that of the bytes at each peak.

    Laps of a deep recursion are one before anything else is folded: ``parents`` are those of the
    nodes in the tree of `unrepeated`, ``times`` the laps that a node stands for.

    ``asked`` are the `Asked` of all that became each of ``nodes``; nothing where none is known.
    """

    nodes: tuple[int, ...]
    parents: tuple[int, ...]
    times: Mapping[int, int]
    lifetimes: Lifetimes
    transients: Lifetimes | None
    largest: tuple[LargeAllocation, ...] | None
    peaks: tuple[tuple[StackBytes, ...] | None, ...]
    share: float
    peak_shares: tuple[float, ...]
    asked: bytes


def fold(heap: Heap, peaks: Sequence[Peak | None]) -> FoldedHeap:
    """Fold the stacks that matter least, as few of them as make the rest small enough.

    A stack matters by the largest share that it makes, with all it called, of the bytes of one
    segment or of one peak. Of very many segments, small entries are folded further than large ones.
    """
    once = unrepeated(heap.tree)
    heap = _without_repeats(heap, once)
    parents = heap.tree.parents
    stacks = [None if peak is None else peak.stacks for peak in peaks]
    most = MAX_AT_PEAKS // max(1, sum(alive is not None for alive in stacks))
    at_peaks = [
        None if alive is None else _placed(alive.folded(parents, most), once) for alive in stacks
    ]
    ranked = _ranked(_weights(heap, at_peaks))
    fine = _targets(parents, ranked)
    kinds = [heap.lifetimes] if heap.transients is None else [heap.lifetimes, heap.transients]
    coarse, small = fine, [-1] * len(kinds)
    entries = _charged(kinds, fine, coarse, small)
    if sum(map(len, entries)) > MAX_ENTRIES:  # which is rare
        coarse, small = _for_small_ones(parents, kinds, ranked, fine)
        entries = _charged(kinds, fine, coarse, small)
    nodes = tuple(sorted(ranked))
    return FoldedHeap(
        nodes=nodes,
        parents=tuple(parents[node] for node in nodes),
        times=once.times,
        lifetimes=entries[0],
        transients=None if heap.transients is None else entries[1],
        largest=None if heap.largest is None else _fold_largest(heap.largest, fine),
        peaks=tuple(None if few is None else _fold_stacks(few, fine) for few in at_peaks),
        share=_moved_share(heap, fine, coarse, small[0]),
        peak_shares=tuple(_moved_peak_share(few or (), fine) for few in at_peaks),
        asked=_asked(heap.tree.asked, once.places, fine, nodes),
    )


def _asked(
    asked: bytes, places: Sequence[int], target: Sequence[int], nodes: Sequence[int]
) -> bytes:
    if not any(asked):
        return b""
    found = bytearray(len(target))
    for node, flags in enumerate(asked):
        found[target[places[node]]] |= flags
    return bytes(map(found.__getitem__, nodes))


def _without_repeats(heap: Heap, once: Unrepeated) -> Heap:
    if not once.times:
        return heap
    places = array("I", once.places)
    return replace(
        heap,
        tree=replace(heap.tree, parents=once.parents),
        lifetimes=heap.lifetimes.charged_to(places),
        transients=None if heap.transients is None else heap.transients.charged_to(places),
        largest=None if heap.largest is None else _fold_largest(heap.largest, places),
    )


def _placed(stacks: Sequence[FoldedStack], once: Unrepeated) -> Sequence[FoldedStack]:
    if not once.times:
        return stacks
    found: dict[int, FoldedStack] = {}
    for stack in stacks:
        place = once.places[stack.node] if stack.node >= 0 else stack.node
        before = found.get(place, FoldedStack(place, 0, 0, 0))
        found[place] = FoldedStack(
            place,
            before.bytes + stack.bytes,
            before.allocations + stack.allocations,
            before.own_bytes + stack.own_bytes,
        )
    return tuple(found.values())


def _ranked(weights: Sequence[float]) -> list[int]:
    """List the nodes that weigh most, heaviest first, at most MAX_NODES.

    A subtree weighs at least as much as its parts, so a node's parent is never behind it.
    """
    heaviest = sorted(weights, reverse=True)[:MAX_NODES]
    least = heaviest[-1] if heaviest else 0.0
    weighty = [node for node, weight in enumerate(weights) if weight >= least and weight > 0]
    return sorted(weighty, key=weights.__getitem__, reverse=True)[:MAX_NODES]


def _for_small_ones(
    parents: Sequence[int], kinds: Sequence[Lifetimes], ranked: Sequence[int], fine: array[int]
) -> tuple[array[int], list[int]]:
    """Choose coarser nodes for small entries so that the page keeps at most MAX_ENTRIES.

    Return the replacement of each node, and per kind the size up to which an entry is small. Half
    of the entries are left to large ones.
    """
    large = MAX_ENTRIES // 4
    small = [kind.size_of_rank(large) if len(kind) > large else -1 for kind in kinds]

    def coarse(size: int) -> array[int]:
        return _targets(parents, ranked[:size])

    def fits(size: int) -> bool:
        return sum(map(len, _charged(kinds, fine, coarse(size), small))) <= MAX_ENTRIES

    sizes = [len(ranked) * 3 // 4]
    while sizes[-1]:
        sizes.append(sizes[-1] * 3 // 4)
    return coarse(sizes[bisect_left(sizes, True, hi=len(sizes) - 1, key=fits)]), small


def _charged(
    kinds: Sequence[Lifetimes], fine: array[int], coarse: array[int], small: Sequence[int]
) -> list[Lifetimes]:
    pairs = zip(kinds, small, strict=True)
    return [kind.charged_to(fine, coarse, most) for kind, most in pairs]


def _weights(heap: Heap, at_peaks: Sequence[Sequence[FoldedStack] | None]) -> list[float]:
    """Weigh each node; a parent weighs at least as much as its children together."""
    parents = heap.tree.parents
    weights = list(heap.lifetimes.largest_shares(heap.transients, len(parents), SMALL_SEGMENT))
    for stacks in at_peaks:
        total = sum(stack.bytes for stack in stacks or ())
        for stack in stacks or ():
            if stack.bytes and stack.node >= 0:
                weights[stack.node] = max(weights[stack.node], stack.bytes / total)
    for node in range(len(weights) - 1, -1, -1):
        parent = parents[node]
        if parent >= 0:
            weights[parent] += weights[node]
    return weights


def _targets(parents: Sequence[int], kept: Iterable[int]) -> array[int]:
    """Return the replacement of each node: itself, its nearest kept ancestor or ``len(parents)``.

    That number stands for no stack, and is its own replacement.
    """
    keeps = bytearray(len(parents))
    for node in kept:
        keeps[node] = 1
    target = array("I")
    nowhere = len(parents)
    for node, parent in enumerate(parents):
        target.append(node if keeps[node] else target[parent] if parent >= 0 else nowhere)
    target.append(nowhere)
    return target


def _moved_share(heap: Heap, fine: Sequence[int], coarse: Sequence[int], small: int) -> float:
    nodes = range(len(heap.tree.parents))
    stays, stays_small = ([node == target[node] for node in nodes] for target in (fine, coarse))
    total = moved = 0
    for stayed, _, _, size, _ in heap.lifetimes.charged_to(stays, stays_small, small):
        total += size
        moved += 0 if stayed else size
    return moved / total if total else 0.0


def _moved_peak_share(stacks: Iterable[FoldedStack], target: Sequence[int]) -> float:
    total = stayed = 0
    for stack in stacks:
        total += stack.bytes
        stayed += stack.own_bytes if target[stack.node] == stack.node else 0
    return (total - stayed) / total if total else 0.0


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
