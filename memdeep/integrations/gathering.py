"""Brings the recordings of processes on other hosts into one run directory, piece by piece.

On each host lies a directory like that of a run, with the births and the children of that host.
`read_pieces` is called there, again and again, and `Gathered` puts the pieces together: what has
come once is kept, whatever becomes of the host. Knows no framework that carries them.
"""

from __future__ import annotations

import json
import os
import socket
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from memdeep.errors import CaptureError
from memdeep.frozen import frozen, replace
from memdeep.rundir import births
from memdeep.rundir.directory import CHILDREN, RunDirectory
from memdeep.rundir.files import write_atomically
from memdeep.rundir.workers import decode_worker, encode_worker

MOST_BYTES = 1 << 23  # new ones in an answer, before they are compressed
HEAD = 4096  # bytes of a capture that are written once more when it is closed
OVERLAP = 1 << 14  # bytes before the end of a growing capture that may not have been complete
LEVEL = 1  # of the compression: the program is running
BOOT_ID = "/proc/sys/kernel/random/boot_id"
NUMBERS = {"pid", "pp", "by"}  # the keys of numbers of processes
PID_NAMESPACE = "/proc/self/ns/pid"
BIRTHS = "births.jsonl"


@frozen
class Piece:
    """The compressed bytes of a file from ``offset`` on; ``path`` is relative, with slashes."""

    path: str
    offset: int
    size: int
    content: bytes


@frozen
class Answer:
    """The pieces of one host that were not known yet; ``has_more`` if they were too many for one.

    ``monotonic_ns`` is that host's clock.
    """

    pieces: tuple[Piece, ...]
    has_more: bool
    monotonic_ns: int


def place_of(path: str) -> str:
    """Return what names a file of this host among those of all; equal for one that is shared.

    Raises OSError if it is not there.
    """
    found = os.stat(path)
    try:
        with open(BOOT_ID, encoding="ascii") as file:
            system = file.read().strip()
    except OSError:
        system = socket.gethostname()
    numbering = 0
    with suppress(OSError):  # a container has its own
        numbering = os.stat(PID_NAMESPACE).st_ino
    return f"{system}:{numbering}:{found.st_dev}:{found.st_ino}"


def system_of(place: str) -> str:
    """Return the part of a place that names the machine, as long as it runs."""
    return place.partition(":")[0]


def numbering_of(place: str) -> str:
    """Return the part of a place within which processes have numbers of their own."""
    return ":".join(place.split(":")[:2])


def read_pieces(base: Path, known: Mapping[str, int], *, is_last: bool = False) -> Answer:
    """Read what was written below ``base`` since ``known``: the size of each file by its path.

    A capture grows ahead of what is written in it. ``is_last`` is for recordings that have ended.
    """
    pieces: list[Piece] = []
    left = MOST_BYTES
    for file in _files(base):
        path = file.relative_to(base).as_posix()
        had = known.get(path, 0)
        is_capture = file.suffix == ".bin"
        start = max(0, had - OVERLAP) if is_capture else had
        try:
            with open(file, "rb") as opened:
                head = opened.read(HEAD) if is_capture and is_last and start else b""
                opened.seek(start)
                content = opened.read(had - start + left)
        except OSError:
            continue
        if is_capture and not is_last:
            content = content.rstrip(b"\0")
        new = start + len(content) - had
        if new > 0 or (is_capture and is_last):
            pieces.append(_piece(path, start, content))
        if head:
            pieces.append(_piece(path, 0, head))
        left -= max(0, new)
        if left <= 0:
            return Answer(tuple(pieces), True, time.monotonic_ns())
    return Answer(tuple(pieces), False, time.monotonic_ns())


def _piece(path: str, offset: int, content: bytes) -> Piece:
    return Piece(path, offset, len(content), zlib.compress(content, LEVEL))


def _files(base: Path) -> Iterator[Path]:
    """Yield the files of a host: the births last, so that there is a directory for each."""
    for child in RunDirectory(base).children():
        yield from sorted(path for path in child.path.iterdir() if path.is_file())
    yield base / BIRTHS


class Gathered:
    """What was gathered so far into a run, by host.

    ``bytes`` is the size of the pieces, ``sent_bytes`` what of it crossed the network. Processes of
    other hosts get numbers that no other process of the run has: their own, and `births.HOSTS` as
    often as it takes.
    """

    def __init__(self, run_dir: RunDirectory) -> None:
        self._run_dir = run_dir
        self._numberings = [numbering_of(place_of(str(run_dir.path)))]
        self._known: dict[str, dict[str, int]] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._shifts_ns: dict[str, int] = {}
        self.bytes = 0
        self.sent_bytes = 0

    def known(self, host: str) -> dict[str, int]:
        """Return the sizes of the files of ``host`` that have come."""
        return self._known.setdefault(host, {})

    def set_clock(self, host: str, shift_ns: int) -> None:
        """Take what is to be added to the clock of ``host``, as it was measured first."""
        self._shifts_ns.setdefault(host, shift_ns)

    def take(self, host: str, answer: Answer) -> None:
        """Add pieces to the run. Raises OSError, or ValueError for what is none."""
        for piece in answer.pieces:
            if not 0 <= piece.size <= MOST_BYTES + OVERLAP:
                raise ValueError("a piece that is too large")
            unpacker = zlib.decompressobj()
            try:
                content = unpacker.decompress(piece.content, piece.size + 1)
            except zlib.error as error:
                raise ValueError("a damaged piece") from error
            if len(content) != piece.size:
                raise ValueError("a piece of another size")
            self.bytes += piece.size
            self.sent_bytes += len(piece.content)
            known = self.known(host)
            if piece.path == BIRTHS:
                content = content[: content.rfind(b"\n") + 1]
                self._add_births(host, content)
            else:
                self._write(host, piece, content)
            known[piece.path] = max(known.get(piece.path, 0), piece.offset + len(content))

    def finish(self) -> None:
        """Set all journals by the clock and the numbers of the run. Raises OutputError."""
        for (host, _), name in self._names.items():
            path = self._run_dir.child(name).journal
            with suppress(OSError, CaptureError):
                first, end, rest = path.read_bytes().partition(b"\n")
                set_right = self._set_right(host, first, "mono")
                if end and set_right != first:
                    write_atomically(path, set_right + end + rest)

    def _add_births(self, host: str, content: bytes) -> None:
        with open(self._run_dir.births, "ab") as file:
            for line in content.splitlines():
                fields = json.loads(line)
                if isinstance(fields.get("dir"), str):
                    fields["dir"] = self._name(host, fields["dir"])
                line = json.dumps(fields).encode("ascii")
                file.write(self._set_right(host, line, "t") + b"\n")

    def _set_right(self, host: str, line: bytes, clock: str) -> bytes:
        """Return a line of JSON by the clock and the numbers of the run; as it is if it has none.

        ``clock`` is the key of its time.
        """
        shift_ns, above = self._shifts_ns.get(host, 0), self._above(host)
        if not shift_ns and not above:
            return line
        try:
            fields = json.loads(line)
            fields[clock] += shift_ns
            for key in NUMBERS & fields.keys():
                fields[key] += above
            if "up" in fields:
                fields["up"] = [[pid + above, ticks] for pid, ticks in fields["up"]]
            return json.dumps(fields).encode("ascii")
        except (ValueError, TypeError, KeyError):
            return line

    def _above(self, host: str) -> int:
        """Return what the numbers of processes of a host have to be raised by."""
        numbering = numbering_of(host)
        if numbering not in self._numberings:
            self._numberings.append(numbering)
        return births.HOSTS * self._numberings.index(numbering)

    def _write(self, host: str, piece: Piece, content: bytes) -> None:
        top, child, name = piece.path.split("/")  # a ValueError if there are more
        if top != CHILDREN or name.startswith(".") or "\0" in name:
            raise ValueError(f"no file of a recording: {piece.path}")
        directory = self._run_dir.child(self._name(host, child))
        if name == directory.worker.name and not piece.offset:
            content = self._renumbered(host, content)
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        file = os.open(directory.path / name, flags, 0o600)
        try:
            os.pwrite(file, content, piece.offset)
        finally:
            os.close(file)

    def _renumbered(self, host: str, content: bytes) -> bytes:
        """Return the part that a process of a host plays, with the number that it has here."""
        worker = decode_worker(content)
        if worker is None or not self._above(host):
            return content
        return encode_worker(replace(worker, pid=worker.pid + self._above(host)))

    def _name(self, host: str, child: str) -> str:
        """Return the name in the run of a directory of ``host``; numbers of processes may meet."""
        if child.startswith(".") or "/" in child or "\0" in child:
            raise ValueError(f"no name: {child}")
        found = self._names.get((host, child))
        if found is None:
            taken = set(self._names.values())
            number = 1
            found = child
            while found in taken:
                number += 1
                found = f"{child}-{number}"
            self._names[host, child] = found
            self._run_dir.child(found).path.mkdir(0o700, parents=True, exist_ok=True)
        return found
