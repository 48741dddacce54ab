"""Finds the phases of a run from its checkpoints alone: spans, and the segments between them.

Spans come from `phase()` and from pairs of labels, `X_START`/`X_END` and `X_BEFORE`/`X_AFTER`.
Where a stretch of the run, or of a span with checkpoints of its own, is covered by no span, the
segments between consecutive checkpoints stand for it. Phases of one name within one parent are
one phase with many stretches, unless they overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from memdeep.model import Checkpoint, CheckpointKind, PhaseKind, PhaseOutline, Stretch
from memdeep.rundir import labels

# Spans that may be open at one time: each counts all that happens in it, so that the work grows
# with their number. Of more (deep recursion, thousands of tasks) the first stay.
MAX_OPEN = 50


@dataclass(slots=True)
class _Node:
    """A phase with a place in the run; ``children`` are in order of their start."""

    name: str
    kind: PhaseKind
    stretch: Stretch
    children: list[_Node] = field(default_factory=list)


@dataclass(slots=True)
class _Merged:
    name: str
    kind: PhaseKind
    depth: int
    parent: int | None
    stretches: list[Stretch]


@dataclass(frozen=True, slots=True)
class Outline:
    """The phases of a run, parents before children, otherwise in order of start.

    ``left_out`` spans are no phases, because too many others were open when they began.
    """

    phases: tuple[PhaseOutline, ...]
    left_out: int


def outline(checkpoints: Sequence[Checkpoint], *, died: bool) -> Outline:
    """The phases of a run.

    ``checkpoints`` begin with the run's start and end with its end. ``died`` says that the
    program did not end by itself: then a span that was opened and never closed reaches to the end
    and is incomplete.
    """
    found = _spans(checkpoints, died=died)
    spans = _not_crowded(found)
    bounds = {index for span in spans for index in (span.stretch.start, span.stretch.end)}
    root = _Node("", PhaseKind.SPAN, Stretch(0, len(checkpoints) - 1))
    _nest(root, spans)
    _add_segments(root, checkpoints, bounds)
    return Outline(_merge(root), len(found) - len(spans))


def _not_crowded(spans: Sequence[_Node]) -> list[_Node]:
    """``spans`` in order of start, the longer first, and never more than `MAX_OPEN` at one time."""
    kept = []
    open_spans: list[_Node] = []
    for span in sorted(spans, key=lambda node: (node.stretch.start, -node.stretch.end)):
        if len(open_spans) >= MAX_OPEN:
            start = span.stretch.start
            open_spans = [other for other in open_spans if other.stretch.end > start]
        if len(open_spans) < MAX_OPEN:
            open_spans.append(span)
            kept.append(span)
    return kept


def _spans(checkpoints: Sequence[Checkpoint], *, died: bool) -> list[_Node]:
    spans = []
    opened: dict[int, Checkpoint] = {}
    waiting: dict[tuple[str, str], list[Checkpoint]] = {}
    for point in checkpoints:
        if point.kind is CheckpointKind.BEGIN and point.span is not None:
            opened[point.span] = point
        elif point.kind is CheckpointKind.END and point.span is not None:
            begin = opened.pop(point.span, None)
            if begin is not None:
                spans.append(_span(point.label, begin, point.index))
        elif point.kind is CheckpointKind.POINT:
            stem, suffix = labels.split(point.label)
            if suffix in labels.PAIRS:
                waiting.setdefault((stem, suffix), []).append(point)
            elif waiting.get((stem, labels.OPENED_BY.get(suffix, ""))):
                spans.append(
                    _span(stem, waiting[stem, labels.OPENED_BY[suffix]].pop(), point.index)
                )
    end = len(checkpoints) - 1
    spans.extend(_span(begin.label, begin, end, complete=False) for begin in opened.values())
    if died:
        spans.extend(
            _span(stem, begins[-1], end, complete=False)
            for (stem, _), begins in waiting.items()
            if begins
        )
    return spans


def _span(name: str, begin: Checkpoint, end: int, *, complete: bool = True) -> _Node:
    return _Node(name, PhaseKind.SPAN, Stretch(begin.index, end, complete))


def _nest(root: _Node, spans: Iterable[_Node]) -> None:
    """Hang each span under the innermost one that contains it wholly; they come by their start."""
    open_spans = [root]
    for span in spans:
        while open_spans[-1] is not root and open_spans[-1].stretch.end <= span.stretch.start:
            open_spans.pop()
        # Spans of different threads may overlap without one containing the other.
        parent = next(node for node in reversed(open_spans) if node.stretch.end >= span.stretch.end)
        parent.children.append(span)
        open_spans.append(span)


def _add_segments(root: _Node, checkpoints: Sequence[Checkpoint], bounds: set[int]) -> None:
    """Fill with segments what no child covers, in the run and in spans with own points."""
    todo = [root]
    while todo:
        node = todo.pop()
        todo.extend(node.children)
        points = _own_points(node, bounds)
        if node is not root and not points:
            continue
        stops = sorted(
            [(child.stretch.start, child.stretch.end) for child in node.children]
            + [(point, point) for point in points]
        )
        at = node.stretch.start
        for start, end in [*stops, (node.stretch.end, node.stretch.end)]:
            if start > at:
                complete = node.stretch.complete or start != node.stretch.end
                name = f"{_edge(checkpoints[at])} → {_edge(checkpoints[start])}"
                stretch = Stretch(at, start, complete)
                node.children.append(_Node(name, PhaseKind.SEGMENT, stretch))
            at = max(at, end)
        node.children.sort(key=lambda child: child.stretch.start)


def _own_points(node: _Node, bounds: set[int]) -> list[int]:
    """The checkpoints within ``node`` that are neither a span's end nor inside a child."""
    points: list[int] = []
    at = node.stretch.start + 1
    for child in node.children:
        points.extend(range(at, child.stretch.start))
        at = max(at, child.stretch.end + 1)
    points.extend(range(at, node.stretch.end))
    return [point for point in points if point not in bounds]


def _edge(point: Checkpoint) -> str:
    if point.kind is CheckpointKind.BEGIN:
        return f"begin of {point.label}"
    if point.kind is CheckpointKind.END:
        return f"end of {point.label}"
    return point.label


def _merge(root: _Node) -> tuple[PhaseOutline, ...]:
    rows: list[_Merged] = []
    named: dict[tuple[int | None, PhaseKind, str], list[int]] = {}
    todo: list[tuple[_Node, int | None, int]] = [
        (child, None, 0) for child in reversed(root.children)
    ]
    while todo:
        node, parent, depth = todo.pop()
        places = named.setdefault((parent, node.kind, node.name), [])
        # Spans of one name that overlap (in threads) are rows of their own: their sum would count
        # the same bytes twice.
        place = next((p for p in places if rows[p].stretches[-1].end <= node.stretch.start), None)
        if place is None:
            place = len(rows)
            places.append(place)
            rows.append(_Merged(node.name, node.kind, depth, parent, []))
        rows[place].stretches.append(node.stretch)
        todo.extend((child, place, depth + 1) for child in reversed(node.children))
    return tuple(
        PhaseOutline(row.name, row.kind, row.depth, row.parent, tuple(row.stretches))
        for row in rows
    )
