"""Reads what symbols need of an ELF file: its segments, sections and functions without an end.

Source of the format: the System V ABI, chapters "Object Files" and "Program Loading". 64-bit
little-endian files only, which is all that memray runs on. Knows nothing of debug information.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

MAGIC = b"\x7fELF\x02\x01"  # 64 bits, little-endian

MAX_TABLE_BYTES = 1 << 28  # no program has a longer table of segments, sections or symbols

MAX_UNPACKED_TIMES = 1100  # more than zlib can pack, and more than debug information lends itself

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_NUMBER = struct.Struct("<I")
_SYMBOL = struct.Struct("<IBBHQQ")

_PT_NULL, _PT_LOAD, _PT_DYNAMIC = 0, 1, 2
_SHT_SYMTAB, _SHT_NOBITS, _SHT_DYNSYM = 2, 8, 11
_SHF_COMPRESSED = 0x800
_STT_FUNC = 2


class NotElf(Exception):
    """The file is no ELF file of a kind known here."""


class DamagedElf(NotElf):
    """The file begins like one, but is cut off or says what cannot be."""


@dataclass(frozen=True, slots=True)
class _Section:
    name: str
    kind: int
    flags: int
    offset: int
    size: int


class ElfFile:
    """One open ELF file. Raises NotElf or DamagedElf, and OSError for what cannot be read.

    ``segments`` are those that are loaded: virtual address and size in memory of each.
    """

    def __init__(self, path: Path) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 (closed in __exit__)
        try:
            self._size = os.fstat(self._file.fileno()).st_size
            if self._file.read(len(MAGIC)) != MAGIC:
                raise NotElf(f"{path} is no 64-bit ELF file")
            fields = _HEADER.unpack(self._read(0, _HEADER.size))
            self._segments_at, self._sections_at = fields[5], fields[6]
            rows = list(_SEGMENT.iter_unpack(self._read(fields[5], fields[10] * _SEGMENT.size)))
            self._segment_kinds = [row[0] for row in rows]
            self.segments = tuple((row[3], row[6]) for row in rows if row[0] == _PT_LOAD)
            self._sections = self._read_sections(fields[12], names_index=fields[13])
            for section in self._sections:
                self._check_packed(section)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> ElfFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def section(self, name: str) -> bytes | None:
        """The content of a section as it lies in the file, or None if there is none."""
        for section in self._sections:
            if section.name == name and section.kind != _SHT_NOBITS:
                return self._read(section.offset, section.size)
        return None

    def debug_link(self) -> tuple[str, int] | None:
        """File name and CRC-32 of the file that has the debug information, if one is named."""
        content = self.section(".gnu_debuglink")
        if content is None:
            return None
        name, end, _ = content.partition(b"\0")
        crc_at = (len(name) + 4) & ~3
        if not end or not name or b"/" in name or len(content) < crc_at + 4:
            return None
        return os.fsdecode(name), int.from_bytes(content[crc_at : crc_at + 4], "little")

    def without_symbols(self) -> mmap.mmap:
        """A copy of the file in which nobody finds the symbol tables; it lies in memory only."""
        copy = self._copy()
        for place, section in enumerate(self._sections):
            if section.kind in (_SHT_SYMTAB, _SHT_DYNSYM):
                self._hide(copy, self._sections_at + place * _SECTION.size)
        for place, kind in enumerate(self._segment_kinds):
            if kind == _PT_DYNAMIC:
                _NUMBER.pack_into(copy, self._segments_at + place * _SEGMENT.size, _PT_NULL)
        return copy

    def without_debug(self) -> mmap.mmap:
        """A copy of the file in which nobody finds the debug information."""
        copy = self._copy()
        for place, section in enumerate(self._sections):
            if section.name.startswith((".debug_", ".zdebug_")):
                self._hide(copy, self._sections_at + place * _SECTION.size)
        return copy

    def _copy(self) -> mmap.mmap:
        return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_COPY)

    def _hide(self, copy: mmap.mmap, header_at: int) -> None:
        _NUMBER.pack_into(copy, header_at + _NUMBER.size, _SHT_NOBITS)

    def functions_without_size(self) -> tuple[int, ...]:
        """The addresses of functions of which nobody says where they end.

        A lookup that takes them to reach up to the next symbol gives names to code that is not
        theirs: in stripped libraries `_init` would own half the file.
        """
        return tuple(
            sorted(
                {
                    address
                    for _, info, _, place, address, size in self._symbols()
                    if info & 0xF == _STT_FUNC and place and not size
                }
            )
        )

    def _symbols(self) -> Iterator[tuple[int, ...]]:
        for section in self._sections:
            if section.kind in (_SHT_SYMTAB, _SHT_DYNSYM):
                table = self._read(section.offset, section.size)
                yield from _SYMBOL.iter_unpack(table[: len(table) - len(table) % _SYMBOL.size])

    def _read_sections(self, count: int, names_index: int) -> list[_Section]:
        if not self._sections_at or not count:
            return []
        rows = list(_SECTION.iter_unpack(self._read(self._sections_at, count * _SECTION.size)))
        if names_index >= len(rows):
            return []
        names = self._read(rows[names_index][4], rows[names_index][5])
        return [
            _Section(
                names[row[0] : names.find(b"\0", row[0])].decode("ascii", "replace"),
                kind=row[1],
                flags=row[2],
                offset=row[4],
                size=row[5],
            )
            for row in rows
        ]

    def _check_packed(self, section: _Section) -> None:
        """Raises DamagedElf if a compressed section claims a size that it cannot have.

        Whoever unpacks it would ask for that much memory, and not survive the refusal.
        """
        if section.flags & _SHF_COMPRESSED and section.kind != _SHT_NOBITS:
            size = int.from_bytes(self._read(section.offset, 16)[8:], "little")
        elif section.name.startswith(".zdebug_"):
            size = int.from_bytes(self._read(section.offset, 12)[4:], "big")
        else:
            return
        if size > MAX_UNPACKED_TIMES * section.size:
            raise DamagedElf(f"{section.name} of {self._file.name} cannot be that large")

    def _read(self, offset: int, size: int) -> bytes:
        if size > min(MAX_TABLE_BYTES, self._size) or offset > self._size - size:
            raise DamagedElf(f"{self._file.name} is cut off")
        self._file.seek(offset)
        content = self._file.read(size)
        if len(content) != size:
            raise DamagedElf(f"{self._file.name} is cut off")
        return content
