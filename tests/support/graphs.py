"""Object graphs without a walk: a few objects, or any that hypothesis can think of."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from memdeep.model.graph import NAMED, NO_ROW, Graph, Holder
from memdeep.model.holders import NO_STATE, Held, HeldBytes


class Thing(NamedTuple):
    """An object; ``words`` are what its own blocks point to beside objects."""

    address: int
    kind: int = 0
    size: int = 16
    holder: int = NO_ROW
    state: int = NAMED
    words: tuple[int, ...] = ()


def graph(
    things: Sequence[Thing],
    types: Sequence[str] = ("dict", "float", "str"),
    rows: Sequence[Holder] = (),
    sequence: int = 1,
) -> Graph:
    """Make the graph of ``things``, which are in order."""
    words = [(word, place) for place, thing in enumerate(things) for word in thing.words]
    return Graph(
        sequence=sequence,
        types=tuple(types),
        addresses=array("Q", [thing.address for thing in things]),
        kinds=array("I", [thing.kind for thing in things]),
        sizes=array("Q", [thing.size for thing in things]),
        holders=array("I", [thing.holder for thing in things]),
        states=bytes(thing.state for thing in things),
        pointers=array("Q", [word for word, _ in words]),
        owners=array("I", [place for _, place in words]),
        rows=tuple(rows),
        gc_enabled=True,
        garbage_bytes=sum(thing.size for thing in things if thing.state == 0),
        c_only_bytes=sum(thing.size for thing in things if thing.state == 2),
        pause_ns=1_000_000,
        child_ns=20_000_000,
    )


@st.composite
def graphs(draw: st.DrawFn, addresses: Sequence[int]) -> Graph:
    """Make graphs whose objects, and the words in them, lie at some of ``addresses``."""
    places = draw(st.lists(st.sampled_from(addresses), unique=True, max_size=25))
    return graph(
        [
            Thing(
                address,
                draw(st.integers(0, 2)),
                draw(st.sampled_from([0, 16, 48, 100, 5000])),
                draw(st.sampled_from([NO_ROW, 0, 1])),
                draw(st.integers(0, 3)),
                tuple(draw(st.lists(st.sampled_from(addresses), max_size=3))),
            )
            for address in sorted(places)
        ]
    )


def held(rows: Sequence[HeldBytes]) -> Held:
    """The columns of ``rows``."""
    return Held(
        array("i", [row.node for row in rows]),
        array("I", [NO_ROW if row.kind is None else row.kind for row in rows]),
        array("I", [NO_ROW if row.holder is None else row.holder for row in rows]),
        bytes(NO_STATE if row.state is None else row.state for row in rows),
        bytes(row.how for row in rows),
        array("Q", [row.bytes for row in rows]),
        array("Q", [row.objects for row in rows]),
    )
