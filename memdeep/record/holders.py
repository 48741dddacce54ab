"""Records at some checkpoints who holds the objects: a forked child looks, and writes it down.

Decides when; `memdeep.record._holders`, which is compiled, does it. The child sees the memory as it
was at the fork, belongs to nobody's family (the program cannot wait for it, nor is it told of its
end), and is the first to go where memory is short. While it lives it holds a lock on its file.
"""

import fcntl
import gc
import os
import resource
import sys
import time
from _thread import allocate_lock
from fnmatch import fnmatchcase

from memdeep.record.marks.frame import is_own
from memdeep.record.stand_in import replace
from memdeep.rundir import labels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, ModuleType
    from typing import Any

    from memdeep.record.how import HowToRecord
    from memdeep.record.stand_in import Call

GROWTH_SHARE = 0.25  # since the last time
GROWTH_BYTES = 16 << 20
PHASE_SHARE = 0.1  # of a phase, of what it began with
# Of the child's own memory: 95 to 107 were measured, and before Python 3.12 `gc` counts a reference
# to each object, which copies their pages.
BYTES_AN_OBJECT = 110 if sys.version_info >= (3, 12) else 160
LEAST_OBJECT = 64  # bytes, of one in a heap
SPARE_BYTES = 32 << 20
SECONDS = 120  # of a child at most
MOST_AT_ONCE = 4  # children: phases may end within milliseconds of one another
MOST_TROUBLES = 5  # that are told one by one

GC_OFF_AT = [b""]  # the file and line of the last call of `gc.disable`
_release: "list[Callable[[], None]]" = []  # gives `gc.disable` back; forked processes have it, too

MEMINFO = "/proc/meminfo"
STATM = "/proc/self/statm"
CGROUPS = "/proc/self/cgroup"
CGROUP_ROOT = "/sys/fs/cgroup"
# Of the second version, and of the first.
CGROUP_FILES = (
    ("", "memory.max", "memory.current"),
    ("/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
)


class HolderReader:
    """Has the file ``holders-<sequence>`` of the run written at checkpoints that are worth it.

    The functions it needs are kept, since the program may put others in their place.
    """

    __slots__ = (
        "_at",
        "_beyond",
        "_began",
        "_close",
        "_count",
        "_current_frames",
        "_directory",
        "_flock",
        "_getallocatedblocks",
        "_is_everywhere",
        "_last_bytes",
        "_limits",
        "_lock",
        "_modules",
        "_monotonic_ns",
        "_most",
        "_open",
        "_reap",
        "_running",
        "_shows_values",
        "_snapshot",
        "_troubles",
        "_unlink",
        "_unmet",
    )

    def __init__(self, how: "HowToRecord") -> None:
        """Raises ImportError where objects cannot be walked; see `obstacle`."""
        from memdeep.record._holders import reap, snapshot

        self._reap = reap
        self._snapshot = snapshot
        self._at = how.holders_at
        self._unmet = list(how.holders_at)
        self._is_everywhere = how.holders
        self._most = how.holders_most
        self._shows_values = how.values and not how.redact_args
        self._directory = os.path.realpath(how.run_dir)
        self._close = os.close
        self._current_frames = sys._current_frames
        self._flock = fcntl.flock
        self._getallocatedblocks = sys.getallocatedblocks
        self._monotonic_ns = time.monotonic_ns
        self._open = os.open
        self._unlink = os.unlink
        self._modules = sys.modules
        self._limits = _limits()
        if not _release:
            _release.append(replace(gc.__name__, "disable", _disabling))
        self._lock = allocate_lock()
        self._began: dict[object, int] = {}  # RSS at the beginnings of the spans that are open
        self._last_bytes: int | None = None
        self._running: list[tuple[str, int]] = []  # files of children, and bytes that each may take
        self._count = self._beyond = 0  # looks, and those that there would have been
        self._troubles = 0

    def start(self, rss_bytes: int) -> None:
        """The trace begins: growth counts from here on."""
        if self._last_bytes is None:
            self._last_bytes = rss_bytes

    def begin(self, span: int, rss_bytes: int) -> None:
        """Note that a span begins."""
        self._began[span] = rss_bytes

    def __call__(self, sequence: int, label: str, rss_bytes: int, span: int = 0) -> "str | None":
        """Take a snapshot if the checkpoint ``sequence`` is worth one; it may end ``span``.

        Return a sentence if it is, and could not be had.
        """
        if self._running:
            self._reap()
        stem, suffix = labels.split(label)
        began_bytes = None
        if suffix in labels.PAIRS and not span:
            self._began[stem] = rss_bytes
        else:
            began_bytes = self._began.pop(span or stem, None)
        self.start(rss_bytes)
        is_asked_for = label in labels.ASKED_FOR
        is_named = is_asked_for or label in self._at
        is_named = is_named or any(fnmatchcase(_name(label), one) for one in self._at)
        if is_named and self._unmet:
            names = label, _name(label)
            self._unmet = [
                one for one in self._unmet if not any(fnmatchcase(name, one) for name in names)
            ]
        if not is_named and not self._is_worth_it(rss_bytes, began_bytes):
            return None
        if self._count >= self._most and not is_asked_for:
            self._beyond += 1
            return None
        trouble = self._tried(sequence, label, rss_bytes)
        if trouble is None:
            return None
        self._troubles += 1
        return trouble if self._troubles <= MOST_TROUBLES or is_asked_for else None

    def close(self) -> None:
        """Give back what was put in the place of the program's functions."""
        while _release:
            _release.pop()()

    def unmet(self) -> "list[str]":
        """Return a sentence on each name that was asked for and never came."""
        return [f"--holders-at {one}: no phase or label of that name came" for one in self._unmet]

    def rest(self) -> "list[str]":
        """Return sentences on the checkpoints of which nothing was said, if there are any."""
        left, found = self._troubles - MOST_TROUBLES, []
        if left > 0:
            found.append(f"who holds the objects at {left:,} more checkpoints is not known")
        if self._beyond and self._most:
            found.append(
                f"who holds the objects at {self._beyond:,} of the checkpoints is not known: "
                f"--holders-most is {self._most:,}"
            )
        return found

    def _tried(self, sequence: int, label: str, rss_bytes: int) -> "str | None":
        if not self._lock.acquire(False):
            return _still_on(label)
        try:
            return self._take(sequence, label, rss_bytes)
        except OSError as error:  # there is no room on the disk, or for another process
            self._count += 1
            return f"who holds the objects at {label} is not known: {error.strerror or error}"
        except Exception as error:  # it is an extra, and nothing may come of it for the program
            self._most = 0
            return f"who holds the objects is recorded no more: {error}"
        finally:
            self._lock.release()

    def _is_worth_it(self, rss_bytes: int, began_bytes: "int | None") -> bool:
        if not self._is_everywhere:
            return False
        last_bytes = self._last_bytes or 0
        if rss_bytes - last_bytes >= max(GROWTH_BYTES, GROWTH_SHARE * last_bytes):
            return True
        return began_bytes is not None and rss_bytes - began_bytes >= max(
            GROWTH_BYTES, PHASE_SHARE * began_bytes
        )

    def _take(self, sequence: int, label: str, rss_bytes: int) -> "str | None":
        self._running = [one for one in self._running if self._is_being_written(one[0])]
        if label != labels.BEFORE_KILL and len(self._running) >= MOST_AT_ONCE:
            return _still_on(label)
        # With another allocator Python counts no blocks: then each may be as small as they get.
        blocks = self._getallocatedblocks() or rss_bytes // LEAST_OBJECT
        needed_bytes = blocks * BYTES_AN_OBJECT + SPARE_BYTES
        free_bytes = self._free_bytes()
        if free_bytes is not None:  # of which those before may take some yet
            free_bytes -= sum([taken for _, taken in self._running])
        if free_bytes is not None and needed_bytes > free_bytes:
            self._last_bytes = rss_bytes
            return (
                f"who holds the objects at {label} is not known: to look takes about "
                f"{needed_bytes >> 20} MiB, and {max(0, free_bytes) >> 20} MiB are free"
            )
        began_ns = self._monotonic_ns()
        path = f"{self._directory}/holders-{sequence}"
        file = self._open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            self._flock(file, fcntl.LOCK_SH)
            roots, own = self._roots()
            # This very frame is among them: in a variable of it, it would keep itself alive, and
            # so what all functions around it hold, until the collector comes by.
            self._snapshot(
                *(file, sequence, began_ns, roots, own, list(self._current_frames().values())),
                *(SECONDS, self._shows_values, GC_OFF_AT[0]),
            )
        except OSError:
            self._unlink(path)
            raise
        finally:
            self._close(file)
        self._count += 1
        self._last_bytes = rss_bytes
        self._running.append((path, needed_bytes))
        return None

    def _roots(self) -> "tuple[list[ModuleType], int]":
        """Return all modules, the program's first; and how many of the last are memdeep's."""
        first = self._modules.get("__main__")
        others, own = [], []
        for name, module in list(self._modules.items()):
            if type(name) is str and name.startswith(("memdeep.", "memray")):
                own.append(module)
            elif module is not None and module is not first:
                others.append(module)
        return [*([] if first is None else [first]), *others, *own], len(own)

    def _is_being_written(self, path: str) -> bool:
        try:
            file = self._open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            self._flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            self._close(file)
        return False

    def _free_bytes(self) -> "int | None":
        """Return what the system, and the control groups, have left; None if it is not known."""
        found = []
        for limit, usage in self._limits:
            try:
                found.append(_figure(limit) - _figure(usage))
            except (OSError, ValueError):  # "max", or it is gone
                continue
        own_bytes = _address_space_left()
        if own_bytes is not None:
            found.append(own_bytes)
        try:
            with open(MEMINFO, "rb") as file:
                line = next(line for line in file if line.startswith(b"MemAvailable:"))
            found.append(int(line.split()[1]) * 1024)
        except (OSError, ValueError, StopIteration):
            pass
        return min(found, default=None)


def _disabling(real: "Call") -> "Call":
    """Note where the program turns the collector off: then garbage stays."""

    def call(*args: "Any", **kwargs: "Any") -> "Any":
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and is_own(frame.f_code.co_filename):
            frame = frame.f_back
        if frame is not None:
            place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            GC_OFF_AT[0] = place.encode("utf-8", "replace")
        return real(*args, **kwargs)

    return call


def _still_on(label: str) -> str:
    return f"who holds the objects at {label} is not known: the looks before it were still on"


def _name(label: str) -> str:
    """Return the name of the span that ``label`` ends, or the label itself."""
    stem, suffix = labels.split(label)
    return stem if suffix in labels.OPENED_BY else label


def obstacle() -> "str | None":
    """Return why the objects of this Python cannot be walked; None where they can."""
    try:
        from memdeep.record import _holders  # noqa: F401
    except ImportError:
        return _reason()
    return None


def _reason() -> str:
    if not sys.platform.startswith("linux"):
        return "only on Linux can a process be looked at by its child"
    if not getattr(sys, "_is_gil_enabled", lambda: True)() or "free-threading" in sys.version:
        return "not on a Python without the GIL"
    return "this build of memdeep has no compiled module for it"


def _limits() -> "list[tuple[str, str]]":
    """Return the files of limit and usage of this process's control groups and those above."""
    try:
        with open(CGROUPS, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except (OSError, ValueError):
        return []
    found = []
    for line in lines:
        if len(line) != 3 or (line[1] and "memory" not in line[1].split(",")):
            continue
        root, limit, usage = CGROUP_FILES[1 if line[1] else 0]
        path = line[2].rstrip("/")
        while True:
            place = f"{CGROUP_ROOT}{root}{path}"
            if os.path.exists(f"{place}/{limit}"):
                found.append((f"{place}/{limit}", f"{place}/{usage}"))
            if not path:
                break
            path = path.rpartition("/")[0]
    return found


def _address_space_left() -> "int | None":
    """Return what this process, and so its child, may still map; None if there is no limit."""
    most_bytes, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most_bytes == resource.RLIM_INFINITY:
        return None
    try:
        with open(STATM, "rb") as file:
            return most_bytes - int(file.read(32).split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return None


def _figure(path: str) -> int:
    with open(path, "rb") as file:
        return int(file.read(32))
