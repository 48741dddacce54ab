"""One recording of a cluster, of whatever framework: its rows, its workers, and its report."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from memdeep.inprocess.recording import DEFAULTS, Recording
from memdeep.inprocess.run import Run
from memdeep.integrations import cluster_summary
from memdeep.integrations.clusters import ClusterWorker, workers_of
from memdeep.integrations.gathering import Gathered
from memdeep.objects.across import Row
from memdeep.record.how import NONE, HowToRecord
from memdeep.results import Result
from memdeep.text.language import spoken

MOST_WORKERS = 1000


def how_to_record(*, native: bool, deep: bool) -> HowToRecord:
    """Return how workers of a cluster are recorded: each by itself, without what it starts."""
    return DEFAULTS.but(
        native=native,
        trace_python_allocators=deep,
        children=NONE,
        most_children=MOST_WORKERS,
    )


def load(name: str, path: str | os.PathLike[str]) -> ClusterRun:
    """Return the recording of a cluster in a run directory; ``name`` is that of its framework."""
    run = Run(name, Path(path))
    run.end()
    return ClusterRun(run)


class ClusterRun:
    """One recording of a cluster. Its figures are known when it has ended.

    ``path`` is the run directory, None if the recording is a phase of another one.
    """

    def __init__(self, run: Run, gathered: Gathered | None = None) -> None:
        self._run = run
        self.path = run.path
        self.gathered = gathered  # how much has come through the scheduler

    def report(self) -> Path | None:
        """Write report.html and report.json; return the path of the page, as `Run.report` does."""
        return self._run.report()

    @property
    def result(self) -> Result:
        """The run as `memdeep.load` has it. Raises NotKnownError before it has ended."""
        return self._run.result

    @cached_property
    def workers(self) -> tuple[ClusterWorker, ...]:
        """The workers, with their peaks and their limits. Raises NotKnownError."""
        return workers_of(self.result)

    @property
    def prefixes(self) -> tuple[Row, ...]:
        """The tasks by prefix, over all workers; what retained most first. Raises NotKnownError."""
        return self.result.across

    def summary(self) -> str:
        """Return the rows and the workers as text, in the language of the terminal."""
        return "\n".join(cluster_summary.lines(self.prefixes, self.workers, spoken()))

    def __repr__(self) -> str:
        return f"<ClusterRun in {self.path}>"


@contextmanager
def ending(recorded: Recording) -> Iterator[None]:
    """End a recording before those of the workers, which it sees as going on."""
    try:
        yield
    except BaseException as error:
        recorded.stop(error)
        raise
    recorded.stop()
