"""Split pages are charged to stacks: every byte once, and no more than there are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memdeep.heap.parts import InRange, InRanges
from memdeep.heap.split import split_off
from memdeep.rundir.pages import SplitPages

PAGE = 4096
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=5)


def pages_of(sizes: list[int]) -> SplitPages:
    starts = [1000 * place * PAGE for place in range(1, len(sizes) + 1)]
    ranges = [(at, at + size * PAGE) for at, size in zip(starts, sizes, strict=True)]
    return SplitPages(1, PAGE, tuple(ranges))


@st.composite
def held(draw: st.DrawFn, pages: SplitPages) -> InRanges:
    """Make what stacks held in ranges, at times more than there is room for."""
    rows = []
    alive = [0] * len(pages.ranges)
    for place, (start, end) in enumerate(pages.ranges):
        for node in draw(st.lists(st.integers(0, 5), unique=True, max_size=3)):
            size = draw(st.integers(1, end - start))
            rows.append(InRange(place, node, size, 1))
            alive[place] += size
    return InRanges(alive, rows)


@given(sizes=SIZES, data=st.data())
def test_stacks_are_charged_with_no_more_than_the_pages_nor_than_they_held(
    sizes: list[int], data: st.DataObject
) -> None:
    pages = pages_of(sizes)
    ancestors = data.draw(st.lists(held(pages), max_size=3))
    own = data.draw(held(pages))
    found = {stack.node: stack.bytes for stack in split_off(pages, ancestors, own)}
    assert sum(found.values()) <= pages.bytes
    rows = [row for ancestor in ancestors for row in ancestor.rows]
    for node, size in found.items():
        assert 0 < size <= sum(row.bytes for row in rows if row.node == node)
    ranges = enumerate(pages.ranges)
    room = [max(0, end - start - own.alive[place]) for place, (start, end) in ranges]
    of_all = [sum(row.bytes for row in rows if row.range == place) for place in range(len(room))]
    assert sum(found.values()) == sum(map(min, room, of_all))


def test_pages_that_one_stack_fills_are_all_its_own_and_come_before_those_of_earlier_ones() -> None:
    pages = pages_of([4, 2])
    nothing = InRanges([0, 0])
    parent = InRanges([4 * PAGE, 0], [InRange(0, 7, 4 * PAGE, 3)])
    before = InRanges([PAGE, PAGE], [InRange(0, 8, PAGE, 1), InRange(1, 8, PAGE, 1)])
    assert split_off(pages, [parent, before], nothing) == ((7, 4 * PAGE, 3), (8, PAGE, 1))
    own = InRanges([3 * PAGE, PAGE])
    assert split_off(pages, [parent, before], own) == ((7, PAGE, 3), (8, PAGE, 1))
    assert split_off(pages, [], nothing) == ()
