"""The phases of a run as columns of the page's data, with the figures of `report.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from memdeep.analysis.lines import LineBytes
from memdeep.model import Gap, Phase, PhaseHeap, Trend
from memdeep.model.sums import sum_of_known
from memdeep.text.safe import plain

MAX_TREND_POINTS = 100

Json = Mapping[str, object]


def phase_columns(phases: Sequence[Phase], lines: LineBytes) -> Json:
    """One list a figure, in each one item a phase; null where a figure is not known.

    ``freed`` is all that was freed, what came and went within the phase included.
    """
    outlines = [phase.outline for phase in phases]
    culprits = [phase.main_culprit for phase in phases]

    def of_heap(figure: Callable[[PhaseHeap], int | None]) -> list[int | None]:
        return [None if phase.heap is None else figure(phase.heap) for phase in phases]

    def of_trend(figure: Callable[[Trend], int]) -> list[int | None]:
        return [None if phase.trend is None else figure(phase.trend) for phase in phases]

    def of_gap(figure: Callable[[Gap], int | None]) -> list[int | None]:
        return [None if phase.gap is None else figure(phase.gap) for phase in phases]

    return {
        "name": [plain(outline.name) for outline in outlines],
        "kind": [outline.kind.value for outline in outlines],
        "depth": [outline.depth for outline in outlines],
        "parent": [-1 if outline.parent is None else outline.parent for outline in outlines],
        "stretches": [
            [edge for stretch in outline.stretches for edge in (stretch.start, stretch.end)]
            for outline in outlines
        ],
        "complete": [phase.complete for phase in phases],
        "traced": [phase.heap is not None for phase in phases],
        "duration": [round(phase.duration_s, 6) for phase in phases],
        "rss": [phase.rss_delta_bytes for phase in phases],
        "heap": [phase.heap_delta_bytes for phase in phases],
        "peak": of_heap(lambda heap: heap.peak.bytes),
        "peakTime": [None if phase.peak is None else phase.peak.time_s for phase in phases],
        "allocated": of_heap(lambda heap: heap.allocated_bytes),
        "freed": of_heap(lambda heap: sum_of_known([heap.freed_bytes, heap.churn_bytes])),
        "churn": of_heap(lambda heap: heap.churn_bytes),
        "explained": [phase.explained_ratio for phase in phases],
        "deltas": [_deltas(phase) for phase in phases],
        "slope": of_trend(lambda trend: trend.slope_bytes),
        "warmUp": of_trend(lambda trend: trend.warm_up_bytes),
        "files": of_gap(lambda gap: gap.file_bytes),
        "slack": of_gap(lambda gap: gap.slack_bytes),
        "untouched": of_gap(lambda gap: gap.untouched_bytes),
        "culprit": [-1 if item is None else lines.place(item.frame) for item in culprits],
        "culpritBytes": [None if item is None else item.bytes for item in culprits],
        "culpritShare": [None if item is None else item.share for item in culprits],
    }


def _deltas(phase: Phase) -> Sequence[int]:
    """The growth of each repeat; of many repeats the largest of each group of neighbours."""
    deltas = phase.rss_deltas_bytes if phase.heap is None else phase.heap.deltas_bytes
    known = [delta for delta in deltas if delta is not None]
    if phase.repeats < 2:
        return ()
    size = -(-len(known) // MAX_TREND_POINTS) or 1
    return [max(known[start : start + size]) for start in range(0, len(known), size)]
