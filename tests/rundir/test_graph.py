"""The graph of a checkpoint comes back from its file; a torn or hostile file gives a sentence."""

from __future__ import annotations

import errno
import re
import struct
import tracemalloc
from array import array
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from factories import ANY_TEXT, COUNTS
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.errors import CaptureError
from memdeep.model.graph import NO_ROW, Graph, Holder
from memdeep.rundir import graph as format_
from memdeep.rundir.graph import decode, encode

PATH = Path("holders-7")
FIGURES = st.integers(0, 2**63 - 1)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    types = tuple(draw(st.lists(ANY_TEXT, min_size=1, max_size=4)))
    kinds = st.integers(0, len(types) - 1)
    rows = []
    for index in range(draw(st.integers(0, 4))):
        parent = draw(st.none() | st.integers(0, index - 1)) if index else None
        figures = [draw(FIGURES) for _ in range(3)]
        rows.append(
            Holder(
                parent,
                draw(kinds),
                draw(ANY_TEXT),
                draw(ANY_TEXT),
                *figures,
                draw(st.booleans()),
                draw(ANY_TEXT),
                draw(st.integers(0, 9)),
            )
        )
    addresses = sorted(draw(st.sets(FIGURES, max_size=9)))
    held_by = st.sampled_from([NO_ROW, *range(len(rows))])
    pointers = draw(st.lists(FIGURES, max_size=5)) if addresses else []
    return Graph(
        sequence=draw(COUNTS),
        types=types,
        addresses=array("Q", addresses),
        kinds=array("I", [draw(kinds) for _ in addresses]),
        sizes=array("Q", [draw(FIGURES) for _ in addresses]),
        holders=array("I", [draw(held_by) for _ in addresses]),
        states=bytes(draw(st.integers(0, 3)) for _ in addresses),
        pointers=array("Q", pointers),
        owners=array("I", [draw(st.integers(0, len(addresses) - 1)) for _ in pointers]),
        rows=tuple(rows),
        gc_enabled=draw(st.booleans()),
        garbage_bytes=draw(FIGURES),
        c_only_bytes=draw(FIGURES),
        pause_ns=draw(FIGURES),
        child_ns=draw(FIGURES),
        gc_off_at=draw(ANY_TEXT),
    )


SMALL = Graph(
    sequence=7,
    types=("dict",),
    addresses=array("Q", [4096]),
    kinds=array("I", [0]),
    sizes=array("Q", [64]),
    holders=array("I", [0]),
    states=b"\x01",
    pointers=array("Q", [8192]),
    owners=array("I", [0]),
    rows=(Holder(None, 0, "job", "", 64, 64, 1),),
    gc_enabled=True,
    garbage_bytes=0,
    c_only_bytes=0,
    pause_ns=5,
    child_ns=6,
)


@given(graph=graphs())
def test_a_graph_comes_back(graph: Graph) -> None:
    assert decode(PATH, encode(graph)) == graph


@examples(20)
@given(graph=graphs(), share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_is_said_to_be_incomplete(graph: Graph, share: float) -> None:
    content = encode(graph)
    with pytest.raises(CaptureError, match="incomplete"):
        decode(PATH, content[: int(share * len(content))])


@given(
    graph=graphs(),
    changes=st.lists(st.tuples(st.integers(0), st.binary(min_size=1, max_size=8)), min_size=1),
)
def test_a_hostile_file_gives_a_graph_or_a_sentence(
    graph: Graph, changes: list[tuple[int, bytes]]
) -> None:
    content = bytearray(encode(graph))
    for at, new in changes:
        at %= len(content)
        content[at : at + len(new)] = new
    try:
        found = decode(PATH, bytes(content))
    except CaptureError as error:
        assert "holders-7" in error.message
        return
    for row in found.holders:
        assert row == NO_ROW or found.rows[row]
    for kind in [*found.kinds, *(row.kind for row in found.rows)]:
        assert kind < len(found.types)
    assert all(owner < len(found.addresses) for owner in found.owners)


@pytest.mark.parametrize(
    "graph",
    [
        replace(SMALL, kinds=array("I", [1])),
        replace(SMALL, holders=array("I", [1])),
        replace(SMALL, owners=array("I", [1])),
        replace(SMALL, states=b"\x04"),
        replace(SMALL, rows=(replace(SMALL.rows[0], parent=0),)),
        replace(SMALL, rows=(replace(SMALL.rows[0], kind=1),)),
    ],
)
def test_a_reference_to_nothing_is_damage(graph: Graph) -> None:
    with pytest.raises(CaptureError, match="damaged"):
        decode(PATH, encode(graph))


def test_what_is_too_long_or_something_else_is_damaged() -> None:
    for content in (encode(SMALL) + b"\0", b"{}" * 100, b"x"):
        with pytest.raises(CaptureError, match="damaged"):
            decode(PATH, content)


def test_sizes_of_the_head_take_no_memory() -> None:
    content = bytearray(encode(SMALL))
    content[32:40] = b"\xff" * 8
    with pytest.raises(CaptureError, match="incomplete"):
        decode(PATH, bytes(content))


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "holders-7"
    path.write_bytes(encode(SMALL))
    assert format_.read(path) == SMALL


@pytest.mark.parametrize(
    ("reason", "figure", "said"),
    [
        (format_.NO_MEMORY, 4096, "there was no memory for it"),
        (format_.NOT_WRITTEN, errno.ENOSPC, "its file could not be written (No space left"),
        (format_.TIME_OVER, 14, "it took too long"),
        (format_.BROKEN, 11, "the look ended by signal 11"),
        (2**64 - 1, 2**64 - 1, "the look ended by signal 255"),
    ],
)
def test_a_child_that_gave_up_says_why(reason: int, figure: int, said: str) -> None:
    content = struct.pack("<8sQ8s2Q", format_.MAGIC, 5, format_.GIVEN_UP, reason, figure)
    with pytest.raises(CaptureError, match=re.escape(f"holders-7 was given up: {said}")):
        decode(PATH, content)


@examples(60)
@given(graph=graphs(), lengths=st.lists(st.integers(0, 2**64 - 1), min_size=5, max_size=5))
def test_hostile_lengths_take_no_memory(graph: Graph, lengths: list[int]) -> None:
    content = bytearray(encode(graph))
    struct.pack_into("<5Q", content, 32, *lengths)
    tracemalloc.start()
    try:
        with suppress(CaptureError):
            decode(PATH, bytes(content))
        assert tracemalloc.get_traced_memory()[1] < 200_000 + 40 * len(content)
    finally:
        tracemalloc.stop()
