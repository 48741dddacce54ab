"""Keeps symbol tables on disk between reports. Knows no table's content.

An entry is a file that is written under another name and then renamed, so any number of processes
may read and write at once. Nothing here fails: a table that cannot be kept is made again.
"""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
import time
import zlib
from pathlib import Path
from typing import BinaryIO

from platformdirs import user_cache_path

LIMIT_BYTES = 512 * 1024 * 1024
KEPT_SHARE = 0.8  # of the limit, once it was passed
ABANDONED_S = 3600.0  # a temporary file that is older belongs to nobody any more

_MAGIC = b"mdsyms1\n"
_HEAD = struct.Struct("<8sIQ")  # magic, CRC-32 and length of the content
_SUFFIX = ".symbols"
_TEMPORARY = ".tmp"
_CHUNK_BYTES = 1 << 18


def directory_of(program: str) -> Path:
    """Return the directory where ``program`` keeps this user's cache, by the platform's custom."""
    return user_cache_path(program, appauthor=False)


class SymbolCache:
    """Entries in ``directory``; above ``limit_bytes`` the least recently used are removed."""

    def __init__(self, directory: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self._directory = directory
        self._limit_bytes = limit_bytes

    def open(self, key: str, max_age_s: float | None = None) -> BinaryIO | None:
        """Open what is kept under ``key``, at its content; None if missing, damaged or too old.

        That marks an entry as used, unless ``max_age_s`` is given: it must go on ageing.
        """
        path = self._path(key)
        with contextlib.ExitStack() as unless_returned:
            try:
                file = unless_returned.enter_context(open(path, "rb"))
                age_s = time.time() - os.fstat(file.fileno()).st_mtime
                magic, crc, size = _HEAD.unpack(file.read(_HEAD.size))
                if magic != _MAGIC or _sum(file) != (crc, size):
                    return None
                file.seek(_HEAD.size)
            except (OSError, struct.error):
                return None
            if max_age_s is None:
                with contextlib.suppress(OSError):
                    os.utime(path)
            elif age_s > max_age_s:
                return None
            unless_returned.pop_all()
            return file

    def write(self, key: str, content: bytes) -> None:
        """Keep ``content`` under ``key``."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(_TEMPORARY, dir=self._directory)
        except OSError:
            return
        try:
            with open(descriptor, "wb") as file:
                file.write(_HEAD.pack(_MAGIC, zlib.crc32(content), len(content)))
                file.write(content)
            os.replace(temporary, self._path(key))
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        self._prune()

    def read(self, key: str, max_age_s: float | None = None) -> bytes | None:
        """Return the content kept under ``key``, as `open` finds it."""
        file = self.open(key, max_age_s)
        if file is None:
            return None
        with file:
            return file.read()

    def _path(self, key: str) -> Path:
        return self._directory / f"{key}{_SUFFIX}"

    def _prune(self) -> None:
        """Remove the least recently used entries above the limit, and files of dead writers."""
        entries = []
        try:
            with os.scandir(self._directory) as files:
                for file in files:
                    with contextlib.suppress(OSError):
                        status = file.stat(follow_symlinks=False)
                        entries.append((status.st_mtime, status.st_size, file.path))
        except OSError:
            return
        old = time.time() - ABANDONED_S
        total = sum(size for _, size, path in entries if path.endswith(_SUFFIX))
        too_many = total > self._limit_bytes
        for used, size, path in sorted(entries):
            if path.endswith(_TEMPORARY):
                remove = used < old
            else:
                remove = too_many and total > self._limit_bytes * KEPT_SHARE
            if remove and path.endswith((_SUFFIX, _TEMPORARY)):
                with contextlib.suppress(OSError):
                    os.unlink(path)
                    total -= size if path.endswith(_SUFFIX) else 0


def _sum(file: BinaryIO) -> tuple[int, int]:
    """Return the CRC-32 and the size of the rest of ``file``; a table may be large."""
    crc = size = 0
    while chunk := file.read(_CHUNK_BYTES):
        crc, size = zlib.crc32(chunk, crc), size + len(chunk)
    return crc, size
