"""Reads the kernel's mappings of this process at a checkpoint: seldom, so that it costs little.

The lines of `/proc/self/smaps` are picked out by their places, not understood: that is done when
the run is loaded. Linux only.
"""

import os
import sys
import time
from _thread import allocate_lock

from memdeep.rundir import mappings

SMAPS = "/proc/self/smaps"
PAGEMAP = "/proc/self/pagemap"
MOUNTS = "/proc/self/mountinfo"

WORTH_READING_BYTES = 4 << 20
SHARE = 0.01  # of the time since the start
# Of processor time, for programs that are over soon; half of it is kept for what is large.
CREDIT_NS = 60_000_000
LARGE_BYTES = 64 << 20
NS_A_GIB = 6_000_000  # that are resident
LONGEST_NS = 100_000_000  # where other threads hold the interpreter, a reading takes its time
MAX_FILE_BYTES = 64 << 20
MOST_MORE = 3  # times the first reading of a series, until another one begins
SLOTS, PROBES = 1024, 8  # of a table of the groups of a series, some five mappings each

CHUNK_BYTES = 8192  # the kernel gives half of it at a time, unless a path is very long
# As long as the lines of the kernel, so that they sort like their figures.
_LARGE = b"Rss:%20d kB" % 4096
MAX_SAMPLES = 256  # of one mapping
MAX_ALL_SAMPLES = 256
_FULL = 0.98
# By the highest eight bits that `pagemap` has of a page: the first says that it is there, and two
# others that it is the process's alone, or of a file.
_DIGITS = b"0" * 128 + b"2" + b"1" * 127
_NO_PATH = 70  # bytes of a head without one


class MappingReader:
    """Appends readings to the file ``mappings`` of a run, if enough has changed since the last one.

    The functions it needs are kept, since the program may put others in their place. Nothing here
    raises.
    """

    __slots__ = (
        "_close",
        "_first",
        "_first_bytes",
        "_getallocatedblocks",
        "_hashes",
        "_last",
        "_last_ns",
        "_lock",
        "_monotonic_ns",
        "_more_bytes",
        "_most_bytes",
        "_next",
        "_numbers",
        "_open",
        "_page_bytes",
        "_path",
        "_pread",
        "_read",
        "_spent_ns",
        "_start_ns",
        "_stat",
        "_thread_time_ns",
        "_write",
        "_written",
    )

    def __init__(self, directory: str) -> None:
        """Raises OSError if the file cannot be written."""
        self._close = os.close
        self._getallocatedblocks = sys.getallocatedblocks
        self._monotonic_ns = time.monotonic_ns
        self._open = os.open
        self._pread = os.pread
        self._read = os.read
        self._stat = os.stat
        self._thread_time_ns = time.thread_time_ns
        self._write = os.write
        self._lock = allocate_lock()
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._last: tuple[int, int, int] | None = None
        self._last_ns = self._spent_ns = 0
        self._start_ns = time.monotonic_ns()
        directory = os.path.realpath(directory)
        self._path = f"{directory}/mappings"
        head = mappings.encode_head(directory, mappings.memory_devices(self._content(MOUNTS)))
        self._written = len(head)
        self._most_bytes = MAX_FILE_BYTES
        # Of the series of readings: its first group and the next one, of all that are written; the
        # bytes of its first reading, and of the others.
        self._first = self._next = 1
        self._first_bytes = self._more_bytes = 0
        # Which groups were written: nothing of it grows, since it would count as the program's.
        self._hashes = memoryview(bytearray(8 * SLOTS)).cast("q")
        self._numbers = memoryview(bytearray(8 * SLOTS)).cast("Q")
        file = self._open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            self._write(file, head)
        finally:
            self._close(file)

    def __call__(self, sequence: int, figures: "tuple[int, int, int]") -> None:
        """Read the mappings at the checkpoint ``sequence`` if that is worth it and can be afforded.

        ``figures`` are the address space, the RSS, and the part of it that maps files.
        """
        if not self._is_worth_it(figures) or not self._lock.acquire(False):
            return
        begin_ns = self._thread_time_ns()  # what others do in the meantime is not its cost
        try:
            self._record(sequence, begin_ns)
        except Exception:  # it is an extra, and nothing may come of it for the program
            self._most_bytes = 0
        finally:
            self._last = figures
            self._last_ns = self._thread_time_ns() - begin_ns
            self._spent_ns += self._last_ns
            self._lock.release()

    def _is_worth_it(self, figures: "tuple[int, int, int]") -> bool:
        last = self._last
        estimate_ns, credit_ns = self._last_ns, CREDIT_NS
        if last is not None:
            moved = max(
                abs(figures[0] - figures[1] - last[0] + last[1]),
                abs(figures[1] - last[1]),
                abs(figures[2] - last[2]),
            )
            if moved < WORTH_READING_BYTES:
                return False
            if moved < LARGE_BYTES:
                credit_ns //= 2
            estimate_ns += max(0, figures[1] - last[1]) * NS_A_GIB >> 30
        afforded_ns = credit_ns + SHARE * (self._monotonic_ns() - self._start_ns)
        return self._spent_ns + estimate_ns <= afforded_ns and self._has_room()

    def _has_room(self) -> bool:
        """Tell if the file may grow; with `--last` its old part is given back to the disk."""
        most_bytes = self._most_bytes
        if self._written < most_bytes or not most_bytes:
            return most_bytes > 0
        try:
            return self._stat(self._path).st_blocks * 512 < most_bytes
        except OSError:
            return False

    def _record(self, sequence: int, begin_ns: int) -> None:
        """Append a reading; one that takes too long, or is of another shape, is left torn."""
        into = self._open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            if self._more_bytes > MOST_MORE * self._first_bytes:
                self._first = self._next
            groups, written = self._next - self._first, self._written
            begin = mappings.encode_begin(sequence, self._getallocatedblocks(), groups)
            self._put(into, begin)
            file = self._open(SMAPS, os.O_RDONLY | os.O_CLOEXEC)
            try:
                large = self._copy(file, into)
            finally:
                self._close(file)
            if large is None:
                self._first = self._next
            else:
                self._sample(large, into)
                self._put(into, mappings.encode_end(self._thread_time_ns() - begin_ns))
            if not groups:
                self._first_bytes, self._more_bytes = self._written - written, 0
            else:
                self._more_bytes += self._written - written
        finally:
            self._close(into)

    def _copy(self, file: int, into: int) -> "list[tuple[bytes, bytes]] | None":
        """Copy the lines that matter, a few mappings at a time: the memory it takes is traced.

        Return head and size of large anonymous mappings.
        """
        large: list[tuple[bytes, bytes]] = []
        stride = rss = anonymous = 0
        first = same = 0  # of groups that were written before
        until_ns = self._monotonic_ns() + LONGEST_NS
        # A read returns whole mappings. All have the same lines.
        while chunk := self._read(file, CHUNK_BYTES):
            lines = chunk.split(b"\n")
            if not stride:
                names = [line[:6] for line in lines]
                stride = names.index(b"VmFlag") + 1
                rss, anonymous = names.index(b"Rss:  "), names.index(b"Anonym")
            if len(lines) % stride != 1 or lines[-1] or self._monotonic_ns() > until_ns:
                return None
            heads, sizes = lines[:-1:stride], lines[rss::stride]
            group = b"\n".join([*heads, *sizes, *lines[anonymous::stride], b""])
            number = self._number(group)
            if same and number != first + same:
                self._put(into, mappings.encode_same(first, same))
                same = 0
            if number < 0:
                self._put(into, group)
            else:
                first, same = first if same else number, same + 1
            if max(sizes) > _LARGE:
                large += [
                    (head, size)
                    for head, size in zip(heads, sizes)  # noqa: B905 - of one length
                    if size > _LARGE and (len(head) < _NO_PATH or head.endswith(b"[heap]"))
                ]
        if same:
            self._put(into, mappings.encode_same(first, same))
        return large

    def _number(self, group: bytes) -> int:
        """Return the number of a group in its series; -1 if it is new, and gets the next one.

        They are known by their hashes, of 64 bits. One for which there is no room is never known.
        """
        hashes, numbers, first, key = self._hashes, self._numbers, self._first, hash(group)
        free = -1
        for step in range(PROBES):
            slot = (key + step) % SLOTS
            number = numbers[slot]
            if number < first:  # of a series before, or of none
                free = slot if free < 0 else free
            elif hashes[slot] == key:
                return number - first
        if free >= 0:
            hashes[free], numbers[free] = key, self._next
        self._next += 1
        return -1

    def _sample(self, large: "list[tuple[bytes, bytes]]", into: int) -> None:
        """Look at some pages of the mappings that are resident in part only."""
        page_bytes, pread = self._page_bytes, self._pread
        spread = []
        for head, size in large:
            start, end = (int(word, 16) for word in head.split(b" ", 1)[0].split(b"-"))
            if int(size[4:-2]) * 1024 < _FULL * (end - start):
                spread.append((start, end))
        if not spread:
            return
        most = min(MAX_SAMPLES, max(16, MAX_ALL_SAMPLES // len(spread)))
        try:
            file = self._open(PAGEMAP, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # not allowed to everybody everywhere
            return
        try:
            for start, end in spread[: MAX_ALL_SAMPLES // most]:
                count = min(most, (end - start) // page_bytes)
                step = (end - start) / count / page_bytes
                first = start / page_bytes + step / 2
                found = [pread(file, 8, int(first + n * step) * 8)[7] for n in range(count)]
                digits = bytes(found).translate(_DIGITS)
                self._put(into, mappings.encode_samples(start, (end - start) // count, digits))
        finally:
            self._close(file)

    def _put(self, into: int, content: bytes) -> None:
        self._written += self._write(into, content)

    def _content(self, path: str) -> bytes:
        file = self._open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts = []
            while part := self._read(file, 1 << 16):
                parts.append(part)
            return b"".join(parts)
        finally:
            self._close(file)
