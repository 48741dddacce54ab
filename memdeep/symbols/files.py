"""Finds the symbols of a file the program had loaded: in it, beside it, or on a server.

Symbols are taken only from the file that ran, or from one of the same build; any other would give
wrong names.
"""

from __future__ import annotations

import hashlib
import os
import stat
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from memdeep.frozen import frozen
from memdeep.symbols.cache import SymbolCache
from memdeep.symbols.debuginfod import Debuginfod
from memdeep.symbols.elf import DamagedElf, ElfFile, NotElf
from memdeep.symbols.images import Image
from memdeep.symbols.tables import VERSION, NoSymbols, SymbolTable, build_id, build_table

DEBUG_DIRECTORY = Path("/usr/lib/debug")
ASK_AGAIN_S = 86_400.0  # after which a server that knew nothing is asked again

_CHUNK_BYTES = 1 << 20


@frozen
class Symbols:
    """Symbols of an image; ``build_id`` is None where the file has none or is gone."""

    build_id: str | None
    table: SymbolTable | None


@frozen
class _File:
    path: Path
    build_id: str | None
    debug_link: tuple[str, int] | None
    key: str


class SymbolFiles:
    """Finds symbol tables, in the cache first.

    A file that was changed after ``recorded_until_s`` (since the epoch) is not the one that ran,
    unless it has the build id that ``build_ids`` gives for its name. One that was loaded by a
    relative path is looked for in ``directories``.
    """

    def __init__(
        self,
        cache: SymbolCache,
        downloads: Debuginfod,
        recorded_until_s: float,
        build_ids: Mapping[str, str],
        debug_directory: Path = DEBUG_DIRECTORY,
        directories: Sequence[str] = (),
    ) -> None:
        self._cache = cache
        self._downloads = downloads
        self._recorded_until_s = recorded_until_s
        self._build_ids = build_ids
        self._debug_directory = debug_directory
        self._directories = directories

    def find(self, image: Image) -> Symbols:
        """Return the symbols of ``image``; none if its file is gone or is another one now."""
        file = next(
            filter(None, (self._same_file(path, image) for path in self._paths(image))), None
        )
        if file is None:
            return Symbols(None, None)
        own = self._own_table(file)
        if own is not None and own.has_debug:
            return Symbols(file.build_id, own)
        return Symbols(file.build_id, self._separate_table(file) or own)

    def _paths(self, image: Image) -> Iterator[Path]:
        """Yield the places of ``image``: of a relative path that depends on the program's."""
        if os.path.isabs(image.filename):
            yield Path(image.filename)
        elif "/" in image.filename:  # without, it is no path: `linux-vdso.so.1`
            for directory in self._directories:
                yield Path(os.path.normpath(os.path.join(directory, image.filename)))

    def _same_file(self, path: Path, image: Image) -> _File | None:
        """Return the file at ``path``; None if it is not the one that ran, or cannot be read."""
        try:
            return self._file(path, image)
        except (OSError, ValueError, NoSymbols):
            return None

    def _file(self, path: Path, image: Image) -> _File | None:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return None
        try:
            with ElfFile(path) as elf:
                debug_link, segments = elf.debug_link(), elf.segments
        except DamagedElf:
            return None
        except NotElf:  # macOS
            debug_link, segments = None, image.segments
        build = build_id(path)
        known = self._build_ids.get(image.filename)
        is_same = status.st_mtime <= self._recorded_until_s if known is None else build == known
        if segments != image.segments or not is_same:
            return None
        facts = f"{path}\0{status.st_size}\0{status.st_mtime_ns}"
        key = build or hashlib.sha256(os.fsencode(facts)).hexdigest()
        return _File(path, build, debug_link, key)

    def _own_table(self, file: _File) -> SymbolTable | None:
        key = f"{file.key}-own-{VERSION}"
        return self._kept(key) or self._made(key, file.path)

    def _separate_table(self, file: _File) -> SymbolTable | None:
        """Return the table of the debug file that was split off ``file``, None if there is none."""
        key = f"{file.key}-debug-{VERSION}"
        if (table := self._kept(key)) is not None:
            return table
        for path in self._candidates(file):
            if (table := self._made(key, path)) is not None:
                return table
        return self._downloaded(key, file.build_id)

    def _candidates(self, file: _File) -> Iterator[Path]:
        """Yield debug files that belong to ``file``, from the places where debuggers look."""
        directory = file.path.parent
        if file.build_id is not None:
            name = f".build-id/{file.build_id[:2]}/{file.build_id[2:]}.debug"
            bundle = directory / f"{file.path.name}.dSYM/Contents/Resources/DWARF"
            for path in (self._debug_directory / name, bundle / file.path.name):
                if _has_build_id(path, file.build_id):
                    yield path
        if file.debug_link is not None:
            name, crc = file.debug_link
            beside = self._debug_directory.joinpath(*directory.parts[1:])
            for path in (directory / name, directory / ".debug" / name, beside / name):
                with suppress(OSError):
                    if path != file.path and path.is_file() and _crc(path) == crc:
                        yield path

    def _downloaded(self, key: str, build: str | None) -> SymbolTable | None:
        missing = f"{key}-missing"
        if build is None or not self._downloads.is_used:
            return None
        if self._cache.read(missing, ASK_AGAIN_S) is not None:
            return None
        failures = self._downloads.failures
        content = self._downloads.with_file(build, _built)
        if content is None:
            if self._downloads.failures == failures:
                self._cache.write(missing, b"")
            return None
        self._cache.write(key, content)
        return _opened(content)

    def _kept(self, key: str) -> SymbolTable | None:
        file = self._cache.open(key)
        if file is None:
            return None
        with file:
            return _opened(file)

    def _made(self, key: str, path: Path) -> SymbolTable | None:
        content = _built(path)
        if content is None:
            return None
        self._cache.write(key, content)
        return _opened(content)


def _built(path: Path) -> bytes | None:
    try:
        return build_table(path)
    except NoSymbols:
        return None


def _opened(content: bytes | BinaryIO) -> SymbolTable | None:
    try:
        return SymbolTable(content)
    except NoSymbols:
        return None


def _has_build_id(path: Path, build: str) -> bool:
    try:
        return path.is_file() and build_id(path) == build
    except NoSymbols:
        return False


def _crc(path: Path) -> int:
    crc = 0
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
    return crc
