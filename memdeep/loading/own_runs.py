"""Makes the directory of each process that was recorded a run directory of its own.

The process wrote its captures and its journal itself. What the parent saw of it, and how it was
started, is in the files of the run: written out for the process alone, by its own clock, it makes
a report of it alone.
"""

from __future__ import annotations

import math
import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from memdeep.errors import OutputError
from memdeep.frozen import frozen, replace
from memdeep.loading.processes import Outside, read_births
from memdeep.model import DETACHED, Identity, Process
from memdeep.record.tree import program_place
from memdeep.rundir.births import Birth
from memdeep.rundir.directory import CHILDREN, RunDirectory
from memdeep.rundir.files import write_atomically
from memdeep.rundir.journal import Event
from memdeep.rundir.meta import Meta, SeenProcess, encode_meta
from memdeep.rundir.samples import SAMPLES_TITLE, ProcessSample, encode_sample

OUTLIVED = (
    "The process was still running at the end of the run: what it did afterwards is not counted."
)
CODE = "<string>"  # the file name of code given with -c


@frozen
class Seen:
    """All that is known of the processes of a run, whose program began with ``start``."""

    start: Event
    outside: Outside
    processes: Sequence[Process]


def write_own_runs(run_dir: RunDirectory, seen: Seen) -> None:
    """Write the facts and the samples of each process that was recorded into its directory.

    Where that cannot be written there is no report of that process alone.
    """
    births = {one.directory: one for one in read_births(run_dir) if one.directory is not None}
    by_pid: defaultdict[int, list[ProcessSample]] = defaultdict(list)
    for sample in seen.outside.samples:
        by_pid[sample.pid].append(sample)
    for place, family in _families(seen.processes).items():
        own = RunDirectory(run_dir.path / (seen.processes[place].directory or ""))
        if not _is_own(own):
            continue
        meta = _meta(seen, family, births)
        with suppress(OutputError):
            write_atomically(own.samples, _samples(meta, seen, family, by_pid))
            write_atomically(own.meta, encode_meta(meta))


def _is_own(run_dir: RunDirectory) -> bool:
    """Tell if the directory lies where it should: behind a link, another's would be changed."""
    directories = (run_dir.path, run_dir.path.parent)
    return run_dir.path.is_dir() and not any(path.is_symlink() for path in directories)


def _families(processes: Sequence[Process]) -> dict[int, list[int]]:
    """Return, for each process that was recorded, itself and its descendants, by their places."""
    found = {place: [place] for place, one in enumerate(processes) if one.is_traced}
    traced_above: list[list[int]] = []
    for place, process in enumerate(processes):
        above = [] if process.parent is None else traced_above[process.parent]
        for ancestor in above:
            found[ancestor].append(place)
        traced_above.append([*above, place] if process.is_traced else above)
    return found


def _meta(seen: Seen, family: Sequence[int], births: Mapping[str, Birth]) -> Meta:
    """Derive the facts of the first process of ``family`` from those of the run."""
    of_run, process = seen.outside.meta, seen.processes[family[0]]
    birth = births.get(os.path.basename(process.directory or ""))
    start_s = process.start_s or 0.0
    spawned_ns = seen.start.monotonic_ns + math.floor(start_s * 1e9)
    command = _command(seen, family[0], births)
    is_code = command[:1] == ("-c",) and CODE not in of_run.own_paths
    has_outlived = process.verdict == DETACHED
    is_known = process.verdict is not None and not has_outlived
    end_s = process.end_s if is_known else None
    if has_outlived and of_run.duration_s is not None:
        end_s = of_run.duration_s - seen.outside.offset_s
    started = datetime.fromisoformat(of_run.started) + timedelta(
        milliseconds=(spawned_ns - of_run.spawned_ns) / 1e6
    )
    return replace(
        of_run,
        command=command,
        name=f"{of_run.name} ({process.how} {process.pid})",
        python=of_run.python if birth is None else birth.python or of_run.python,
        started=started.isoformat(timespec="milliseconds"),
        spawned_ns=spawned_ns,
        duration_s=None if end_s is None else max(0.0, end_s - start_s),
        exit_code=process.exit,
        signal=process.signal,
        verdict=process.verdict if is_known else None,
        evidence=(),
        processes=tuple(_seen(seen.processes, place, family[0]) for place in family),
        notes=(OUTLIVED,) if has_outlived else (),
        own_paths=(*of_run.own_paths, *([CODE] if is_code else ())),
        peak_pss_bytes=None,
        others_only=False,
        identity=_identity(of_run.identity, process),
    )


def _identity(of_run: Identity | None, process: Process) -> Identity | None:
    """Return what is known of a process's program: a forked one's is that of its run."""
    if of_run is None or process.is_forked:
        return of_run
    return Identity(platform=of_run.platform, libc=of_run.libc)


def _seen(processes: Sequence[Process], place: int, first: int) -> SeenProcess:
    """Describe the process at ``place`` by the clock of the ``first`` of its family."""
    process, start_s = processes[place], processes[first].start_s or 0.0
    parent = None if place == first or process.parent is None else processes[process.parent].pid
    return SeenProcess(
        pid=process.pid,
        parent_pid=parent,
        command=process.command,
        peak_rss_bytes=process.peak_rss_bytes,
        exit=process.exit,
        start_s=None if process.start_s is None else max(0.0, process.start_s - start_s),
        end_s=None if process.end_s is None else max(0.0, process.end_s - start_s),
        peak_pss_bytes=process.peak_pss_bytes,
        peak_uss_bytes=process.peak_uss_bytes,
        signal=process.signal,
        verdict=process.verdict,
    )


def _samples(
    meta: Meta,
    seen: Seen,
    family: Sequence[int],
    by_pid: Mapping[int, Sequence[ProcessSample]],
) -> bytes:
    """Encode the readings of a ``family``, timed from the start of the first process in it."""
    shift_ms = round((meta.spawned_ns - seen.outside.meta.spawned_ns) / 1e6)
    found = {
        (sample.time_ms, sample.pid): sample
        for process in (seen.processes[place] for place in family)
        for sample in _of(process, by_pid.get(process.pid, ()), seen.outside.offset_s)
        if sample.time_ms >= shift_ms
    }
    text = "".join(
        encode_sample(replace(found[key], time_ms=key[0] - shift_ms)) for key in sorted(found)
    )
    return (SAMPLES_TITLE + text).encode("ascii")


def _of(
    process: Process, samples: Sequence[ProcessSample], offset_s: float
) -> Iterator[ProcessSample]:
    """Yield the readings of ``process`` among those of its pid, which may be given out again."""
    first_ms = 1000 * ((process.start_s or 0.0) + offset_s)
    last_ms = math.inf if process.end_s is None else 1000 * (process.end_s + offset_s)
    for sample in samples[bisect_left(samples, first_ms, key=lambda one: one.time_ms) :]:
        if sample.time_ms > last_ms:
            return
        yield sample


def _command(seen: Seen, place: int, births: Mapping[str, Birth]) -> tuple[str, ...]:
    """Return the command of a process without its Python; a fork has that of its parent."""
    at: int | None = place
    while at is not None:
        directory = seen.processes[at].directory
        birth = None if directory is None else births.get(os.path.basename(directory))
        if birth is not None and birth.command:
            return birth.command[program_place(list(birth.command)) :]
        at = seen.processes[at].parent
    return seen.outside.meta.command


def shared_symbols(run_dir: RunDirectory) -> RunDirectory:
    """Return where the names of native frames are: a process shares those of its run."""
    above = run_dir.path.absolute().parent
    if above.name == CHILDREN and not os.path.lexists(run_dir.symbols):
        return RunDirectory(above.parent)
    return run_dir
