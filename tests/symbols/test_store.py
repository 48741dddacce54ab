"""Stored names come back as they were written; a damaged file is noticed, and said to be."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdeep.symbols.images import Image
from memdeep.symbols.store import DamagedSymbols, StoredImage, StoredSymbols, decode, encode, read

addresses = st.integers(0, 2**64 - 1)
frames = st.lists(st.tuples(st.text(), st.text(), st.integers(0, 2**31)), max_size=4).map(tuple)
images = st.builds(
    Image, st.text(), st.lists(st.tuples(addresses, addresses), max_size=4).map(tuple)
)
stored = st.builds(
    StoredImage,
    st.none() | st.text(),
    st.dictionaries(addresses, frames, max_size=6),
)
symbols = st.builds(StoredSymbols, st.dictionaries(images, stored, max_size=4))

LIBC = Image("/lib/libc.so.6", ((0, 100), (200, 50)))
HOSTILE = "<script>\x1b[2J\0\n\u202e\ud800"
SMALL = StoredSymbols(
    {
        LIBC: StoredImage("c0ffee", {10: (("f", "f.c", 1), ("g", "g.c", 2)), 300: ()}),
        Image("/a/\udcff", ()): StoredImage(None, {7: ((HOSTILE, HOSTILE, 0),)}),
    }
)


@given(symbols)
def test_what_was_stored_comes_back(given_symbols: StoredSymbols) -> None:
    assert decode(encode(given_symbols)) == given_symbols


def test_hostile_names_come_back_as_they_were() -> None:
    assert decode(encode(SMALL)) == SMALL


def test_many_addresses_take_little_room() -> None:
    frame = ("PyObject_Vectorcall", "/build/python/Objects/call.c", 299)
    many = {0x100000 + 16 * place: (frame,) for place in range(10_000)}
    assert len(encode(StoredSymbols({LIBC: StoredImage("c0ffee", many)}))) < 10_000


@given(st.integers(0, 400), st.integers(0, 400), st.integers(1, 255))
def test_damage_is_noticed(end: int, place: int, change: int) -> None:
    content = bytearray(encode(SMALL))
    content[place % len(content)] ^= change
    try:
        found = decode(bytes(content[:end]) if end < len(content) else bytes(content))
    except DamagedSymbols:
        return
    assert found == SMALL  # some bits between the content and its checksum mean nothing


JSON = {"schema": 1, "strings": ["f"], "stacks": [[0, 0, 0]], "images": []}
IMAGE = {"file": 0, "segments": [[0, 1]], "build_id": None, "steps": [5], "stacks": [0]}


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 2},
        {"schema": None},
        {"strings": [1]},
        {"stacks": [[0, 0]]},
        {"stacks": [[0, 5, 0]]},
        {"stacks": [[0, -1, 0]]},
        {"stacks": [[0, 0, True]]},
        {"stacks": [[0, 0, 1.5]]},
        {"images": {}},
        {"images": [{}]},
        {"images": [IMAGE | {"file": -1}]},
        {"images": [IMAGE | {"build_id": 5}]},
        {"images": [IMAGE | {"segments": [[0]]}]},
        {"images": [IMAGE | {"steps": [5, 6]}]},
        {"images": [IMAGE | {"steps": [-5]}]},
        {"images": [IMAGE | {"stacks": [9]}]},
    ],
)
def test_what_we_never_write_is_damage(changes: dict[str, object]) -> None:
    assert decode(packed(JSON | {"images": [IMAGE]})).images
    if changes == {"images": {}}:
        assert decode(packed(JSON | changes)) == StoredSymbols()  # nothing in it either way
        return
    with pytest.raises(DamagedSymbols):
        decode(packed(JSON | {"images": [IMAGE]} | changes))


@pytest.mark.parametrize("document", [[], None, 5, "text", [[]] * 5])
def test_another_document_is_damage(document: object) -> None:
    with pytest.raises(DamagedSymbols):
        decode(packed(document))


def packed(document: object) -> bytes:
    return zlib.compress(json.dumps(document).encode())


def test_a_file_that_unpacks_without_end_is_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memdeep.symbols.store.MAX_BYTES", 10_000)
    with pytest.raises(DamagedSymbols):
        decode(zlib.compress(b" " * 20_000 + json.dumps(JSON).encode()))


def test_reading_says_what_was_left_out(tmp_path: Path) -> None:
    path = tmp_path / "symbols"
    assert read(path) == (StoredSymbols(), None)
    path.write_bytes(encode(SMALL))
    assert read(path) == (SMALL, None)
    path.write_bytes(encode(SMALL)[:-5])
    nothing, sentence = read(path)
    assert nothing == StoredSymbols()
    assert sentence is not None
    assert "damaged" in sentence
    path.unlink()
    path.mkdir()
    nothing, sentence = read(path)
    assert nothing == StoredSymbols()
    assert sentence is not None
    assert "is not a regular file" in sentence


def test_a_name_has_a_build_id_only_where_it_means_one_file() -> None:
    several = StoredSymbols(
        {
            Image("/a", ((0, 1),)): StoredImage("1", {}),
            Image("/a", ((0, 2),)): StoredImage("2", {}),
            Image("/b", ((0, 1),)): StoredImage("3", {}),
            Image("/b", ((0, 2),)): StoredImage(None, {}),
            Image("/c", ((0, 1),)): StoredImage(None, {}),
        }
    )
    assert several.build_ids() == {"/b": "3"}
