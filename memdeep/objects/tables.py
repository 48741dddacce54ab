"""The tables of a run for pandas and Arrow, which are optional: those that are exported, too.

What is not known is missing, in columns of integers as well.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from memdeep.errors import MissingLibraryError, NotKnownError
from memdeep.model import Report
from memdeep.report.exports import parquet
from memdeep.report.exports.formats import TABLES
from memdeep.report.exports.options import ExportOptions
from memdeep.report.exports.tables import table


def to_pandas(report: Report, name: str) -> Any:
    """Return the table ``name`` as a `pandas.DataFrame`. Raises NotKnownError."""
    columns, rows = table(report, _options(name))
    pandas = _library("pandas")
    kinds = {str: "object", int: "Int64", float: "Float64", bool: "boolean"}
    cells: list[list[Any]] = [list(values) for values in zip(*rows, strict=True)]
    return pandas.DataFrame(
        {
            column.name: pandas.Series(values, dtype=kinds[column.type])
            for column, values in zip(columns, cells or [[] for _ in columns], strict=True)
        }
    )


def to_arrow(report: Report, name: str) -> Any:
    """Return the table ``name`` as a `pyarrow.Table`. Raises NotKnownError."""
    _library("pyarrow")
    return parquet.arrow_table(report, _options(name))


def _options(name: str) -> ExportOptions:
    """Return the options to export the table ``name``. Raises NotKnownError."""
    if name not in TABLES:
        known = ", ".join(f'"{one}"' for one in TABLES)
        raise NotKnownError(f'There is no table "{name}".', f"Give one of {known}.")
    return ExportOptions(table=name)


def _library(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingLibraryError(
            f"{name} is not installed, and the table is to be one of its own.",
            f"Install it: python -m pip install {name}",
        ) from error
