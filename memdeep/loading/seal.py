"""Seals a run that has ended: its captures for memray's own commands, its names for other machines.

In place of every marker the captures get memory records. Nothing depends on it: a report reads a
capture as if it were sealed, so that one that could not be changed, or whose sealing was
interrupted, has the same report.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from memdeep.errors import CaptureError, OutputError
from memdeep.heap import front, native_names, packed
from memdeep.heap.front import Front
from memdeep.heap.markers import Alignment
from memdeep.heap.replay import engine, saved
from memdeep.loading.code import origins_of
from memdeep.loading.journal import read_journal
from memdeep.loading.outside import seen_outside
from memdeep.loading.own_runs import Seen, write_own_runs
from memdeep.loading.processes import read_processes
from memdeep.loading.run import directories_of, start_of
from memdeep.loading.traced import align_parts
from memdeep.record.how import MEMRAY
from memdeep.rundir import condensed, graph, marker
from memdeep.rundir.directory import RunDirectory, state_of
from memdeep.rundir.files import write_atomically
from memdeep.rundir.meta import Meta, read_meta

LEAST_BYTES = 1 << 20  # of a capture that is worth compressing


def seal(
    run_dir: RunDirectory,
    on_step: Callable[[str], None],
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Replace the markers in the captures, and store the names of native frames.

    That takes a while, and memory: if there is something to do ``meanwhile``, a forked process
    stores the names, as may not be within a program of somebody else's. A capture that cannot be
    read or changed is left as it is. Raises OutputError if the names cannot be written.
    """
    try:
        meta = read_meta(run_dir)
    except CaptureError:  # the report says so
        return
    for own in (run_dir, *run_dir.children()):
        if own.graphs() or own.earlier.exists():
            on_step("Waiting for who holds the objects")
            graph.wait(own)
    if meta.backend != MEMRAY:
        return
    on_step("Sealing the captures")
    with suppress(CaptureError):
        _seal(run_dir, meta)
    if not (meta.native and native_names.is_installed() and engine.is_built()):
        return
    store = partial(native_names.store_names, run_dir, directories=directories_of(meta))
    if meanwhile is not None and sys.platform == "linux":  # elsewhere a fork may not load libraries
        on_step("Storing the names of native frames")
        if _is_done_aside(partial(store, lambda _step: None), meanwhile):
            return
    store(on_step)


def _is_done_aside(work: Callable[[], None], meanwhile: Callable[[], None]) -> bool:
    """Do ``work`` in a forked process, and call ``meanwhile`` here; tell if both came to their end.

    What the work takes of the memory goes with its process. Where it failed, nobody has said why.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # no other thread does more than draw on the terminal
            pid = os.fork()
    except OSError:
        return False
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    try:
        meanwhile()
        return os.waitpid(pid, 0)[1] == 0
    except BaseException:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGINT)  # it takes away what it has half written
            os.waitpid(pid, 0)
        raise


def _seal(run_dir: RunDirectory, meta: Meta) -> None:
    if all(map(saved.is_holed, run_dir.captures())) and not run_dir.children():
        return  # no command of memray's reads them, whatever lies in place of their markers
    left = condensed.read(run_dir, saved.merges_of(run_dir.capture()))
    events = read_journal(run_dir.journal, left).events
    start = start_of(run_dir, events)
    for number, alignment in align_parts(run_dir, events, start).alignments.items():
        if alignment.changes:
            _change(run_dir.capture(number), run_dir.markers(number), alignment)
    if not run_dir.children():
        return
    outside, _ = seen_outside(run_dir, meta, start, left.samples_left)
    origins = origins_of(meta)
    processes, _ = read_processes(run_dir, [start, *events], outside, origins)
    write_own_runs(run_dir, Seen(start, outside, processes))


def pack(run_dir: RunDirectory, on_step: Callable[[str], None]) -> None:
    """Compress the captures of a run that was sealed, and of those of its processes that ended.

    One that cannot be compressed, or is small, stays as it is, and no state is needed of it any
    more. Of one that was given back in part the rest is, as far as states stand for it.
    """
    on_step("Compressing the captures")
    changes = _changes_in_fronts(run_dir)
    for own in (run_dir, *run_dir.children()):
        with suppress(CaptureError, OutputError, OSError):
            if read_meta(own).verdict is None:  # one that has not ended may go on
                continue
            for capture in own.captures():
                if saved.is_holed(capture):
                    if _is_own(capture):
                        saved.give_rest_back(capture, of_child=own is not run_dir)
                elif packed.is_installed() and not own.condensed_numbers():
                    if _is_own(capture) and capture.stat().st_size >= LEAST_BYTES:
                        front.pack(capture, changes.get(capture, {}))
                    # Where segments were merged, they are in the state only.
                    for in_family in (False, True):
                        state_of(capture, in_family=in_family).unlink(missing_ok=True)


def _changes_in_fronts(run_dir: RunDirectory) -> dict[Path, Mapping[int, bytes]]:
    """Return what was not written into the captures of the program, since it is compressed.

    By offset, as in `heap.markers.Alignment`.
    """
    if not run_dir.fronts():
        return {}
    with suppress(CaptureError):
        left = condensed.read(run_dir, saved.merges_of(run_dir.capture()))
        events = read_journal(run_dir.journal, left).events
        alignments = align_parts(run_dir, events, start_of(run_dir, events)).alignments
        return {run_dir.capture(number): one.changes for number, one in alignments.items()}
    return {}


def _change(capture: Path, places: Path, alignment: Alignment) -> None:
    """Change ``capture`` in place, if that is possible.

    The file must belong to this run alone: behind a link, another directory's would be changed.
    Where the markers lay is written first, so that nothing is lost if the rest is interrupted.
    """
    with suppress(OSError, OutputError):
        if not _is_own(capture):
            return
        with open(capture, "r+b") as file:
            write_atomically(places, marker.encode_places(list(alignment.markers)))
            compressed = Front(capture)
            for offset, records in alignment.changes.items():
                if not compressed.covers(offset):
                    file.seek(offset)
                    file.write(records)


def _is_own(capture: Path) -> bool:
    """Tell whether the file belongs to this run alone."""
    status = capture.lstat()
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1
