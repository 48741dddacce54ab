"""What was alive at a peak: the compiled sums are those of the list in Python, order included."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdeep.heap.replay.lifetimes import ReplayedAlive
from memdeep.model import Alive, StackBytes
from memdeep.model.alive import AliveStacks

SIZES = st.sampled_from([1, 2, 100, 10**4, 10**12])


@st.composite
def cases(draw: st.DrawFn) -> tuple[AliveStacks, list[int], list[int]]:
    """Stacks that were alive, each node once; the parents and the groups of a tree's nodes."""
    count = draw(st.integers(1, 12))
    parents = [draw(st.integers(-1, node - 1)) for node in range(count)]
    groups = [draw(st.integers(0, 3)) for _ in range(count)]
    nodes = draw(st.lists(st.integers(0, count - 1), unique=True))
    stacks = (StackBytes(node, draw(SIZES), draw(st.integers(1, 9))) for node in nodes)
    return AliveStacks(tuple(stacks)), parents, groups


def compiled(alive: Alive) -> ReplayedAlive:
    stacks = list(alive)
    return ReplayedAlive(
        array("I", [stack.node for stack in stacks]).tobytes(),
        array("q", [stack.bytes for stack in stacks]).tobytes(),
        array("q", [stack.allocations for stack in stacks]).tobytes(),
    )


@given(case=cases(), most=st.integers(0, 12))
def test_compiled_sums_are_those_of_the_list(
    case: tuple[AliveStacks, list[int], list[int]], most: int
) -> None:
    alive, parents, groups = case
    assert tuple(compiled(alive)) == alive.stacks
    assert compiled(alive).by_group(groups) == alive.by_group(groups)
    assert compiled(alive).folded(parents, most) == alive.folded(parents, most)


@given(case=cases(), most=st.integers(1, 12))
def test_no_byte_is_lost_and_few_nodes_are_left(
    case: tuple[AliveStacks, list[int], list[int]], most: int
) -> None:
    alive, parents, groups = case
    total = sum(stack.bytes for stack in alive)
    few = alive.folded(parents, most)
    assert sum(stack.bytes for stack in few) == total
    assert sum(stack.bytes for stack in alive.by_group(groups)) == total
    assert len({stack.node for stack in few} - {-1}) <= most
    assert all(0 <= stack.own_bytes <= stack.bytes for stack in few)


@pytest.mark.parametrize("parents", [[], [5, -1]])
def test_a_tree_that_is_none_is_refused(parents: list[int]) -> None:
    with pytest.raises(ValueError, match=r"not in the tree|comes later"):
        compiled(AliveStacks((StackBytes(1, 1, 1),))).folded(parents, 0)
