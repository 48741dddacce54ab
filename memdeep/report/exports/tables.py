"""The rows of the tables that a report is exported as: phases, lines, checkpoints, objects.

Knows no file format. The fields of `report.json` have the same names there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from memdeep.analysis.accounts import UNKNOWN_STACK, Accounts, Metric
from memdeep.analysis.culprits import ChargedLines
from memdeep.model import Origin, Report
from memdeep.model.holders import SnapshotView
from memdeep.model.paths import roots_of
from memdeep.report.exports.figures import MEANINGS, of_phase
from memdeep.report.exports.options import ExportOptions
from memdeep.report.exports.shown import NO_STACK, ShownFrame, paths_of, shown_frame
from memdeep.text.safe import plain

Cell = str | int | float | bool | None
Row = Sequence[Cell]


class Column(NamedTuple):
    """A column: its name, and the type of its cells, of which any may be None."""

    name: str
    type: type[str] | type[int] | type[float] | type[bool]


class Table(NamedTuple):
    """Columns, and the rows that have a cell for each."""

    columns: Sequence[Column]
    rows: Iterator[Row]


_FIGURES = (
    (Metric.KEPT, "kept_bytes"),
    (Metric.RETAINED, "retained_bytes"),
    (Metric.FREED, "released_bytes"),
    (Metric.PEAK, "peak_bytes"),
    (Metric.ALLOCATED, "allocated_bytes"),
)


def table(report: Report, options: ExportOptions) -> Table:
    """Return the table that ``options`` names.

    Processes that set checkpoints themselves have rows behind those of the program, with the index
    of the process.
    """
    columns, rows = _TABLES[options.table]
    return Table(
        (Column("process", int), *columns),
        ((at, *row) for at, one, wanted in options.of_each(report) for row in rows(one, wanted)),
    )


def _phases(report: Report, options: ExportOptions) -> Iterator[Row]:
    paths = paths_of(report.phases)
    for place, phase in enumerate(report.phases):
        if options.has(place):
            outline = phase.outline
            thread = None if outline.thread is None else plain(outline.thread)
            yield (
                *(paths[place], plain(phase.name), outline.kind.value, outline.depth, thread),
                *(phase.repeats, phase.complete, phase.start, phase.end),
                *of_phase(phase).values(),
            )


def _lines(report: Report, options: ExportOptions) -> Iterator[Row]:
    """Yield the lines of each phase, those that kept most first; all of them have the sums."""
    accounts, charged = Accounts(report), ChargedLines(report.heap.tree)
    sums = accounts.sums(*(metric for metric, _ in _FIGURES))
    paths, roots = paths_of(report.phases), roots_of(report)
    for place, path in enumerate(paths):
        if not options.has(place):
            continue
        lines: dict[tuple[int, ShownFrame, str | None], list[int]] = {}
        for number, (metric, _) in enumerate(_FIGURES):
            for node, (size, count) in sums[metric].get(place, {}).items():
                key = _line(report, charged, node, roots)
                figures = lines.setdefault(key, [0] * (len(_FIGURES) + 1))
                figures[number] += size
                figures[-1] += count if metric is Metric.ALLOCATED else 0
        for (process, frame, source), figures in sorted(lines.items(), key=_largest_first):
            known: list[Cell] = [*figures]
            if not accounts.knows_allocated:
                known[-2:] = [None, None]
            line = (process, frame.path or None, frame.lineno or None, frame.function)
            yield (path, *line, frame.origin.value, source, *known)


def _line(
    report: Report, charged: ChargedLines, node: int, roots: Sequence[str]
) -> tuple[int, ShownFrame, str | None]:
    """Return whose line it is that a node is charged to, the line, and its source."""
    if node == UNKNOWN_STACK:
        return 0, ShownFrame(NO_STACK, "", 0, Origin.MEMDEEP), None
    frame = charged.frame(node)
    source = report.source(frame)
    shown = shown_frame(frame, roots)
    return report.heap.tree.process(node), shown, None if source is None else plain(source)


def _largest_first(
    item: tuple[tuple[int, ShownFrame, str | None], Sequence[int]],
) -> tuple[object, ...]:
    (process, frame, _), figures = item
    return *(-figure for figure in figures), process, frame.path, frame.lineno, frame.function


def _checkpoints(report: Report, options: ExportOptions) -> Iterator[Row]:
    wanted = None
    if options.phases is not None:
        wanted = {
            point
            for place, phase in enumerate(report.phases)
            if options.has(place)
            for stretch in phase.outline.stretches
            for point in range(stretch.start, stretch.end + 1)
        }
    for point, heap_bytes in zip(report.run.checkpoints, report.heap.at_checkpoints, strict=True):
        if wanted is None or point.index in wanted:
            note, thread = point.note, point.thread
            yield (
                *(point.index, plain(point.label), point.kind.value),
                *(None if note is None else plain(note), point.time_s, point.rss_bytes),
                *(heap_bytes, None if thread is None else plain(thread), point.pid),
            )


def _snapshots(report: Report, options: ExportOptions) -> Iterator[tuple[Row, SnapshotView]]:
    """Yield the snapshots at the checkpoints of the chosen phases, and how to tell each."""
    wanted = {row[0] for row in _checkpoints(report, options)}
    for one in report.snapshots:
        if one.checkpoint in wanted:
            label = report.run.checkpoints[one.checkpoint].label
            yield (one.checkpoint, plain(label)), one


def _holders(report: Report, options: ExportOptions) -> Iterator[Row]:
    for at, one in _snapshots(report, options):
        for place, (name, row) in enumerate(one.rows):
            yield (
                *(*at, place, row.parent, plain(name), plain(row.path), plain(row.label)),
                *(row.own_bytes, row.retained_bytes, row.objects, row.is_single, row.others),
                plain(row.also) or None,
            )


def _types(report: Report, options: ExportOptions) -> Iterator[Row]:
    for at, one in _snapshots(report, options):
        for kind in one.types:
            yield (*at, plain(kind.type), kind.bytes, kind.count)


_TABLES: Mapping[str, tuple[Sequence[Column], Callable[[Report, ExportOptions], Iterator[Row]]]] = {
    "phases": (
        (
            *(Column("phase", str), Column("name", str), Column("kind", str)),
            *(Column("depth", int), Column("thread", str), Column("repeats", int)),
            *(Column("complete", bool), Column("start", int), Column("end", int)),
            *(Column(name, float if name == "duration_s" else int) for name in MEANINGS),
        ),
        _phases,
    ),
    "lines": (
        (
            *(Column("phase", str), Column("allocated_by", int), Column("path", str)),
            *(Column("lineno", int), Column("function", str), Column("origin", str)),
            *(Column("source", str), *(Column(name, int) for _, name in _FIGURES)),
            Column("allocations", int),
        ),
        _lines,
    ),
    "checkpoints": (
        (
            *(Column("index", int), Column("label", str), Column("kind", str)),
            *(Column("note", str), Column("time_s", float), Column("rss_bytes", int)),
            *(Column("heap_bytes", int), Column("thread", str), Column("pid", int)),
        ),
        _checkpoints,
    ),
    "holders": (
        (
            *(Column("checkpoint", int), Column("label", str), Column("row", int)),
            *(Column("parent", int), Column("type", str), Column("path", str)),
            *(Column("step", str), Column("own_bytes", int), Column("retained_bytes", int)),
            *(Column("objects", int), Column("is_single", bool), Column("others", int)),
            Column("other_path", str),
        ),
        _holders,
    ),
    "types": (
        (
            *(Column("checkpoint", int), Column("label", str), Column("type", str)),
            *(Column("bytes", int), Column("count", int)),
        ),
        _types,
    ),
}
