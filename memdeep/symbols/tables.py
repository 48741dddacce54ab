"""Makes and reads symbol tables: the functions at an address of a file, inlined ones too.

The only module that knows `symbolic`. Addresses are those of the file itself, as its program
headers count them.
"""

from __future__ import annotations

import lzma
import platform
import struct
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from _cffi_backend import FFI  # of `cffi`, without its parser of C: that takes long to import
from symbolic.debuginfo import Archive, Object
from symbolic.exceptions import SymbolicError
from symbolic.symcache import SYMCACHE_LATEST_VERSION, SymCache

from memdeep.model import RawFrame
from memdeep.symbols.demangle import demangle
from memdeep.symbols.elf import ElfFile, NotElf

VERSION = f"1.{SYMCACHE_LATEST_VERSION}"  # of the content that `build_table` makes

MAX_PLACE = 1 << 32  # `symbolic` counts from the lowest address in 32 bits
MAX_MINIDEBUG_BYTES = 1 << 27  # unpacked

# Lowest address, whether there is debug information, number of bare functions, of tables.
_HEAD = struct.Struct("<QIII")
_NUMBER = struct.Struct("<Q")


class NoSymbols(Exception):
    """The file or the table holds no symbols that can be read."""


class SymbolTable:
    """Symbols of one file, opened from the bytes that `build_table` made, or a file of them.

    ``has_debug`` is True if they hold more than the names of functions, ``size_bytes`` is what they
    take of the memory. Raises NoSymbols if they are damaged.
    """

    def __init__(self, content: bytes | BinaryIO) -> None:
        file = BytesIO(content) if isinstance(content, bytes) else content
        try:
            head = _HEAD.unpack(file.read(_HEAD.size))
            self._base, self.has_debug, bare, tables = head
            listed = file.read((bare + tables) * _NUMBER.size)
            numbers = [number for (number,) in _NUMBER.iter_unpack(listed)]
            if len(numbers) != bare + tables:
                raise NoSymbols("The symbol table is cut off.")
            self._bare = frozenset(numbers[:bare])
            self.size_bytes = sum(numbers[bare:])
            self._tables = [_read_table(file.read(size)) for size in numbers[bare:]]
        except (struct.error, SymbolicError, OSError, OverflowError, MemoryError) as error:
            raise NoSymbols(f"The symbol table is damaged: {error}") from error

    def frames(self, address: int, unnamed_file: str) -> tuple[RawFrame, ...]:
        """Return the functions at ``address``, innermost inlined first; none if not known.

        ``unnamed_file`` is the file name of functions whose source file is not known.
        """
        place = address - self._base
        if not 0 <= place < MAX_PLACE:
            return ()
        for table in self._tables:
            found = table.lookup(place)  # type: ignore[no-untyped-call]
            if not found or (not found[-1].full_path and found[-1].sym_addr in self._bare):
                continue
            frames = tuple(
                (demangle(location.symbol), location.full_path or unnamed_file, location.line)
                for location in found
                if location.symbol
            )
            if frames:
                return frames
        return ()


def build_id(path: Path) -> str | None:
    """Return the build id of the file at ``path`` (on macOS, its UUID), None if it has none.

    Raises NoSymbols if the file cannot be read.
    """
    try:
        return _object(Archive.open(bytes(path))).code_id
    except SymbolicError as error:
        raise NoSymbols(f"{path} cannot be read: {error}") from error


def build_table(path: Path) -> bytes:
    """Make the symbol table of the file at ``path``. Raises NoSymbols if it cannot be read."""
    try:
        item = _object(Archive.open(bytes(path)))
        base = 0
        bare: Sequence[int] = ()
        if item.file_format == "elf":
            with ElfFile(path) as elf:
                base = min((address for address, _ in elf.segments), default=0)
                bare = elf.functions_without_size()
                tables = _elf_tables(elf, item)
        else:
            tables = [_table(item)]
    except (SymbolicError, OSError, NotElf) as error:
        raise NoSymbols(f"{path} has no symbols that can be read: {error}") from error
    places = [address - base for address in bare if 0 <= address - base < MAX_PLACE]
    numbers = [*places, *map(len, tables)]
    head = _HEAD.pack(base, "debug" in item.features, len(places), len(tables))
    return b"".join([head, *map(_NUMBER.pack, numbers), *tables])


def _object(archive: Archive) -> Object:
    """Return the object for this machine; a file of macOS may hold several."""
    objects = list(archive.iter_objects())
    if not objects:
        raise NoSymbols("The file holds no object.")
    return next((item for item in objects if item.arch == platform.machine()), objects[0])


def _elf_tables(elf: ElfFile, item: Object) -> list[bytes]:
    """Make the tables of a file, in the order in which they are asked.

    Debug information and symbols are read apart, since `symbolic` names a function by the symbol
    at its lowest address. If the function's cold part was moved, that may be another's symbol.
    """
    if "debug" in item.features:
        tables = []
        for copy in (elf.without_symbols(), elf.without_debug()):
            with copy, FFI().from_buffer(copy) as view:
                tables.append(_table(_object(Archive.from_bytes(view))))
    else:
        tables = [_table(item)]
    if (packed := elf.section(".gnu_debugdata")) is not None:
        tables.extend(_minidebug(packed))
    return tables


def _table(item: Object) -> bytes:
    content: bytes = item.make_symcache().open_stream().read()  # type: ignore[no-untyped-call]
    return content


def _read_table(content: bytes) -> SymCache:
    table: SymCache = SymCache.from_bytes(content)  # type: ignore[no-untyped-call]
    return table


def _minidebug(packed: bytes) -> list[bytes]:
    """Make the table of the symbols that some distributions pack into their stripped files."""
    try:
        unpacked = lzma.LZMADecompressor(memlimit=1 << 28).decompress(packed, MAX_MINIDEBUG_BYTES)
        return [_table(_object(Archive.from_bytes(unpacked)))]
    except (lzma.LZMAError, SymbolicError, NoSymbols):
        return []
