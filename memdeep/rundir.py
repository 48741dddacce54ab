"""The names of the files of one run, and how a run directory is made. Knows no file's content."""

import errno
import os
from datetime import datetime
from pathlib import Path

from memdeep.errors import EXIT_NO_INPUT, CaptureError, OutputError

DEFAULT_PARENT = "memdeep-runs"


class RunDirectory:
    """The directory of one run; every property is the path of one of its files."""

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def capture(self) -> Path:
        return self.path / "capture.bin"

    @property
    def journal(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def markers(self) -> Path:
        return self.path / "markers"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    @property
    def meta(self) -> Path:
        return self.path / "meta.json"

    @property
    def html(self) -> Path:
        return self.path / "report.html"

    @property
    def json(self) -> Path:
        return self.path / "report.json"

    def files(self) -> tuple[Path, ...]:
        """All files memdeep itself may have written here."""
        return (
            self.capture,
            self.journal,
            self.markers,
            self.samples,
            self.meta,
            self.html,
            self.json,
        )


def default_path(name: str, now: datetime) -> Path:
    """``memdeep-runs/<name>-<date>-<time>``, with a number added if that exists already."""
    stem = f"{name}-{now:%Y%m%d-%H%M%S}"
    path = Path(DEFAULT_PARENT) / stem
    number = 2
    while path.exists():
        path = Path(DEFAULT_PARENT) / f"{stem}-{number}"
        number += 1
    return path


def create(path: Path, *, force: bool) -> RunDirectory:
    """Make ``path`` an empty run directory, readable by its owner only.

    With ``force`` the files of an earlier run are removed; files of anybody else stay.
    Raises OutputError if the directory holds something already or cannot be written.
    """
    run_dir = RunDirectory(path)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(path.iterdir()) and not force:
            raise OutputError(
                f"{path} exists already and is not empty.",
                "Choose another directory with -o, or replace the old run with --force.",
            )
        for file in run_dir.files():
            file.unlink(missing_ok=True)
        with open(run_dir.journal, "wb"):
            pass
    except OSError as error:
        raise write_error(path, error) from error
    return run_dir


def existing(path: Path) -> RunDirectory:
    """The run directory at ``path``. Raises CaptureError if there is none."""
    run_dir = RunDirectory(path)
    if not run_dir.journal.is_file():
        raise CaptureError(
            f"{path} is not a run directory of memdeep: it has no {run_dir.journal.name}.",
            "Give the directory that `memdeep run` named at its end, or a memray capture file.",
            EXIT_NO_INPUT,
        )
    return run_dir


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` under a temporary name, then rename. Raises OutputError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            temporary.write_bytes(content)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error) from error


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
