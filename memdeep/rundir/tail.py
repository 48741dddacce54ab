"""Lines appended to a file that grows, each read once. Knows no format but the line."""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path

from memdeep.rundir.long_file import ALL, Left

CHUNK_BYTES = 1 << 18


class Tail:
    """Whole lines of a growing file, each given once; the file need not exist yet.

    Keeps the file open: if another run takes its name, the first file is read on. First comes what
    is ``left`` of its beginning, which may have been given back to the disk.
    """

    def __init__(self, path: Path, left: Left = ALL) -> None:
        self._path = path
        self._file: FileIO | None = None
        self._left = left
        self._first = left.content
        self._torn = b""
        self.read_bytes = 0
        self.is_behind = False

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def next_lines(self) -> bytes:
        """Return some of the lines not given yet; ``is_behind`` says that there may be more."""
        if self._first:
            first, self._first = self._first, b""
            self.is_behind = True
            return first
        content = self._read()
        self.read_bytes += len(content)
        self.is_behind = len(content) == CHUNK_BYTES
        whole, newline, rest = content.rpartition(b"\n")
        if not newline:
            self._torn += rest
            return b""
        lines = self._torn + whole + newline
        self._torn = rest
        return lines

    def size_bytes(self) -> int:
        """Return the present size of the file, 0 before it could be opened."""
        return os.fstat(self._file.fileno()).st_size if self._file is not None else 0

    def _read(self) -> bytes:
        try:
            if self._file is None:
                self._file = FileIO(self._path)
                self._file.seek(self._left.offset)
            return self._file.read(CHUNK_BYTES)
        except OSError:
            return b""
