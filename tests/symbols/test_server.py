"""Each address of each file is named once; what is not known is said to be unknown."""

from __future__ import annotations

from pathlib import Path

import libraries
import pytest
from libraries import RESERVE, needs_compiler

from memdeep.symbols.files import Symbols
from memdeep.symbols.images import Image
from memdeep.symbols.server import SymbolServer
from memdeep.symbols.store import StoredImage, StoredSymbols
from memdeep.symbols.tables import SymbolTable, build_table

LIB = Image("/lib/lib.so", ((0, 0x100), (0x200, 0x50)))
PROGRAM = Image("/bin/program", ((0x400000, 0x1000),))


def nothing(image: Image) -> Symbols:
    return Symbols(None, None)


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


@needs_compiler
def test_a_large_table_is_closed_when_its_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = libraries.build(tmp_path)
    address = libraries.address_after_call(library, "_ZN6shapes7reserveEiPKc")
    opened = []

    def find(image: Image) -> Symbols:
        opened.append(image)
        return Symbols("build", SymbolTable(build_table(library)))

    image = Image(str(library), ())
    for largest, times in ((1 << 30, 1), (0, 2)):
        monkeypatch.setattr("memdeep.symbols.server.LARGE_BYTES", largest)
        opened.clear()
        server = SymbolServer(find, StoredSymbols())
        server.name(image, [address, address + 1])
        server.name(image, [address + 1])  # which is known
        server.name(image, [address + 2])
        assert len(opened) == times
        assert server.answered().images[image].build_id == "build"
        assert server.frames(image, address)[-1][0] == RESERVE
        assert len(opened) == times


@pytest.mark.parametrize("stored", [StoredSymbols(), StoredSymbols({LIB: StoredImage(None, {})})])
def test_what_was_answered_answers_again_without_the_files(stored: StoredSymbols) -> None:
    first = SymbolServer(nothing, stored)
    frames = first.frames(LIB, 5)

    def fail(image: Image) -> Symbols:
        raise AssertionError("the files were looked at")

    assert SymbolServer(fail, first.answered()).frames(LIB, 5) == frames
