"""The data behind the page, in blocks for its scripts: frames, stacks and bytes, each thing once.

A block is JSON in columns, packed by gzip and base64; a script unpacks it when it is first asked
for. ``lifetimes`` hold what every stack had alive between which checkpoints, so that the growth
between any two of them follows; ``lines`` are the same by the line charged, exact, since folding
small stacks into their callers must not move bytes to another line.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterable, Mapping, Sequence

from memdeep.analysis.culprits import Blame
from memdeep.analysis.fold import FoldedHeap
from memdeep.model import Frame, Origin, Phase, Report, Sample, StackBytes
from memdeep.tally import Tally, sum_of_known

VERSION = 2
MAX_CURVE_POINTS = 4000
NEVER = -1

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


def encode(report: Report, folded: FoldedHeap, editor: str) -> Mapping[str, str]:
    """The blocks by name, each as base64 of gzip of JSON.

    ``editor`` is the address that opens a file in an editor, with ``{path}`` and ``{line}``.
    """
    index = _Index(report, folded)
    blocks: dict[str, Json] = {
        "core": _core(report, folded, index, editor),
        "lifetimes": _delta_coded(
            {
                "node": [index.nodes[life.node] for life in folded.lifetimes],
                "born": [life.born for life in folded.lifetimes],
                "died": [NEVER if life.died is None else life.died for life in folded.lifetimes],
                "bytes": [life.bytes for life in folded.lifetimes],
                "count": [life.allocations for life in folded.lifetimes],
            }
        ),
        "lines": _lines(report, index),
        "sources": _sources(report, index),
    }
    if folded.transients is not None and report.heap.transients is not None:
        blocks["transients"] = _transients(report, folded, index)
    if report.heap.largest is not None:
        blocks["largest"] = {
            "node": [index.nodes[folded.target[item.node]] for item in report.heap.largest],
            "born": [item.born for item in report.heap.largest],
            "bytes": [item.bytes for item in report.heap.largest],
        }
    for place, (phase, peak) in enumerate(zip(report.phases, folded.peaks, strict=True)):
        if peak is not None and phase.peak is not None:
            blocks[f"peak-{place}"] = {
                **_stack_columns(peak, index.nodes.__getitem__),
                "lines": _line_columns(phase.peak.stacks or (), index),
            }
    blocks["core"] = {**blocks["core"], "strings": index.strings}
    return {name: _pack(fields) for name, fields in blocks.items()}


def unpack(block: str) -> Json:
    """The fields of a block again, as a script sees them."""
    fields: Json = json.loads(gzip.decompress(base64.b64decode(block)))
    return fields


def _pack(fields: Json) -> str:
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # No time of day in it: the same report is the same page.
    packed = gzip.compress(text.encode("utf-8", "replace"), compresslevel=9, mtime=0)
    return base64.b64encode(packed).decode("ascii")


def _delta_coded(columns: Mapping[str, Sequence[int]]) -> Json:
    """The column ``node`` as differences: sorted by node they are small, and pack well."""
    order = sorted(range(len(columns["node"])), key=columns["node"].__getitem__)
    sorted_columns = {name: [column[place] for place in order] for name, column in columns.items()}
    nodes = sorted_columns["node"]
    steps = [node - before for node, before in zip(nodes, [0, *nodes[:-1]], strict=True)]
    return {**sorted_columns, "node": steps}


class _Index:
    """Where strings, frames, nodes and charged lines stand in the page."""

    def __init__(self, report: Report, folded: FoldedHeap) -> None:
        tree = report.heap.tree
        self.strings: list[str] = []
        self._places: dict[str, int] = {}
        self.blame = Blame(tree)
        used = sorted({tree.frame_ids[node] for node in folded.kept})
        self.frames = [tree.frames[frame_id] for frame_id in used] + [_FOLDED_FRAME]
        self.frame_places = {frame_id: place for place, frame_id in enumerate(used)}
        self.nodes = {node: place for place, node in enumerate(folded.kept)}
        self.nodes[-1] = len(folded.kept)  # the stack of what had no caller to be folded into
        self.lines: dict[tuple[str, int], int] = {}
        self.line_frames: list[int] = []
        self._frame_of = {frame: place for place, frame in enumerate(self.frames)}

    def string(self, text: str) -> int:
        """The place of ``text``; it is added if it is new."""
        if text not in self._places:
            self._places[text] = len(self.strings)
            self.strings.append(text)
        return self._places[text]

    def line(self, node: int) -> int:
        """The place of the line that is charged for what ``node`` allocated."""
        key = self.blame.line(node)
        if key not in self.lines:
            self.lines[key] = len(self.line_frames)
            self.line_frames.append(self._frame(self.blame.frame(node)))
        return self.lines[key]

    def _frame(self, frame: Frame) -> int:
        if frame not in self._frame_of:  # all its stacks were folded
            self._frame_of[frame] = len(self.frames)
            self.frames.append(frame)
        return self._frame_of[frame]


def _core(report: Report, folded: FoldedHeap, index: _Index, editor: str) -> Json:
    tree, run = report.heap.tree, report.run
    for life in report.heap.lifetimes:
        index.line(life.node)  # all lines, before the frames are written
    for peak in (phase.peak for phase in report.phases):
        for stack in (peak.stacks or ()) if peak is not None else ():
            index.line(stack.node)
    for gone in report.heap.transients or ():
        index.line(gone.node)
    points = run.checkpoints
    end = run.exit
    return {
        "version": VERSION,
        "frames": {
            "function": [index.string(frame.function) for frame in index.frames],
            "file": [index.string(frame.filename) for frame in index.frames],
            "line": [frame.lineno for frame in index.frames],
            "origin": [_ORIGINS[frame.origin] for frame in index.frames],
        },
        "nodes": {
            "parent": [_kept_parent(tree.parents[n], index.nodes) for n in folded.kept] + [-1],
            "frame": [index.frame_places[tree.frame_ids[node]] for node in folded.kept]
            + [len(index.frame_places)],
        },
        "lines": index.line_frames,
        "checkpoints": {
            "label": [point.label for point in points],
            "time": [round(point.time_s, 6) for point in points],
            "rss": [point.rss_bytes for point in points],
            "file": [point.rss_file_bytes for point in points],
            "heap": list(report.heap.at_checkpoints),
        },
        "phases": _phases(report.phases, index),
        "curves": {"rss": _curve(run.rss_curve), "heap": _curve(report.heap_curve)},
        "folded": folded.share,
        "editor": editor,
        "death": None if end is None or end.signal is None else {"signal": end.signal},
        "blocks": {
            "transients": report.heap.transients is not None,
            "largest": report.heap.largest is not None,
            "peaks": [place for place, peak in enumerate(folded.peaks) if peak is not None],
        },
    }


def _kept_parent(parent: int, nodes: Mapping[int, int]) -> int:
    # A subtree weighs at least what its parts weigh, so the parent of a kept node is kept.
    return nodes[parent] if parent >= 0 else -1


def _phases(phases: Sequence[Phase], index: _Index) -> Json:
    heaps = [phase.heap for phase in phases]
    main = [phase.main_culprit for phase in phases]
    trends = [phase.trend for phase in phases]
    gaps = [phase.gap for phase in phases]
    return {
        "name": [phase.name for phase in phases],
        "kind": [phase.outline.kind.value for phase in phases],
        "depth": [phase.outline.depth for phase in phases],
        "parent": [-1 if p.outline.parent is None else p.outline.parent for p in phases],
        "stretches": [
            [edge for stretch in phase.outline.stretches for edge in (stretch.start, stretch.end)]
            for phase in phases
        ],
        "complete": [phase.complete for phase in phases],
        "traced": [heap is not None for heap in heaps],
        "duration": [round(phase.duration_s, 6) for phase in phases],
        "rss": [phase.rss_delta_bytes for phase in phases],
        "heap": [phase.heap_delta_bytes for phase in phases],
        "peak": [None if phase.peak is None else phase.peak.bytes for phase in phases],
        "allocated": [None if heap is None else heap.allocated_bytes for heap in heaps],
        "freed": [
            None if heap is None else sum_of_known([heap.freed_bytes, heap.churn_bytes])
            for heap in heaps
        ],
        "churn": [None if heap is None else heap.churn_bytes for heap in heaps],
        "explained": [phase.explained_ratio for phase in phases],
        "deltas": [_deltas(phase) for phase in phases],
        "slope": [None if trend is None else trend.slope_bytes for trend in trends],
        "warmUp": [None if trend is None else trend.warm_up_bytes for trend in trends],
        "files": [None if gap is None else gap.file_bytes for gap in gaps],
        "slack": [None if gap is None else gap.slack_bytes for gap in gaps],
        "untouched": [None if gap is None else gap.untouched_bytes for gap in gaps],
        "culprit": [-1 if culprit is None else index.line(culprit.node) for culprit in main],
        "culpritBytes": [None if culprit is None else culprit.bytes for culprit in main],
        "culpritShare": [None if culprit is None else culprit.share for culprit in main],
    }


MAX_TREND_POINTS = 100


def _deltas(phase: Phase) -> Sequence[int]:
    """The growth of each repeat; of many repeats the largest of each group of neighbours."""
    deltas = phase.rss_deltas_bytes if phase.heap is None else phase.heap.deltas_bytes
    known = [delta for delta in deltas if delta is not None]
    if phase.repeats < 2:
        return ()
    size = -(-len(known) // MAX_TREND_POINTS) or 1
    return [max(known[start : start + size]) for start in range(0, len(known), size)]


def _lines(report: Report, index: _Index) -> Json:
    tally: Tally[tuple[int, int, int]] = Tally()
    for life in report.heap.lifetimes:
        died = NEVER if life.died is None else life.died
        tally.add((index.line(life.node), life.born, died), life.bytes, life.allocations)
    rows = sorted(tally.items())
    return {
        "line": [line for (line, _, _), _ in rows],
        "born": [born for (_, born, _), _ in rows],
        "died": [died for (_, _, died), _ in rows],
        "bytes": [held for _, (held, _) in rows],
        "count": [count for _, (_, count) in rows],
    }


def _transients(report: Report, folded: FoldedHeap, index: _Index) -> Json:
    by_line: Tally[tuple[int, int]] = Tally()
    for gone in report.heap.transients or ():
        by_line.add((index.line(gone.node), gone.segment), gone.bytes, gone.allocations)
    return {
        "node": [index.nodes[gone.node] for gone in folded.transients or ()],
        "segment": [gone.segment for gone in folded.transients or ()],
        "bytes": [gone.bytes for gone in folded.transients or ()],
        "count": [gone.allocations for gone in folded.transients or ()],
        "lines": {
            "line": [line for line, _ in by_line],
            "segment": [segment for _, segment in by_line],
            "bytes": [held for held, _ in by_line.values()],
            "count": [count for _, count in by_line.values()],
        },
    }


def _stack_columns(stacks: Iterable[StackBytes], place: Callable[[int], int]) -> Json:
    listed = list(stacks)
    return {
        "node": [place(stack.node) for stack in listed],
        "bytes": [stack.bytes for stack in listed],
        "count": [stack.allocations for stack in listed],
    }


def _line_columns(stacks: Iterable[StackBytes], index: _Index) -> Json:
    tally: Tally[int] = Tally()
    for stack in stacks:
        tally.add(index.line(stack.node), stack.bytes, stack.allocations)
    return {
        "line": list(tally),
        "bytes": [held for held, _ in tally.values()],
        "count": [count for _, count in tally.values()],
    }


def _sources(report: Report, index: _Index) -> Json:
    """Runs of consecutive source lines, by file."""
    files: list[int] = []
    starts: list[int] = []
    texts: list[list[str]] = []
    previous: tuple[str, int] | None = None
    for filename, lineno in sorted(report.sources):
        text = report.sources[filename, lineno]
        if previous == (filename, lineno - 1):
            texts[-1].append(text)
        else:
            files.append(index.string(filename))
            starts.append(lineno)
            texts.append([text])
        previous = (filename, lineno)
    return {"file": files, "start": starts, "text": texts}


def _curve(samples: Sequence[Sample]) -> Json:
    thinned = thin(samples, MAX_CURVE_POINTS)
    return {
        "t": [round(sample.time_s, 4) for sample in thinned],
        "b": [sample.bytes for sample in thinned],
        "f": [sample.file_bytes for sample in thinned],
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
