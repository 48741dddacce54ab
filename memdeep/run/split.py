"""Reads, from outside, the pages that forked processes have split off from those of their parents.

After a fork both have the same pages. The kernel copies one for whoever writes to it first; so
does every reader of a Python object, which counts its references. Such a page is there twice. It
says nothing of who wrote. Linux alone tells, see pagemap in proc(5).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from memdeep.errors import OutputError
from memdeep.run.shares import NEVER_S, Pace
from memdeep.rundir import births
from memdeep.rundir.births import Birth
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import write_atomically
from memdeep.rundir.pages import SplitPages, bounded, encode_pages
from memdeep.rundir.tail import Tail

# A copied page is a fault that needs no disk: these are counted, and told at no cost.
LEAST_FAULTS = 1 << 10  # since the last reading
LEAST_SHARE = 1 / 4  # of all
LEAST_FAULTS_AT_REST = 1 << 6  # where there are hardly any since the last look
LEAST_SHARE_AT_REST = 1 / 32
FAULTS_AT_REST = 1 << 4
MAX_MAPPING_BYTES = 1 << 36  # a larger one is a reservation: to read it would take long

# The highest byte of an entry of pagemap has bits 56 (mapped by one process), 61 (of a file, or
# shared), 62 (swapped) and 63 (present).
_ENTRY_BYTES = 8
_ONCE, _SHARED, _SWAPPED, _PRESENT = 1, 1 << 5, 1 << 6, 1 << 7
_IS_OWN = bytes(
    byte & _PRESENT != 0 and byte & _ONCE != 0 and byte & _SHARED == 0 for byte in range(256)
)
_IS_THERE = bytes(byte & (_PRESENT | _SWAPPED) != 0 and byte & _SHARED == 0 for byte in range(256))
_RUNS = re.compile(b"\x01+")


@dataclass(slots=True)
class _Fork:
    """A forked process that is recorded in ``directory``, with the faults counted so far."""

    parent_pid: int
    directory: str
    faults_at_reading: int = 0
    faults_at_look: int = 0
    most_bytes: int = 0  # of pages that were written

    @property
    def faults_since_reading(self) -> int:
        return self.faults_at_look - self.faults_at_reading

    def is_due_at(self, faults: int) -> bool:
        """Look at the faults so far; tell if enough may have been split off since a reading."""
        before, self.faults_at_look = self.faults_at_look, faults
        least, least_share = LEAST_FAULTS, LEAST_SHARE
        if before and faults - before < FAULTS_AT_REST:
            least, least_share = LEAST_FAULTS_AT_REST, LEAST_SHARE_AT_REST
        return self.faults_since_reading >= max(least, least_share * faults)


class SplitReader:
    """Keeps the largest reading of each forked process in its directory.

    ``run_dir`` has the births that tell which those are. Readings take no larger share of the time
    than those of the PSS.
    """

    def __init__(self, run_dir: RunDirectory) -> None:
        self._run_dir = run_dir
        self._births = Tail(run_dir.births)
        self._forks: dict[int, _Fork] = {}
        self._pace = Pace()
        self._read_s = NEVER_S

    def close(self) -> None:
        """Read no births any more."""
        self._births.close()

    def look(self, pids: Iterable[int]) -> None:
        """Read the pages of the one of ``pids`` that may have split off most, if that is enough."""
        self._take_births()
        if not self._forks or not self._pace.allows(time.monotonic(), is_forced=False):
            return
        began_s = time.thread_time()
        due = [one for one in pids if one in self._forks and self._is_due(one)]
        if due:
            most = max(due, key=lambda pid: self._forks[pid].faults_since_reading)
            self._read(most, self._forks[most])
            self._read_s = time.monotonic()
        self._pace.note(self._read_s, time.thread_time() - began_s)

    def _is_due(self, pid: int) -> bool:
        faults = _faults(pid)
        return faults is not None and self._forks[pid].is_due_at(faults)

    def _take_births(self) -> None:
        lines, _ = births.decode(self._births.next_lines())
        for line in lines:
            if isinstance(line, Birth):
                self._forks.pop(line.pid, None)  # it has become another program, or ended long ago
                if line.how == births.FORK and line.directory is not None:
                    self._forks[line.pid] = _Fork(line.parent_pid, line.directory)

    def _read(self, pid: int, fork: _Fork) -> None:
        fork.faults_at_reading = fork.faults_at_look
        with suppress(OSError, ValueError, OutputError):  # it has ended, or may not be read
            pages = split_pages(pid, fork.parent_pid)
            if pages.bytes > fork.most_bytes:
                fork.most_bytes = pages.bytes
                write_atomically(self._run_dir.child(fork.directory).pages, encode_pages(pages))


def _faults(pid: int) -> int | None:
    """Return the minor faults of a process, None if it has ended: field 10 of stat in proc(5)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[7])
    except (OSError, ValueError, IndexError):
        return None


def split_pages(pid: int, parent_pid: int) -> SplitPages:
    """Read the pages that the process ``pid`` has of its own where its parent has others.

    Raises OSError or ValueError if one of them has ended, or may not be read.
    """
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    now_ns = time.monotonic_ns()
    ranges: list[tuple[int, int]] = []
    with open(f"/proc/{pid}/maps", "rb") as file:
        mappings = list(_anonymous(file))
    with _Pagemap(pid, page_bytes) as own, _Pagemap(parent_pid, page_bytes) as others:
        for start, end in mappings:
            ranges += _split(own.where(_IS_OWN, start, end), others, start, page_bytes)
    return bounded(now_ns, page_bytes, _joined(ranges))


def _anonymous(lines: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    """Yield the private mappings that belong to no file; a thread's stack is one, too."""
    for line in lines:
        place, access, _, _, inode, *name = line.split(None, 5)
        is_named = name and not name[0].startswith((b"[heap]", b"[anon"))
        if access[1:2] == b"w" and access[3:4] == b"p" and inode == b"0" and not is_named:
            start, end = (int(address, 16) for address in place.split(b"-"))
            if end - start <= MAX_MAPPING_BYTES:
                yield start, end


def _split(own: bytes, others: _Pagemap, start: int, page_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of pages that are in ``own``, those from ``start`` on, and in ``others``."""
    first, last = own.find(1), own.rfind(1) + 1
    if first < 0:
        return
    start += first * page_bytes
    there = others.where(_IS_THERE, start, start + (last - first) * page_bytes)
    both = int.from_bytes(own[first:last], "big") & int.from_bytes(there, "big")
    for run in _RUNS.finditer(both.to_bytes(last - first, "big")):
        yield start + run.start() * page_bytes, start + run.end() * page_bytes


def _joined(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join ranges that touch: the kernel may divide what belongs together."""
    start = end = 0
    for one in ranges:
        if one[0] != end:
            if end:
                yield start, end
            start = one[0]
        end = one[1]
    if end:
        yield start, end


class _Pagemap:
    """The pages of a process, while it is used as a context manager."""

    __slots__ = ("_file", "_page_bytes")

    def __init__(self, pid: int, page_bytes: int) -> None:
        self._page_bytes = page_bytes
        self._file = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> _Pagemap:
        return self

    def __exit__(self, *_exception: object) -> None:
        os.close(self._file)

    def where(self, table: bytes, start: int, end: int) -> bytes:
        """Return ``table`` at the highest byte of the entry of each page from start to end.

        Raises OSError or ValueError if the process has ended.
        """
        size = (end - start) // self._page_bytes * _ENTRY_BYTES
        content = os.pread(self._file, size, start // self._page_bytes * _ENTRY_BYTES)
        if len(content) != size:
            raise ValueError("the process has ended")
        top = content[_ENTRY_BYTES - 1 :: _ENTRY_BYTES]  # the kernel's order is little-endian
        return top.translate(table)
