"""What begins and ends a recording in a process that `memdeep attach` has come to.

Somebody is at the other end of a socket, and says in lines of JSON what to do: `TELL` what this
process is, `RECORD` it, and `DETACH`. If the other end is gone, however that was, the recording
ends as well: the process goes on as it was.
"""

import os
import sys
from _thread import RLock, allocate_lock
from contextlib import suppress

from memdeep.rundir.earlier import NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable
    from typing import Any


TELL, RECORD, DETACH = "tell", "record", "detach"
MAX_LINE = 1 << 16
SECONDS = 60  # of the child that lists what is there
ONE_DESCRIPTOR = 64  # bytes beside a line, enough for one

_lock = RLock()


class Attached:
    """A recording of this process for whoever has attached to it."""

    __slots__ = ("_pid", "_session")

    def __init__(self, words: "list[str]", orders: int) -> None:
        """Begin to record as ``words`` say. Raises OSError, or what a tracer's import raises."""
        import atexit

        from memdeep.record.descriptors import let_go
        from memdeep.record.how import HowToRecord
        from memdeep.record.session import Session

        with suppress(ImportError):  # what is allocated while `list_earlier` imports is not earlier
            import fcntl  # noqa: F401

            from memdeep.record import _holders  # noqa: F401
        how = HowToRecord.from_words(words)[0].but(orders=orders)
        self._pid = os.getpid()
        line = os.fstat(orders)
        try:
            self._session: Session | None = Session(how)
        except Exception:
            let_go()
            with suppress(OSError):
                if os.path.samestat(os.fstat(orders), line):  # it was not moved up yet
                    os.close(orders)
            raise
        atexit.register(self.stop_at_exit)
        self._session.start()
        list_earlier(how.run_dir, deep=how.trace_python_allocators)

    def stop(self, error: "BaseException | None" = None) -> None:
        """End the recording, if it has not ended: nothing of it stays in this process."""
        import atexit

        with _lock:
            session, self._session = self._session, None
            if session is None:
                return
            atexit.unregister(self.stop_at_exit)
            session.stop(error)

    def stop_at_exit(self) -> None:
        """The process ends: what has ended it, if it was an exception, has been shown by now."""
        if os.getpid() == self._pid:
            self.stop(getattr(sys, "last_value", None))


def join(address: str, paths: "list[str]") -> None:
    """Serve the memdeep that listens at ``address``, and has put this call into the process.

    It may have given up meanwhile: then nothing happens. The imports, for which ``paths`` are added
    to `sys.path`, are left to a thread: this one may be within an import itself, and what a handler
    of a signal raises in it would be lost here.
    """
    from _socket import AF_UNIX, SOCK_STREAM, socket

    ours = socket(AF_UNIX, SOCK_STREAM)
    try:
        ours.connect(address)
    except OSError:
        ours.close()
        return
    real_thread()(_import_and_serve, (ours.detach(), paths))


def _import_and_serve(descriptor: int, paths: "list[str]") -> None:
    sys.path.extend(paths)
    try:
        import memdeep.record.session  # noqa: F401
        from memdeep.record.tracker import prepare

        prepare()
    except Exception:  # the answers to `TELL` and `RECORD` will tell
        pass
    finally:
        for path in paths:
            with suppress(ValueError):
                sys.path.remove(path)
    serve(descriptor)


def serve(descriptor: int) -> None:
    """Do what the other end of the socket says, until it says no more."""
    from _socket import socket

    from memdeep.record.descriptors import moved_up
    from memdeep.record.fork_warning import own_threads

    connection = socket(fileno=moved_up(descriptor))
    own_threads(1)
    try:
        if _is_allowed(connection):
            _obey_all(connection)
    except (OSError, ValueError):  # it is gone, or is nothing of memdeep's
        pass
    finally:
        own_threads(-1)
        connection.close()


def real_thread() -> "Callable[..., Any]":
    """Return what starts a thread of the system's. Raises RuntimeError if that is not known.

    gevent puts green ones in their place, which would keep the whole program in `accept`.
    """
    import _thread

    start: Callable[..., Any] = _thread.start_new_thread
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None:
        start = monkey.get_original("_thread", "start_new_thread")
    if type(start) is not type(allocate_lock):
        raise RuntimeError("its threads are not the system's")
    return start


def _obey_all(connection: "socket") -> None:
    attached: Attached | None = None
    try:
        while True:
            line, descriptors = _receive(connection)
            if not line:
                return
            order = _decoded(line)
            what = order.get("do")
            try:
                if what == TELL:
                    answer = _facts()
                elif what == RECORD:
                    attached = _begin(order["how"], descriptors.pop())
                    answer = {}
                elif what == DETACH and attached is not None:
                    attached.stop()
                    answer = {}
                else:
                    answer = {"problem": f"there is no order {what!r}"}
            except Exception as error:  # whatever fails, the program goes on
                answer = {"problem": _reason(error)}
            finally:
                for left in descriptors:
                    os.close(left)
            connection.sendall(_encoded(answer))
    finally:
        if attached is not None:
            attached.stop()


def _begin(words: "list[str]", orders: int) -> Attached:
    """Begin the recording, unless one is there already. Raises RuntimeError for that."""
    with _lock:
        obstacle = _obstacle()
        if obstacle:
            os.close(orders)
            raise RuntimeError(obstacle)
        return Attached(words, orders)


def _obstacle() -> str:
    """Say why this process cannot be recorded now; empty if it can."""
    from memdeep.record import api

    if api.is_recording():
        return "recorded"
    try:
        from memdeep.record.tracker import is_tracking
    except ImportError as error:
        return f"no memray: {error}"
    return "traced" if is_tracking() else ""


def _facts() -> "dict[str, Any]":
    """Tell what memdeep cannot see from outside."""
    import sysconfig

    from memdeep.version import __version__

    obstacle = _obstacle()
    memray = ""
    with suppress(Exception):
        from importlib.metadata import version

        memray = version("memray")
    paths = sysconfig.get_paths()
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    return {
        "version": __version__,
        "obstacle": obstacle,
        "python": ".".join(map(str, sys.version_info[:3])),
        "memray": memray,
        "command": [word.encode("utf-8", "replace").decode() for word in sys.orig_argv],
        "main": os.path.abspath(main) if isinstance(main, str) else None,
        "cwd": os.getcwd(),
        "platform": sysconfig.get_platform(),
        "stdlib": sorted({paths["stdlib"], paths["platstdlib"]}),
        "library": sorted({paths["purelib"], paths["platlib"]}),
        "package": os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
    }


def list_earlier(directory: str, *, deep: bool) -> None:
    """Have listed what is allocated already, so that its frees are known for what they are.

    A forked child does it, as for who holds the objects (`record.holders`): the program stands
    still for the fork alone. It knows glibc's malloc and CPython's own allocator, with ``deep`` the
    blocks in its arenas. Where that cannot be, there is no such file in ``directory``.
    """
    path = f"{os.path.abspath(directory)}/{NAME}"
    try:
        import fcntl
        import time

        from memdeep.record import _holders

        began_ns = time.monotonic_ns()
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_SH)
            _holders.earlier(file, began_ns, deep, SECONDS)
        except OSError:
            os.unlink(path)
            raise
        finally:
            os.close(file)
    except (ImportError, OSError):
        pass


def _is_allowed(connection: "socket") -> bool:
    """Tell if whoever has connected is this user, or root."""
    try:
        from _socket import SO_PEERCRED, SOL_SOCKET

        told = connection.getsockopt(SOL_SOCKET, SO_PEERCRED, 12)
    except ImportError:  # the directory alone keeps others out
        return True
    user = int.from_bytes(told[4:8], sys.byteorder)
    return user in (os.geteuid(), 0)


def _receive(connection: "socket") -> "tuple[bytes, list[int]]":
    """Return a line, empty at the end, and the descriptors that came with it."""
    from _socket import CMSG_SPACE, SCM_RIGHTS, SOL_SOCKET

    line, descriptors = b"", list[int]()
    while not line.endswith(b"\n") and len(line) < MAX_LINE:
        part, beside, _, _ = connection.recvmsg(MAX_LINE - len(line), CMSG_SPACE(ONE_DESCRIPTOR))
        for level, kind, content in beside:
            if level == SOL_SOCKET and kind == SCM_RIGHTS:
                for at in range(0, len(content) - 3, 4):
                    descriptors.append(int.from_bytes(content[at : at + 4], sys.byteorder))
        if not part:
            for one in descriptors:
                os.close(one)
            return b"", []
        line += part
    return line, descriptors


def _decoded(line: bytes) -> "dict[str, Any]":
    import json

    order = json.loads(line)
    if not isinstance(order, dict):
        raise ValueError("an order is an object")
    return order


def _encoded(answer: "dict[str, Any]") -> bytes:
    import json

    return (json.dumps(answer) + "\n").encode("ascii")


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
