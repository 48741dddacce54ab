"""The options of an export. Knows no command line and no file."""

from __future__ import annotations

from collections.abc import Set

from memdeep.analysis.accounts import Metric
from memdeep.frozen import frozen


@frozen
class ExportOptions:
    """Options of what an export holds.

    ``phases`` are the indices of those to export, with all that lie inside them; None for the whole
    run. ``metric`` is the figure of formats that have room for one, and None for what the format
    holds without a choice. ``table`` is one of `formats.TABLES`, for formats that hold a table.
    """

    phases: Set[int] | None = None
    metric: Metric | None = None
    table: str = "phases"

    @property
    def one_metric(self) -> Metric:
        """The one figure to export: what was kept, unless another was chosen."""
        return self.metric or Metric.KEPT

    def has(self, phase: int) -> bool:
        """Tell if ``phase`` is to be exported."""
        return self.phases is None or phase in self.phases


DEFAULTS = ExportOptions()
