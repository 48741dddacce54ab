"""The tables of a run for pandas and Arrow, which are optional: those that are exported, too.

What is not known is missing, in columns of integers as well.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from memdeep.errors import MissingLibraryError, NotKnownError
from memdeep.model import Report
from memdeep.report.exports.formats import TABLES
from memdeep.report.exports.options import ExportOptions
from memdeep.report.exports.tables import Column, table

Columns = list[tuple[Column, list[Any]]]


def to_pandas(report: Report, name: str) -> Any:
    """Return the table ``name`` as a `pandas.DataFrame`. Raises NotKnownError."""
    columns, pandas = _columns(report, name), _library("pandas")
    kinds = {str: "object", int: "Int64", float: "Float64", bool: "boolean"}
    return pandas.DataFrame(
        {one.name: pandas.Series(cells, dtype=kinds[one.type]) for one, cells in columns}
    )


def to_arrow(report: Report, name: str) -> Any:
    """Return the table ``name`` as a `pyarrow.Table`. Raises NotKnownError."""
    columns, arrow = _columns(report, name), _library("pyarrow")
    kinds = {
        str: arrow.string(),
        int: arrow.int64(),
        float: arrow.float64(),
        bool: arrow.bool_(),
    }
    return arrow.table({one.name: arrow.array(cells, kinds[one.type]) for one, cells in columns})


def _columns(report: Report, name: str) -> Columns:
    """Return the columns of a table with their cells. Raises NotKnownError."""
    if name not in TABLES:
        known = ", ".join(f'"{one}"' for one in TABLES)
        raise NotKnownError(f'There is no table "{name}".', f"Give one of {known}.")
    columns, rows = table(report, ExportOptions(table=name))
    cells: list[list[Any]] = [list(values) for values in zip(*rows, strict=True)]
    return list(zip(columns, cells or [[] for _ in columns], strict=True))


def _library(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingLibraryError(
            f"{name} is not installed, and the table is to be one of its own.",
            f"Install it: python -m pip install {name}",
        ) from error
