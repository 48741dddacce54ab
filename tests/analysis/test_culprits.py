"""Bytes are charged to the innermost line of the user's own code, and the largest come first."""

from __future__ import annotations

import pytest
from factories import frame, library, native, stdlib, tree, trees
from hypothesis import given
from hypothesis import strategies as st

from memdeep.analysis.culprits import MAX_CULPRITS, ChargedLines
from memdeep.model import Frame, Origin, StackBytes, StackTree

MAIN, LOAD = frame("main"), frame("load")
MEMDEEP = frame("recording by memdeep", origin=Origin.MEMDEEP)
FROM_USER_TO_MEMDEEP = (
    Origin.USER,
    Origin.TOOL,
    Origin.LIBRARY,
    Origin.STDLIB,
    Origin.NATIVE,
    Origin.MEMDEEP,
)


@pytest.mark.parametrize(
    ("stack", "blamed"),
    [
        ([MAIN], MAIN),
        ([MAIN, LOAD], LOAD),
        ([MAIN, LOAD, stdlib(), native()], LOAD),
        ([MAIN, library(), LOAD, library("deep")], LOAD),
        ([stdlib("outer"), library(), stdlib("inner"), native()], library()),
        ([library("outer"), library("inner")], library("inner")),
        ([stdlib("outer"), stdlib("inner"), native()], stdlib("inner")),
        ([native("outer"), native("inner")], native("inner")),
        ([MEMDEEP, native()], native()),
        ([MEMDEEP], MEMDEEP),
    ],
)
def test_the_innermost_line_nearest_to_the_user_is_blamed(
    stack: list[Frame], blamed: Frame
) -> None:
    stacks, (node,) = tree(stack)
    assert ChargedLines(stacks).frame(node) == blamed


@given(stacks=trees())
def test_lines_are_charged_by_the_rule_for_any_tree(stacks: StackTree) -> None:
    charged = ChargedLines(stacks)
    for node in range(len(stacks.parents)):
        frames = stacks.stack(node)
        origin = next(
            origin
            for origin in FROM_USER_TO_MEMDEEP
            if any(called.origin is origin for called in frames)
        )
        innermost = [called for called in frames if called.origin is origin][-1]
        assert charged.frame(node) == innermost


def test_stacks_through_one_line_add_up_and_the_largest_stands_for_them() -> None:
    stacks, (small, large, other) = tree([MAIN, stdlib("a")], [MAIN, stdlib("b")], [MAIN, LOAD])
    held = [StackBytes(small, 10, 1), StackBytes(large, 30, 2), StackBytes(other, 60, 5)]
    first, second = ChargedLines(stacks).culprits(held, 100)
    assert (first.frame, first.bytes, first.allocations, first.share) == (LOAD, 60, 5, 0.6)
    assert (second.frame, second.bytes, second.allocations, second.share) == (MAIN, 40, 3, 0.4)
    assert second.node == large


def test_two_lines_of_one_function_are_two_culprits() -> None:
    stacks, nodes = tree([frame("load", lineno=1)], [frame("load", lineno=2)])
    found = ChargedLines(stacks).culprits([StackBytes(node, 5, 1) for node in nodes], 10)
    assert [culprit.frame.lineno for culprit in found] == [1, 2]


def test_what_memdeep_allocated_is_nobodys_culprit() -> None:
    stacks, (node,) = tree([MEMDEEP])
    assert ChargedLines(stacks).culprits([StackBytes(node, 10, 1)], 10) == ()


@pytest.mark.parametrize("size", [0, -5])
def test_nothing_is_no_culprit(size: int) -> None:
    stacks, (node,) = tree([MAIN])
    assert ChargedLines(stacks).culprits([StackBytes(node, size, 1)], 10) == ()


def test_a_total_of_zero_gives_no_share() -> None:
    stacks, (node,) = tree([MAIN])
    (culprit,) = ChargedLines(stacks).culprits([StackBytes(node, 10, 1)], 0)
    assert culprit.share == 0.0


@given(sizes=st.lists(st.integers(0, 100), max_size=30))
def test_at_most_twenty_and_largest_first(sizes: list[int]) -> None:
    stacks, nodes = tree(*([frame(lineno=line)] for line in range(1, len(sizes) + 1)))
    held = [StackBytes(node, size, 1) for node, size in zip(nodes, sizes, strict=True)]
    found = ChargedLines(stacks).culprits(held, sum(sizes))
    largest = sorted((size for size in sizes if size), reverse=True)[:MAX_CULPRITS]
    assert [culprit.bytes for culprit in found] == largest
    if len(largest) < MAX_CULPRITS and largest:
        assert sum(culprit.share for culprit in found) == pytest.approx(1.0)


def test_the_branch_that_holds_most_is_shown_not_the_largest_stack() -> None:
    one, many = library("one"), library("many")
    stacks, nodes = tree([LOAD, one], *([LOAD, many, library(f"part{n}")] for n in range(4)))
    held = [StackBytes(node, size, 1) for node, size in zip(nodes, (14, 9, 12, 8, 8), strict=True)]
    (found,) = ChargedLines(stacks).culprits(held, 51)
    assert found.bytes == 51
    assert stacks.stack(found.node) == (LOAD, many, library("part1"))
    assert found.branch_bytes == (51, 37, 12)


def test_a_line_with_one_stack_has_no_branches() -> None:
    stacks, (node,) = tree([MAIN, LOAD, library()])
    (found,) = ChargedLines(stacks).culprits([StackBytes(node, 5, 1)], 5)
    assert (found.node, found.branch_bytes) == (node, ())


@given(stacks=trees(), sizes=st.lists(st.integers(1, 99), min_size=1, max_size=40))
def test_a_branch_narrows_and_no_sibling_holds_more(stacks: StackTree, sizes: list[int]) -> None:
    charged = ChargedLines(stacks)
    held = [StackBytes(node, size, 1) for node, size in enumerate(sizes[: len(stacks.parents)])]
    for found in charged.culprits(held, sum(sizes)):
        branch = found.branch_bytes
        assert sorted(branch, reverse=True) == list(branch)
        assert all(0 < size <= found.bytes for size in branch)
        if not branch:
            continue
        line = charged.line(found.node)
        leading: dict[
            tuple[Frame, ...], int
        ] = {}  # bytes by the frames from the line on, up to each depth
        for stack in held:
            if charged.line(stack.node) == line:
                path = from_line(charged, stacks, stack.node)
                for end in range(1, len(path) + 1):
                    leading[path[:end]] = leading.get(path[:end], 0) + stack.bytes
        path = from_line(charged, stacks, found.node)
        for depth, size in enumerate(branch):
            siblings = [
                key for key in leading if len(key) == depth + 1 and key[:-1] == path[:depth]
            ]
            assert size == leading[path[: depth + 1]] == max(leading[key] for key in siblings)


def from_line(charged: ChargedLines, stacks: StackTree, node: int) -> tuple[Frame, ...]:
    blamed, path = charged.frame(node), [stacks.frames[stacks.frame_ids[node]]]
    while path[-1] != blamed:
        node = stacks.parents[node]
        path.append(stacks.frames[stacks.frame_ids[node]])
    return tuple(reversed(path))
