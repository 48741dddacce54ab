"""Each address of each file is named once; what is not known is said to be unknown."""

from __future__ import annotations

from pathlib import Path

import libraries
import pytest
from hypothesis import given
from hypothesis import strategies as st
from libraries import RESERVE, needs_compiler

from memdeep.capture.symbol_files import Image, Symbols
from memdeep.capture.symbol_store import StoredImage, StoredSymbols
from memdeep.capture.symbol_tables import SymbolTable, build_table
from memdeep.capture.symbols import AddressSpace, SymbolServer

LIB = Image("/lib/lib.so", ((0, 0x100), (0x200, 0x50)))
PROGRAM = Image("/bin/program", ((0x400000, 0x1000),))
MACOS = Image("/usr/bin/program", ((0, 1 << 32), (1 << 32, 0x1000)))


def nothing(image: Image) -> Symbols:
    return Symbols(None, None)


def test_an_address_lies_in_the_segment_that_covers_it() -> None:
    space = AddressSpace([(LIB, 0x7F0000), (PROGRAM, 0)])
    assert space.find(0x7F0000) == (LIB, 0)
    assert space.find(0x7F00FF) == (LIB, 0xFF)
    assert space.find(0x7F0100) is None  # between two segments
    assert space.find(0x7F0201) == (LIB, 0x201)
    assert space.find(0x7F0250) is None
    assert space.find(0x400010) == (PROGRAM, 0x400010)
    assert space.find(0) is space.find(2**64 - 1) is None
    assert AddressSpace([]).find(5) is None


def test_the_empty_first_page_of_a_program_of_macos_covers_nothing() -> None:
    space = AddressSpace([(MACOS, 0x4000), (LIB, 0x20000)])
    assert space.find(0x20010) == (LIB, 0x10)
    assert space.find((1 << 32) + 0x4010) == (MACOS, (1 << 32) + 0x10)


ranges = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 4)), min_size=1, max_size=8)


@given(ranges, st.integers(0, 300))
def test_the_search_finds_what_looking_at_each_range_finds(
    sizes: list[tuple[int, int]], address: int
) -> None:
    loaded, place = [], 0
    for number, (gap, size) in enumerate(sizes):
        place += gap
        loaded.append((Image(f"/{number}", ((0, size),)), place))
        place += size
    expected = [
        (image, address - load)
        for image, load in loaded
        if load <= address < load + image.segments[0][1]
    ]
    assert AddressSpace(loaded).find(address) == (expected[0] if expected else None)


def test_without_symbols_the_file_is_named_and_the_function_is_not() -> None:
    server = SymbolServer(nothing, StoredSymbols())
    assert server.frames(LIB, 5) == (("<unknown in lib.so>", "/lib/lib.so", 0),)
    odd = Image("/lib/\udcff.so", LIB.segments)
    [(function, filename, _)] = server.frames(odd, 5)
    assert (function + filename).isprintable()


def test_stored_names_come_before_what_this_machine_knows() -> None:
    frames = (("stored", "stored.c", 7),)
    asked = []

    def find(image: Image) -> Symbols:
        asked.append(image)
        return Symbols("another build", None)

    stored = StoredSymbols({LIB: StoredImage("build", {5: frames})})
    server = SymbolServer(find, stored)
    assert server.frames(LIB, 5) == frames
    assert asked == []
    assert server.answered() == stored
    server.frames(LIB, 6)
    server.frames(PROGRAM, 6)
    server.frames(PROGRAM, 7)
    assert asked == [LIB, PROGRAM]


@needs_compiler
def test_a_file_is_opened_once_and_an_address_looked_up_once(tmp_path: Path) -> None:
    library = libraries.build(tmp_path)
    address = libraries.address_after_call(library, "_ZN6shapes7reserveEiPKc")
    tables = []

    def find(image: Image) -> Symbols:
        tables.append(SymbolTable(build_table(library)))
        return Symbols("build", tables[-1])

    server = SymbolServer(find, StoredSymbols())
    image = Image(str(library), ())
    first = server.frames(image, address)
    assert first[-1][0] == RESERVE
    assert server.frames(image, address) is first
    assert len(tables) == 1
    assert server.answered().images[image] == StoredImage("build", {address: first})


@pytest.mark.parametrize("stored", [StoredSymbols(), StoredSymbols({LIB: StoredImage(None, {})})])
def test_what_was_answered_answers_again_without_the_files(stored: StoredSymbols) -> None:
    first = SymbolServer(nothing, stored)
    frames = first.frames(LIB, 5)

    def fail(image: Image) -> Symbols:
        raise AssertionError("the files were looked at")

    assert SymbolServer(fail, first.answered()).frames(LIB, 5) == frames
