"""Lays out the page's table of phases that several processes have: a row over all of them.

Beside the sums each process has a column, as long as they are few: of many, those that kept most
have one, and the others are summed up. A row opens to its processes and its lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from memdeep.frozen import frozen
from memdeep.model import Across, LineAcross, Report, ShareAcross
from memdeep.report import frame_names, processes, sentences
from memdeep.text import units
from memdeep.text.language import Language

MAX_ROWS = 50
MAX_COLUMNS = 8
MAX_SHARES, MAX_LINES = 6, 3  # of a row that is opened
MIN_LINE = 0.01  # of what a row retained: smaller lines are counted, but for the first
TELLING = 0.01  # of the largest row: smaller ones have no colour, and nothing to open
# The levels of colour above the first: shares of the row, and times the mean of its processes.
SHARES, TIMES_MEAN = (0.25, 0.5, 0.75), (1.5, 3, 6)
UNEVEN = TIMES_MEAN[0]  # below it nobody is named
ALONE = 2 / 3  # of what a row kept: a process that holds as much has twice that of all others

Texts = Mapping[str, str]  # a sentence by code of the language
Say = Callable[[Callable[[Language], str]], Texts]


@frozen
class WorkerView:
    """A process, by its name in a column of them and in a sentence.

    ``limit`` is what the explorer calls it, empty if it knows no stack of it.
    """

    name: Texts
    told: Texts
    limit: str


@frozen
class CellView:
    """What a row kept in one process, or in the others; ``level`` is the loudness of its colour."""

    text: str
    level: int
    share_text: str


@frozen
class LineView:
    """A line and what it kept, on which process most; ``path`` and ``number`` lead to it."""

    bytes_text: str
    resident_text: str
    share_text: str
    location: str
    function: str
    path: str
    number: int
    worker: WorkerView


@frozen
class ShareView:
    """The part of one process in a row."""

    worker: WorkerView
    kept_text: str
    share_text: str
    rise_text: str
    peak_text: str
    times_text: str


@frozen
class RowView:
    """A row; ``most`` and ``highest`` are the processes that kept most, and that rose highest.

    ``most`` is None where none kept much more than others; ``is_alone`` is True where one kept most
    of all. ``others`` is the number of shares that
    are not listed, ``others_text`` what they kept; ``more_lines`` that of lines.
    """

    name: str
    depth: int
    complete: bool
    overlaps: bool
    kept_text: str
    resident_text: str
    most: WorkerView | None
    most_share_text: str
    is_alone: bool
    rise_text: str
    highest: WorkerView | None
    times_text: str
    workers_text: str
    cells: tuple[CellView, ...]
    line: LineView | None
    shares: tuple[ShareView, ...]
    others: int
    others_text: str
    lines: tuple[LineView, ...]
    more_lines: int


@frozen
class AcrossTable:
    """The rows and their columns; ``others`` is the number of processes in the last column."""

    rows: tuple[RowView, ...]
    count: int
    left_out: int
    workers: int
    columns: tuple[WorkerView, ...]
    others: int
    has_resident: bool
    leads: bool
    most: Texts | None


def lay_out(report: Report, say: Say) -> AcrossTable | None:
    """Return the table, or None if no phase is in several processes."""
    found = report.across
    if not found:
        return None
    chosen = _chosen(found, MAX_ROWS)
    columns, others = _columns(report)
    maker = _Maker(report, say, columns, others)
    return AcrossTable(
        rows=tuple(maker.row(found[place], *where) for place, *where in chosen),
        count=len(found),
        left_out=len(found) - len(chosen),
        workers=len(columns) + others,
        columns=tuple(map(maker.worker, columns)),
        others=others,
        has_resident=any(row.resident_bytes is not None for row in found),
        leads=report.run.mode.others_only,
        most=maker.most(found),
    )


def _chosen(found: Sequence[Across], most: int) -> list[tuple[int, int, int]]:
    """Choose the rows to show, each below the one around it.

    With each come the number of rows around it, and that of the names that are theirs.
    """
    places = {row.path: place for place, row in enumerate(found)}
    around: dict[int, int | None] = {}
    for path, place in places.items():
        outer = (places[path[:end]] for end in range(len(path) - 1, 0, -1) if path[:end] in places)
        around[place] = next(outer, None)
    shown: set[int] = set()
    for place in sorted(places.values(), key=lambda place: -_moved(found[place])):
        wanted = set()
        above: int | None = place
        while above is not None and above not in shown:
            wanted.add(above)
            above = around[above]
        if len(shown) + len(wanted) <= most:
            shown |= wanted
    within: dict[int | None, list[int]] = {}
    for place in sorted(shown, key=lambda place: (-_moved(found[place]), found[place].path)):
        within.setdefault(around[place], []).append(place)
    chosen = []
    waiting = [(place, 0, 0) for place in reversed(within.get(None, []))]
    while waiting:
        place, depth, named = waiting.pop()
        chosen.append((place, depth, named))
        names = len(found[place].path)
        waiting += [(inner, depth + 1, names) for inner in reversed(within.get(place, []))]
    return chosen


def _moved(row: Across) -> int:
    """Return what a row retained in use, or its highest rise: a task may keep nothing."""
    return max(row.bytes_in_use, _highest_rise(row))


def _highest_rise(row: Across) -> int:
    return max((share.rise_bytes or 0 for share in row.shares), default=0)


def _columns(report: Report) -> tuple[list[int], int]:
    """Return the processes that have a column, and the number of the others.

    Few stand in their order, by their numbers if they have some; of many those come first that kept
    most.
    """
    found = report.across
    paths = {row.path for row in found}
    kept: dict[int, int] = {}
    for row in found:
        is_outermost = not any(row.path[:end] in paths for end in range(1, len(row.path)))
        for share in row.shares:
            size = (share.retained_bytes or 0) if is_outermost else 0
            kept[share.process] = kept.get(share.process, 0) + size
    if len(kept) <= MAX_COLUMNS:
        return sorted(kept, key=lambda process: (_number(report, process), process)), 0
    most = sorted(kept, key=lambda process: (-kept[process], process))[: MAX_COLUMNS - 1]
    return most, len(kept) - len(most)


def _number(report: Report, process: int) -> int:
    """Return the number that a worker of a cluster has instead of a name, or 0."""
    worker = report.run.processes[process].worker
    return int(worker.name) if worker is not None and worker.name.isdecimal() else 0


class _Maker:
    """Makes the rows of one report."""

    def __init__(self, report: Report, say: Say, columns: Sequence[int], others: int) -> None:
        self._report = report
        self._say = say
        self._columns = columns
        self._processes = len(columns) + others
        self._largest = max((row.retained_bytes or 0 for row in report.across), default=0)
        self._moved_most = max(map(_moved, report.across), default=0)
        tree = report.heap.tree
        self._known = set(tree.processes) if tree.frames else set()

    def worker(self, process: int) -> WorkerView:
        """Return a process by its index."""
        told = self._report.run.processes[process]
        return WorkerView(
            name=self._say(lambda language: processes.worker_name(told, process, language)),
            told=self._say(lambda language: processes.worker_told(told, process, language)),
            limit=f"p{process}" if process in self._known else "",
        )

    def row(self, row: Across, depth: int, named: int) -> RowView:
        """Return a row, ``depth`` rows below the outermost one, without its ``named`` names."""
        shares = sorted(
            row.shares, key=lambda share: (-(share.retained_bytes or 0), -(share.rise_bytes or 0))
        )
        most = shares[0] if self._is_uneven(row, shares[0]) else None
        rises = [share for share in row.shares if share.rise_bytes]
        highest = max(rises, key=lambda share: share.rise_bytes or 0, default=None)
        is_open = _moved(row) >= TELLING * self._moved_most
        told = shares[:MAX_SHARES] if is_open else []
        lines = tuple(
            self._line(row, line)
            for place, line in enumerate(row.lines[:MAX_LINES])
            if place == 0 or line.bytes >= MIN_LINE * (row.retained_bytes or 0)
        )
        return RowView(
            name=" / ".join(row.path[named:]),
            depth=depth,
            complete=row.complete,
            overlaps=row.overlaps,
            kept_text=units.size(row.retained_bytes),
            resident_text=units.size(row.resident_bytes),
            most=None if most is None else self.worker(most.process),
            most_share_text=_part(row, None if most is None else most.retained_bytes),
            is_alone=most is not None
            and (most.retained_bytes or 0) >= ALONE * (row.retained_bytes or 0),
            rise_text=units.size(None if highest is None else highest.rise_bytes),
            highest=None if highest is None else self.worker(highest.process),
            times_text=f"{row.repeats:,}",
            workers_text=f"{len(row.shares):,}",
            cells=self._cells(row),
            line=lines[0] if lines else None,
            shares=tuple(self._share(row, share) for share in told),
            others=len(shares) - len(told),
            others_text=_kept(shares[len(told) :]),
            lines=lines,
            more_lines=len(row.lines) - len(lines),
        )

    def most(self, found: Sequence[Across]) -> Texts | None:
        """Return the sentence on the line that holds most, of the innermost row that has it."""
        held = [
            (row.lines[0].bytes_in_use, len(row.path), -place)
            for place, row in enumerate(found)
            if row.lines
        ]
        if not held or not max(held)[0]:
            return None
        row = found[-max(held)[2]]
        line = row.lines[0]
        return self._say(
            lambda language: language.say(
                "across.most",
                n=len(row.shares),
                size_bytes=line.bytes_in_use,
                line=frame_names.location(line.frame),
                path=sentences.short(" / ".join(row.path)),
            )
        )

    def _is_telling(self, row: Across) -> bool:
        return (row.retained_bytes or 0) >= TELLING * self._largest

    def _level(self, row: Across, share: ShareAcross) -> int:
        """Return how loud a share is: 0 of nothing, 1 where it is much like the others."""
        total, size = row.retained_bytes or 0, share.retained_bytes or 0
        if size <= 0 or not self._is_telling(row):
            return 0
        mean = total / self._processes
        steps = zip(SHARES, TIMES_MEAN, strict=True)
        return 1 + sum(size > part * total or size > times * mean for part, times in steps)

    def _is_uneven(self, row: Across, most: ShareAcross) -> bool:
        mean = (row.retained_bytes or 0) / self._processes
        return self._level(row, most) > 0 and (most.retained_bytes or 0) >= UNEVEN * mean

    def _cells(self, row: Across) -> tuple[CellView, ...]:
        of_processes = {share.process: share for share in row.shares}
        cells = []
        for process in self._columns:
            share = of_processes.pop(process, None)
            if share is None:
                cells.append(CellView("", 0, ""))
                continue
            text, part = units.size(share.retained_bytes), _part(row, share.retained_bytes)
            cells.append(CellView(text, self._level(row, share), part))
        if self._processes > len(self._columns):
            rest = [*of_processes.values()]
            cells.append(CellView(_kept(rest), 0, ""))
        return tuple(cells)

    def _share(self, row: Across, share: ShareAcross) -> ShareView:
        return ShareView(
            worker=self.worker(share.process),
            kept_text=units.size(share.retained_bytes),
            share_text=_part(row, share.retained_bytes),
            rise_text=units.size(share.rise_bytes),
            peak_text=units.size(share.peak_bytes),
            times_text=f"{share.repeats:,}",
        )

    def _line(self, row: Across, line: LineAcross) -> LineView:
        return LineView(
            bytes_text=units.size(line.bytes),
            resident_text=units.size(line.resident_bytes),
            share_text=_part(row, line.bytes),
            location=frame_names.location(line.frame),
            function=frame_names.shortened(frame_names.function_name(line.frame)),
            path=line.frame.filename,
            number=line.frame.lineno,
            worker=self.worker(line.process),
        )


def _part(row: Across, size: int | None) -> str:
    """Return the share of what the row kept, empty where that is nothing or not known."""
    return units.percent(size / row.retained_bytes) if size and row.retained_bytes else ""


def _kept(shares: Sequence[ShareAcross]) -> str:
    """Return what processes kept together, empty if there are none."""
    known = [share.retained_bytes for share in shares if share.retained_bytes is not None]
    return units.size(sum(known) if known else None) if shares else ""
