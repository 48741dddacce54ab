"""Encodes a table of a report as CSV: UTF-8, a row a line, the names of the columns first.

A figure that is not known is an empty cell. A text that a spreadsheet would take for a formula has
an apostrophe before it, as spreadsheets themselves mark a text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from memdeep.model import Report
from memdeep.report.exports.options import ExportOptions
from memdeep.report.exports.tables import Cell, table

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def encode(report: Report, options: ExportOptions) -> Iterator[bytes]:
    """Yield the rows of the table that ``options`` names."""
    columns, rows = table(report, options)
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    writer.writerow([column.name for column in columns])
    for row in rows:
        yield _taken(line)
        writer.writerow([shown(cell) for cell in row])
    yield _taken(line)


def shown(cell: Cell) -> Cell:
    """Return a cell as it is written: texts are no formulas."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, str) and cell.lstrip().startswith(FORMULA):
        return f"'{cell}"
    return cell


def _taken(line: io.StringIO) -> bytes:
    text = line.getvalue()
    line.seek(0)
    line.truncate()
    return text.encode("utf-8", "replace")
