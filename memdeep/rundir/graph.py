"""The file ``holders-<sequence>``: the objects of a process at a checkpoint, and who holds them.

All numbers are little-endian. A head of 64-bit words: the magic, the pause in ns (written by the
program itself, all else by its child), the sequence number, the flags, the number of objects, of
pointers, of types, of rows, the bytes of the texts, of the garbage, of what C alone holds, the ns
that the child took. Columns, each filled up to a multiple of 8 bytes: addresses, sizes and
pointers (64 bits), kinds, holders and owners (32 bits), states (8 bits). The length of each type's
name (32 bits). The rows: parent, kind, lengths of the path, the label and the other path, number of
other holders, 1 if it is of a single object, 0 (32 bits); bytes of its own, bytes retained, objects
(64 bits). The texts in UTF-8: types, then path, label and other path of each row, then where the
collector was turned off: the upper half of the flags is the length of that. A last word.
`native/holders.cpp` writes it.

A child that gives up leaves only the first two words, `GIVEN_UP`, the reason, and a figure to it.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from array import array
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from memdeep.errors import CaptureError
from memdeep.model.graph import NO_ROW, OWN, Column, Graph, Holder
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import open_regular, read_regular

MAGIC = b"mdholds1"
END = b"mdholds."
GIVEN_UP = b"mdholds!"
NO_MEMORY, NOT_WRITTEN, TIME_OVER, BROKEN = 1, 2, 3, 4
MAX_FILE_BYTES = 1 << 34
MAX_ROWS = 1 << 16
MAX_TYPES = 1 << 20
MAX_PAUSE_NS = 1 << 63
MAX_WAIT_S = 150  # longer than a child lives
WAIT_STEP_S = 0.02

_HEAD = struct.Struct("<8s11Q")
_ROW = struct.Struct("<8I3Q")
_WORD = struct.Struct("<8sQ8s2Q")
_GC_ENABLED = 1


def encode(graph: Graph) -> bytes:
    """Return the content of the file, as the compiled walker would write it."""
    names = [name.encode("utf-8", "surrogatepass") for name in graph.types]
    words = [
        [one.encode("utf-8", "surrogatepass") for one in (row.path, row.label, row.also)]
        for row in graph.rows
    ]
    off_at = graph.gc_off_at.encode("utf-8", "surrogatepass")
    texts = b"".join([*names, *chain.from_iterable(words), off_at])
    head = _HEAD.pack(
        *(
            MAGIC,
            graph.pause_ns,
            graph.sequence,
            graph.gc_enabled * _GC_ENABLED | len(off_at) << 32,
        ),
        *(len(graph.addresses), len(graph.pointers), len(names), len(words), len(texts)),
        *(graph.garbage_bytes, graph.c_only_bytes, graph.child_ns),
    )
    rows = [
        _ROW.pack(
            *(NO_ROW if row.parent is None else row.parent, row.kind, *map(len, of_row)),
            *(row.others, row.is_single, 0),
            *(row.own_bytes, row.retained_bytes, row.objects),
        )
        for row, of_row in zip(graph.rows, words, strict=True)
    ]
    columns = [
        *(_packed("Q", one) for one in (graph.addresses, graph.sizes, graph.pointers)),
        *(_packed("I", one) for one in (graph.kinds, graph.holders, graph.owners)),
        _filled(graph.states),
        _packed("I", array("I", map(len, names))),
    ]
    return b"".join([head, *columns, *rows, texts, END])


def sequence_of(path: Path) -> int:
    """Return the sequence number that a file of `RunDirectory.graphs` is named by."""
    return int(path.name.rpartition("-")[2])


def read(path: Path) -> Graph:
    """Read the file at ``path``. Raises CaptureError."""
    return decode(path, read_regular(path, MAX_FILE_BYTES))


def wait(run_dir: RunDirectory, seconds: float = MAX_WAIT_S) -> None:
    """Wait for the children that still write, also what was there before; each locks its file."""
    until_s = time.monotonic() + seconds
    for path in (*run_dir.graphs(), run_dir.earlier):
        with suppress(CaptureError, OSError):
            file, _ = open_regular(path)
            with file:
                while not _is_free(file) and time.monotonic() < until_s:
                    time.sleep(WAIT_STEP_S)


def _is_free(file: BinaryIO) -> bool:
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def decode(path: Path, content: bytes) -> Graph:
    """Read the content of the file ``path`` back. Raises CaptureError if it is not whole."""
    if len(content) == _WORD.size and content[16:24] == GIVEN_UP:
        raise _given_up(path, *_WORD.unpack(content)[3:])
    if len(content) < _HEAD.size and MAGIC.startswith(content[: len(MAGIC)]):
        raise _incomplete(path)
    if not content.startswith(MAGIC):
        raise _damaged(path)
    head = _HEAD.unpack_from(content)
    objects, pointers, types, rows, text_bytes = head[4:9]
    columns = _Columns(content, _HEAD.size)
    lengths = [8 * objects] * 2 + [8 * pointers]
    lengths += [_padded(4 * objects)] * 2 + [
        _padded(4 * pointers),
        _padded(objects),
        _padded(4 * types),
    ]
    whole = _HEAD.size + sum(map(_padded, lengths)) + _ROW.size * rows + text_bytes + len(END)
    if len(content) < whole:
        raise _incomplete(path)
    if len(content) > whole or not content.endswith(END):
        raise _damaged(path)
    if types > MAX_TYPES or rows > MAX_ROWS or head[1] >= MAX_PAUSE_NS:
        raise _damaged(path)
    addresses, sizes = columns.take("Q", objects), columns.take("Q", objects)
    words = columns.take("Q", pointers)
    kinds, holders = columns.take("I", objects), columns.take("I", objects)
    owners = columns.take("I", pointers)
    states = bytes(columns.take("B", objects))
    name_lengths = columns.take("I", types)
    figures = list(_ROW.iter_unpack(content[columns.at : columns.at + _ROW.size * rows]))
    texts = _Texts(content, columns.at + _ROW.size * rows, text_bytes)
    try:
        names = tuple([texts.take(length) for length in name_lengths])
        tree = tuple([_row(texts, index, row) for index, row in enumerate(figures)])
        gc_off_at = texts.take(head[3] >> 32)
    except ValueError as error:
        raise _damaged(path) from error
    # Each is checked at the speed of C: others look things up by them.
    is_sound = texts.is_read and all(row.kind < types for row in tree)
    is_sound = is_sound and max(kinds, default=-1) < types and max(owners, default=-1) < objects
    is_sound = is_sound and not states.strip(bytes(range(OWN + 1)))
    if not is_sound or any(row != NO_ROW and row >= rows for row in set(holders)):
        raise _damaged(path)
    return Graph(
        sequence=head[2],
        types=names,
        addresses=addresses,
        kinds=kinds,
        sizes=sizes,
        holders=holders,
        states=states,
        pointers=words,
        owners=owners,
        rows=tree,
        gc_enabled=bool(head[3] & _GC_ENABLED),
        garbage_bytes=head[9],
        c_only_bytes=head[10],
        pause_ns=head[1],
        child_ns=head[11],
        gc_off_at=gc_off_at,
    )


class _Columns:
    """Takes columns off the content, one behind the other."""

    __slots__ = ("_content", "at")

    def __init__(self, content: bytes, at: int) -> None:
        self._content = memoryview(content)
        self.at = at

    def take(self, kind: str, count: int) -> Column:
        size = count * array(kind).itemsize
        part = self._content[self.at : self.at + size]
        self.at += _padded(size)
        if sys.byteorder == "little":
            return part.cast(kind)  # type: ignore[call-overload,no-any-return]
        column = array(kind, part.tobytes())
        column.byteswap()
        return column


class _Texts:
    """Takes texts off the content, one behind the other. Raises ValueError beyond their end."""

    __slots__ = ("_at", "_content", "_end")

    def __init__(self, content: bytes, at: int, size: int) -> None:
        self._content = content
        self._at, self._end = at, at + size

    @property
    def is_read(self) -> bool:
        return self._at == self._end

    def take(self, length: int) -> str:
        part = self._content[self._at : self._at + length]
        self._at += length
        if self._at > self._end:
            raise ValueError("a text ends beyond the last one")
        return part.decode("utf-8", "surrogatepass")


def _row(texts: _Texts, index: int, row: tuple[int, ...]) -> Holder:
    parent, kind, path_length, label_length, also_length, others, is_single, _ = row[:8]
    own_bytes, retained_bytes, objects = row[8:]
    if parent != NO_ROW and parent >= index:
        raise ValueError("a row stands before its parent")
    return Holder(
        None if parent == NO_ROW else parent,
        kind,
        texts.take(path_length),
        texts.take(label_length),
        own_bytes,
        retained_bytes,
        objects,
        bool(is_single),
        texts.take(also_length),
        others,
    )


def _packed(kind: str, column: Column) -> bytes:
    packed = array(kind, column)
    if sys.byteorder == "big":
        packed.byteswap()
    return _filled(packed.tobytes())


def _filled(content: bytes) -> bytes:
    return content.ljust(_padded(len(content)), b"\0")


def _padded(size: int) -> int:
    """Return the multiple of 8 that holds ``size`` bytes."""
    return size + 7 & ~7


def _given_up(path: Path, reason: int, figure: int) -> CaptureError:
    if reason == NO_MEMORY:
        said = "there was no memory for it"
    elif reason == NOT_WRITTEN:
        said = f"its file could not be written ({os.strerror(figure & 0xFFFF)})"
    elif reason == TIME_OVER:
        said = "it took too long"
    else:
        said = f"the look ended by signal {figure & 0xFF}"
    return CaptureError(
        f"{path} was given up: {said}.",
        "Who held the memory at that checkpoint is not known; the rest of the run is.",
    )


def _incomplete(path: Path) -> CaptureError:
    return CaptureError(
        f"{path} is incomplete: the process that wrote it was stopped before its end.",
        "Who held the memory at that checkpoint is not known; the rest of the run is.",
    )


def _damaged(path: Path) -> CaptureError:
    return CaptureError(
        f"{path} is damaged, or was not written by this version of memdeep.",
        "Restore it from a copy, or remove it: the rest of the run can be read without it.",
    )
