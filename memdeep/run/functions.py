"""Finds the C functions of a running CPython, and of its C library, that a debugger calls in it.

They are looked up here and not by the debugger: that would read the symbols of all the program's
libraries while the program stands still.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from memdeep.errors import AttachError
from memdeep.frozen import frozen
from memdeep.run.target import PROC, RefusedError
from memdeep.symbols.elf import ElfFile, NotElf

GONE = " (deleted)"  # behind the name of a file that was replaced, in maps and links of /proc
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096

# CPython has them all since 3.1, in the interpreter itself or in its shared library.
_OF_PYTHON = ("Py_IsInitialized", "Py_AddPendingCall", "PyRun_SimpleString")
_LIBPYTHON = re.compile(r"libpython3.*\.so")
_LIBC = re.compile(r"(libc\.so|libc-|libc\.musl|ld-musl)")


@frozen
class Functions:
    """Addresses of functions in a running process."""

    is_initialized: int
    add_pending_call: int
    run_string: int
    mmap: int


def of_process(pid: int) -> Functions:
    """Return where the functions lie in the process ``pid``. Raises AttachError."""
    try:
        executable = os.readlink(PROC / str(pid) / "exe")
        begins = _begins(pid)
    except OSError as error:
        raise RefusedError(pid) from error
    libraries = [path for path in begins if _LIBPYTHON.match(os.path.basename(path))]
    libc = [path for path in begins if _LIBC.match(os.path.basename(path))]
    python = _first(pid, [executable, *libraries], _OF_PYTHON, begins)
    return Functions(*python, *_first(pid, libc, ("mmap",), begins))


def _begins(pid: int) -> dict[str, int]:
    """Return where each file that the process ``pid`` has mapped begins. See proc_pid_maps(5)."""
    found: dict[str, int] = {}
    for line in (PROC / str(pid) / "maps").read_text("utf-8", "surrogateescape").splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and int(fields[2], 16) == 0:
            found.setdefault(fields[5], int(fields[0].partition("-")[0], 16))
    return found


def _first(pid: int, paths: list[str], names: tuple[str, ...], begins: dict[str, int]) -> list[int]:
    """Return the addresses of ``names`` in the first file that has them all. Raises AttachError."""
    for path in paths:
        if path.endswith(GONE):
            raise AttachError(
                f"A file that process {pid} runs from has been replaced since: {path}.",
                "Start the program anew, or let it call memdeep.attachable().",
            )
        try:  # as the process sees it, which may have another tree of files
            with ElfFile(Path(f"{PROC}/{pid}/root{path}")) as file:
                found = file.exported(names)
                first = min((address for address, _ in file.segments), default=0)
        except (OSError, NotElf):
            continue
        if path in begins and len(found) == len(names):
            begin = begins[path] - first // PAGE_BYTES * PAGE_BYTES
            return [begin + found[name] for name in names]
    raise AttachError(
        f"The functions of Python's that a debugger calls are not found in process {pid}.",
        "Let the program call memdeep.attachable().",
    )
