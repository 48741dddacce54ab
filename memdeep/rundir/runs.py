"""The runs that lie in one directory: finds the newest, tells which are still being recorded.

Removes what memdeep itself wrote, and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from memdeep.errors import EXIT_NO_INPUT, CaptureError
from memdeep.rundir import directory, journal
from memdeep.rundir.directory import DEFAULT_PARENT, RunDirectory
from memdeep.rundir.files import write_error
from memdeep.rundir.journal import Event

FIRST_LINE_BYTES = 4096
DEFAULT = Path(DEFAULT_PARENT)


def found(parent: Path = DEFAULT) -> list[RunDirectory]:
    """Return the runs in ``parent``, a directory of run directories, the newest first.

    What is no run directory is passed over, and so are links.
    """
    try:
        paths = [path for path in parent.iterdir() if not path.is_symlink()]
    except OSError:
        return []
    started = [
        (at, path.name, RunDirectory(path))
        for path in paths
        if (at := started_ns(RunDirectory(path))) is not None
    ]
    return [run_dir for *_, run_dir in sorted(started, key=lambda one: one[:2], reverse=True)]


def newest(parent: Path = DEFAULT) -> RunDirectory:
    """Return the run that started last in ``parent``. Raises CaptureError if there is none."""
    runs = found(parent)
    if not runs:
        raise CaptureError(
            f"There is no run in {parent}.",
            "Start one with `memdeep run`, or name the directory given to its option -o.",
            EXIT_NO_INPUT,
        )
    return runs[0]


def started_ns(run_dir: RunDirectory) -> int | None:
    """Return when the run started: by its first line, else by the last change of its journal.

    None if it is no run directory.
    """
    try:
        changed_ns = run_dir.journal.stat().st_mtime_ns
        start = first_event(run_dir)
    except OSError:
        return None
    return changed_ns if start is None else start.epoch_ns


def first_event(run_dir: RunDirectory) -> Event | None:
    """Return the start of a run as its program wrote it; None where it has not. Raises OSError."""
    with open(run_dir.journal, "rb") as file:
        events, _ = journal.decode(file.readline(FIRST_LINE_BYTES))
    return events[0] if events and events[0].kind == journal.START else None


def size_bytes(run_dir: RunDirectory) -> int:
    """Return what the files of a run, and of its processes, take on the disk."""
    total = 0
    for own in (run_dir, *run_dir.children()):
        for file in own.files():
            with suppress(OSError):
                total += file.lstat().st_blocks * 512
    return total


@contextmanager
def held(run_dir: RunDirectory) -> Iterator[None]:
    """Keep others from removing the run while it is recorded and reported on."""
    with _locked(run_dir.path, "LOCK_SH", "LOCK_NB"):
        yield


def is_held(run_dir: RunDirectory) -> bool:
    """Tell if a process of memdeep holds the run."""
    with _locked(run_dir.path, "LOCK_EX", "LOCK_NB") as is_free:
        return not is_free


@contextmanager
def steady(run_dir: RunDirectory) -> Iterator[None]:
    """Keep the captures of a run that goes on as they are, but that they grow, while they are read.

    What replays them meanwhile saves no state then, and gives no blocks back: see `changing`.
    """
    with _locked(run_dir.journal, "LOCK_SH"):
        yield


@contextmanager
def changing(run_dir: RunDirectory) -> Iterator[bool]:
    """Yield True if nobody reads the captures as in `steady`; who begins waits until this ends."""
    with _locked(run_dir.journal, "LOCK_EX", "LOCK_NB") as is_alone:
        yield is_alone


@contextmanager
def _locked(path: Path, *flags: str) -> Iterator[bool]:
    """Lock ``path`` by flock(2) with ``flags``; yield False if a lock of somebody else forbids it.

    What cannot be opened, or lies on a file system without locks, is not locked. Nothing waits for
    a pipe in its place.
    """
    lock, is_free = None, True
    try:
        import fcntl

        lock = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.flock(lock, sum(getattr(fcntl, flag) for flag in flags))
    except BlockingIOError:
        is_free = False
    except (OSError, ImportError):
        pass
    try:
        yield is_free
    finally:
        if lock is not None:
            os.close(lock)


def remove(run_dir: RunDirectory) -> bool:
    """Remove the files of a run; tell if nothing is left of its directory.

    Files of others stay, and the directory with them. Raises OutputError.
    """
    path = run_dir.path
    try:
        directory.clear(run_dir)
    except OSError as error:
        raise write_error(path, error) from error
    try:
        path.rmdir()
    except OSError:
        return False
    if (path.parent / directory.LATEST).is_symlink():
        directory.link_latest(path.parent, next(iter(found(path.parent)), None))
    return True


def removable(path: Path) -> RunDirectory:
    """Return the run directory ``path``, a link to one followed.

    Raises CaptureError unless it is one.
    """
    run_dir = directory.existing(path)
    if run_dir.journal.is_symlink() or not run_dir.journal.is_file():
        raise directory.no_run(path)
    return RunDirectory(path.resolve() if path.is_symlink() else path)
