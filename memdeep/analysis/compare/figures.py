"""The figures that two runs are compared by, of the whole runs and of their phases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from memdeep.analysis.noise import tolerance
from memdeep.frozen import replace
from memdeep.model import Heap, Phase, Report
from memdeep.model.comparison import Change, Figure

Figures = Mapping[Figure, float | None]


def of_run(report: Report) -> Figures:
    """Return the figures of a whole run; None for those that are not known."""
    at = report.heap.at_checkpoints
    ends = (at[0], at[-1]) if at else (None, None)
    return {
        Figure.PEAK_HEAP: report.heap.peak_bytes,
        Figure.PEAK_RSS: report.run.peak_rss_bytes,
        Figure.GROWTH: None if ends[0] is None or ends[1] is None else ends[1] - ends[0],
        Figure.ALLOCATIONS: _allocations(report.heap),
        Figure.DURATION: report.run.duration_s,
    }


def of_phase(phase: Phase) -> Figures:
    """Return the figures of a phase; None for those that are not known."""
    heap = phase.heap
    return {
        Figure.PEAK_HEAP: phase.peak_bytes,
        Figure.GROWTH: phase.heap_delta_bytes,
        Figure.RISE: None if heap is None else heap.peak.bytes - heap.start_bytes,
        Figure.ALLOCATIONS: None if heap is None else heap.allocations,
        Figure.RSS_GROWTH: None if phase.shares_rss else phase.rss_delta_bytes,
        Figure.DURATION: phase.duration_s,
    }


def changes(
    before: Sequence[Figures],
    after: Sequence[Figures],
    *,
    is_deep: bool,
    least: tuple[bool, bool] = (False, False),
) -> Mapping[Figure, Change]:
    """Return the change of each figure that either side knows; there is one item for each run.

    ``least`` tells of each side if its figures are those of runs that did not complete.
    """
    names = dict.fromkeys(name for figures in (*before, *after) for name in figures)
    found = {}
    for name in names:
        sides = [
            tuple(value for figures in side if (value := figures.get(name)) is not None)
            for side in (before, after)
        ]
        if any(sides):
            told = change(name, sides[0], sides[1], is_deep=is_deep)
            found[name] = replace(told, least=least) if any(least) else told
    return found


def change(
    figure: Figure, before: tuple[float, ...], after: tuple[float, ...], *, is_deep: bool
) -> Change:
    """Return the change of one figure with the noise that it may have."""
    noise = 0.0
    if before and after:
        noise = tolerance(figure, is_deep=is_deep).of(median(before), median(after))
    return Change(figure, before, after, noise)


def _allocations(heap: Heap) -> int | None:
    """Return the number of all allocations; None if those freed at once are not known."""
    if heap.transients is None or not heap.traced:
        return None
    nowhere = [0] * len(heap.tree.parents)
    both = (heap.lifetimes, heap.transients)
    return sum(life.allocations for lives in both for life in lives.charged_to(nowhere))
