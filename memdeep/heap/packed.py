"""Compresses a capture that has ended, and reads one that is: LZ4 frames, as memray has them.

memray's own commands read both kinds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Protocol

from memdeep.rundir.files import open_regular

MAGIC = b"\x04\x22\x4d\x18"  # of an LZ4 frame
CHUNK_BYTES = 256 << 10
PAGE_BYTES = 4096
_TAIL_BYTES = 1 << 20


def is_installed() -> bool:
    """Tell whether there is an lz4 to read and write frames with."""
    return find_spec("lz4") is not None


def is_packed(file: BinaryIO) -> bool:
    """Tell whether ``file``, at its start, is compressed; it is at its start again."""
    magic = file.read(len(MAGIC))
    file.seek(0)
    return magic == MAGIC


def can_read(capture: Path) -> bool:
    """Tell whether the content can be read: of a compressed one only with lz4.

    Raises CaptureError.
    """
    file, _ = open_regular(capture)
    with file:
        return is_installed() or not is_packed(file)


def frame_of(pieces: Iterator[bytes], left: int) -> Iterator[bytes]:
    """Yield the first ``left`` bytes of ``pieces`` as a compressed file."""
    from lz4 import frame  # only here: most captures are read as they were written

    compressor = frame.LZ4FrameCompressor(block_size=frame.BLOCKSIZE_MAX1MB)
    yield compressor.begin()
    while left and (piece := next(pieces, b"")[:left]):
        left -= len(piece)
        yield compressor.compress(piece)
    yield compressor.flush()


def frame_of_piece(piece: bytes) -> bytes:
    """Compress ``piece``, a megabyte or so, by itself."""
    from lz4 import frame

    content: bytes = frame.compress(piece, block_size=frame.BLOCKSIZE_MAX1MB)
    return content


def piece_of_frame(content: bytes) -> bytes:
    """Return what was compressed by itself. Raises ValueError where it is damaged."""
    from lz4 import frame

    try:
        piece: bytes = frame.decompress(content)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    return piece


def written_size(file: BinaryIO) -> int:
    """Return the size of ``file`` without the zeros at its end."""
    end = file.seek(0, 2)
    while end:
        start = max(0, end - _TAIL_BYTES)
        file.seek(start)
        written = file.read(end - start).rstrip(b"\x00")
        end = start + len(written)
        if written:
            break
    return end


def written_behind(file: BinaryIO, start: int) -> int:
    """Return where what is written of ``file`` from ``start`` on ends: at the first zeros in a row.

    What memray has reserved behind it may be gigabytes.
    """
    file.seek(start)
    end = start
    while written := file.read(_TAIL_BYTES).rstrip(b"\0"):
        end = start + len(written)
        start += _TAIL_BYTES
    return end


def written_pages(file: BinaryIO, start: int) -> int:
    """Return where what is written of ``file`` from ``start`` on ends, to a page, at a few looks.

    That is the end of the last page that is not empty, or of the file.
    """
    size = os.fstat(file.fileno()).st_size
    low, high = 0, max(0, -(-(size - start) // PAGE_BYTES))  # pages with and without
    while low < high:
        middle = (low + high) // 2
        page = os.pread(file.fileno(), PAGE_BYTES, start + middle * PAGE_BYTES)
        low, high = (middle + 1, high) if page.strip(b"\0") else (low, middle)
    return min(start + low * PAGE_BYTES, size)


def unpacked(file: BinaryIO) -> Iterator[bytes]:
    """Yield the content of a compressed file in pieces, as far as it is whole."""
    from lz4.frame import LZ4FrameDecompressor

    decompressor = LZ4FrameDecompressor()
    try:
        while (chunk := file.read(CHUNK_BYTES)) and not decompressor.eof:
            if content := decompressor.decompress(chunk):
                yield content
    except RuntimeError:  # damaged from here on
        return


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield the content of ``file``, which is at its start, in pieces, compressed or not."""
    return unpacked(file) if is_packed(file) else iter(partial(file.read, CHUNK_BYTES), b"")


class Content(Protocol):
    """The content of a capture, compressed or not."""

    def read(self, size: int) -> bytes:
        """Return the next bytes: fewer than ``size`` only at the end."""

    def seek(self, offset: int) -> object:
        """Go forward to ``offset``."""


def opened(file: BinaryIO) -> Content:
    """Return the content of ``file``, which is at its start, to be read forward."""
    return Unpacked(unpacked(file)) if is_packed(file) else file


class Unpacked:
    """Pieces as one content; what lies before the piece at hand cannot be read again."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")
        self._start = 0  # of that piece
        self._offset = 0

    def read(self, size: int) -> bytes:
        parts = []
        while size > 0 and self._is_inside():
            part = self._piece[self._offset - self._start :][:size]
            parts.append(part)
            self._offset += len(part)
            size -= len(part)
        return b"".join(parts)

    def seek(self, offset: int) -> None:
        self._offset = max(offset, self._start)

    def _is_inside(self) -> bool:
        """Go to the piece with the next byte; tell if there is one."""
        while self._offset >= self._start + len(self._piece):
            piece = next(self._pieces, b"")
            if not piece:
                return False
            self._start += len(self._piece)
            self._piece = memoryview(piece)
        return True


def with_changes(pieces: Iterator[bytes], changes: Mapping[int, bytes]) -> Iterator[bytes]:
    """Yield ``pieces`` with the bytes in ``changes``, by their offset, in place of those there.

    A change that reaches beyond its piece goes on in the next.
    """
    left = sorted(changes.items())
    start = 0
    for piece in pieces:
        end = start + len(piece)
        while left and left[0][0] < end:
            offset, content = left.pop(0)
            inside = content[: end - offset]
            piece = piece[: offset - start] + inside + piece[offset - start + len(inside) :]
            if len(inside) < len(content):
                left.insert(0, (end, content[len(inside) :]))
        start = end
        yield piece
