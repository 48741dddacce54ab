"""Merges run directories on a cluster: its workers sum up some of them each, and then these sums.

For recordings that lie where all workers see them. A sum of rows is as small as the rows and a line
a process, whatever was recorded.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import distributed

from memdeep import pipeline
from memdeep.analysis.across import Rows
from memdeep.errors import EXIT_NO_INPUT, CaptureError
from memdeep.frozen import frozen, replace
from memdeep.integrations import cluster_summary
from memdeep.integrations.clusters import ClusterWorker, worker_of
from memdeep.loading.own_runs import OUTLIVED
from memdeep.model import DETACHED, Process, Report
from memdeep.objects.across import Row, row_of
from memdeep.objects.stacks import Recorded
from memdeep.rundir.directory import RunDirectory
from memdeep.text.language import spoken

AT_ONCE = 8  # run directories that one task sums up, and sums that one task merges


@frozen
class Merged:
    """The rows over all processes, and the workers among them.

    ``prefixes`` are as those of a recording; the indices in them are places in ``directories``.
    ``unread`` are the directories that could not be read.
    """

    prefixes: tuple[Row, ...]
    workers: tuple[ClusterWorker, ...]
    directories: tuple[Path, ...]
    unread: tuple[Path, ...] = ()

    def summary(self) -> str:
        """Return the rows and the workers as text, in the language of the terminal."""
        return "\n".join(cluster_summary.lines(self.prefixes, self.workers, spoken()))


class Sum:
    """The rows of some processes, by their numbers, with these processes and their heaps' peaks."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.processes: dict[int, tuple[Process, int | None]] = {}

    def add(self, number: int, report: Report) -> None:
        """Add a process, once."""
        run = report.run
        known = run.processes[0] if run.processes else Process(0)
        verdict = None if run.exit is None else run.exit.verdict
        process = replace(
            known,
            peak_rss_bytes=run.peak_rss_bytes,
            verdict=DETACHED if OUTLIVED in run.problems else verdict,
            curve=(),
        )
        self.processes[number] = process, report.heap.peak_bytes
        self.rows.add(number, report)

    def merge(self, other: Sum) -> None:
        """Add all that ``other`` has; no process is in both."""
        self.rows.merge(other.rows)
        self.processes |= other.processes


def merge(
    client: distributed.Client, dirs: Iterable[str | os.PathLike[str]], *, at_once: int = AT_ONCE
) -> Merged:
    """Sum up the phases of all processes recorded in ``dirs``, by the workers of ``client``.

    Each of these is a run directory, of one process or with those of many in it, and lies where the
    workers see it under the same path. Raises CaptureError if none of them can be read.
    """
    directories = [run_dir.path.absolute() for path in dirs for run_dir in _own(Path(path))]
    numbered = [*enumerate(map(str, directories))]
    untyped: Any = client
    parts = [untyped.submit(summed, some, pure=False) for some in _some(numbered, at_once)]
    while len(parts) > 1:
        some_sums = _some(parts, max(2, at_once))
        parts = [untyped.submit(merged, some, pure=False) for some in some_sums]
    whole: Sum = parts[0].result() if parts else Sum()
    first = next(iter(sorted(whole.processes)), None)
    report = None if first is None else pipeline.own_report(RunDirectory(directories[first]))
    if report is None:
        raise CaptureError(
            "None of the recordings could be read.",
            "Give run directories with a meta.json, or with children that have one.",
            EXIT_NO_INPUT,
        )
    known = [whole.processes.get(number, (None, None)) for number in range(len(directories))]
    processes = tuple(process or Process(0) for process, _ in known)
    line = Recorded(report).line_across
    return Merged(
        prefixes=tuple(row_of(row, processes, line) for row in whole.rows.rows()),
        workers=tuple(
            worker_of(
                process.worker,
                process.verdict,
                pid=process.pid,
                peak_rss=process.peak_rss_bytes,
                peak_heap=heap,
            )
            for process, heap in known
            if process is not None and process.worker is not None
        ),
        directories=tuple(directories),
        unread=tuple(
            path for path, (process, _) in zip(directories, known, strict=True) if process is None
        ),
    )


def summed(numbered: Iterable[tuple[int, str]]) -> Sum:
    """Sum up the processes with these numbers and directories, as far as they can be read."""
    found = Sum()
    for number, path in numbered:
        report = pipeline.own_report(RunDirectory(Path(path)))
        if report is not None:
            found.add(number, report)
    return found


def merged(sums: Iterable[Sum]) -> Sum:
    """Merge sums into one; they stay as they are."""
    found = Sum()
    for one in sums:
        found.merge(one)
    return found


def _own(path: Path) -> Sequence[RunDirectory]:
    """Return the run directories of the processes in one; of one process it is that itself."""
    run_dir = RunDirectory(path)
    children = run_dir.children()
    if any(not child.meta.exists() for child in children):
        pipeline.seal(run_dir, lambda _step: None)
    return children or [run_dir]


def _some(items: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), most):
        yield items[start : start + most]
