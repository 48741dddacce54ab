"""Small makers of comparisons for tests: two reports, matched in the plainest way."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from statistics import median

from factories import MB, analysed, frame, lifetime, run, tree

from memdeep.analysis.noise import tolerance
from memdeep.model import Frame, Phase, Report, Sample
from memdeep.model.comparison import (
    Change,
    Comparison,
    Figure,
    LineAt,
    LineChange,
    Match,
    PhaseChange,
    Side,
)


class ByName:
    """Lines are the same by path, function and text; a stand-in for a real match of lines."""

    def __init__(self, before: Report, after: Report) -> None:
        self._reports = before, after

    def before(self, called: Frame) -> Hashable:
        return self._key(self._reports[0], called)

    def after(self, called: Frame) -> Hashable:
        return self._key(self._reports[1], called)

    def _key(self, report: Report, called: Frame) -> Hashable:
        text = report.source(called)
        return called.filename, called.function, called.lineno if text is None else text


def change(figure: Figure, before: float | None, after: float | None) -> Change:
    """A figure of one run a side; None where it is not known."""
    sides = [() if one is None else (float(one),) for one in (before, after)]
    noise = tolerance(figure, is_deep=False).of(*(median(side or (0,)) for side in sides))
    return Change(figure, sides[0], sides[1], noise)


def figures_of(phase: Phase | None) -> Mapping[Figure, float | None]:
    """What is compared of a phase."""
    if phase is None:
        return {}
    heap = phase.heap
    return {
        Figure.GROWTH: phase.heap_delta_bytes,
        Figure.RISE: None if heap is None else heap.peak.bytes - heap.start_bytes,
        Figure.PEAK_HEAP: phase.peak_bytes,
        Figure.RSS_GROWTH: phase.rss_delta_bytes,
        Figure.DURATION: phase.duration_s,
    }


def compared(before: Report, after: Report, renamed: Mapping[str, str] | None = None) -> Comparison:
    """Two reports whose phases are matched by their names; ``renamed`` has new names by old."""
    names = renamed or {}
    old = {names.get(phase.name, phase.name): place for place, phase in enumerate(before.phases)}
    new = {phase.name: place for place, phase in enumerate(after.phases)}
    order = list(new)
    for place, phase in enumerate(before.phases):
        name = names.get(phase.name, phase.name)
        if name not in new:
            order.insert(min(place, len(order)), name)
    rows: list[PhaseChange] = []
    place_of: dict[str, int] = {}
    for name in order:
        was, now = old.get(name), new.get(name)
        phases = (
            before.phases[was] if was is not None else None,
            (after.phases[now] if now is not None else None),
        )
        shown = phases[1] or phases[0]
        assert shown is not None
        above = shown.outline.parent
        side = after if phases[1] is not None else before
        above_name = None if above is None else side.phases[above].name
        figures = [figures_of(phase) for phase in phases]
        match = Match.ADDED if was is None else Match.REMOVED if now is None else Match.SAME
        if match is Match.SAME and before.phases[was or 0].name != name:
            match = Match.RENAMED
        place_of[name] = len(rows)
        rows.append(
            PhaseChange(
                match,
                was,
                now,
                None if above_name is None else place_of.get(names.get(above_name, above_name)),
                shown.outline.depth,
                {
                    figure: change(figure, figures[0].get(figure), figures[1].get(figure))
                    for figure in (*figures_of(shown),)
                },
            )
        )
    rows = [
        row if row.is_alike else replace(row, lines=lines_of(before, after, row)) for row in rows
    ]
    return Comparison(
        before=Side(("before",), (before,)),
        after=Side(("after",), (after,)),
        is_deep=False,
        figures={
            Figure.PEAK_HEAP: change(
                Figure.PEAK_HEAP, before.heap.peak_bytes, after.heap.peak_bytes
            ),
            Figure.PEAK_RSS: change(
                Figure.PEAK_RSS, before.run.peak_rss_bytes, after.run.peak_rss_bytes
            ),
            Figure.DURATION: change(Figure.DURATION, before.run.duration_s, after.run.duration_s),
        },
        phases=tuple(rows),
    )


def lines_of(before: Report, after: Report, row: PhaseChange) -> tuple[LineChange, ...]:
    """The lines that the phase kept, the largest change first."""
    found: dict[Hashable, list[tuple[LineAt | None, int]]] = {}
    sides = ((before, row.before), (after, row.after))
    for side, (report, place) in enumerate(sides):
        heap = None if place is None else report.phases[place].heap
        for blamed in () if heap is None else heap.culprits:
            text = report.source(blamed.frame)
            key = blamed.frame.function, text or blamed.frame.lineno
            pair = found.setdefault(key, [(None, 0), (None, 0)])
            at = LineAt(blamed.frame, blamed.frame.filename.rpartition("/")[2], text)
            pair[side] = (at, pair[side][1] + blamed.bytes)
    changes = []
    for (was, old), (now, new) in found.values():
        match = Match.ADDED if was is None else Match.REMOVED if now is None else Match.SAME
        changes.append(LineChange(match, was, now, change(Figure.LINE, old, new)))
    return tuple(sorted(changes, key=lambda one: -abs(one.bytes.delta or 0)))


def job(sizes: Mapping[str, int], inside: Sequence[str] = (), shift: int = 0) -> Report:
    """A program of phases one after another, each keeping so many MB in a line of its own.

    Those ``inside`` lie in the phase before them. ``shift`` moves all its lines down.
    """
    names = list(sizes)
    steps: list[str] = []
    open_name = ""
    for name in names:
        if open_name and name not in inside:
            steps.append(f"-{open_name}")
            open_name = ""
        steps.append(f"+{name}")
        if name in inside:
            steps.append(f"-{name}")
        else:
            open_name = name
    steps.extend([f"-{open_name}"] if open_name else [])
    main = frame("main", lineno=1 + shift)
    called = [frame(f"do_{name}", lineno=10 + 5 * n + shift) for n, name in enumerate(names)]
    stacks, nodes = tree(*([main, one, frame("grow", lineno=3 + shift)] for one in called))
    recorded = run(*steps)
    begins = {point.label: point.index for point in reversed(recorded.checkpoints)}
    lives = [
        lifetime(node, begins[name] + 1, bytes=sizes[name] * MB, allocations=sizes[name])
        for name, node in zip(names, nodes, strict=True)
        if sizes[name]
    ]
    sources = {(one.filename, one.lineno): f"{one.function}(data)" for one in (main, *called)}
    sources[main.filename, 3 + shift] = "rows.append(bytes(1 << 20))"
    made = analysed(recorded, stacks, lives, sources)
    heights = [0, *[size or 0 for size in made.heap.at_checkpoints[1:]]]
    points = tuple(
        replace(point, rss_bytes=30 * MB + height, thread="MainThread")
        for point, height in zip(recorded.checkpoints, heights, strict=True)
    )
    curve = tuple(Sample(point.time_s, point.rss_bytes or 0) for point in points)
    seen = replace(
        recorded, checkpoints=points, rss_curve=curve, peak_rss_bytes=max(s.bytes for s in curve)
    )
    return analysed(seen, stacks, lives, sources)
