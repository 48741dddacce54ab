"""The options of an export. Knows no command line and no file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from memdeep.analysis.accounts import Metric
from memdeep.frozen import field, frozen
from memdeep.model import Report


@frozen
class ExportOptions:
    """Options of what an export holds.

    ``phases`` are the indices of those to export, with all that lie inside them; None for the whole
    run. ``own`` are those of processes that set checkpoints themselves, by process. ``metric`` is
    the figure of formats that have room for one, and None for what the format holds without a
    choice. ``table`` is one of `formats.TABLES`, for formats that hold a table.
    """

    phases: Set[int] | None = None
    metric: Metric | None = None
    table: str = "phases"
    own: Mapping[int, Set[int]] = field(default_factory=dict)

    @property
    def one_metric(self) -> Metric:
        """The one figure to export: what was kept, unless another was chosen."""
        return self.metric or Metric.KEPT

    def has(self, phase: int) -> bool:
        """Tell if ``phase`` is to be exported."""
        return self.phases is None or phase in self.phases

    def of_each(self, report: Report) -> Iterator[tuple[int, Report, ExportOptions]]:
        """Yield the reports of the program and of each process that has phases to export.

        They come with their process, and with the options for it alone.
        """
        yield 0, report, self
        for process, own in report.own_reports.items():
            if self.phases is None:
                yield process, own, ExportOptions()
            elif process in self.own:
                yield process, own, ExportOptions(self.own[process])


DEFAULTS = ExportOptions()
