"""Encodes a table of a report as Parquet, by pyarrow, which need not be installed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from memdeep.errors import OutputError
from memdeep.model import Report
from memdeep.report.exports.options import ExportOptions
from memdeep.report.exports.tables import table

if TYPE_CHECKING:
    import pyarrow


def encode(report: Report, options: ExportOptions) -> Iterator[bytes]:
    """Yield the file of the table that ``options`` names. Raises OutputError without pyarrow."""
    try:
        from pyarrow.parquet import write_table
    except ImportError as error:
        raise OutputError(
            "Parquet is written by pyarrow, which is not installed here.",
            "Install it: pip install 'memdeep[parquet]'. Or export as csv.",
        ) from error
    file = io.BytesIO()
    write_table(arrow_table(report, options), file, compression="zstd")
    yield file.getvalue()


def arrow_table(report: Report, options: ExportOptions) -> pyarrow.Table:
    """Return the table that ``options`` names. Raises ImportError without pyarrow."""
    import pyarrow

    columns, rows = table(report, options)
    types = {
        str: pyarrow.string(),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        bool: pyarrow.bool_(),
    }
    schema = pyarrow.schema([(column.name, types[column.type]) for column in columns])
    by_column = [list(cells) for cells in zip(*rows, strict=True)] or [[] for _ in columns]
    return pyarrow.table(
        [pyarrow.array(cells, field.type) for cells, field in zip(by_column, schema, strict=True)],
        schema=schema,
    )
