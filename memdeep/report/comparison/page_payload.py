"""Encodes the data behind the page of a comparison: both runs over time, phases, stacks, lines.

A block is JSON in columns, as on the page of one run; each text is in it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from memdeep.analysis.compare.stacks import BothBytes, FramePair, MergedStacks
from memdeep.analysis.compare.telling import difference
from memdeep.analysis.noise import tolerance
from memdeep.model import Frame, Report
from memdeep.model.comparison import Change, Comparison, Figure, LineAt, PhaseChange
from memdeep.report.comparison.page_rows import FoldedRow, of_nothing
from memdeep.report.page.payload import ORIGINS, Json, over_time, pack
from memdeep.text.safe import plain, plain_code

VERSION = 1
MAX_LINES = 30  # of a phase
MAX_LINES_IN_ALL = 12_000
NONE = -1
COLUMNS = (
    Figure.GROWTH,
    Figure.RISE,
    Figure.PEAK_HEAP,
    Figure.RSS_GROWTH,
    Figure.ALLOCATIONS,
    Figure.DURATION,
)


def encode(
    comparison: Comparison,
    stacks: MergedStacks,
    folded: Sequence[FoldedRow],
    *,
    with_source: bool,
) -> Mapping[str, str]:
    """Return the blocks by name, each as base64 of gzip of JSON; ``with_source`` has lines' texts.

    ``folded`` are the rows that fold phases.
    """
    strings = _Strings(with_source=with_source)
    views = [stacks.peak, *stacks.kept, *stacks.high]
    blocks = {
        "views": _views(views),
        "lines": _lines(comparison, strings),
    }
    frames = _frames(comparison, stacks.frames, strings)
    noise = tolerance(Figure.LINE, is_deep=comparison.is_deep)
    core: Json = {
        "version": VERSION,
        "frames": frames,
        "nodes": {"parent": stacks.parents, "frame": stacks.frame_ids},
        "repeats": {"node": list(stacks.times), "times": list(stacks.times.values())},
        "sides": {
            "before": _side(comparison.before.report),
            "after": _side(comparison.after.report),
        },
        "rows": _rows(comparison, folded),
        "noise": {"share": noise.share, "least": noise.least},
        "folded": stacks.share,
        "strings": list(strings.places),
    }
    return {name: pack(fields) for name, fields in {**blocks, "core": core}.items()}


class _Strings:
    """The places of texts in the page; those of source lines may be left out."""

    def __init__(self, *, with_source: bool) -> None:
        self.places: dict[str, int] = {}
        self._with_source = with_source

    def place(self, text: str) -> int:
        """Return the place of ``text``, made plain."""
        return self.places.setdefault(plain(text), len(self.places))

    def code(self, text: str | None) -> int:
        """Return the place of a source line, or NONE."""
        if text is None or not self._with_source:
            return NONE
        return self.places.setdefault(plain_code(text), len(self.places))


def _frames(comparison: Comparison, pairs: Sequence[FramePair], strings: _Strings) -> Json:
    """Return a column for each thing that is told of a line: as it is after, if it is there.

    Those that begin with ``was`` tell of the line before, where it stood elsewhere or was another.
    """
    before, after = comparison.before.report, comparison.after.report
    shown = [(pair.before, before) if pair.after is None else (pair.after, after) for pair in pairs]
    told = [(frame, report) for frame, report in shown if frame is not None]
    was = [_was(pair, before, after) for pair in pairs]
    return {
        "function": [strings.place(frame.function) for frame, _ in told],
        "file": [strings.place(frame.filename) for frame, _ in told],
        "line": [frame.lineno for frame, _ in told],
        "origin": [ORIGINS[frame.origin] for frame, _ in told],
        "text": [strings.code(report.source(frame)) for frame, report in told],
        "wasFile": [NONE if old is None else strings.place(old.filename) for old in was],
        "wasLine": [NONE if old is None else old.lineno for old in was],
        "wasText": [strings.code(None if old is None else before.source(old)) for old in was],
    }


def _was(pair: FramePair, before: Report, after: Report) -> Frame | None:
    """Return the line before, if it was another than the line after, or stood elsewhere."""
    old, new = pair.before, pair.after
    if old is None or new is None:
        return None
    is_same = (old.filename, old.lineno) == (new.filename, new.lineno)
    return None if is_same and before.source(old) == after.source(new) else old


def _views(views: Sequence[Sequence[BothBytes] | None]) -> Json:
    """Return all views in one column each; ``count`` has their lengths, NONE for an unknown one.

    The first is the peak of the run, then come what the phases kept, and their peaks. ``more`` is
    after less before: mostly 0.
    """
    stacks = [stack for view in views for stack in view or ()]
    return {
        "count": [NONE if view is None else len(view) for view in views],
        "node": [stack.node for stack in stacks],
        "before": [stack.before for stack in stacks],
        "more": [stack.after - stack.before for stack in stacks],
    }


def _side(report: Report) -> Json:
    """Return what the timeline and the names of phases of one side need."""
    outlines = [phase.outline for phase in report.phases]
    return {
        "phases": {
            "name": [plain(outline.name) for outline in outlines],
            "kind": [outline.kind.value for outline in outlines],
            "depth": [outline.depth for outline in outlines],
            "stretches": [
                [edge for stretch in outline.stretches for edge in (stretch.start, stretch.end)]
                for outline in outlines
            ],
            "members": [0 for _ in outlines],
            "peak": [phase.peak_bytes for phase in report.phases],
        },
        **over_time(report),
    }


def _rows(comparison: Comparison, folded: Sequence[FoldedRow]) -> Json:
    """Return a column for each thing the table shows; the folding rows come behind the phases."""
    phases = comparison.phases
    folding = {
        member: len(phases) + number for number, row in enumerate(folded) for member in row.members
    }
    empty = [NONE] * len(folded)
    parents = [*(phase.parent for phase in phases), *(row.parent for row in folded)]
    return {
        "before": [*(_place(phase.before) for phase in phases), *empty],
        "after": [*(_place(phase.after) for phase in phases), *empty],
        "parent": [_place(parent) for parent in parents],
        "match": [*(phase.match.value for phase in phases), *("same" for _ in folded)],
        "alike": [*(phase.is_alike for phase in phases), *(True for _ in folded)],
        "pattern": [*(folding.get(place, NONE) for place in range(len(phases))), *empty],
        "members": [*(0 for _ in phases), *(len(row.members) for row in folded)],
        "figures": {
            figure.name.lower(): _figure(comparison, figure)
            for figure in COLUMNS
            if any(figure in phase.figures for phase in phases)
        },
    }


def _figure(comparison: Comparison, figure: Figure) -> Json:
    changes = [phase.figures.get(figure) for phase in comparison.phases]
    return {
        "before": [None if one is None else _middle(one.before) for one in changes],
        "after": [None if one is None else _middle(one.after) for one in changes],
        "alike": [_is_alike(comparison, phase, figure) for phase in comparison.phases],
    }


def _is_alike(comparison: Comparison, phase: PhaseChange, figure: Figure) -> bool | None:
    """Tell if a figure is within the noise; what is on one side only has nothing on the other.

    None where both sides prove no difference.
    """
    change = phase.figures.get(figure)
    if of_nothing(phase, figure):
        return difference(phase, figure, is_deep=comparison.is_deep) == 0
    return change is not None and _alike_or_unproven(change)


def _alike_or_unproven(change: Change) -> bool | None:
    return None if change.is_unproven else change.is_alike


def _middle(values: Sequence[float]) -> float | int | None:
    """Return the median of the runs of a side."""
    if not values:
        return None
    value = median(values)
    return int(value) if value == int(value) else round(value, 3)


def _place(place: int | None) -> int:
    return NONE if place is None else place


def _lines(comparison: Comparison, strings: _Strings) -> Json:
    """Return the lines of the peak, then of what each phase kept, then of its peak.

    ``count`` has their numbers, ``all`` those of all that there are.
    """
    phases = comparison.phases
    kept, high = [phase.lines for phase in phases], [phase.peak_lines for phase in phases]
    lists = [comparison.peak_lines, *kept, *high]
    telling = sum(map(bool, lists)) or 1
    most = max(1, min(MAX_LINES, MAX_LINES_IN_ALL // telling))
    shown = [lines[:most] for lines in lists]
    told = [line for lines in shown for line in lines]
    return {
        "count": [len(lines) for lines in shown],
        "all": [len(lines) for lines in lists],
        "match": [line.match.value for line in told],
        "alike": [_alike_or_unproven(line.bytes) for line in told],
        "bytesBefore": [_middle(line.bytes.before) for line in told],
        "bytesAfter": [_middle(line.bytes.after) for line in told],
        "before": _line_columns([line.before for line in told], strings),
        "after": _line_columns([line.after for line in told], strings),
    }


def _line_columns(lines: Iterable[LineAt | None], strings: _Strings) -> Json:
    known = list(lines)
    return {
        "path": [NONE if line is None else strings.place(line.path) for line in known],
        "line": [0 if line is None else line.frame.lineno for line in known],
        "function": [
            NONE if line is None else strings.place(line.frame.function) for line in known
        ],
        "text": [strings.code(None if line is None else line.text) for line in known],
    }
