"""The laps of a recursion are told once, with their number; no byte and no blame moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from factories import frame, heap, library, lifetimes_in, tree, trees
from hypothesis import given
from hypothesis import strategies as st

from memdeep.analysis import repeats
from memdeep.analysis.culprits import ChargedLines
from memdeep.analysis.fold import fold
from memdeep.analysis.repeats import KEPT, unrepeated, unrepeated_stack
from memdeep.model import Peak, StackBytes, StackTree
from memdeep.model.alive import AliveStacks

MAIN, WALK, VISIT, LEAF = frame("main"), frame("walk"), library("visit"), frame("leaf")


@pytest.fixture(scope="module", autouse=True)
def any_depth() -> Iterator[None]:
    """Fold stacks of any depth, so that small trees are enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeats, "DEEP", 0)
        yield


@pytest.mark.parametrize("laps", [1, KEPT, KEPT + 1, 5000])
def test_a_recursion_is_told_with_its_laps(laps: int) -> None:
    stacks, (node,) = tree([MAIN, *[WALK] * laps, LEAF])
    once = unrepeated(stacks)
    found, at = [], once.places[node]
    while at >= 0:
        found.insert(0, (stacks.frames[stacks.frame_ids[at]].function, once.times.get(at, 1)))
        at = once.parents[at]
    assert [found[0], found[-1]] == [("main", 1), ("leaf", 1)]
    assert {name for name, _ in found[1:-1]} == {"walk"}
    assert sum(times for _, times in found[1:-1]) == laps
    assert len(found) <= KEPT + 2


def test_two_functions_that_call_each_other_are_one_lap() -> None:
    told = unrepeated_stack([0, *[1, 2] * 1000, 3])
    assert told == [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 998), (6, 998), (2001, 1)]


def test_two_recursions_in_one_stack_are_counted_apart() -> None:
    assert [times for _, times in unrepeated_stack([1] * 100 + [2] + [3] * 50)] == [
        *(1, 1, 98),
        1,
        *(1, 1, 48),
    ]


def test_a_tree_without_a_deep_stack_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "DEEP", 256)
    stacks, _ = tree([WALK] * 256)
    assert unrepeated(stacks).times == {}
    stacks, _ = tree([WALK] * 257)
    assert unrepeated(stacks).times == {KEPT - 1: 255}


def test_a_short_recursion_beside_a_deep_one_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(repeats, "DEEP", 256)
    short, deep = [MAIN, *[VISIT] * 20, LEAF], [MAIN, *[WALK] * 300, LEAF]
    stacks, (end, _) = tree(short, deep)
    once = unrepeated(stacks)
    assert once.places[end] == end
    assert [*once.parents[: end + 1]] == [*stacks.parents[: end + 1]]
    assert [*once.times.values()] == [300 - KEPT + 1]


def test_what_short_stacks_call_within_a_deep_recursion_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(repeats, "DEEP", 256)
    ends = [[MAIN, *[WALK] * laps, VISIT, LEAF] for laps in (10, 300, 20)]
    stacks, nodes = tree(*ends)
    once = unrepeated(stacks)
    assert len({once.places[node] for node in nodes}) == 1
    assert [*once.times.values()] == [300 - KEPT + 1]


@st.composite
def recursions(draw: st.DrawFn) -> StackTree:
    """Stacks of few functions, so that they repeat in many ways."""
    names = st.sampled_from([MAIN, WALK, VISIT])
    laps = st.builds(lambda lap, n: lap * n, st.lists(names, max_size=3), st.integers(1, 8))
    stacks = st.lists(laps, min_size=1, max_size=4).map(lambda parts: sum(parts, [MAIN]))
    return tree(*draw(st.lists(stacks, min_size=1, max_size=6)))[0]


@given(stacks=recursions() | trees())
def test_no_stack_gets_another_innermost_call_or_line_to_blame(stacks: StackTree) -> None:
    once = unrepeated(stacks)
    before = ChargedLines(stacks)
    after = ChargedLines(replace(stacks, parents=once.parents))
    for node, place in enumerate(once.places):
        assert place <= node
        assert once.places[place] == place
        assert once.parents[node] < node
        assert stacks.frame_ids[place] == stacks.frame_ids[node]
        assert after.frame(place) == before.frame(node)


@given(data=st.data(), stacks=recursions())
def test_bytes_stay_with_their_call_and_their_time(data: st.DataObject, stacks: StackTree) -> None:
    lives = data.draw(lifetimes_in(len(stacks.parents), 4))
    held = [StackBytes(node, node + 1, 1) for node in range(len(stacks.parents))]
    folded = fold(heap(stacks, lives), [Peak(0, None, AliveStacks(tuple(held)))])
    frame_ids = stacks.frame_ids
    expected: Counter[object] = Counter()
    found: Counter[object] = Counter()
    for life in lives:
        expected[frame_ids[life.node], life.born, life.died] += life.bytes
    for life in folded.lifetimes:
        found[frame_ids[life.node], life.born, life.died] += life.bytes
    assert found == expected
    (at_peak,) = folded.peaks
    assert at_peak is not None
    assert sum(stack.bytes for stack in at_peak) == sum(stack.bytes for stack in held)
    assert set(folded.parents) <= {-1, *folded.nodes}
    assert (folded.share, folded.peak_shares) == (0.0, (0.0,))
