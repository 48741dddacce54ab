"""A call that somebody puts into a running interpreter, and the connection that it makes to us.

The call runs in the main thread of the program, wherever that stands, so it does little: it
connects, and starts a thread that does the rest (`memdeep.record.attached`). It leaves no name
behind, and does nothing if memdeep has given up meanwhile: then there is nothing to connect to.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from memdeep.errors import AttachError
from memdeep.frozen import frozen
from memdeep.record import attachable
from memdeep.run.target import PROC, Target, is_there

CALL_S = 15.0  # until its main thread runs Python, and calls us
LOOK_S = 0.2
PREFIX = "memdeep-attach-"

_CODE = """\
def _memdeep_join(paths, address):
    import sys
    extra = [path for path in paths if path not in sys.path]
    sys.path.extend(extra)
    try:
        from memdeep.record.attached import join
    except ImportError:
        return
    finally:
        for path in extra:
            sys.path.remove(path)
    join(address, extra)
_memdeep_join({paths!r}, {address!r})
del _memdeep_join
"""


@frozen
class Shared:
    """A directory that memdeep and the program both see: its path here, and its path there."""

    here: Path
    there: str


# Brings a text of Python into the program. Raises AttachError.
Put = Callable[[Target, Shared, str], None]


def call(target: Target, put: Put) -> socket.socket:
    """Put a call into ``target``; return the connection that it makes. Raises AttachError."""
    shared = _shared(target)
    try:
        paths = [str(Path(attachable.__file__).parents[2]), *(one for one in sys.path if one)]
        with socket.socket(socket.AF_UNIX) as listening:
            try:
                listening.bind(f"{shared.here}/line")
                listening.listen(1)
                if target.user not in (-1, os.geteuid()):
                    for path in (shared.here / "line", shared.here):
                        os.chown(path, target.user, target.group, follow_symlinks=False)
            except OSError as error:
                raise _no_directory(target, error) from error
            put(target, shared, _CODE.format(paths=paths, address=f"{shared.there}/line"))
            return _accepted(listening, target)
    finally:
        shutil.rmtree(shared.here, ignore_errors=True)


def by_interpreter(target: Target, shared: Shared, code: str) -> None:
    """Let the interpreter of ``target`` run ``code``, from Python 3.14 on. Raises AttachError."""
    file = shared.here / "code.py"
    file.write_text(code, "utf-8")
    file.chmod(0o644)
    try:
        sys.remote_exec(target.pid, f"{shared.there}/code.py")  # type: ignore[attr-defined]
    except (OSError, RuntimeError) as error:
        raise AttachError(
            f"Python does not let memdeep call into process {target.pid}: {error}.",
            "Attach as root, or let the program call memdeep.attachable().",
        ) from error


def peer(connected: socket.socket) -> int | None:
    """Return the process at the other end, None where the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    told = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(told[:4], sys.byteorder)


def _shared(target: Target) -> Shared:
    """Make a directory in the temporary one, or in that of the program's own tree of files."""
    root = f"{PROC}/{target.pid}/root"
    try:
        if _sees_our_files(target.pid):
            made = tempfile.mkdtemp(prefix=PREFIX)
            return Shared(Path(made), made)
        made = tempfile.mkdtemp(prefix=PREFIX, dir=f"{root}/tmp")
        return Shared(Path(made), made.removeprefix(root))
    except OSError as error:
        raise _no_directory(target, error) from error


def _sees_our_files(pid: int) -> bool:
    """Tell if a path means the same file to the process ``pid``: systemd's PrivateTmp hides ours.

    Where the system does not tell, it is taken for granted.
    """
    try:
        is_same_tree = os.path.samefile("/", PROC / str(pid) / "root")
        spaces = {os.readlink(PROC / one / "ns/mnt") for one in ("self", str(pid))}
    except OSError:
        return True
    return is_same_tree and len(spaces) == 1


def _no_directory(target: Target, error: OSError) -> AttachError:
    return AttachError(
        f"Process {target.pid} and memdeep have no directory where both may open a socket: "
        f"{error.strerror or error}.",
        "Set TMPDIR to a short path, or let the program call memdeep.attachable().",
    )


def _accepted(listening: socket.socket, target: Target) -> socket.socket:
    """Return the connection of ``target``, once it makes it. Raises AttachError."""
    until_s = time.monotonic() + CALL_S
    listening.settimeout(LOOK_S)
    while time.monotonic() < until_s:
        try:
            connected, _ = listening.accept()
        except TimeoutError:
            if is_there(target.pid):
                continue
            raise AttachError(
                f"Process {target.pid} has just ended.", "Attach to one that runs."
            ) from None
        if peer(connected) in (None, target.pid):
            return connected
        connected.close()
    raise AttachError(
        f"Process {target.pid} has run no line of Python in its main thread for {CALL_S:.0f} s, or "
        "cannot import memdeep.",
        "Try again when it is at work, or let the program call memdeep.attachable().",
    )
