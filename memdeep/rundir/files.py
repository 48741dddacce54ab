"""Opening, reading and writing of files: nothing blocks, and no file is left half written.

Turns the errors of the system into sentences for the user. Knows neither names nor formats.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from memdeep.errors import EXIT_NO_INPUT, CaptureError, OutputError


def open_regular(path: Path, most_bytes: int | None = None) -> tuple[BinaryIO, int]:
    """Open ``path`` for reading, unless it could block or has no end; return its size as well.

    Pipes, devices and directories are refused, and files longer than ``most_bytes``. The size of a
    file that the kernel makes up as it is read (those in /proc) is 0. Raises CaptureError.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for somebody to write to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise CaptureError(f"There is no file {path}.", "Check the path.", EXIT_NO_INPUT) from error
    except (OSError, ValueError) as error:
        raise read_error(path, error) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise CaptureError(
            f"{path} is not a regular file.",
            "Directories, pipes and devices are not read; put the recorded file in its place.",
            EXIT_NO_INPUT,
        )
    if most_bytes is not None and status.st_size > most_bytes:
        os.close(descriptor)
        raise CaptureError(
            f"{path} is too large to be what it should be ({status.st_size:,} bytes).",
            "It is damaged, or was not written by memdeep; restore it from a copy.",
        )
    return os.fdopen(descriptor, "rb"), status.st_size


def read_regular(path: Path, most_bytes: int) -> bytes:
    """Return the content of ``path``. Raises CaptureError, also if it exceeds ``most_bytes``."""
    file, size = open_regular(path, most_bytes)
    with file:
        try:
            return file.read(size)
        except OSError as error:
            raise read_error(path, error) from error


def read_if_there(path: Path, most_bytes: int) -> bytes | None:
    """Return the content of ``path``, or None if nothing has that name. Raises CaptureError."""
    return read_regular(path, most_bytes) if os.path.lexists(path) else None


def write_atomically(path: Path, content: bytes | Iterator[bytes]) -> None:
    """Write ``content``, which may come in pieces, under a temporary name, then rename.

    Raises OutputError. A symbolic link at ``path`` is replaced, not followed; nobody can have
    guessed the temporary name and put a link there.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
    try:
        try:
            with open(temporary, "xb") as file:
                file.writelines([content] if isinstance(content, bytes) else content)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error) from error


def read_error(path: Path, error: OSError | ValueError) -> CaptureError:
    """Put a failed read of ``path`` into a sentence."""
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    hint = "Check the path and its permissions."
    if isinstance(error, PermissionError):
        hint = f"{_whose(path)} Run memdeep as somebody who may read it, or ask for a copy."
    return CaptureError(f"Cannot read {path}: {reason}.", hint, EXIT_NO_INPUT)


def _whose(path: Path) -> str:
    """Name the owner of ``path``, or of the nearest directory above it that may be seen."""
    for place in (path, *path.absolute().parents):
        try:
            return f"{place} belongs to {place.owner()}."
        except KeyError:
            return f"{place} belongs to user number {place.stat().st_uid}."
        except OSError:
            continue
    return "Who it belongs to is not known."


def write_error(path: Path, error: OSError) -> OutputError:
    """Put a failed write to ``path`` into a sentence."""
    if error.errno == errno.ENOSPC:
        return OutputError(
            f"Cannot write {path}: the disk is full.",
            "Free some space, or choose a place on another disk.",
        )
    reason = (error.strerror or str(error)).lower()
    return OutputError(f"Cannot write {path}: {reason}.", "Choose a place that you may write to.")
