"""The join of live blocks with objects: compiled, and in plain Python."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from types import MethodType, SimpleNamespace

import pytest
from graphs import Thing, graph, graphs
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.heap.replay.blocks import BlockLook, Blocks
from memdeep.model.graph import GARBAGE, NAMED, NO_ROW, Graph
from memdeep.model.holders import HeldBytes, Joined

pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")
from memdeep.heap.replay.trace import Trace  # noqa: E402
from memdeep.heap.replay.walked import held, snapshots  # noqa: E402

Block = tuple[int, int, int, int]  # address, size, node, is it a mapping
Row = tuple[int, int | None, int | None, int | None, Joined]


def blocks_of(rows: list[Block]) -> Blocks:
    return Blocks(
        array("Q", [row[0] for row in rows]),
        array("Q", [row[1] for row in rows]),
        array("i", [row[2] for row in rows]),
        bytes(row[3] for row in rows),
    )


def place_of(address: int, rows: list[Block]) -> int | None:
    place = bisect_right([row[0] for row in rows], address) - 1
    return place if place >= 0 and address < rows[place][0] + rows[place][1] else None


def joined_plainly(rows: list[Block], walked: Graph) -> Counter[Row]:
    """What `native/join.hpp` does, in plain Python: the bytes of each row."""
    own: dict[int, int] = {}
    inside: defaultdict[int, list[int]] = defaultdict(list)
    for thing, address in enumerate(walked.addresses):
        place = place_of(address, rows)
        if place is None or place in own:
            continue
        if address - rows[place][0] in (0, 16, 32) and not rows[place][3]:
            own[place] = thing
        else:
            inside[place].append(thing)
    owned: dict[int, tuple[tuple[bool, bool], int]] = {}
    for pointer, thing in zip(walked.pointers, walked.owners, strict=True):
        place = bisect_right([row[0] for row in rows], pointer) - 1
        if place < 0 or place in own or place in inside:
            continue
        start, size = rows[place][:2]
        if pointer == start or pointer < start + size:
            sure = walked.sizes[thing] >= size, pointer == start
            if place not in owned or owned[place][0] < sure:
                owned[place] = sure, thing
    given_bytes: Counter[int] = Counter()
    for place, (_, thing) in owned.items():
        given_bytes[thing] += rows[place][1]
    found: Counter[Row] = Counter()

    def add(place: int, thing: int | None, how: Joined, size: int) -> None:
        row: Row = (rows[place][2], None, None, None, how)
        if thing is not None:
            holder = walked.holders[thing]
            row = (
                rows[place][2],
                walked.kinds[thing],
                None if holder == NO_ROW else holder,
                walked.states[thing],
                how,
            )
        found[row] += size

    for place, (_, size, *_) in enumerate(rows):
        if place in own:
            add(place, own[place], Joined.OWN, size)
        elif place in owned:
            add(place, owned[place][1], Joined.OWNED, size)
        elif place in inside:
            weights = [max(1, walked.sizes[one] - given_bytes[one]) for one in inside[place]]
            total, before = sum(weights), 0
            for thing, weight in zip(inside[place], weights, strict=True):
                after = before + weight
                if total <= size:
                    add(place, thing, Joined.SHARED, weight)
                else:
                    part = size * after // total - size * before // total
                    add(place, thing, Joined.SHARED, part)
                before = after
            if total < size:
                add(place, None, Joined.UNKNOWN, size - total)
        else:
            add(place, None, Joined.UNKNOWN, size)
    return found


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Block], Graph]:
    rows, at = [], 4096
    for _ in range(draw(st.integers(0, 10))):
        at += draw(st.sampled_from([0, 16, 4096]))
        size = draw(st.sampled_from([0, 16, 48, 64, 300, 5000]))
        is_mapping = draw(st.integers(0, 3)) == 0
        rows.append((at, size, draw(st.integers(0, 2)), int(is_mapping)))
        at += max(16, -(-size // 16) * 16)
    places = [row[0] for row in rows] or [4096]
    offsets = st.sampled_from([0, 8, 16, 32, 48, 128, 1000, 6000])
    near = draw(st.lists(st.tuples(st.sampled_from(places), offsets), min_size=1, max_size=40))
    return rows, draw(graphs(sorted({place + offset for place, offset in near})))


@examples(150)
@given(case=cases())
def test_the_join_is_that_of_plain_python(case: tuple[list[Block], Graph]) -> None:
    rows, walked = case
    found = list(held(blocks_of(rows), walked))
    assert Counter({one[:5]: one.bytes for one in found}) == joined_plainly(rows, walked)
    assert len({one[:5] for one in found}) == len(found)


@examples(150)
@given(case=cases())
def test_each_byte_is_given_once(case: tuple[list[Block], Graph]) -> None:
    rows, walked = case
    by_node: Counter[int] = Counter()
    objects = 0
    for one in held(blocks_of(rows), walked):
        by_node[one.node] += one.bytes
        objects += one.objects
        assert one.bytes >= 0
        assert (one.how == Joined.UNKNOWN) == (one.kind is None) == (one.state is None)
    assert +by_node == +sum((Counter({node: size}) for _, size, node, _ in rows), Counter())
    assert objects <= len(walked.addresses)


def rows_of(blocks: list[Block], things: list[Thing]) -> Iterator[HeldBytes]:
    return iter(held(blocks_of(blocks), graph(things)))


@pytest.mark.parametrize("head", [0, 16, 32])
def test_a_block_is_the_object_behind_its_heads(head: int) -> None:
    found = list(rows_of([(4096, 80, 7, 0)], [Thing(4096 + head, 2, 48, 3)]))
    assert found == [HeldBytes(7, 2, 3, NAMED, Joined.OWN, 80, 1)]


def test_memory_of_an_object_is_its_own_and_not_that_of_its_views() -> None:
    view = Thing(4096, 1, 100, words=(9000,))
    array_of = Thing(4608, 2, 5100, words=(9000,))
    blocks = [(4096, 112, 1, 0), (4608, 112, 1, 0), (9000, 5000, 5, 0)]
    found = {one.node: one for one in rows_of(blocks, [view, array_of]) if one.node == 5}
    assert found[5] == HeldBytes(5, 2, None, NAMED, Joined.OWNED, 5000, 0)


def test_objects_share_the_arena_they_lie_in_and_what_is_free_is_unknown() -> None:
    arena = 1 << 20
    things = [Thing(arena + 48, 0, 100, 1), Thing(arena + 160, 1, 24, state=GARBAGE)]
    assert set(rows_of([(arena, 4096, 3, 1)], things)) == {
        HeldBytes(3, 0, 1, NAMED, Joined.SHARED, 100, 1),
        HeldBytes(3, 1, None, GARBAGE, Joined.SHARED, 24, 1),
        HeldBytes(3, None, None, None, Joined.UNKNOWN, 4096 - 124, 0),
    }


def test_what_an_object_has_elsewhere_is_not_in_its_arena() -> None:
    arena = 1 << 20
    things = [Thing(arena + 48, 0, 5100, words=(4096,))]
    found = {
        one.how: one.bytes for one in rows_of([(4096, 5000, 3, 0), (arena, 4096, 3, 1)], things)
    }
    assert found == {Joined.OWNED: 5000, Joined.SHARED: 100, Joined.UNKNOWN: 3996}


def test_columns_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="not in order"):
        held(blocks_of([(8192, 1, 1, 0), (4096, 1, 1, 0)]), graph([]))


def test_objects_in_no_order_are_damage_and_not_a_crash() -> None:
    walked = graph([Thing(128), Thing(64)])
    trace = SimpleNamespace(blocks_at=lambda *_: blocks_of([(0, 64, 0, 0)]))
    part = SimpleNamespace(walked={1: SimpleNamespace(load=lambda: walked)})
    found, unread = snapshots(trace, [BlockLook(1, 1, is_name=False)], part, [0])
    assert found == ()
    assert unread == ("The objects of a checkpoint are damaged: they are not in order.",)


def test_too_many_blocks_are_told() -> None:
    trace = SimpleNamespace(replayed=SimpleNamespace(take_listed=lambda *_: False))
    part = SimpleNamespace(walked={1: None})
    look = BlockLook(1, 1, is_name=False)
    trace.blocks_at = MethodType(Trace.blocks_at, trace)
    found, unread = snapshots(trace, [look], part, [0])
    assert found == ()
    assert unread == (
        "More than 32 million blocks were alive at the checkpoints that were looked at. "
        "Who held memory there is not known.",
    )
