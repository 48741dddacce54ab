"""The kinds of findings and of advice. Knows no wording."""

from __future__ import annotations

from enum import Enum


class FindingKind(Enum):
    """The kind of a finding.

    GROWTH: bytes that stayed. PEAK: bytes that were alive only at the peak. FILE and SHARED: pages
    of a mapped file and of shared memory that became resident. RESERVED: bytes that stayed but of
    which hardly any were ever touched. TOUCHED: bytes allocated before the phase and used in it for
    the first time. COPIED: bytes of a line whose pages were copied for forked processes. UNTRACKED:
    the RSS grew and the heap did not. HELD: the heap
    shrank and the RSS did not.
    """

    GROWTH = "growth"
    PEAK = "peak"
    FILE = "file"
    SHARED = "shared"
    RESERVED = "reserved"
    TOUCHED = "touched"
    COPIED = "copied"
    UNTRACKED = "untracked"
    HELD = "held"


class Advice(Enum):
    """The cause that the evidence points to, each with an advice of its own."""

    DEEP_COPY = "deep copy"
    WHOLE_PARSE = "whole-file parse"
    WHOLE_TEXT = "whole text"
    WHOLE_PICKLE = "whole pickle"
    UNPICKLE = "unpickle"
    WORKBOOK = "workbook"
    ALL_ROWS = "all rows"
    MERGE = "merge"
    FIGURES = "figures"
    IMPORT = "import"
    BLAS_BUFFERS = "BLAS buffers"
    CACHED_RESULTS = "cached results"
    MADE_ANEW = "made anew"
    REPEATED_GROWTH = "repeated growth"
    GROWING_CONTAINER = "growing container"
    ARROW_POOL = "Arrow pool"
    POLARS_POOL = "Polars pool"
    UNTOUCHED = "untouched"
    UNTRACKED = "untracked"
    IN_ARROW_POOL = "in Arrow's pool"
    IN_POLARS_POOL = "in Polars' pool"
    HELD = "held"
    HELD_BY_THREADS = "held by threads"
    HELD_BY_PYTHON = "held by Python"
    COPY_ON_WRITE = "copy on write"
