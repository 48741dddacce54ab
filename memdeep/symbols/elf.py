"""Reads the parts of an ELF file that symbols need: segments, sections, functions and their places.

Source of the format: the System V ABI, chapters "Object Files" and "Program Loading". 64-bit
little-endian files only, which is all that memray runs on. Knows nothing of debug information.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Collection, Iterator
from pathlib import Path
from types import TracebackType

from memdeep.frozen import frozen

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
    """The file is no 64-bit little-endian ELF file."""


class DamagedElf(NotElf):
    """The file begins like an ELF file, but is cut off or contradicts itself."""


@frozen
class _Section:
    name: str
    kind: int
    flags: int
    offset: int
    size: int


class ElfFile:
    """An open ELF file. Raises NotElf or DamagedElf, and OSError if it cannot be read.

    ``segments`` are the virtual address and size in memory of each segment that is loaded.
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
        """Return the content of a section as it lies in the file, None if there is none."""
        for section in self._sections:
            if section.name == name and section.kind != _SHT_NOBITS:
                return self._read(section.offset, section.size)
        return None

    def debug_link(self) -> tuple[str, int] | None:
        """Return name and CRC-32 of the separate debug file, None if the file names none."""
        content = self.section(".gnu_debuglink")
        if content is None:
            return None
        name, end, _ = content.partition(b"\0")
        crc_at = (len(name) + 4) & ~3
        if not end or not name or b"/" in name or len(content) < crc_at + 4:
            return None
        return os.fsdecode(name), int.from_bytes(content[crc_at : crc_at + 4], "little")

    def without_symbols(self) -> mmap.mmap:
        """Return a copy of the file, in memory only, with the symbol tables hidden."""
        copy = self._copy()
        for place, section in enumerate(self._sections):
            if section.kind in (_SHT_SYMTAB, _SHT_DYNSYM):
                self._hide(copy, self._sections_at + place * _SECTION.size)
        for place, kind in enumerate(self._segment_kinds):
            if kind == _PT_DYNAMIC:
                _NUMBER.pack_into(copy, self._segments_at + place * _SEGMENT.size, _PT_NULL)
        return copy

    def without_debug(self) -> mmap.mmap:
        """Return a copy of the file, in memory only, with the debug information hidden."""
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
        """Return the addresses of functions that have no size, in ascending order.

        A lookup that lets them reach to the next symbol gives their names to other code: in
        stripped libraries `_init` would own half the file.
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

    def exported(self, names: Collection[str]) -> dict[str, int]:
        """Return the addresses of those of the functions ``names`` that other files can call."""
        texts = self.section(".dynstr") or b""
        found = {}
        for name_at, info, _, place, address, _ in self._symbols((_SHT_DYNSYM,)):
            if info & 0xF == _STT_FUNC and place:
                name = texts[name_at : texts.find(b"\0", name_at)].decode("ascii", "replace")
                if name in names:
                    found[name] = address
        return found

    def _symbols(
        self, kinds: Collection[int] = (_SHT_SYMTAB, _SHT_DYNSYM)
    ) -> Iterator[tuple[int, ...]]:
        for section in self._sections:
            if section.kind in kinds:
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
        """Raise DamagedElf if a compressed section claims a size that it cannot have.

        `symbolic` would ask for that much memory to unpack it, and abort the process if refused.
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
