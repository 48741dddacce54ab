"""First and last lines of a file of any length. Knows no format but the line."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from memdeep.frozen import frozen
from memdeep.rundir.files import open_regular, read_error

CHUNK_BYTES = 1 << 18
MAX_LINE_BYTES = 1 << 20
MAX_HELD_BYTES = 1 << 27
MAX_FILE_BYTES = 1 << 35  # a sparse file can have any size, and takes no disk
TOO_LONG = b"?"


@frozen
class Left:
    """What is left of a file: ``content``, whole lines, and all that begins at ``offset``."""

    content: bytes = b""
    offset: int = 0


ALL = Left()


@frozen
class Lines:
    """Lines in the order of the file, and the number of lines left out.

    A line longer than a megabyte is replaced by one that is valid in no format of a run.
    """

    content: bytes
    left_out: int


def read_lines(
    path: Path, most: int, always: re.Pattern[bytes] | None = None, left: Left = ALL
) -> Lines:
    """Read about ``most`` lines of ``path``, half from its beginning and half from its end.

    Its beginning is what was ``left`` of it. A line in between is kept only if ``always`` is found
    in it. Raises CaptureError.
    """
    file, size = open_regular(path, MAX_FILE_BYTES)
    first: list[bytes] = []
    last: deque[bytes] = deque()
    kept: list[bytes] = []
    first_lines = last_lines = left_out = held_bytes = 0
    is_first = True
    with file:
        try:
            file.seek(left.offset)
            for piece in chain([left.content], _pieces(file, size - left.offset)):
                count = piece.count(b"\n")
                held_bytes += len(piece)
                is_first = is_first and first_lines + count <= most // 2
                is_first = is_first and held_bytes <= MAX_HELD_BYTES // 2
                if is_first:
                    first.append(piece)
                    first_lines += count
                    continue
                last.append(piece)
                last_lines += count
                while last_lines > most // 2 or held_bytes > MAX_HELD_BYTES:
                    oldest = last.popleft()
                    found = [] if always is None else _found(oldest, always)
                    kept.extend(found)
                    lines = oldest.count(b"\n")
                    held_bytes -= len(oldest) - sum(map(len, found))
                    left_out += lines - len(found)
                    last_lines -= lines
        except OSError as error:
            raise read_error(path, error) from error
    return Lines(b"".join([*first, *kept, *last]), left_out)


def read_left(path: Path, left: Left, most_bytes: int) -> bytes:
    """Return what is left of a file; nothing if there is none.

    Raises CaptureError, also if it is more than ``most_bytes``.
    """
    if not os.path.lexists(path):
        return left.content
    file, size = open_regular(path, left.offset + most_bytes)
    with file:
        try:
            file.seek(left.offset)
            # Not with `most_bytes`: as much is asked of the system, whatever is there.
            return left.content + file.read(max(0, size - left.offset))
        except OSError as error:
            raise read_error(path, error) from error


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield the first ``size`` bytes in pieces of whole lines; the last may end torn."""
    torn, is_too_long = b"", False
    while size > 0 and (chunk := file.read(min(CHUNK_BYTES, size))):
        size -= len(chunk)
        whole, newline, rest = chunk.rpartition(b"\n")
        if newline:
            yield torn + whole + newline
            torn, is_too_long = rest, False
        elif not is_too_long:
            torn += rest
        if len(torn) > MAX_LINE_BYTES:
            torn, is_too_long = TOO_LONG, True
    if torn:
        yield torn


def _found(piece: bytes, wanted: re.Pattern[bytes]) -> list[bytes]:
    if not wanted.search(piece):
        return []
    return [line for line in piece.splitlines(keepends=True) if wanted.search(line)]
