"""The formats of a comparison, by name: one list, as `report.outputs` has that of a report.

Encoders are listed by the name of their module: rich and Jinja2 are imported only where used.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Protocol, cast

from memdeep.model.comparison import Comparison
from memdeep.report.comparison.options import DiffOptions

MODULES = {
    "text": "memdeep.report.comparison.text",
    "markdown": "memdeep.report.comparison.markdown",
    "json": "memdeep.report.comparison.json",
    "html": "memdeep.report.comparison.page",
}
TAKES_REPORT_OPTIONS = ("html",)


class Encoder(Protocol):
    """A module that encodes comparisons."""

    def encode(self, comparison: Comparison, options: object, /) -> Iterator[bytes]:
        """Return ``comparison`` in pieces. The same one and options give the same bytes."""


def encode(comparison: Comparison, name: str, options: DiffOptions) -> Iterator[bytes]:
    """Return ``comparison`` in pieces, in the format ``name``."""
    module = cast(Encoder, import_module(MODULES[name]))
    return module.encode(comparison, options.report if name in TAKES_REPORT_OPTIONS else options)
