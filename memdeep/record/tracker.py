"""Tracing of allocations with memray, which no other module of `record` knows."""

import os
import sys
import threading
from contextlib import suppress
from types import ModuleType

from memdeep.record.descriptors import opening_high
from memdeep.record.fork_warning import own_threads, own_threads_of_fork
from memdeep.record.how import NONE

_register_at_fork = getattr(os, "register_at_fork", None)  # not on Windows
_in_forked_child: "Callable[[], object] | None" = None  # memray's, which goes on tracing there

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from memdeep.record.how import HowToRecord


_is_following = False  # a tracer is running that memray would go on with in a forked child
MOST_OF_FORK = 256  # the number of a descriptor: the child shall begin soon


def _keep_memrays(**functions: "Callable[[], object]") -> None:
    """Register ``functions`` but for memray's, which `_go_on` calls."""
    global _in_forked_child
    after = functions.get("after_in_child")
    if type(after).__name__ == "cython_function_or_method" and len(functions) == 1:
        _in_forked_child = after
        functions = {"after_in_child": _go_on}
    if _register_at_fork is not None:
        _register_at_fork(**functions)


def _go_on() -> None:
    """Let memray begin its capture of a forked child, with descriptors out of the program's way.

    It ends the process where it cannot open a file, so the limit on them is raised as well.
    """
    todo = [_in_forked_child]
    if _is_following:
        with suppress(OSError, ValueError), opening_high((), MOST_OF_FORK):
            _call(todo.pop())
    for function in todo:
        _call(function)


def _follow(follows: bool) -> None:
    global _is_following
    _is_following = follows


def _call(function: "Callable[[], object] | None") -> None:
    if function is not None:
        function()


class _Later:
    """What memray imports from `rich`, found when it is used.

    memray shows the progress of its readers by that, which takes as long to import as memray itself
    and has no part in a recording. A program that uses it imports it itself, as it does without us.
    """

    def __init__(self, module: str, name: str) -> None:
        self._place = module, name

    def _found(self) -> "Any":
        from importlib import import_module

        module, name = self._place
        return getattr(import_module(module), name)

    def __call__(self, *args: "Any", **kwargs: "Any") -> "Any":
        return self._found()(*args, **kwargs)

    def __getattr__(self, name: str) -> "Any":
        return getattr(self._found(), name)


class _Module(ModuleType):
    """In the place of a module of `rich` while memray is imported."""

    def __getattr__(self, name: str) -> _Later:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Later(self.__name__, name)


# Not beside other threads, which might import it just now.
_is_free = "rich" not in sys.modules and len(sys._current_frames()) == 1
_in_place = {name: _Module(name) for name in ("rich", "rich.progress") if _is_free}
try:
    os.register_at_fork = _keep_memrays  # type: ignore[assignment]
    sys.modules.update(_in_place)
    import memray
    from memray import FileDestination, Tracker, _memray
    from memray._memray import set_log_level, start_thread_trace
finally:
    for _name in _in_place:
        del sys.modules[_name]
    if _register_at_fork is not None:
        os.register_at_fork = _register_at_fork

ROOM_BYTES = 1 << 20  # memray's first ones in a capture are far fewer
SILENT = 60  # above CRITICAL, memray's highest level: stderr is the program's
WARNING = 30  # its own level

_warn_of_greenlets: "Callable[[], object]" = getattr(
    _memray, "print_greenlet_warning", lambda: None
)
_is_unsaid = False  # that memray is new to greenlets


def _keep_unsaid() -> None:
    """Be called by memray, once a process, where it would warn on the program's stderr."""
    global _is_unsaid
    _is_unsaid = True


def _say_again() -> None:
    """Let memray warn of greenlets from now on, in a tracker of the program's own."""
    global _is_unsaid
    _memray.print_greenlet_warning = _warn_of_greenlets  # type: ignore[attr-defined]
    if _is_unsaid:
        _is_unsaid = False
        _warn_of_greenlets()


def is_tracking() -> bool:
    """Tell if a tracker of memray is on in this process, by its function for new threads."""
    return threading._profile_hook is start_thread_trace


def prepare() -> None:
    """Do what memray's tracker does first: later its imports might not be possible any more."""
    with suppress(ImportError):  # of memray before 1.20, which does not do this
        from memray.reporters.module_tools import get_python_path_info

        get_python_path_info()


class MemrayTracer:
    """Tracer that starts and stops memray's tracker, with a new capture each time."""

    __slots__ = ("_directory", "_how", "_is_blind", "_path", "_running", "_started")

    def __init__(self, how: "HowToRecord", directory: str) -> None:
        _memray.print_greenlet_warning = _keep_unsaid  # type: ignore[attr-defined]
        self._how = how
        self._directory = directory
        self._path = ""  # of the capture that memray began; it names those of forks by it
        self._running: Tracker | None = None
        self._started = 0
        self._is_blind = False
        prepare()

    def start(self) -> None:
        """Trace every allocation from now on. Raises OSError or RuntimeError.

        The capture stays uncompressed, so that markers can be found and replaced in place.
        """
        self._started += 1
        set_log_level(SILENT)
        name = "capture.bin" if self._started == 1 else f"capture-{self._started}.bin"
        path = self._path = f"{self._directory}/{name}"
        destination = FileDestination(path, overwrite=True, compress_on_exit=False)
        arguments = getattr(sys, "argv", None)  # not there yet while `site` is imported
        words = sys.orig_argv[1:] if arguments is None else arguments
        # memray keeps the command line in its capture, and fails on words that are not UTF-8.
        shown = words[:1] if self._how.redact_args else words
        sys.argv = [word.encode("utf-8", "replace").decode() for word in shown]
        try:
            with opening_high((os.path.realpath(path), f"/proc/{os.getpid()}/status")):
                tracker = Tracker(
                    destination=destination,
                    native_traces=self._how.native,
                    trace_python_allocators=self._how.trace_python_allocators,
                    memory_interval_ms=self._how.trace_interval_ms,
                    follow_fork=self._how.children != NONE,
                )
                tracker.__enter__()
        finally:
            if arguments is None:
                del sys.argv
            else:
                sys.argv = arguments
        self._running = tracker
        _follow(self.goes_on)
        own_threads(1)  # memray's, which reads the RSS

    @property
    def goes_on(self) -> bool:
        """Tell if memray traces what is forked now."""
        return self._running is not None and self._how.children != NONE

    def obstacle_to_fork(self) -> "str | None":
        """Say why a forked child could not go on: memray would end it where it can write nothing.

        None if there is no reason.
        """
        if not self.goes_on:
            return None
        directory = os.path.dirname(self._path)
        try:
            room = os.statvfs(directory)
            if not os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
                return "its processes may not write to the run directory any more"
            if room.f_bavail * room.f_frsize < ROOM_BYTES:
                return "the disk is full"
        except OSError as error:
            return f"the run directory cannot be reached: {error.strerror}"
        return None

    def go_on(self, directory: str) -> None:
        """Keep what this forked child allocates, which memray traces, in ``directory``.

        Raises OSError.
        """
        os.rename(f"{self._path}.{os.getpid()}", f"{directory}/capture.bin")
        self._directory = directory
        self._started = 1
        own_threads_of_fork(1)

    def let_go(self) -> None:
        """End memray's trace of this forked child, and leave nothing of it."""
        own_threads_of_fork(0)
        if self._running is not None:
            self.stop()
            own_threads_of_fork(0)
            self.forget()

    def forget(self) -> None:
        """Remove the capture of this forked child, which becomes another program."""
        with suppress(OSError):
            os.unlink(f"{self._path}.{os.getpid()}")

    def give_way(self, on_other: "Callable[[str], None]") -> None:
        """Call ``on_other`` when the program starts a tracker of its own: there can be but one."""

        class OtherTracker(Tracker):
            def __enter__(self) -> "OtherTracker":
                on_other("tracing has stopped: the program has started a tracker of memray itself")
                super().__enter__()
                _say_again()
                return self

        OtherTracker.__name__ = OtherTracker.__qualname__ = Tracker.__name__
        OtherTracker.__module__ = Tracker.__module__
        memray.Tracker = OtherTracker  # type: ignore[misc]

    def leave(self) -> None:
        """Leave memray in this process as it would be without us."""
        if memray.Tracker is not Tracker:
            memray.Tracker = Tracker  # type: ignore[misc]
            _say_again()
        set_log_level(WARNING)

    def mark(self, _sequence: int) -> "str | None":
        """Return a sentence once if a profile function of the program's is in place now.

        One that was there between two checkpoints, or that is no function of Python's, is not seen
        here: the replay finds the allocations without frames that it leaves behind.
        """
        if self._running is not None and not self._is_blind:
            of_threads = threading._profile_hook
            if sys.getprofile() is not None or of_threads is not start_thread_trace:
                self._is_blind = True
                return (
                    "the program has set a profile function in the place of memray's: what its "
                    "threads allocate from then on may be recorded without the Python code"
                )
        return None

    def stop(self) -> None:
        """End the trace; its capture is complete afterwards.

        memray removes its profile functions, and with them those that the program has set in their
        place since; the program's are put back.
        """
        if self._running is None:
            return
        of_thread = sys.getprofile()
        of_threads = threading._profile_hook
        self._running.__exit__(None, None, None)
        self._running = None
        _follow(False)
        own_threads(-1)
        if of_thread is not None:
            sys.setprofile(of_thread)
        if of_threads is not start_thread_trace:
            threading._profile_hook = of_threads
