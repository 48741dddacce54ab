"""The options of a comparison's outputs. Knows no command line and no file."""

from __future__ import annotations

from memdeep.frozen import field, frozen
from memdeep.report.options import ReportOptions


@frozen
class DiffOptions:
    """Options of what a comparison shows: those of any report, and ``all_phases``.

    With ``all_phases`` those that are alike are listed too.
    """

    report: ReportOptions = field(default_factory=ReportOptions)
    all_phases: bool = False


DIFF_DEFAULTS = DiffOptions()
