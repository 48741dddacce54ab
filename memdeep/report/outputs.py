"""The outputs of a report: one list with the name, the file suffix and the encoder of each.

An export is one more module with a function `encode`, and one more line in the list. Encoders are
listed by the name of their module: Jinja2 and rich are imported only where they are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Protocol, cast

from memdeep.frozen import frozen
from memdeep.model import Report
from memdeep.report.options import ReportOptions


class Encoder(Protocol):
    """A module that encodes reports."""

    def encode(self, report: Report, options: ReportOptions, /) -> Iterator[bytes]:
        """Return ``report`` in pieces. The same report and options give the same bytes."""


@frozen
class Output:
    """A format that a report can be written in; ``module`` is the full name of its `Encoder`."""

    name: str
    suffix: str
    module: str

    def encode(self, report: Report, options: ReportOptions) -> Iterator[bytes]:
        """Return ``report`` in pieces, for a file whose name ends in ``suffix``."""
        return self.encoder().encode(report, options)

    def encoder(self) -> Encoder:
        """Import the module."""
        return cast(Encoder, import_module(self.module))


REGISTRY = (
    Output("html", ".html", "memdeep.report.page.html"),
    Output("json", ".json", "memdeep.report.json.document"),
    Output("text", ".txt", "memdeep.report.terminal"),
)
BY_NAME = {output.name: output for output in REGISTRY}
