"""The formats that a report can be exported in: one list with the name and the encoder of each.

A format is one more module with a function `encode`, and one more line in the list. Imports none of
them, so that the command line is at hand at once.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from memdeep.frozen import frozen

if TYPE_CHECKING:
    from memdeep.model import Report
    from memdeep.report.exports.options import ExportOptions

METRICS = ("kept", "retained", "freed", "peak", "allocated")
TABLES = ("phases", "lines", "checkpoints", "holders", "types")
PACKED = ".gz"


class Encoder(Protocol):
    """A module that encodes reports."""

    def encode(self, report: Report, options: ExportOptions, /) -> Iterator[bytes]:
        """Return ``report`` in pieces. The same report and options give the same bytes."""


@frozen
class Format:
    """A format to export in; ``module`` is the full name of its `Encoder`.

    Names of files that end in one of ``suffixes`` ask for it; the first is that of new files.
    ``reader`` is an address, or a command with ``FILE`` in it, that opens the file. ``is_text`` if
    a terminal may show it, ``needs_heap`` if it holds nothing but allocations, ``has_own`` if it
    holds the phases of processes that the program started.
    """

    name: str
    suffixes: tuple[str, ...]
    module: str
    reader: str = ""
    is_text: bool = True
    needs_heap: bool = False
    has_own: bool = False

    def encode(self, report: Report, options: ExportOptions) -> Iterator[bytes]:
        """Return ``report`` in pieces."""
        return cast(Encoder, import_module(self.module)).encode(report, options)


_ROOM = "memdeep.report.exports"
FORMATS = (
    Format(
        "pprof",
        (".pb.gz", ".pprof"),
        f"{_ROOM}.pprof",
        "pprof -http=: FILE",
        is_text=False,
        needs_heap=True,
    ),
    Format(
        "firefox",
        (".firefox.json.gz", ".firefox.json"),
        f"{_ROOM}.firefox",
        "https://profiler.firefox.com",
    ),
    Format(
        "speedscope",
        (".speedscope.json",),
        f"{_ROOM}.speedscope",
        "https://www.speedscope.app",
        needs_heap=True,
    ),
    Format(
        "collapsed",
        (".collapsed", ".folded"),
        f"{_ROOM}.collapsed",
        "flamegraph.pl --countname=bytes FILE > flame.svg",
        needs_heap=True,
    ),
    Format(
        "perfetto",
        (".perfetto.json", ".trace.json"),
        f"{_ROOM}.perfetto",
        "https://ui.perfetto.dev",
        has_own=True,
    ),
    Format("openmetrics", (".openmetrics", ".prom"), f"{_ROOM}.openmetrics", has_own=True),
    Format("parquet", (".parquet",), f"{_ROOM}.parquet", is_text=False, has_own=True),
    Format("csv", (".csv",), f"{_ROOM}.csv", has_own=True),
)
BY_NAME = {one.name: one for one in FORMATS}


def packed_for(name: str, own: Format, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield ``pieces`` of the format ``own``, packed if the file ``name`` shall be."""
    if not own.is_text or not name.lower().endswith(PACKED):
        yield from pieces
        return
    compressor = zlib.compressobj(9, wbits=31)  # as gzip has it, without a time
    yield from filter(None, map(compressor.compress, pieces))
    yield compressor.flush()


def of_file(name: str) -> Format | None:
    """Return the format that the name of a file asks for; it may be packed by gzip."""
    names = (name.lower(), name.lower().removesuffix(PACKED))
    for one in FORMATS:
        if any(text.endswith(suffix) for text in names for suffix in one.suffixes):
            return one
    return None
