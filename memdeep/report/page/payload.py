"""Encodes the data behind the page in blocks for its scripts: phases, frames, stacks, bytes.

Each thing is in it once. A block is JSON in columns, packed by gzip and base64; a script unpacks it
when it is first needed. ``lifetimes`` hold the bytes of every stack and between which checkpoints
they were alive: the growth between any two checkpoints follows from them. ``lines`` hold the same
by the line charged, and exactly: folding small stacks into their callers must not move bytes to
another line.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from memdeep.analysis.by_line import LineBytes
from memdeep.analysis.fold import FoldedHeap
from memdeep.frozen import frozen
from memdeep.model import (
    CheckpointKind,
    Frame,
    Origin,
    Pattern,
    Phase,
    PhaseHeap,
    PhaseKind,
    Report,
    Run,
    Sample,
)
from memdeep.report import processes, workers
from memdeep.report.page import holders
from memdeep.report.page import layers as process_layers
from memdeep.report.page.layers import Layers
from memdeep.report.page.thinning import thin
from memdeep.report.page.timeline import heap_with_peaks
from memdeep.text.safe import plain, plain_code

VERSION = 2
MAX_CURVE_POINTS = 4000
MAX_TREND_POINTS = 100
MIN_THREAD_SHARE = 1 / 1000  # of all allocated bytes: helpers of the tracer hold a few KB
NEVER = -1  # the death of bytes that were not freed

ORIGINS = {
    Origin.USER: 0,
    Origin.TOOL: 1,
    Origin.LIBRARY: 2,
    Origin.STDLIB: 3,
    Origin.NATIVE: 4,
    Origin.MEMDEEP: 5,
    Origin.THREAD: 6,
}
# The value of a member of an enum takes ten times as long to get as an item of a table.
_KINDS: Mapping[PhaseKind | CheckpointKind, str] = {
    kind: kind.value for kind in (*PhaseKind, *CheckpointKind)
}
_NO_CALLER = Frame("", "", 0, Origin.NATIVE)  # of small stacks without a caller to fold them into

Json = Mapping[str, object]
Column = Sequence[Any]  # whole numbers; in a column of deaths None for bytes that were not freed


def encode(report: Report, folded: FoldedHeap, lines: LineBytes, editor: str) -> Mapping[str, str]:
    """Return the blocks by name, each as base64 of gzip of JSON; unknown data have no block.

    ``folded`` and ``lines`` hold the heap of ``report``; their peaks are in the order of the
    phases. ``editor`` is the address that opens a file, with ``{path}`` and ``{line}``.
    """
    index = _Index(report, folded, lines)
    lifetimes = folded.lifetimes.columns_by_node()
    charged = lines.lifetimes.columns_by_node()
    # Each is packed as soon as it is made: as lists of Python's numbers it is many times as large.
    blocks = {
        "lifetimes": pack({"node": _steps(index.nodes(lifetimes[0])), **_lives(*lifetimes[1:])}),
        "lines": pack({"line": charged[0], **_lives(*charged[1:])}),
        "sources": pack(_sources(report, index)),
    }
    if folded.transients is not None and lines.transients is not None:
        node, segment, _, size, count = _columns(folded.transients, 5)
        line, line_segment, _, line_size, line_count = _columns(lines.transients, 5)
        transients = {
            "node": index.nodes(node),
            "segment": segment,
            **_held(size, count),
            "lines": {"line": line, "segment": line_segment, **_held(line_size, line_count)},
        }
        blocks["transients"] = pack(transients)
    if folded.largest is not None:
        node, born, died, size = _columns(folded.largest, 4)
        largest = {"node": index.nodes(node), "born": born, "died": _deaths(died), "bytes": size}
        blocks["largest"] = pack(largest)
    for place, (stacks, by_line) in enumerate(zip(folded.peaks, lines.peaks, strict=True)):
        if stacks is not None and by_line is not None:
            node, *held = _columns(stacks, 3)
            line, *line_held = _columns(by_line, 3)
            peak = {"node": index.nodes(node), **_held(*held)}
            blocks[f"peak-{place}"] = pack({**peak, "lines": {"line": line, **_held(*line_held)}})
    for name, fields in holders.encode(report, index.charged).items():
        blocks[name] = pack(fields)
    # The core comes last: only now all strings, frames and nodes have their places.
    blocks["core"] = pack(_core(report, folded, lines, index, editor))
    return blocks


def unpack(block: str) -> Json:
    """Return the fields of a block, as a script gets them."""
    fields: Json = json.loads(gzip.decompress(base64.b64decode(block)))
    return fields


def pack(fields: Json) -> str:
    """Return ``fields`` as a block."""
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # No time of day in it: the same report is the same page. Higher levels took twice to six times
    # as long for some hundredths of the size.
    packed = gzip.compress(text.encode("utf-8", "replace"), compresslevel=4, mtime=0)
    return base64.b64encode(packed).decode("ascii")


class _Index:
    """The places of strings, frames and nodes in the page."""

    def __init__(self, report: Report, folded: FoldedHeap, lines: LineBytes) -> None:
        tree = report.heap.tree
        own = [tree.frames[tree.frame_ids[node]] for node in folded.nodes]
        self.strings: dict[str, int] = {}
        self.frames: dict[Frame, int] = {}
        for frame in (*own, *lines.frames):
            self.frames.setdefault(frame, len(self.frames))
        self._tree_frames = tree.frames
        self._of_lines = {(one.filename, one.lineno): self.frames[one] for one in lines.frames}
        self._places = {node: place for place, node in enumerate(folded.nodes)}
        # A parent holds at least the bytes of its children: the parent of a kept node is kept.
        self.parents = [self._places.get(parent, -1) for parent in folded.parents]
        self.node_frames = [self.frames[frame] for frame in own]
        self.repeats = [
            (place, folded.times[node])
            for node, place in self._places.items()
            if node in folded.times
        ]

    def string(self, text: str) -> int:
        """Return the place of ``text``, made plain; add it if it is new."""
        return self.strings.setdefault(plain(text), len(self.strings))

    def nodes(self, nodes: Iterable[int]) -> list[int]:
        """Return the places of ``nodes``; add a place for a node that was not kept."""
        return [self._places[node] if node in self._places else self._add(node) for node in nodes]

    def charged(self, frame_id: int) -> int:
        """Return the place of the frame that stands for the line of a frame of the heap's tree."""
        frame = self._tree_frames[frame_id]
        place = self._of_lines.get((frame.filename, frame.lineno))
        return self.frames.setdefault(frame, len(self.frames)) if place is None else place

    def _add(self, node: int) -> int:
        place = self._places[node] = len(self.parents)
        self.parents.append(-1)
        self.node_frames.append(self.frames.setdefault(_NO_CALLER, len(self.frames)))
        return place


def _core(report: Report, folded: FoldedHeap, lines: LineBytes, index: _Index, editor: str) -> Json:
    run = report.run
    return {
        "version": VERSION,
        "frames": {
            "function": [index.string(frame.function) for frame in index.frames],
            "file": [index.string(frame.filename) for frame in index.frames],
            "line": [frame.lineno for frame in index.frames],
            "origin": [ORIGINS[frame.origin] for frame in index.frames],
        },
        "nodes": {"parent": index.parents, "frame": index.node_frames, **_asked(folded, index)},
        "repeats": {
            "node": [place for place, _ in index.repeats],
            "times": [times for _, times in index.repeats],
        },
        "lines": [index.frames[frame] for frame in lines.frames],
        "threads": _threads(folded, index),
        "phases": _phase_columns(report.run, table_of(report), lines),
        "folded": folded.share,
        "editor": editor,
        "death": None
        if run.exit is None or run.exit.signal is None
        else {"signal": run.exit.signal},
        "blocks": {
            "transients": folded.transients is not None,
            "largest": folded.largest is not None,
            "peaks": [place for place, peak in enumerate(folded.peaks) if peak is not None],
            "peakFolded": [
                share
                for peak, share in zip(folded.peaks, folded.peak_shares, strict=True)
                if peak is not None
            ],
        },
        **_processes(report, index),
        **over_time(report),
        "strings": list(index.strings),
    }


def over_time(report: Report) -> Json:
    """Return what the scripts of the timeline read: the checkpoints, the curves and the layers."""
    points = report.run.checkpoints
    return {
        "checkpoints": {
            "label": [plain(point.label) for point in points],
            "kind": [_KINDS[point.kind] for point in points],
            "time": [round(point.time_s, 6) for point in points],
            "rss": [point.rss_bytes for point in points],
            "file": [point.rss_file_bytes for point in points],
            "heap": list(report.heap.at_checkpoints),
        },
        "traced": [[part.start, part.end] for part in report.heap.traced],
        "curves": {"rss": _curve(report.run.rss_curve), "heap": _curve(heap_with_peaks(report))},
        **_layers(report, process_layers.stacked(report)),
    }


def _asked(folded: FoldedHeap, index: _Index) -> Json:
    """Return the flags of `Asked` of each node that holds bytes; none if none is known.

    A node that holds none has those of the node before it, which packs well.
    """
    if not folded.asked:
        return {}
    holding = {stack.node for stacks in folded.peaks for stack in stacks or ()}
    for lives in filter(None, (folded.lifetimes, folded.transients)):
        holding.update(lives.by_node())
    column: list[int] = []
    for node, flags in zip(folded.nodes, folded.asked, strict=True):
        column.append(flags if node in holding or not column else column[-1])
    return {"asked": column + [0] * (len(index.parents) - len(column))}


def _processes(report: Report, index: _Index) -> Json:
    """Return the processes whose stacks the page has, the program among them; none if it is alone.

    The column ``line`` of a frame that is a thread is the index of its process.
    """
    if len(report.run.processes) < 2:
        return {}
    of_frames = {frame.lineno for frame in index.frames if frame.origin is Origin.THREAD}
    places = sorted(of_frames | {0})
    told = [report.run.processes[place] for place in places]
    return {
        "processes": {
            "index": places,
            "group": [
                place if process.group is None else process.group
                for place, process in zip(places, told, strict=True)
            ],
            "how": [plain(processes.called(process)) for process in told],
            "pid": [process.pid for process in told],
            "line": [index.string(processes.started_by(process)) for process in told],
        }
    }


def _layers(report: Report, stacked: Layers | None) -> Json:
    """Return the layers of the timeline; a layer without a label is the program, or all others."""
    if stacked is None:
        return {}
    return {
        "layers": {
            "t": [round(time_s, 6) for time_s in stacked.times_s],
            "count": [len(layer.members) for layer in stacked.layers],
            "isRest": [layer.family == process_layers.OTHERS for layer in stacked.layers],
            "label": [plain(process_layers.text_label(report, one)) for one in stacked.layers],
            "b": [layer.sizes for layer in stacked.layers],
        }
    }


def _threads(folded: FoldedHeap, index: _Index) -> list[int]:
    """Return the frames of the threads that allocated a share worth looking at, in order."""
    threads: list[int] = []
    for parent, frame in zip(index.parents, index.node_frames, strict=True):
        threads.append(frame if parent < 0 else threads[parent])
    allocated: dict[int, int] = {}
    for lives in filter(None, (folded.lifetimes, folded.transients)):
        sizes = lives.by_node()
        for place, size in zip(index.nodes(list(sizes)), sizes.values(), strict=True):
            allocated[threads[place]] = allocated.get(threads[place], 0) + size
    least = MIN_THREAD_SHARE * sum(allocated.values())
    frames = list(index.frames)
    return sorted(
        frame
        for frame, size in allocated.items()
        if frames[frame].origin is Origin.THREAD and size >= least
    )


def _steps(values: Sequence[int]) -> list[int]:
    """Return the differences of neighbours: in a sorted column they are small and pack well."""
    return [value - before for value, before in zip(values, [0, *values], strict=False)]


def _columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[Column]:
    return list(zip(*rows, strict=True)) or [()] * width


def _lives(born: Column, died: Column, size: Column, count: Column) -> Json:
    return {"born": born, "died": _deaths(died), **_held(size, count)}


def _deaths(died: Column) -> Column:
    return [NEVER if segment is None else segment for segment in died]


def _held(size: Column, count: Column) -> Json:
    return {"bytes": size, "count": count}


def _sources(report: Report, index: _Index) -> Json:
    """Return runs of consecutive source lines by file, of those files that the page names.

    ``private`` are the files whose lines were left out.
    """
    named = {frame.filename for frame in index.frames}
    runs: list[tuple[str, int, list[str]]] = []
    for filename, lineno in sorted(report.sources):
        if filename not in named:
            continue
        text = report.sources[filename, lineno]
        if runs and runs[-1][0] == filename and runs[-1][1] + len(runs[-1][2]) == lineno:
            runs[-1][2].append(text)
        else:
            runs.append((filename, lineno, [text]))
    return {
        "file": [index.string(filename) for filename, _, _ in runs],
        "start": [start for _, start, _ in runs],
        "text": [[plain_code(line) for line in text] for _, _, text in runs],
        "private": [index.string(filename) for filename in report.private_files],
    }


def _curve(samples: Sequence[Sample]) -> Json:
    thinned = thin(samples, MAX_CURVE_POINTS)
    return {
        "t": [round(sample.time_s, 6) for sample in thinned],
        "b": [sample.bytes for sample in thinned],
        "f": [sample.file_bytes for sample in thinned],
    }


@frozen
class PhasesOfPage:
    """All phases, and behind them the patterns that fold phases of one parent."""

    phases: tuple[Phase, ...]
    patterns: tuple[Pattern, ...]

    def index(self, pattern: int) -> int:
        """Return the index in all columns of a pattern."""
        return len(self.phases) + pattern

    def members(self) -> list[tuple[int, ...]]:
        """Return for each row its members; a phase has none."""
        return [() for _ in self.phases] + [pattern.members for pattern in self.patterns]


def table_of(report: Report) -> PhasesOfPage:
    """Return the rows of the page's table."""
    return PhasesOfPage(
        report.phases, tuple(pattern for pattern in report.patterns if pattern.within is None)
    )


def _phase_columns(run: Run, table: PhasesOfPage, lines: LineBytes) -> Json:
    """Return a column for each figure, one item a phase and then a pattern; None if unknown.

    ``freed`` includes the bytes that were allocated in the phase as well. ``members`` is how
    often the phases of a pattern ran, 0 for a phase; ``pattern`` is the index of the one that folds
    a phase, or -1. ``peakOf`` is the phase whose peak it is.
    """
    phases = [*table.phases, *(pattern.phase for pattern in table.patterns)]
    members = table.members()
    folding = {place: index for index, places in enumerate(members) for place in places}
    outlines = [phase.outline for phase in phases]
    culprits = [phase.main_culprit for phase in phases]

    trends = [phase.trend for phase in phases]
    return {
        "name": [plain(outline.name) for outline in outlines],
        "kind": [_KINDS[outline.kind] for outline in outlines],
        "depth": [outline.depth for outline in outlines],
        "parent": [-1 if outline.parent is None else outline.parent for outline in outlines],
        "stretches": [
            [edge for stretch in outline.stretches for edge in (stretch.start, stretch.end)]
            for outline in outlines
        ],
        "thread": [phase.outline.thread for phase in phases],
        "members": [sum(phases[place].repeats for place in places) for places in members],
        "pattern": [folding.get(place, -1) for place in range(len(phases))],
        "peakOf": [
            max(places, key=lambda one: phases[one].peak_bytes or 0) if places else place
            for place, places in enumerate(members)
        ],
        "complete": [phase.complete for phase in phases],
        "traced": [phase.heap is not None for phase in phases],
        "duration": [round(phase.duration_s, 6) for phase in phases],
        "rss": [phase.rss_delta_bytes for phase in phases],
        **_figures(
            _HEAP, [None if phase.heap is None else _of_heap(phase.heap) for phase in phases]
        ),
        "explained": [phase.explained_ratio for phase in phases],
        "deltas": [_deltas(phase) for phase in phases],
        "slope": [None if trend is None else trend.slope_bytes for trend in trends],
        "warmUp": [None if trend is None else trend.warm_up_bytes for trend in trends],
        "parts": _figures(
            _PARTS, [None if phase.parts is None else _of_parts(phase.parts) for phase in phases]
        ),
        "overlaps": [outline.overlaps for outline in outlines],
        "sharesRss": [phase.shares_rss for phase in phases],
        "culprit": [-1 if item is None else lines.place(item.frame) for item in culprits],
        "culpritBytes": [None if item is None else item.bytes for item in culprits],
        "culpritShare": [None if item is None else item.share for item in culprits],
        **_workers(run, phases),
    }


_HEAP = ("heap", "peak", "allocated", "freed", "churn")
_PARTS = ("resident", "untouched", "file", "shared", "allocator", "unseen", "tracer", "unknown")


def _of_heap(heap: PhaseHeap) -> tuple[int | None, ...]:
    churn, freed = heap.churn_bytes, heap.gross_freed_bytes
    return heap.delta_bytes, heap.peak.bytes, heap.allocated_bytes, freed, churn


_of_parts = attrgetter("resident_heap", *_PARTS[1:])


def _figures(names: Sequence[str], rows: Iterable[tuple[int | None, ...] | None]) -> Json:
    """Return a column by name; a row that is None has no figures."""
    width = len(names)
    none = (None,) * width
    return dict(zip(names, _columns((row or none for row in rows), width), strict=True))


def _workers(run: Run, phases: Sequence[Phase]) -> Json:
    """Return what workers moved in each phase; no column if none did in any.

    ``workersIn`` are the processes that did, 0 where others may have, too; ``workersOfHeap`` marks
    figures of their heap where the PSS was not read. ``workersBy`` has for each group its index,
    the number of its processes, and the growth of their heap.
    """
    if not any(map(workers.has_workers, phases)):
        return {}
    return {
        "workers": [workers.size(phase) for phase in phases],
        "workersIn": [workers.count(run, phase) for phase in phases],
        "workersOfHeap": [workers.is_of_heap(phase) for phase in phases],
        "workersBy": [
            [[one.group, len(one.processes), one.delta_bytes] for one in phase.workers]
            for phase in phases
        ],
    }


def _deltas(phase: Phase) -> Sequence[int]:
    """Return the growth of each repeat; for many repeats, the largest in groups of neighbours."""
    if phase.repeats < 2:
        return ()
    deltas = phase.rss_deltas_bytes if phase.heap is None else phase.heap.deltas_bytes
    known = [delta for delta in deltas if delta is not None]
    size = -(-len(known) // MAX_TREND_POINTS) or 1
    return [max(known[start : start + size]) for start in range(0, len(known), size)]
