"""Lifetimes: the compiled sums are those of the list in Python, order included."""

from __future__ import annotations

from array import array

import pytest
from factories import transient
from hypothesis import given
from hypothesis import strategies as st

from memdeep.heap.lists import LifetimeList
from memdeep.heap.replay._replay import ranked
from memdeep.heap.replay.lifetimes import ReplayedLifetimes, compiled, joined
from memdeep.model import Lifetime, Stretch

CHECKPOINTS = 8
NODES = 5
SIZES = st.sampled_from([0, 1, 2, 100, 10**4, 10**12])


@st.composite
def lifetimes(draw: st.DrawFn) -> LifetimeList:
    """Lifetimes in no order, of which some are of one node, birth and death."""
    found = []
    for _ in range(draw(st.integers(0, 30))):
        born = draw(st.integers(1, CHECKPOINTS - 1))
        died = draw(st.none() | st.integers(born, CHECKPOINTS - 1))
        node = draw(st.integers(0, NODES - 1))
        found.append(Lifetime(node, born, died, draw(SIZES), draw(st.integers(0, 9))))
    return LifetimeList(tuple(found))


@st.composite
def phases(draw: st.DrawFn) -> list[tuple[Stretch, ...]]:
    """Phases of one stretch or more, which do not overlap within one."""
    found = []
    for _ in range(draw(st.integers(0, 5))):
        edges = sorted(draw(st.sets(st.integers(0, CHECKPOINTS - 1), min_size=2, max_size=6)))
        pairs = zip(edges[::2], edges[1::2], strict=False)
        found.append(tuple(Stretch(start, end) for start, end in pairs))
    return found


@given(plain=lifetimes())
def test_they_are_the_same_and_stay_so(plain: LifetimeList) -> None:
    rows = compiled(plain)
    assert (len(rows), list(rows)) == (len(plain), list(plain))
    assert compiled(rows) is rows
    assert list(compiled(iter(plain))) == list(plain)


@given(parts=st.lists(lifetimes(), max_size=3), mixed=st.booleans())
def test_parts_are_joined_in_their_order(parts: list[LifetimeList], mixed: bool) -> None:
    whole = joined([*map(compiled, parts[mixed:]), *parts[: int(mixed)]])
    assert list(whole) == [life for part in (*parts[mixed:], *parts[:mixed]) for life in part]
    assert isinstance(whole, ReplayedLifetimes) or mixed or not parts


@given(plain=lifetimes(), places=st.lists(st.integers(0, 2**32 - 1), min_size=NODES))
def test_charging_to_other_places_adds_up(plain: LifetimeList, places: list[int]) -> None:
    charged = compiled(plain).charged_to(places)
    assert list(charged) == list(plain.charged_to(places))
    assert list(compiled(plain).charged_to(array("I", places))) == list(charged)
    column = memoryview(array("I", places).tobytes()).cast("I")
    assert list(compiled(plain).charged_to(column)) == list(charged)


@given(
    plain=lifetimes(),
    places=st.lists(st.integers(0, 9), min_size=NODES),
    coarse=st.lists(st.integers(0, 9), min_size=NODES),
    small=st.integers(-1, 200),
)
def test_small_ones_may_go_elsewhere(
    plain: LifetimeList, places: list[int], coarse: list[int], small: int
) -> None:
    rows = compiled(plain).charged_to(places, coarse, small)
    assert list(rows) == list(plain.charged_to(places, coarse, small))
    for rank, size in enumerate(sorted((life.bytes for life in plain), reverse=True)):
        assert compiled(plain).size_of_rank(rank) == plain.size_of_rank(rank) == size


@given(plain=lifetimes(), is_out=st.binary(min_size=NODES, max_size=NODES))
def test_places_may_be_left_out(plain: LifetimeList, is_out: bytes) -> None:
    kept = [life for life in plain if not is_out[life.node]]
    assert list(compiled(plain).without(is_out)) == list(plain.without(is_out)) == kept


@given(plain=lifetimes())
def test_what_each_stack_allocated_and_the_columns_are_those_of_plain_rows(
    plain: LifetimeList,
) -> None:
    assert list(compiled(plain).by_node().items()) == list(plain.by_node().items())
    theirs, mine = compiled(plain).columns_by_node(), plain.columns_by_node()
    assert [list(column) for column in theirs] == [list(column) for column in mine]


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 5)), max_size=40),
    most=st.integers(0, 5),
)
def test_the_largest_of_each_group_are_found(rows: list[tuple[int, bool, int]], most: int) -> None:
    found = ranked(
        array("I", [group for group, _, _ in rows]).tobytes(),
        bytes([is_last for _, is_last, _ in rows]),
        array("q", [size for _, _, size in rows]).tobytes(),
        most,
    )
    expected = []
    for group in range(4):
        places = [place for place, row in enumerate(rows) if row[0] == group]
        places.sort(key=lambda place: (rows[place][1], -rows[place][2]))
        expected += places[:most]
    assert list(array("I", found)) == expected
    with pytest.raises(ValueError, match="of one length"):
        ranked(bytes(4), b"", bytes(8), most)


def test_many_rows_are_added_up() -> None:
    plain = LifetimeList(
        tuple(Lifetime(n % 700, 1 + n % 11, None if n % 3 else 20, n, 1) for n in range(50_000))
    )
    places = [node // 2 for node in range(700)]
    charged = compiled(plain).charged_to(places)
    assert list(charged) == list(plain.charged_to(places))
    assert len(charged) == 350 * 11 * 2


@given(plain=lifetimes(), checkpoint=st.integers(0, CHECKPOINTS))
def test_what_is_alive_at_a_checkpoint(plain: LifetimeList, checkpoint: int) -> None:
    rows = compiled(plain)
    assert list(rows.alive_at(checkpoint)) == list(plain.alive_at(checkpoint))
    heap = plain.heap_at(CHECKPOINTS)
    assert rows.heap_at(CHECKPOINTS) == heap
    for place, size in enumerate(heap):
        assert sum(stack.bytes for stack in plain.alive_at(place)) == size


@given(
    plain=lifetimes(),
    asked=phases(),
    groups=st.lists(st.integers(0, 3), min_size=NODES, max_size=NODES),
)
def test_what_phases_did(
    plain: LifetimeList, asked: list[tuple[Stretch, ...]], groups: list[int]
) -> None:
    moved = list(compiled(plain).moved(asked, groups))
    assert moved == list(plain.moved(asked, groups))
    heap = plain.heap_at(CHECKPOINTS)
    for one, stretches in zip(moved, asked, strict=True):
        grown = sum(stack.bytes for stack in one.retained) - sum(s.bytes for s in one.freed)
        assert grown == sum(heap[stretch.end] - heap[stretch.start] for stretch in stretches)
        assert one.kept_bytes == sum(
            life.bytes
            for life in plain
            if life.is_alive_at(max((stretch.end for stretch in stretches), default=0))
            and any(stretch.start < life.born <= stretch.end for stretch in stretches)
        )


@given(plain=lifetimes(), gone=lifetimes() | st.none())
def test_the_largest_shares(plain: LifetimeList, gone: LifetimeList | None) -> None:
    passed = gone and LifetimeList(
        tuple(transient(one.node, one.born, one.bytes, one.allocations) for one in gone)
    )
    expected = list(plain.largest_shares(passed, NODES, 0.01))
    rows = compiled(plain)
    assert list(rows.largest_shares(passed, NODES, 0.01)) == pytest.approx(expected)
    compiled_passed = None if passed is None else compiled(passed)
    assert list(rows.largest_shares(compiled_passed, NODES, 0.01)) == pytest.approx(expected)


def rows() -> ReplayedLifetimes:
    return compiled([Lifetime(3, 1, None, 10, 1)])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="out of range"):
        rows().charged_to([0, 0, 0])
    with pytest.raises(ValueError, match="out of range"):
        rows().largest_shares(None, 3, 0.01)
    with pytest.raises(ValueError, match="cut off"):
        rows().rows.charged(bytes(15), bytes(16), -1)
    with pytest.raises(ValueError, match="out of range"):
        rows().charged_to([0] * 4, [0] * 3, 10)
    with pytest.raises(ValueError, match="fewer rows"):
        rows().size_of_rank(1)
    with pytest.raises(ValueError, match="of no phase"):
        rows().rows.moved(bytes(4), bytes(4), bytes(4), 0, bytes(16))
    with pytest.raises(ValueError, match="of one length"):
        rows().rows.moved(bytes(4), bytes(8), bytes(4), 1, bytes(16))
    with pytest.raises(ValueError, match="out of range"):
        rows().rows.moved(bytes(4), bytes(4), bytes(4), 1, bytes(12))
    with pytest.raises(ValueError, match="of one length"):
        type(rows().rows)(bytes(4), bytes(4), bytes(4), bytes(8), bytes(16))
