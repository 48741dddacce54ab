"""An ELF file is read as far as it is in order, and its copies hide what they should."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path

import libraries
import pytest
from libraries import needs_compiler
from symbolic.debuginfo import Archive

from memdeep.symbols.elf import DamagedElf, ElfFile, NotElf

pytestmark = needs_compiler


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return libraries.build(tmp_path_factory.mktemp("library"))


def features(content: bytes) -> frozenset[str]:
    [item] = Archive.from_bytes(content).iter_objects()
    return item.features & {"debug", "symtab"}


def test_the_segments_are_those_the_loader_loads(built: Path) -> None:
    shown = [
        (int(words[2], 16), int(words[5], 16))
        for line in libraries.run("readelf", "-lW", built).splitlines()
        if (words := line.split())[:1] == ["LOAD"]
    ]
    with ElfFile(built) as elf:
        assert list(elf.segments) == shown


def test_the_debug_link_names_a_file_and_its_sum(built: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    debug = tmp_path / "odd nämé.dbg"
    shutil.copy(built, linked)
    libraries.split_debug(linked, debug)
    libraries.run("objcopy", f"--add-gnu-debuglink={debug}", linked)
    with ElfFile(linked) as elf:
        name, crc = elf.debug_link() or ("", 0)
        assert elf.section(".gnu_debuglink") is not None
        assert elf.section(".debug_info") is None
    assert name == debug.name
    assert crc == zlib.crc32(debug.read_bytes())
    with ElfFile(built) as elf:
        assert elf.debug_link() is None


def test_copies_hide_the_one_and_keep_the_other(built: Path) -> None:
    before = built.read_bytes()
    assert features(before) == {"debug", "symtab"}
    with ElfFile(built) as elf, elf.without_debug() as copy:
        assert features(copy[:]) == {"symtab"}
    with ElfFile(built) as elf, elf.without_symbols() as copy:
        assert features(copy[:]) == {"debug"}
    assert built.read_bytes() == before


def test_a_stripped_copy_hides_what_is_exported_too(built: Path, tmp_path: Path) -> None:
    stripped = tmp_path / "stripped"
    libraries.run("strip", "--strip-all", "-o", stripped, built)
    assert features(stripped.read_bytes()) == {"symtab"}
    with ElfFile(stripped) as elf, elf.without_symbols() as copy:
        assert features(copy[:]) == set()


def test_a_file_that_is_cut_off_is_damaged_wherever_the_cut_is(built: Path, tmp_path: Path) -> None:
    content = built.read_bytes()
    path = tmp_path / "cut"
    for end in range(0, len(content), 61):
        path.write_bytes(content[:end])
        with pytest.raises(NotElf) as error, ElfFile(path):
            pass
        assert (error.type is DamagedElf) == (end > 6)


@pytest.mark.parametrize("content", [b"", b"\x7fEL", b"#!/bin/sh\n", b"\x7fELF\x01\x01", b"\xcf"])
def test_other_files_are_not_elf(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(NotElf) as error, ElfFile(path):
        pass
    assert error.type is NotElf
