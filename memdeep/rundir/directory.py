"""Names of the files of one run; making and finding a run directory.

Knows no file's content: each format has a module of its own.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from datetime import datetime
from itertools import chain
from pathlib import Path

from memdeep.errors import EXIT_NO_INPUT, CaptureError, OutputError
from memdeep.rundir import earlier
from memdeep.rundir.files import read_error, write_error

DEFAULT_PARENT = "memdeep-runs"
LATEST = "latest"
CHILDREN = "children"
TESTS = "tests"  # that were recorded apart from the session they belong to
FROZEN = "frozen"  # reports that were made while the program ran, each in a directory
# Of the files that a run is exported to unless another is named.
EXPORTS = (
    *(".pb.gz", ".firefox.json.gz", ".speedscope.json", ".collapsed", ".perfetto.json"),
    *(".openmetrics", ".parquet", ".csv"),
)


def state_of(capture: Path, *, in_family: bool = False) -> Path:
    """Return where the state of a replay of ``capture`` lies that was made while it grew.

    That of a process is read in two ways: as a run of its own, and ``in_family``, between the
    checkpoints of the program that started it.
    """
    return capture.with_suffix(".family.state" if in_family else ".state")


def front_of(capture: Path) -> Path:
    """Return where lies what was compressed of ``capture`` while it grew."""
    return capture.with_suffix(".front")


class RunDirectory:
    """Directory of one run; every property is the path of one of its files."""

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        self.path = path

    def capture(self, part: int = 1) -> Path:
        """Return the path of the ``part``-th capture; tracing that never paused makes one."""
        return self.path / ("capture.bin" if part == 1 else f"capture-{part}.bin")

    def captures(self) -> tuple[Path, ...]:
        """Return the captures that exist."""
        return tuple(sorted(self.path.glob("capture*.bin")))

    def states(self) -> tuple[Path, ...]:
        """Return the states that exist of replays of the captures, in both ways."""
        return tuple(sorted(self.path.glob("capture*.state")))

    def begun_states(self) -> tuple[Path, ...]:
        """Return what exists of states that whoever wrote them has not brought to an end."""
        return tuple(self.path.glob(".capture*.state*.new"))

    def fronts(self) -> tuple[Path, ...]:
        """Return what exists of captures that were compressed in part."""
        return tuple(sorted(self.path.glob("capture*.front")))

    @property
    def journal(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def mappings(self) -> Path:
        """Path of the memory mappings as they were at some checkpoints."""
        return self.path / "mappings"

    @property
    def moments(self) -> Path:
        """Path of the moments at which the heap of all is known of what was given back."""
        return self.path / "moments"

    @property
    def pages(self) -> Path:
        """Path of the pages that this process had split off from its parent's."""
        return self.path / "pages"

    def markers(self, part: int = 1) -> Path:
        """Return the path of the places of the markers in the ``part``-th capture."""
        return self.path / ("markers" if part == 1 else f"markers-{part}")

    def condensed(self, number: int) -> Path:
        """Return the path of what is left of the old part of a run, merged ``number`` times."""
        return self.path / f"condensed-{number}.json"

    def condensed_numbers(self) -> tuple[int, ...]:
        """Return the numbers of those that exist."""
        names = (path.name[10:-5] for path in self.path.glob("condensed-*.json"))
        return tuple(sorted(int(name) for name in names if name.isdecimal()))

    def graph(self, sequence: int) -> Path:
        """Return the path of the objects, and who held them, at the checkpoint ``sequence``."""
        return self.path / f"holders-{sequence}"

    def graphs(self) -> tuple[Path, ...]:
        """Return the files of objects that exist, in the order of their checkpoints."""
        found = (path for path in self.path.glob("holders-*") if path.name[8:].isdecimal())
        return tuple(sorted(found, key=lambda path: int(path.name[8:])))

    @property
    def earlier(self) -> Path:
        """Path of what was allocated before memdeep was attached."""
        return self.path / earlier.NAME

    @property
    def worker(self) -> Path:
        """Path of the part that this process plays in a cluster."""
        return self.path / "worker.json"

    @property
    def births(self) -> Path:
        """Path of the beginnings and ends of the processes that the program started."""
        return self.path / "births.jsonl"

    @property
    def how(self) -> Path:
        """Path of the words that say how these processes are recorded."""
        return self.path / "how"

    @property
    def claims(self) -> Path:
        """Path of a byte for each of these processes that is recorded: there may be so many."""
        return self.path / "claims"

    @property
    def orders(self) -> Path:
        """Path of the pipe for orders to these processes; it is there while the program runs."""
        return self.path / "orders"

    def child(self, name: str) -> RunDirectory:
        """Return the run directory ``name`` of a process that the program started."""
        return RunDirectory(self.path / CHILDREN / name)

    def children(self) -> tuple[RunDirectory, ...]:
        """Return the run directories of the processes that the program started."""
        return tuple(map(RunDirectory, sorted((self.path / CHILDREN).glob("*/"))))

    def captures_of_children(self) -> tuple[Path, ...]:
        """Return the captures that exist of the processes that the program started."""
        return tuple(sorted(self.path.glob(f"{CHILDREN}/*/capture*.bin")))

    def states_of_children(self) -> tuple[Path, ...]:
        """Return the states that exist of replays of these captures."""
        return tuple(sorted(self.path.glob(f"{CHILDREN}/*/capture*.state")))

    def fronts_of_children(self) -> tuple[Path, ...]:
        """Return what was compressed of these captures while they grew."""
        return tuple(sorted(self.path.glob(f"{CHILDREN}/*/capture*.front")))

    @property
    def snapshots(self) -> Path:
        return self.path / "snapshots.jsonl"

    @property
    def sources(self) -> Path:
        """Path of the source lines shown, as they were at the end of the run."""
        return self.path / "sources"

    @property
    def cells(self) -> Path:
        """Path of the cells that were run, where the program is a notebook."""
        return self.path / "cells"

    @property
    def symbols(self) -> Path:
        """Path of the names of the native frames in the captures."""
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
    def live(self) -> Path:
        """Path of the figures by line of a run that goes on."""
        return self.path / "live.json"

    def frozen(self, name: str) -> RunDirectory:
        """Return the directory ``name`` for a report that is made while the program runs."""
        return RunDirectory(self.path / FROZEN / name)

    @property
    def stacks(self) -> Path:
        """Path of the Python stacks that are written when RSS is over a limit."""
        return self.path / "stacks.txt"

    @property
    def html(self) -> Path:
        return self.path / "report.html"

    @property
    def json(self) -> Path:
        return self.path / "report.json"

    def growing(self) -> tuple[Path, ...]:
        """Return the existing files that grow with the number of traced allocations."""
        snapshots = (self.snapshots,) if self.snapshots.exists() else ()
        own = (*self.captures(), *self.states(), *self.fronts(), *snapshots)
        of_children = self.captures_of_children(), self.states_of_children()
        return (*own, *chain.from_iterable(of_children), *self.fronts_of_children())

    def files(self) -> tuple[Path, ...]:
        """Return the paths of all files that memdeep may have written here."""
        parts = (
            *(*self.captures(), *self.states(), *self.begun_states(), *self.fronts()),
            *(*self.path.glob("markers*"), *self.graphs()),
            *map(self.condensed, self.condensed_numbers()),
        )
        others = (
            self.journal,
            self.births,
            self.how,
            self.claims,
            self.orders,
            self.mappings,
            self.moments,
            self.earlier,
            self.pages,
            self.snapshots,
            self.symbols,
            self.cells,
            self.worker,
            self.sources,
            self.samples,
            self.log,
            self.meta,
            self.live,
            self.stacks,
        )
        exports = (self.path / f"export{suffix}" for suffix in EXPORTS)
        return (*parts, *others, self.html, self.json, *exports)


def of_rank(path: Path, rank: str | None) -> Path:
    """Return the place of a run in ``path``: each rank of a parallel program has one within it."""
    return path if rank is None else path / _in_name(rank)


def _in_name(rank: str) -> str:
    return rank.replace(" ", "-")


def create_default(name: str, now: datetime, rank: str | None = None) -> RunDirectory:
    """Make ``memdeep-runs/<name>-<date>-<time>``, with a number added if that exists already.

    ``rank`` is the part of the process in a parallel program, whose runs begin in one second.
    Raises OutputError.
    """
    stem = f"{name}-{now:%Y%m%d-%H%M%S}"
    if rank is not None:
        stem += f"-{_in_name(rank)}"
    number = 1
    while True:
        path = Path(DEFAULT_PARENT) / (stem if number == 1 else f"{stem}-{number}")
        try:
            _make_parent(path.parent)
            path.mkdir(mode=0o700)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise write_error(path, error) from error
        else:
            run_dir = create(path, force=False)
            link_latest(path.parent, run_dir)
            return run_dir


def link_latest(parent: Path, run_dir: RunDirectory | None) -> None:
    """Let the link ``latest`` in ``parent`` lead to ``run_dir``, or nowhere if that is None.

    Whatever else has that name stays, and a file system without links is left without.
    """
    link = parent / LATEST
    with suppress(OSError):
        if link.is_symlink() or not link.exists():
            if run_dir is None:
                link.unlink(missing_ok=True)
                return
            new = parent / f".{LATEST}-{os.getpid()}"
            new.symlink_to(run_dir.path.name, target_is_directory=True)
            new.replace(link)


def _make_parent(path: Path) -> None:
    """Make the directory of all runs if it is missing; git shall not see it. Raises OSError."""
    try:
        path.mkdir()
    except FileExistsError:
        return
    with suppress(OSError), open(path / ".gitignore", "x", encoding="ascii") as file:
        file.write("*\n")


def create(path: Path, *, force: bool) -> RunDirectory:
    """Make ``path`` an empty run directory, readable by its owner only.

    With ``force`` the files of an earlier run are removed; all other files stay. Raises OutputError
    if the directory is not empty or cannot be written.
    """
    run_dir = RunDirectory(path)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(path.iterdir()) and not force:
            raise _not_empty(path)
        clear(run_dir)
        with open(run_dir.journal, "xb"):  # of two runs started at once, one gets the directory
            pass
    except FileExistsError as error:
        raise (_not_empty(path) if path.is_dir() else write_error(path, error)) from error
    except OSError as error:
        raise write_error(path, error) from error
    return run_dir


def clear(run_dir: RunDirectory) -> None:
    """Remove the files of a run and of its processes; all others stay. Raises OSError.

    No link is followed.
    """
    for name in (CHILDREN, TESTS, FROZEN):
        within = run_dir.path / name
        if within.is_symlink():
            within.unlink()
        for path in sorted(within.glob("*/")):
            if path.is_symlink():  # it leads to what is not of this run
                continue
            clear(RunDirectory(path))
            with suppress(OSError):  # somebody else's file is in it
                path.rmdir()
        with suppress(OSError):
            within.rmdir()
    for file in run_dir.files():
        file.unlink(missing_ok=True)


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
    """Return the run directory at ``path``. Raises CaptureError if there is none."""
    run_dir = RunDirectory(path)
    try:
        run_dir.journal.stat()
    except FileNotFoundError as error:
        raise no_run(path) from error
    except OSError as error:
        raise read_error(run_dir.journal, error) from error
    return run_dir


def no_run(path: Path) -> CaptureError:
    """Return the error that ``path`` is no run directory."""
    if not os.path.lexists(path):
        return CaptureError(f"There is no file {path}.", "Check the path.", EXIT_NO_INPUT)
    return CaptureError(
        f"{path} is not a run directory of memdeep: it has no {RunDirectory(path).journal.name}.",
        "Give the directory that `memdeep run` named at its end, or a memray capture file.",
        EXIT_NO_INPUT,
    )


def is_directory(path: Path) -> bool:
    """Tell if ``path`` is a directory. Raises CaptureError if the system refuses to say."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        raise read_error(path, error) from error
