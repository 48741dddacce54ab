"""What the monitors of a program's children have seen, where a parent's report finds it.

A process with a monitor holds a file in memory with room for those of its descendants; a child
finds the files of its ancestors by `/proc`, however it was started, and keeps its own line there up
to date. So nothing is left on the disk, and nothing is lost when a child is killed. Linux alone has
this; elsewhere a report is about its own process.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "memdeep-monitors"
MAX_ANCESTORS = 16
MAX_FDS = 4096  # of an ancestor; beyond that a child would look for long
LINE_BYTES = 256
MAX_LINES = 4096
MAX_TEXT_BYTES = 60
UNKNOWN = "-"


class Member:
    """What the monitor of one process has seen so far; sizes are None where unknown."""

    __slots__ = (
        "checkpoints",
        "last_bytes",
        "name",
        "peak_bytes",
        "peak_label",
        "pid",
        "start_bytes",
    )

    def __init__(
        self,
        pid: int,
        name: str,
        sizes: tuple[int | None, int | None, int | None],
        checkpoints: int,
        peak_label: str | None,
    ) -> None:
        self.pid = pid
        self.name = name
        self.start_bytes, self.last_bytes, self.peak_bytes = sizes
        self.checkpoints = checkpoints
        self.peak_label = peak_label


class Family:
    """The files in memory of this process and of its ancestors.

    There is one for all monitors of a process, as one may follow another.
    """

    __slots__ = ("_identity", "_lines", "_own", "pid")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._own, self._identity = -1, (0, 0)
        self._lines: list[tuple[int, tuple[int, int], int]] = []
        try:
            for path in _registries(self.pid):
                self._join(path)
            self._own = os.memfd_create(NAME)
            self._identity = _identity(self._own)
        except (OSError, AttributeError):  # the system has none, or no descriptor is left
            pass

    def members(self) -> list[Member]:
        """Return what the monitors of the descendants have seen, in the order they were made."""
        found = []
        if _is_still(self._own, self._identity):
            content = os.pread(self._own, LINE_BYTES * MAX_LINES, 0)
            for place in range(0, len(content), LINE_BYTES):
                member = _decode(content[place : place + LINE_BYTES])
                if member is not None:
                    found.append(member)
        return found

    def tell(self, member: Member) -> None:
        """Put ``member`` in the place of what was told of this process before."""
        if not self._lines:
            return
        line = _encode(member)
        for fd, identity, place in self._lines:
            if _is_still(fd, identity):
                os.pwrite(fd, line, place)

    def close(self) -> None:
        """Close the files; what was told stays where another process holds them."""
        for fd, identity in [(self._own, self._identity), *(line[:2] for line in self._lines)]:
            if _is_still(fd, identity):
                os.close(fd)
        self._own, self._lines = -1, []

    def _join(self, path: str) -> None:
        try:
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except OSError:
            return
        identity = _identity(fd)
        is_known = any(identity == known for _, known, _ in self._lines)  # a child inherits it
        if is_known or os.fstat(fd).st_size >= LINE_BYTES * MAX_LINES:
            os.close(fd)
            return
        os.write(fd, b"\n".rjust(LINE_BYTES))  # in one piece: nobody else gets this place
        place = os.lseek(fd, 0, os.SEEK_CUR) - LINE_BYTES
        _stop_appending(fd)
        self._lines.append((fd, identity, place))


_family: Family | None = None


def of_this_process() -> Family:
    """Return the family of this process; that of a parent it was forked from is closed."""
    global _family
    if _family is None or _family.pid != os.getpid():
        if _family is not None:
            _family.close()
        _family = Family()
    return _family


def _registries(pid: int) -> Iterator[str]:
    """Yield the paths of the files in memory of the ancestors of ``pid``, the nearest first."""
    for _ in range(MAX_ANCESTORS):
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
            if pid <= 1:
                return
            names = os.listdir(f"/proc/{pid}/fd")[:MAX_FDS]
        except (OSError, ValueError, IndexError):
            if pid <= 1:
                return
            continue
        for name in names:
            path = f"/proc/{pid}/fd/{name}"
            try:
                if os.readlink(path).startswith(f"/memfd:{NAME} "):
                    yield path
            except OSError:
                continue


def _encode(member: Member) -> bytes:
    sizes = (member.start_bytes, member.last_bytes, member.peak_bytes)
    fields = [
        str(member.pid),
        *(UNKNOWN if size is None else str(size) for size in sizes),
        str(member.checkpoints),
        _cut(member.name),
        UNKNOWN if member.peak_label is None else "=" + _cut(member.peak_label),
    ]
    return "\t".join(fields).encode("utf-8", "replace").ljust(LINE_BYTES - 1) + b"\n"


def _cut(text: str) -> str:
    """Return the beginning of ``text``, in one line and without tabs."""
    content = text.replace("\t", " ").replace("\n", " ").encode("utf-8", "replace")
    return content[:MAX_TEXT_BYTES].decode("utf-8", "ignore")


def _decode(line: bytes) -> Member | None:
    fields = line.decode("utf-8", "replace").rstrip().split("\t")
    try:
        pid, start, last, peak, count, name, label = fields
        sizes = [None if text == UNKNOWN else int(text) for text in (start, last, peak)]
        peak_label = None if label == UNKNOWN else label[1:]
        return Member(int(pid), name, (sizes[0], sizes[1], sizes[2]), int(count), peak_label)
    except ValueError:
        return None


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def _is_still(fd: int, identity: tuple[int, int]) -> bool:
    """Tell if the number is still our file's: a program may close all of them, and open others."""
    try:
        return fd >= 0 and _identity(fd) == identity
    except OSError:
        return False


def _stop_appending(fd: int) -> None:
    import fcntl

    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, flags & ~os.O_APPEND)
