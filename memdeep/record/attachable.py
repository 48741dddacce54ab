"""Lets `memdeep attach` record this program while it runs: `memdeep.attachable()`.

A thread sleeps in `accept` on a socket that only this user and root can reach; until somebody comes
it costs nothing, and nothing else is imported. A forked child does not hear its parent's socket: it
calls `attachable` itself if it is to be attached to.
"""

import os
from _thread import RLock
from contextlib import suppress

from memdeep.record.recorder import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

DIRECTORY, SUFFIX = "memdeep", ".attach"  # of the sockets' names, which begin with the process
MOST_PATH = 100  # characters that an address of a socket may have, less than on any system

_door: "Door | None" = None
_lock = RLock()
_is_registered = False


def attachable() -> bool:
    """Let `memdeep attach` record this process from now on; return False where it cannot.

    Called again it does nothing. It never raises: the reason is one line on stderr.
    """
    global _door
    with _lock:
        if _door is None:
            try:
                _door = Door()
            except (ImportError, AttributeError, OSError, RuntimeError) as error:
                say(f"`memdeep attach` will not reach this program: {error}")
                return False
        return True


class Door:
    """The socket of this process, and the thread that awaits whoever attaches."""

    __slots__ = ("_identity", "_path", "_pid", "_socket", "_start")

    def __init__(self) -> None:
        """Raises OSError, or another of those that `attachable` names, where there can be none."""
        import atexit

        from memdeep.record.attached import real_thread
        from memdeep.record.fork_warning import own_threads

        self._pid = os.getpid()
        self._start = real_thread()
        self._socket, self._path = _listening(self._pid)
        self._identity = _identity(self._socket.fileno())
        own_threads(1)
        self._start(self._serve, ())
        atexit.register(self.close)
        _forget_in_children()

    def close(self) -> None:
        """Remove the socket: the process ends."""
        if os.getpid() == self._pid:
            with suppress(OSError):
                os.unlink(self._path)

    def leave(self) -> None:
        """Be no door of this forked child: its parent's is closed here."""
        with suppress(OSError):
            if _identity(self._socket.fileno()) == self._identity:
                self._socket.close()

    def _serve(self) -> None:
        """Await whoever attaches, each in a thread of its own: a second one is told of the first.

        Ends where the program has closed the socket, or has a file of its own by that number.
        """
        while True:
            try:
                if _identity(self._socket.fileno()) != self._identity:
                    return
                descriptor, _ = self._socket._accept()  # type: ignore[attr-defined]
                from memdeep.record.attached import serve

                self._start(serve, (descriptor,))
            except OSError:
                return
            except Exception as error:  # no import, no thread: whoever came hears nothing
                say(f"`memdeep attach` has failed: {error}")
                os.close(descriptor)


def directories() -> "list[str]":
    """Return where the sockets of this user may lie, the best first."""
    own = f"{DIRECTORY}-{os.getuid()}"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    found = [f"{runtime}/{DIRECTORY}"] if os.path.isabs(runtime) else []
    temporary = os.environ.get("TMPDIR", "")
    found += [f"{temporary.rstrip('/')}/{own}"] if os.path.isabs(temporary) else []
    return [*found, f"/tmp/{own}"]


def _listening(pid: int) -> "tuple[socket, str]":
    """Return a socket that listens in the first directory that will do. Raises OSError."""
    from _socket import AF_UNIX, SOCK_STREAM, socket

    from memdeep.record.descriptors import moved_up

    reason = OSError("there is no directory for its socket")
    for directory in directories():
        path = f"{directory}/{pid}{SUFFIX}"
        if len(os.fsencode(path)) > MOST_PATH:
            continue
        try:
            _make_private(directory)
            with suppress(FileNotFoundError):
                os.unlink(path)  # of a process that had this number, and was killed
            plain = socket(AF_UNIX, SOCK_STREAM)
            plain.bind(path)
            plain.listen(4)
        except OSError as error:
            reason = error
            continue
        os.chmod(path, 0o600)
        return socket(fileno=moved_up(plain.detach())), path
    raise reason


def _make_private(directory: str) -> None:
    """Make ``directory``; raise OSError if somebody else could reach into it."""
    with suppress(FileExistsError):
        os.mkdir(directory, 0o700)
    status = os.lstat(directory)
    if status.st_mode & 0o170077 != 0o040000 or status.st_uid != os.getuid():
        raise OSError(f"{directory} is not a directory of this user alone")


def _identity(descriptor: int) -> "tuple[int, int]":
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _forget_in_children() -> None:
    global _is_registered
    if not _is_registered and hasattr(os, "register_at_fork"):
        _is_registered = True  # Python keeps such functions for good
        os.register_at_fork(after_in_child=_forget)


def _forget() -> None:
    global _door, _lock
    _lock = RLock()  # another thread of the parent's may have held it
    if _door is not None:
        _door.leave()
        _door = None
