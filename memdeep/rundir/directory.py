"""The names of the files of one run, and how a run directory is made. Knows no file's content."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from memdeep.errors import EXIT_NO_INPUT, CaptureError, OutputError

DEFAULT_PARENT = "memdeep-runs"


class RunDirectory:
    """The directory of one run; every property is the path of one of its files."""

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        self.path = path

    def capture(self, part: int = 1) -> Path:
        """The capture of the ``part``-th stretch that was traced; a whole run has one."""
        return self.path / ("capture.bin" if part == 1 else f"capture-{part}.bin")

    def captures(self) -> tuple[Path, ...]:
        """All captures there are."""
        return tuple(sorted(self.path.glob("capture*.bin")))

    @property
    def journal(self) -> Path:
        return self.path / "journal.jsonl"

    def markers(self, part: int = 1) -> Path:
        """Where the markers lie in that capture."""
        return self.path / ("markers" if part == 1 else f"markers-{part}")

    @property
    def snapshots(self) -> Path:
        return self.path / "snapshots.jsonl"

    @property
    def sources(self) -> Path:
        """The source lines shown, as they were at the end of the run."""
        return self.path / "sources"

    @property
    def symbols(self) -> Path:
        """The names of the native frames in the captures."""
        return self.path / "symbols"

    @property
    def log(self) -> Path:
        return self.path / "monitor.log"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    @property
    def meta(self) -> Path:
        return self.path / "meta.json"

    @property
    def stacks(self) -> Path:
        """Where the Python stacks go when RSS is over a limit."""
        return self.path / "stacks.txt"

    @property
    def html(self) -> Path:
        return self.path / "report.html"

    @property
    def json(self) -> Path:
        return self.path / "report.json"

    def growing(self) -> tuple[Path, ...]:
        """The files that grow with what is traced, as many as there are now."""
        snapshots = (self.snapshots,) if self.snapshots.exists() else ()
        return (*self.captures(), *snapshots)

    def files(self) -> tuple[Path, ...]:
        """All files memdeep itself may have written here."""
        parts = (*self.captures(), *self.path.glob("markers*"))
        others = (
            self.journal,
            self.snapshots,
            self.symbols,
            self.sources,
            self.samples,
            self.log,
            self.meta,
            self.stacks,
        )
        return (*parts, *others, self.html, self.json)


def create_default(name: str, now: datetime) -> RunDirectory:
    """Make ``memdeep-runs/<name>-<date>-<time>``, with a number added if that exists already.

    Raises OutputError.
    """
    stem = f"{name}-{now:%Y%m%d-%H%M%S}"
    number = 1
    while True:
        path = Path(DEFAULT_PARENT) / (stem if number == 1 else f"{stem}-{number}")
        try:
            path.parent.mkdir(exist_ok=True)
            path.mkdir(mode=0o700)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise write_error(path, error) from error
        else:
            return create(path, force=False)


def create(path: Path, *, force: bool) -> RunDirectory:
    """Make ``path`` an empty run directory, readable by its owner only.

    With ``force`` the files of an earlier run are removed; files of anybody else stay.
    Raises OutputError if the directory holds something already or cannot be written.
    """
    run_dir = RunDirectory(path)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(path.iterdir()) and not force:
            raise _not_empty(path)
        for file in run_dir.files():
            file.unlink(missing_ok=True)
        with open(run_dir.journal, "xb"):  # of two runs started at once, one gets the directory
            pass
    except FileExistsError as error:
        raise (_not_empty(path) if path.is_dir() else write_error(path, error)) from error
    except OSError as error:
        raise write_error(path, error) from error
    return run_dir


def _not_empty(path: Path) -> OutputError:
    return OutputError(
        f"{path} exists already and is not empty.",
        "Choose another directory with -o, or replace the old run with --force.",
    )


def make_directory(path: Path) -> Path:
    """Make the directory ``path`` if it is missing. Raises OutputError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(path, error) from error
    return path


def existing(path: Path) -> RunDirectory:
    """The run directory at ``path``. Raises CaptureError if there is none."""
    run_dir = RunDirectory(path)
    try:
        run_dir.journal.stat()
    except FileNotFoundError as error:
        raise CaptureError(
            f"{path} is not a run directory of memdeep: it has no {run_dir.journal.name}.",
            "Give the directory that `memdeep run` named at its end, or a memray capture file.",
            EXIT_NO_INPUT,
        ) from error
    except OSError as error:
        raise read_error(run_dir.journal, error) from error
    return run_dir


def is_directory(path: Path) -> bool:
    """Whether ``path`` is a directory. Raises CaptureError if that may not be known."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise read_error(path, error) from error


def open_regular(path: Path, most_bytes: int | None = None) -> tuple[BinaryIO, int]:
    """``path`` opened for reading, and its size; never what blocks or has no end.

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
    """The content of ``path``. Raises CaptureError, also if it is longer than ``most_bytes``."""
    file, size = open_regular(path, most_bytes)
    with file:
        try:
            return file.read(size)
        except OSError as error:
            raise read_error(path, error) from error


def read_if_there(path: Path, most_bytes: int) -> bytes | None:
    """As `read_regular`; None if nothing has that name."""
    return read_regular(path, most_bytes) if os.path.lexists(path) else None


def write_atomically(path: Path, content: bytes | Iterator[bytes]) -> None:
    """Write ``content``, which may come in pieces, under a temporary name, then rename.

    Raises OutputError. A symbolic link at ``path`` is replaced, not followed; nobody can have
    guessed the temporary name and put a link there.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
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
    """The sentence for a failed read of ``path``."""
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    hint = "Check the path and its permissions."
    if isinstance(error, PermissionError):
        hint = f"{_whose(path)} Run memdeep as somebody who may read it, or ask for a copy."
    return CaptureError(f"Cannot read {path}: {reason}.", hint, EXIT_NO_INPUT)


def _whose(path: Path) -> str:
    """A sentence on who owns ``path``, or the nearest directory above it that may be seen."""
    for place in (path, *path.absolute().parents):
        try:
            return f"{place} belongs to {place.owner()}."
        except KeyError:
            return f"{place} belongs to user number {place.stat().st_uid}."
        except OSError:
            continue
    return "Who it belongs to is not known."


def write_error(path: Path, error: OSError) -> OutputError:
    """The sentence for a failed write to ``path``."""
    if error.errno == errno.ENOSPC:
        return OutputError(
            f"Cannot write {path}: the disk is full.",
            "Free some space, or choose a directory on another disk with -o.",
        )
    reason = (error.strerror or str(error)).lower()
    return OutputError(
        f"Cannot write {path}: {reason}.", "Choose a directory you may write to with -o."
    )
