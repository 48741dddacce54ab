"""`capture.front`: what was compressed of a capture that still grows, to be given back to the disk.

A state of the replay stands for what it covers, but holds no moment of which only a later time
knows that it matters. The front of a capture loses nothing: it is a few times smaller, and is read
in place of the zeros that lie there. The beginning of the capture stays, with its head, which is
written once more at the end.

The format: a magic word, where in the capture the front begins, then the pieces, each after the
size and the checksum of its LZ4 frame. Each is of `PIECE_BYTES` of the capture. What is torn at the
end of the file was never given back: then it is still in the capture.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

from memdeep.errors import CaptureError
from memdeep.heap import packed
from memdeep.heap.header import HOLE
from memdeep.rundir.directory import front_of
from memdeep.rundir.files import open_regular, read_error, write_atomically

MAGIC = b"mdfront\n"
PIECE_BYTES = 1 << 20
KEPT_BYTES = 1 << 20  # at the beginning of a capture
MOST_PIECES = 32  # that are added at once
BEHIND_BYTES = 1 << 16  # so much must be written behind a piece: then all of it is there
_HEAD = struct.Struct("<8sQ")
_PIECE = struct.Struct("<II")


class Front:
    """What lies beside ``capture``: its bytes from ``start`` to ``end``; both 0 without any.

    One that is begun gets its ``start``, a multiple of KEPT_BYTES. Raises CaptureError if it cannot
    be read.
    """

    def __init__(self, capture: Path) -> None:
        self.start = 0
        self._path = front_of(capture)
        self._places: list[tuple[int, int, int]] = []  # of each frame: offset, size and checksum
        self._piece = -1, b""  # the one that was read last, by its number
        if self._path.exists():
            file, _ = open_regular(self._path)
            with file:
                try:
                    self._look(file)
                except OSError as error:
                    raise read_error(self._path, error) from error

    def _look(self, file: BinaryIO) -> None:
        """Find the frames. Raises CaptureError or OSError."""
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:  # it was just begun: nothing was given back
            return
        magic, start = _HEAD.unpack(head)
        if magic != MAGIC or start % KEPT_BYTES:
            raise self._damaged()
        size, place = os.fstat(file.fileno()).st_size, _HEAD.size
        while len(head := os.pread(file.fileno(), _PIECE.size, place)) == _PIECE.size:
            length, checksum = _PIECE.unpack(head)
            place += _PIECE.size
            if not 0 < length <= size - place:
                break
            self._places.append((place, length, checksum))
            place += length
        # Where the machine stopped, none of those that were added last need be there.
        last = len(self._places) - MOST_PIECES
        for number in range(max(0, last), len(self._places)):
            if not self._is_whole(file, number):
                del self._places[number:]
                break
        self.start = start

    @property
    def end(self) -> int:
        return self.start + PIECE_BYTES * len(self._places)

    @property
    def size(self) -> int:
        """What its file takes, without what is torn at its end; 0 without any piece."""
        return sum(self._places[-1][:2]) if self._places else 0

    def next_pieces(self, file: BinaryIO, stop: int) -> list[bytes]:
        """Return the next pieces that are written, up to ``stop`` of the capture ``file``."""
        found: list[bytes] = []
        end = self.end + PIECE_BYTES
        while end <= stop and len(found) < MOST_PIECES:
            behind = (os.pread(file.fileno(), len(HOLE), end + more) for more in (0, BEHIND_BYTES))
            if not all(content.strip(b"\0") for content in behind):
                break
            found.append(os.pread(file.fileno(), PIECE_BYTES, end - PIECE_BYTES))
            end += PIECE_BYTES
        return found

    def add(self, pieces: Sequence[bytes]) -> None:
        """Add the next pieces, MOST_PIECES at most; they are on the disk then. Raises OSError."""
        places, place = [], self.size or _HEAD.size
        with open(self._path, "r+b" if self._places else "wb") as file:
            file.write(_HEAD.pack(MAGIC, self.start))
            file.truncate(place)
            file.seek(place)
            for piece in pieces:
                content = packed.frame_of_piece(piece)
                checksum = crc32(content)
                file.write(_PIECE.pack(len(content), checksum) + content)
                places.append((place + _PIECE.size, len(content), checksum))
                place += _PIECE.size + len(content)
            file.flush()
            os.fsync(file.fileno())
        self._places += places

    def covers(self, offset: int) -> bool:
        """Tell whether this byte of the capture is here."""
        return self.start <= offset < self.end

    def read(self, offset: int, most: int = PIECE_BYTES) -> bytes:
        """Return what is here from this byte of the capture on: ``most``, or less, or nothing.

        Raises CaptureError.
        """
        if not self.covers(offset):
            return b""
        number, inside = divmod(offset - self.start, PIECE_BYTES)
        if self._piece[0] != number:
            file, _ = open_regular(self._path)
            with file:
                self._piece = number, self._unpacked(file, number)
        return self._piece[1][inside : inside + most]

    def _unpacked(self, file: BinaryIO, number: int) -> bytes:
        if not packed.is_installed():
            raise CaptureError(
                f"{self._path} is compressed, and lz4 is not installed.",
                "Install it with `pip install lz4`, or read the run where it was recorded.",
            )
        if self._is_whole(file, number):
            place, length, _ = self._places[number]
            with suppress(ValueError):
                piece = packed.piece_of_frame(os.pread(file.fileno(), length, place))
                if len(piece) == PIECE_BYTES:
                    return piece
        raise self._damaged()

    def _is_whole(self, file: BinaryIO, number: int) -> bool:
        place, length, checksum = self._places[number]
        return crc32(os.pread(file.fileno(), length, place)) == checksum

    def check_rest(self, file: BinaryIO) -> None:
        """Raise CaptureError if the capture ``file`` has zeros where its front ends.

        There is more of it, that the front has lost.
        """
        if self.end and not os.pread(file.fileno(), len(HOLE), self.end).strip(b"\0"):
            raise self._damaged()

    def _damaged(self) -> CaptureError:
        return CaptureError(
            f"{self._path} is damaged.",
            "It stands for what was compressed of the capture. Restore it from a copy.",
        )


def pieces(capture: Path, file: BinaryIO, offset: int = 0) -> Iterator[bytes]:
    """Yield the content of an uncompressed ``capture`` from ``offset`` on, its front included.

    ``file`` is the capture. Raises CaptureError or OSError.
    """
    front = Front(capture)
    front.check_rest(file)
    file.seek(offset)
    while offset < front.start and (
        piece := file.read(min(packed.CHUNK_BYTES, front.start - offset))
    ):
        yield piece
        offset += len(piece)
    while piece := front.read(offset):
        yield piece
        offset += len(piece)
    file.seek(offset)
    yield from iter(partial(file.read, packed.CHUNK_BYTES), b"")


def pack(capture: Path, changes: Mapping[int, bytes]) -> None:
    """Put a compressed file in the place of ``capture`` and of its front.

    ``changes`` gives, by offset, bytes to write in place of those there. Raises CaptureError,
    OSError or OutputError.
    """
    file, _ = open_regular(capture)
    with file:
        if not packed.is_packed(file):
            size = packed.written_size(file)
            content = packed.with_changes(pieces(capture, file), changes)
            write_atomically(capture, packed.frame_of(content, size))
    front_of(capture).unlink(missing_ok=True)
