"""The data behind the page, as JSON for its scripts: frames, stacks and bytes, each thing once.

All lists are columns. ``lifetimes`` hold what every stack had alive between which checkpoints, so
that a script can work out the growth between any two of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from memdeep.analysis.fold import FoldedHeap
from memdeep.model import Frame, Origin, Phase, Report, Sample, StackBytes

VERSION = 1
MAX_CURVE_POINTS = 4000

_ORIGINS = {
    Origin.USER: 0,
    Origin.LIBRARY: 1,
    Origin.STDLIB: 2,
    Origin.NATIVE: 3,
    Origin.MEMDEEP: 4,
    Origin.THREAD: 5,
}
_FOLDED_FRAME = Frame("smaller stacks", "", 0, Origin.NATIVE)

Json = Mapping[str, object]


def encode(report: Report, folded: FoldedHeap) -> str:
    """JSON that is safe inside a ``script`` element: no ``<``, ``>`` or ``&`` appears in it."""
    tree = report.heap.tree
    strings = _Strings()
    used = sorted({tree.frame_ids[node] for node in folded.kept})
    frames = [tree.frames[frame_id] for frame_id in used] + [_FOLDED_FRAME]
    frame_places = {frame_id: place for place, frame_id in enumerate(used)}
    nodes = {node: place for place, node in enumerate(folded.kept)}
    nodes[-1] = len(folded.kept)  # the stack of what had no caller to be folded into
    checkpoints = report.run.checkpoints
    fields = {
        "version": VERSION,
        "frames": _frames(frames, report.sources, strings),
        "nodes": {
            "parent": [_kept_parent(tree.parents[node], nodes) for node in folded.kept] + [-1],
            "frame": [frame_places[tree.frame_ids[node]] for node in folded.kept]
            + [len(frames) - 1],
        },
        "checkpoints": {
            "label": [point.label for point in checkpoints],
            "time": [round(point.time_s, 6) for point in checkpoints],
            "rss": [point.rss_bytes for point in checkpoints],
            "heap": list(report.heap.at_checkpoints),
        },
        "lifetimes": {
            "node": [nodes[life.node] for life in folded.lifetimes],
            "born": [life.born for life in folded.lifetimes],
            "died": [-1 if life.died is None else life.died for life in folded.lifetimes],
            "bytes": [life.bytes for life in folded.lifetimes],
            "count": [life.allocations for life in folded.lifetimes],
        },
        "phases": [
            _phase(phase, peak, nodes)
            for phase, peak in zip(report.phases, folded.peaks, strict=True)
        ],
        "curves": {
            "rss": _curve(report.run.rss_curve),
            "heap": _curve(report.heap_curve),
        },
        "folded": folded.share,
        "strings": strings.texts,
    }
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


class _Strings:
    """Interns texts; a text's index stands for it."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        if text not in self._places:
            self._places[text] = len(self.texts)
            self.texts.append(text)
        return self._places[text]


def _frames(
    frames: Sequence[Frame], sources: Mapping[tuple[str, int], str], strings: _Strings
) -> Json:
    texts = [sources.get((frame.filename, frame.lineno)) for frame in frames]
    return {
        "function": [strings.place(frame.function) for frame in frames],
        "file": [strings.place(frame.filename) for frame in frames],
        "line": [frame.lineno for frame in frames],
        "origin": [_ORIGINS[frame.origin] for frame in frames],
        "source": [-1 if text is None else strings.place(text) for text in texts],
    }


def _kept_parent(parent: int, nodes: Mapping[int, int]) -> int:
    # A subtree weighs at least what its parts weigh, so the parent of a kept node is kept.
    return nodes[parent] if parent >= 0 else -1


def _phase(phase: Phase, peak: Sequence[StackBytes] | None, nodes: Mapping[int, int]) -> Json:
    return {
        "name": phase.name,
        "kind": phase.outline.kind.value,
        "depth": phase.outline.depth,
        "stretches": [
            edge for stretch in phase.outline.stretches for edge in (stretch.start, stretch.end)
        ],
        "rss": phase.rss_delta_bytes,
        "traced": phase.heap is not None,
        "heap": phase.heap_delta_bytes,
        "peakBytes": None if phase.peak is None else phase.peak.bytes,
        "explained": phase.explained_ratio,
        "complete": phase.complete,
        "peak": None
        if peak is None
        else {
            "node": [nodes[stack.node] for stack in peak],
            "bytes": [stack.bytes for stack in peak],
            "count": [stack.allocations for stack in peak],
        },
    }


def _curve(samples: Sequence[Sample]) -> Json:
    thinned = thin(samples, MAX_CURVE_POINTS)
    return {
        "t": [round(sample.time_s, 4) for sample in thinned],
        "b": [sample.bytes for sample in thinned],
    }


def thin(samples: Sequence[Sample], most: int) -> Sequence[Sample]:
    """At most ``most`` samples; of each group of neighbours the lowest and the highest stay."""
    if len(samples) <= most:
        return samples
    size = -(-len(samples) // ((most - 2) // 2))
    kept = {0, len(samples) - 1}  # the ends stay: they are where the curve meets the axis
    for start in range(0, len(samples), size):
        group = range(start, min(start + size, len(samples)))
        kept.add(min(group, key=lambda place: samples[place].bytes))
        kept.add(max(group, key=lambda place: samples[place].bytes))
    return [samples[place] for place in sorted(kept)]
