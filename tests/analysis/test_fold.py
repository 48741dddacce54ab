"""Folding moves the bytes of small stacks into their callers: none is lost, none is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from factories import frame, heap, lifetime, lifetimes_in, transient, tree, trees
from hypothesis import given
from hypothesis import strategies as st

from memdeep.analysis import fold as folding
from memdeep.analysis.fold import fold
from memdeep.heap.lists import LifetimeList
from memdeep.model import Heap, LargeAllocation, Lifetime, Peak, StackBytes
from memdeep.model.alive import AliveStacks

Figures = tuple[int, int]


def by_time(lifetimes: Iterable[Lifetime]) -> Counter[tuple[int, int | None, str]]:
    """Bytes and allocations by (born, died)."""
    sums: Counter[tuple[int, int | None, str]] = Counter()
    for life in lifetimes:
        sums[life.born, life.died, "bytes"] += life.bytes
        sums[life.born, life.died, "allocations"] += life.allocations
    return sums


def total(stacks: Sequence[StackBytes]) -> Figures:
    return sum(stack.bytes for stack in stacks), sum(stack.allocations for stack in stacks)


def ancestors(held: Heap, node: int) -> list[int]:
    line = [node]
    while line[-1] >= 0:
        line.append(held.tree.parents[line[-1]])
    return line


@st.composite
def heaps(draw: st.DrawFn) -> tuple[Heap, tuple[Peak, ...]]:
    """A heap with stacks from huge to below any share worth showing, and some peaks of it."""
    stacks = draw(trees(most=20))
    nodes = st.integers(0, len(stacks.parents) - 1)
    sizes = st.sampled_from([0, 1, 100, 10**4, 10**6, 10**9])
    lifetimes = draw(lifetimes_in(len(stacks.parents), checkpoints=5))
    scaled = [lifetime(life.node, life.born, life.died, bytes=draw(sizes)) for life in lifetimes]
    stacks_bytes = st.builds(StackBytes, nodes, sizes, st.integers(1, 9))
    alive = st.none() | st.lists(stacks_bytes, max_size=8).map(tuple).map(AliveStacks)
    peaks = tuple(Peak(0, None, draw(alive)) for _ in range(draw(st.integers(0, 3))))
    return heap(stacks, scaled, 5), peaks


@given(case=heaps())
def test_bytes_between_any_two_checkpoints_are_preserved(
    case: tuple[Heap, tuple[Peak, ...]],
) -> None:
    held, peaks = case
    assert by_time(fold(held, peaks).lifetimes) == by_time(held.lifetimes)


@given(case=heaps())
def test_bytes_of_each_peak_are_preserved(case: tuple[Heap, tuple[Peak, ...]]) -> None:
    held, peaks = case
    folded = fold(held, peaks)
    assert len(folded.peaks) == len(peaks)
    for peak, stacks in zip(peaks, folded.peaks, strict=True):
        if peak.stacks is None:
            assert stacks is None
        else:
            assert stacks is not None
            assert total(stacks) == total(peak.stacks)


@given(case=heaps())
def test_parents_of_kept_nodes_are_kept(case: tuple[Heap, tuple[Peak, ...]]) -> None:
    held, peaks = case
    kept = fold(held, peaks).nodes
    assert list(kept) == sorted(set(kept))
    for node in kept:
        parent = held.tree.parents[node]
        assert parent == -1 or parent in kept


@given(case=heaps())
def test_only_kept_nodes_hold_bytes_and_each_place_once(
    case: tuple[Heap, tuple[Peak, ...]],
) -> None:
    held, peaks = case
    folded = fold(held, peaks)
    holders = {len(held.tree.parents), *folded.nodes}
    assert {life.node for life in folded.lifetimes} <= holders
    places = [(life.node, life.born, life.died) for life in folded.lifetimes]
    assert len(places) == len(set(places))
    for stacks in folded.peaks:
        nodes = [stack.node for stack in stacks or ()]
        assert set(nodes) <= holders
        assert len(nodes) == len(set(nodes))


@given(case=heaps())
def test_bytes_move_only_to_the_nearest_kept_caller(case: tuple[Heap, tuple[Peak, ...]]) -> None:
    held, peaks = case
    folded = fold(held, peaks)
    expected: Counter[int] = Counter()
    for life in held.lifetimes:
        nearest = next(n for n in ancestors(held, life.node) if n < 0 or n in folded.nodes)
        expected[nearest] += life.bytes
    found: Counter[int] = Counter()
    for life in folded.lifetimes:
        found[life.node] += life.bytes
    assert found == expected


@given(case=heaps())
def test_the_share_is_the_part_that_moved(case: tuple[Heap, tuple[Peak, ...]]) -> None:
    held, peaks = case
    folded = fold(held, peaks)
    moved = sum(life.bytes for life in held.lifetimes if life.node not in folded.nodes)
    every = sum(life.bytes for life in held.lifetimes)
    assert folded.share == pytest.approx(moved / every if every else 0.0)


@given(case=heaps())
def test_what_came_and_went_is_preserved_by_segment(case: tuple[Heap, tuple[Peak, ...]]) -> None:
    held, peaks = case
    gone = LifetimeList(
        tuple(transient(life.node, life.born, life.bytes, 3) for life in held.lifetimes)
    )
    folded = fold(replace(held, transients=gone), peaks)
    assert folded.transients is not None
    assert by_segment(folded.transients) == by_segment(gone)
    assert {item.node for item in folded.transients} <= {len(held.tree.parents), *folded.nodes}
    assert fold(held, peaks).transients is None


def by_segment(transients: Iterable[Lifetime]) -> Counter[tuple[int, str]]:
    sums: Counter[tuple[int, str]] = Counter()
    for gone in transients:
        sums[gone.born, "bytes"] += gone.bytes
        sums[gone.born, "allocations"] += gone.allocations
    return sums


def test_the_stacks_of_each_peak_are_few_and_say_what_that_cost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(folding, "MAX_AT_PEAKS", 6)
    root = frame("root")
    stacks, nodes = tree(*([root, frame(lineno=line)] for line in range(1, 21)))
    alive = tuple(StackBytes(node, 10**place, 1) for place, node in enumerate(nodes))
    few = (StackBytes(nodes[0], 5, 1),)
    folded = fold(
        heap(stacks),
        [Peak(0, None, AliveStacks(alive)), Peak(0, None, AliveStacks(few)), Peak(0, None, None)],
    )
    first, second, third = folded.peaks
    assert first is not None
    assert total(first) == total(alive)
    # Half of the six for each peak: the root, and the two largest of its callees.
    assert {stack.node for stack in first} == {0, nodes[-1], nodes[-2]}
    assert (second, third) == (few, None)
    assert folded.peak_shares == (pytest.approx(1 / 100, rel=0.02), 0.0, 0.0)
    assert set(folded.nodes) == {0, nodes[0], nodes[-1], nodes[-2]}


def test_a_small_heap_is_not_folded() -> None:
    stacks, nodes = tree([frame("a"), frame("b")], [frame("a"), frame("c")])
    held = heap(
        stacks,
        [lifetime(node, bytes=size) for node, size in zip(nodes, (10**9, 1), strict=True)],
    )
    folded = fold(held, ())
    assert folded.nodes == (0, 1, 2)
    assert folded.share == 0.0


@pytest.fixture
def only_two_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MAX_NODES", 2)


@pytest.mark.usefixtures("only_two_nodes")
def test_the_stack_that_matters_least_goes_to_its_caller() -> None:
    stacks, (large, small, middle) = tree(
        [frame("a")], [frame("a"), frame("b")], [frame("a"), frame("c")]
    )
    held = heap(
        stacks,
        [
            lifetime(large, bytes=1000),
            lifetime(small, bytes=1),
            lifetime(middle, bytes=9),
        ],
    )
    folded = fold(held, ())
    assert folded.nodes == (large, middle)
    assert set(folded.lifetimes) == {
        lifetime(large, bytes=1001, allocations=2),
        lifetime(middle, bytes=9),
    }


@pytest.mark.usefixtures("only_two_nodes")
def test_a_stack_that_matters_at_one_peak_only_is_kept() -> None:
    stacks, (large, middle, brief) = tree([frame("a")], [frame("b")], [frame("c")])
    held = heap(
        stacks,
        [
            lifetime(large, bytes=10**9),
            lifetime(middle, bytes=10**6),
            lifetime(brief, bytes=1),
        ],
    )
    peaks = [Peak(10, None, AliveStacks((StackBytes(brief, 10, 1),)))]
    assert fold(held, peaks).nodes == (large, brief)
    assert fold(held, ()).nodes == (large, middle)


@pytest.mark.usefixtures("only_two_nodes")
def test_what_came_and_went_makes_a_stack_matter() -> None:
    stacks, (large, middle, passing) = tree([frame("a")], [frame("b")], [frame("c")])
    held = heap(stacks, [lifetime(large, bytes=10**9), lifetime(middle, bytes=10**6)])
    gone = replace(held, transients=LifetimeList((transient(passing, 1, 10**8, 5),)))
    assert fold(gone, ()).nodes == (large, passing)


@pytest.mark.usefixtures("only_two_nodes")
def test_a_stack_matters_by_its_part_of_a_segment_not_of_the_run() -> None:
    stacks, (large, second, other) = tree([frame("a")], [frame("b")], [frame("c")])
    lives = [
        lifetime(large, 1, bytes=10**9),
        lifetime(second, 1, bytes=2 * 10**7),  # 2 % of its segment
        lifetime(other, 2, bytes=10**7),  # all of its segment
    ]
    assert fold(heap(stacks, lives, 3), ()).nodes == (large, other)
    # A segment in which nearly nothing happened does not count as much as that.
    lives[2] = lifetime(other, 2, bytes=10**5)
    assert fold(heap(stacks, lives, 3), ()).nodes == (large, second)


def test_the_largest_allocations_go_to_kept_stacks() -> None:
    stacks, (node,) = tree([frame("a"), frame("b")])
    held = replace(heap(stacks), largest=(LargeAllocation(node, 1, None, 5),))
    nowhere = len(stacks.parents)
    assert fold(held, ()).largest == (LargeAllocation(nowhere, 1, None, 5),)
    assert fold(heap(stacks), ()).largest is None


def test_a_heap_without_any_bytes_has_nothing_to_keep() -> None:
    stacks, _ = tree([frame()])
    folded = fold(heap(stacks), ())
    assert (folded.nodes, tuple(folded.lifetimes), folded.share) == ((), (), 0.0)


def test_a_wide_tree_is_folded_until_it_is_small_enough() -> None:
    root = frame("root")
    width = folding.MAX_NODES + 1000
    leaf = frame("leaf")
    stacks, nodes = tree(*([root, frame(leaf.function, lineno=line)] for line in range(width)))
    # A third of the leaves are 10,000 times as large as the others.
    lives = [
        lifetime(node, bytes=10_000 if place % 3 == 0 else 1) for place, node in enumerate(nodes)
    ]
    held = heap(stacks, lives)
    folded = fold(held, ())
    assert len(folded.nodes) == folding.MAX_NODES
    assert by_time(folded.lifetimes) == by_time(held.lifetimes)
    assert folded.share < 1e-4


def test_many_entries_are_folded_until_they_are_few_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MAX_ENTRIES", 100)
    stacks, nodes = tree(*([frame("root"), frame(lineno=line)] for line in range(1, 51)))
    lives = [lifetime(node, born, bytes=node) for node in nodes for born in range(1, 11)]
    held = heap(stacks, lives, 11)
    folded = fold(held, ())
    assert len(folded.lifetimes) <= 100
    assert by_time(folded.lifetimes) == by_time(lives)
    assert nodes[-1] in folded.nodes


def test_large_entries_stay_where_small_ones_are_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MAX_ENTRIES", 100)
    stacks, nodes = tree(*([frame("root"), frame(lineno=line)] for line in range(1, 51)))
    lives = [lifetime(node, born, bytes=8) for node in nodes for born in range(1, 41)]
    large = [lifetime(node, 20, bytes=10**6) for node in nodes[:20]]
    held = heap(stacks, lives + large, 41)
    folded = fold(held, ())
    assert len(folded.lifetimes) <= 100
    assert by_time(folded.lifetimes) == by_time([*lives, *large])
    assert {life.node for life in folded.lifetimes if life.bytes >= 10**6} == set(nodes[:20])
    assert 0 < folded.share <= 8 * len(lives) / (8 * len(lives) + 20 * 10**6)
