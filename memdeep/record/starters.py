"""What starts, awaits and ends processes: each of these functions of Python notes what it does.

The program finds other objects in the place of the functions, which look like them
(`record.stand_in`). Those that take an environment add the variable to it that lets a Python find
the run; where none is given, it is inherited.
"""

import os
import sys
from _signal import SIGTERM  # type: ignore[import-not-found]
from _thread import get_ident
from contextlib import suppress
from functools import partial

from memdeep.record.marks.frame import is_own
from memdeep.record.stand_in import replace
from memdeep.record.tree import HOOK, VARIABLE, Tree
from memdeep.rundir import births

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Call = Callable[..., Any]

SERVER = "multiprocessing.forkserver"

_watched: "Watch | None" = None
_planted: "list[Callable[[], None]]" = []  # each puts back a function
_follows_server = False


class Watch:
    """What the functions tell, for the ``tree`` of this process.

    ``on_exit`` is called with the status when the process is about to end by `os._exit`;
    ``on_blind`` with a sentence, once, if a Python is started that will not be recorded.
    """

    __slots__ = ("_is_blind", "on_blind", "on_exit", "tree")

    def __init__(
        self, tree: Tree, on_exit: "Callable[[int], None]", on_blind: "Callable[[str], None]"
    ) -> None:
        self.tree = tree
        self.on_exit = on_exit
        self.on_blind = on_blind
        self._is_blind = False

    def begin(self) -> None:
        """Put the functions in their places, unless they are there."""
        global _watched
        if _watched is None:
            _plant()
        _watched = self

    def end(self) -> None:
        """Put the functions back that were there before; those somebody has kept do nothing."""
        global _watched, _follows_server
        if _watched is self:
            _watched = None
            _follows_server = False
            while _planted:
                _planted.pop()()

    def look(self, path: object) -> None:
        """Complain if the Python at ``path``, which is about to run, will not be recorded."""
        if self._is_blind:
            return
        with suppress(TypeError, ValueError, OSError):
            name = os.path.basename(os.fsdecode(path))  # type: ignore[arg-type]
            if name.startswith("python"):
                self._is_blind = True
                if not any(os.path.exists(f"{place}/{HOOK}") for place in sys.path):
                    self.on_blind(
                        f"Pythons that it starts anew are not recorded: {HOOK} is not in a "
                        "site-packages of this Python; install memdeep there"
                    )


def _plant() -> None:
    import _posixsubprocess

    forked = _posixsubprocess.fork_exec
    _replace("_posixsubprocess", "fork_exec", _forking)
    subprocess = sys.modules.get("subprocess")
    if subprocess is not None and getattr(subprocess, "_fork_exec", None) is forked:
        subprocess._fork_exec = _posixsubprocess.fork_exec  # type: ignore[attr-defined]
        _planted.append(partial(setattr, subprocess, "_fork_exec", forked))
    for name in ("posix_spawn", "posix_spawnp"):
        _replace("os", name, _spawning)
    _replace("os", "system", _commanding)
    for name in ("execv", "execve"):
        _replace("os", name, _becoming)
    for name in ("waitpid", "wait", "wait3", "wait4"):
        _replace("os", name, _awaiting)
    _replace("os", "waitid", _awaiting_details)
    _replace("os", "_exit", _leaving)
    _replace("os", "kill", _signalling)


def _replace(module: str, name: str, make: "Callable[[Call], Call]") -> None:
    _planted.append(replace(module, name, make))


def _open() -> "Watch | None":
    return _watched if _watched is not None and _watched.tree.is_open else None


def _forking(real: "Call") -> "Call":
    """`subprocess` and `multiprocessing` start programs so: its sixth argument is a list."""

    def call(*args: "Any", **kwargs: "Any") -> "Any":
        watch = _open()
        if watch is None or len(args) < 6:
            return real(*args, **kwargs)
        tree = watch.tree
        origin = tree.origin(sys._getframe(1))
        if type(args[5]) in (list, tuple) and tree.follows:
            args = (*args[:5], _with_variable(args[5], tree), *args[6:])
        if args[1]:
            watch.look(args[1][0])
        # A function to call in between: the fork is one that all hooks are called for.
        calls = any(map(callable, args[14:]))
        if calls:
            tree.about_to_exec.add(get_ident())
        try:
            pid = real(*args, **kwargs)
        finally:
            if calls:
                tree.about_to_exec.discard(get_ident())
        tree.started(pid, origin)
        _follow_server()
        return pid

    return call


def _follow_server() -> None:
    """Once a fork server may run, learn the number of each process that it is asked for."""
    global _follows_server
    if not _follows_server and SERVER in sys.modules:
        _follows_server = True
        _replace(SERVER, "read_signed", _asking)


def _asking(real: "Call") -> "Call":
    """So the number of a new process is read, and later how it has ended."""

    def call(*args: "Any", **kwargs: "Any") -> "Any":
        number = real(*args, **kwargs)
        watch = _open()
        asker = sys._getframe(1)
        while is_own(asker.f_code.co_filename) and asker.f_back is not None:
            asker = asker.f_back
        if watch is not None and asker.f_code.co_name == "_launch":
            watch.tree.started(number, watch.tree.origin(asker))
        return number

    return call


def _with_variable(variables: "Any", tree: Tree) -> "Any":
    name = f"{VARIABLE}=".encode()
    if any(type(one) is bytes and one.startswith(name) for one in variables):
        return variables
    return [*variables, os.fsencode(tree.assignment)]


def _with_entry(variables: "Any", tree: Tree) -> "Any":
    """Return a copy of the mapping with the variable; what is none is left to the function."""
    try:
        copied = dict(variables)  # `os.environ` cannot be asked for a name in bytes
        if tree.follows and VARIABLE not in copied and VARIABLE.encode() not in copied:
            return {**copied, VARIABLE: tree.assignment.partition("=")[2]}
    except Exception:  # it may be anything
        pass
    return variables


def _spawning(real: "Call") -> "Call":
    def call(*args: "Any", **kwargs: "Any") -> "Any":
        watch = _open()
        if watch is None or len(args) < 3:
            return real(*args, **kwargs)
        origin = watch.tree.origin(sys._getframe(1))
        watch.look(args[0])
        pid = real(*args[:2], _with_entry(args[2], watch.tree), *args[3:], **kwargs)
        watch.tree.started(pid, origin)
        return pid

    return call


def _commanding(real: "Call") -> "Call":
    """A shell whose number nobody is told, before it begins."""

    def call(*args: "Any", **kwargs: "Any") -> "Any":
        watch = _open()
        if watch is not None:
            watch.tree.started(births.UNKNOWN, watch.tree.origin(sys._getframe(1)))
        return real(*args, **kwargs)

    return call


def _becoming(real: "Call") -> "Call":
    """Of the search along a path, only the attempt that will do is noted."""

    def call(*args: "Any", **kwargs: "Any") -> "Any":
        watch = _open()
        if watch is not None:
            path = args[0] if args else kwargs.get("path")
            with suppress(Exception):
                if type(path) is not int and os.access(path, os.X_OK):  # type: ignore[arg-type]
                    watch.look(path)
                    tree = watch.tree
                    tree.started(os.getpid(), tree.origin(sys._getframe(1)))
            if len(args) > 2:
                args = (*args[:2], _with_entry(args[2], watch.tree), *args[3:])
            elif "env" in kwargs:
                kwargs["env"] = _with_entry(kwargs["env"], watch.tree)
        return real(*args, **kwargs)

    return call


def _awaiting(real: "Call") -> "Call":
    has_ended, status_of = os.WIFEXITED, os.WEXITSTATUS
    was_killed, signal_of = os.WIFSIGNALED, os.WTERMSIG

    def call(*args: "Any", **kwargs: "Any") -> "Any":
        found = real(*args, **kwargs)
        watch = _open()
        if watch is not None and found[0] > 0:
            if has_ended(found[1]):
                watch.tree.ended(found[0], status_of(found[1]))
            elif was_killed(found[1]):
                watch.tree.ended(found[0], -signal_of(found[1]))
        return found

    return call


def _awaiting_details(real: "Call") -> "Call":
    def call(*args: "Any", **kwargs: "Any") -> "Any":
        found = real(*args, **kwargs)
        watch = _open()
        stays = len(args) > 2 and type(args[2]) is int and args[2] & os.WNOWAIT
        if watch is not None and found is not None and found.si_pid > 0 and not stays:
            if found.si_code == os.CLD_EXITED:
                watch.tree.ended(found.si_pid, found.si_status)
            elif found.si_code in (os.CLD_KILLED, os.CLD_DUMPED):
                watch.tree.ended(found.si_pid, -found.si_status)
        return found

    return call


def _signalling(real: "Call") -> "Call":
    """So pools, `multiprocessing` and `subprocess` end the processes that they have started."""

    def call(*args: "Any", **kwargs: "Any") -> "Any":
        watch = _open()
        pid, number = args if len(args) == 2 else (0, 0)
        if watch is not None and number == SIGTERM and type(pid) is int and pid > 0:  # no group
            watch.tree.asked(pid)
        return real(*args, **kwargs)

    return call


def _leaving(real: "Call") -> "Call":
    def call(*args: "Any", **kwargs: "Any") -> "Any":
        watch = _open()
        status = args[0] if args else kwargs.get("status")
        if watch is not None and type(status) is int:
            watch.on_exit(status & 0xFF)
        return real(*args, **kwargs)

    return call
