"""Makes the workers of a cluster processes of one run, on whatever host they are.

Where a worker sees the run directory it records into that, else into one for all workers of its
host, which is gathered. Knows no framework.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from memdeep.errors import OutputError
from memdeep.frozen import frozen
from memdeep.integrations.gathering import BIRTHS, Answer, place_of, read_pieces
from memdeep.record.how import HowToRecord
from memdeep.record.session import Session
from memdeep.record.tree import Tree
from memdeep.rundir import births
from memdeep.rundir.cells import Cell, encode_cell
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import write_atomically
from memdeep.rundir.workers import Worker, encode_worker


@frozen
class Shared:
    """A run that workers join: ``id`` names a directory for it on the hosts without ``place``."""

    path: str
    place: str
    id: str

    def directory(self) -> str:
        """Return the run directory if it is there, or one for all workers of this host."""
        with suppress(OSError):
            if self.place == place_of(f"{self.path}/{BIRTHS}"):
                return self.path
        base = base_of(self.id)
        base.mkdir(0o700, exist_ok=True)
        found = base.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PermissionError(f"{base} is somebody else's")
        for path in (RunDirectory(base).births, RunDirectory(base).claims):
            path.touch(0o600)
        return str(base)


class Member:
    """This process as one of a run, from `begin` to `end`."""

    def __init__(self, how: HowToRecord, run: Shared) -> None:
        self._how = how
        self._run = run
        self._session: Session | None = None
        self._tree: Tree
        self._claims: str

    def begin(self, command: Sequence[str], facts: Worker | None) -> None:
        """Record it, named by ``command``, unless the run has processes enough. Raises OSError."""
        directory = self._run.directory()
        self._claims = str(RunDirectory(Path(directory)).claims)
        self._tree = Tree(directory, self._how)
        own = self._tree.new_directory()
        self._tree.born(births.EXEC, own, command=[*command])
        if own is None:
            return
        if facts is not None:
            write_atomically(RunDirectory(Path(own)).worker, encode_worker(facts))
        self._session = Session(self._how.but(run_dir=own), self._tree)
        self._session.start()

    def is_wanted(self) -> bool:
        """Tell if processes of the run are still recorded."""
        return self._session is None or os.path.exists(self._claims)

    def end(self) -> None:
        """Record it no longer; it goes on."""
        if self._session is not None:
            self._tree.ended(os.getpid(), 0)
            self._session.stop(None, waits=False)
            self._session = None


def base_of(run_id: str) -> Path:
    """Return the directory for workers of a host that do not see the run directory."""
    return Path(tempfile.gettempdir()) / f"memdeep-{run_id}"


def host_of(run_id: str) -> str:
    """Return, on a worker, the place of what is gathered from there; empty if there is nothing."""
    try:
        return place_of(str(RunDirectory(base_of(run_id)).births))
    except OSError:
        return ""


def read_of(run_id: str, known: dict[str, int], is_last: bool) -> Answer:
    """Return, on a worker, what its host has recorded since ``known``."""
    return read_pieces(base_of(run_id), known, is_last=is_last)


def discard(run_id: str) -> None:
    """Remove, on a worker, what its host has recorded."""
    shutil.rmtree(base_of(run_id), ignore_errors=True)


def keep_main(run_dir: RunDirectory) -> None:
    """Keep the source of the program: its functions are sent to workers without their file."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    if path:
        with suppress(OSError, ValueError, OutputError):
            source = Path(path).read_text("utf-8")
            file = os.path.abspath(path)
            write_atomically(run_dir.cells, encode_cell(Cell(file, file, source)))
