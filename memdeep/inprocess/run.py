"""What comes of a recording of this process: its directory, and the report that is made of it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from memdeep import pipeline
from memdeep.errors import NotKnownError
from memdeep.frozen import replace
from memdeep.model import Report
from memdeep.report.options import DEFAULTS, ReportOptions
from memdeep.results import Finding, Phases, Result
from memdeep.rundir.directory import RunDirectory
from memdeep.symbols import cache


class Run:
    """One recording. Its figures are known when it has ended; they are worked out when asked for.

    ``path`` is the run directory, None if the recording is a phase of another one.
    """

    def __init__(self, name: str, path: Path | None, options: ReportOptions = DEFAULTS) -> None:
        self.name = name
        self.path = path
        self._options = replace(options, cache=cache.directory_of("memdeep") / "templates")
        self._has_ended = False

    def end(self) -> None:
        """The recording has ended; called once."""
        self._has_ended = True

    def report(self) -> Path | None:
        """Write report.html and report.json into the run directory; return the path of the page.

        None if the recording is a phase of another one, whose report has it. Raises NotKnownError
        before it has ended.
        """
        if self.path is None:
            return None
        report, paths = self._report, pipeline.report_paths(self.path)
        with _uncollected():
            pipeline.store_sources(RunDirectory(self.path), report)
            pipeline.write(report, paths, _silently, self._options)
        return paths["html"]

    @cached_property
    def result(self) -> Result:
        """The run as `memdeep.load` has it. Raises NotKnownError before it has ended."""
        return Result(self._report)

    @property
    def phases(self) -> Phases:
        """The phases in it; without any, the recording itself is one."""
        return self.result.phases

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What made memory grow, most important first."""
        return self.result.findings

    @cached_property
    def _report(self) -> Report:
        if self.path is None:
            raise NotKnownError(
                f"The recording {self.name} is a phase of another one.",
                "Its figures are in the report of that, which is made when that has ended.",
            )
        if not self._has_ended:
            raise NotKnownError(
                f"The recording {self.name} has not ended.", "Ask for it after the `with` block."
            )
        with _uncollected():
            pipeline.seal(RunDirectory(self.path), _silently)
            return pipeline.analyse(pipeline.load(self.path, _silently), _silently, self._options)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """Return the verdict as text, and the page for notebooks, which is written as well."""
        page = self.report() if self._has_ended else None
        if page is None:
            return {"text/plain": repr(self)}
        from memdeep.report.page import html

        said = pipeline.tell_verdict(self._report, self._options)
        return {"text/plain": f"{said}\n\n{page}", "text/html": html.within(page)}

    def __repr__(self) -> str:
        if self.path is None:
            return f"<Run {self.name}: a phase of another recording>"
        return f"<Run {self.name}: {'' if self._has_ended else 'being recorded in '}{self.path}>"


@contextmanager
def _uncollected() -> Iterator[None]:
    """Let nobody look for cycles among millions of objects that are none; the program's stay."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _silently(_step: str) -> None:
    pass
