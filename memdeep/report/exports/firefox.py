"""Encodes a report for the Firefox Profiler: allocations with their stacks, counters, phases.

The format is the processed one of https://github.com/firefox-devtools/profiler; its source has the
names (`src/types/profile.ts`). A track for each process has its allocations and releases: in a
stretch of time, what was allocated less what was freed of that is what was retained.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from memdeep.analysis.accounts import Accounts
from memdeep.model import Lifetime, Origin, PhaseKind, Report, Sample
from memdeep.report.exports.options import ExportOptions
from memdeep.report.exports.shown import ShownStacks, paths_of, process_name
from memdeep.text.safe import plain
from memdeep.version import __version__

GECKO_VERSION, PROCESSED_VERSION = 36, 70
MAX_PASSING = 500_000  # more of what was freed before the next checkpoint make a file too large
STEP_MS = 1e-4  # between checkpoints that were set at one moment

_ORIGINS = {
    Origin.USER: ("Program", "yellow"),
    Origin.TOOL: ("Tool", "yellow"),
    Origin.LIBRARY: ("Library", "green"),
    Origin.STDLIB: ("Standard library", "blue"),
    Origin.NATIVE: ("Native", "brown"),
    Origin.MEMDEEP: ("memdeep", "purple"),
    Origin.THREAD: ("Thread", "grey"),
}
_OTHER = 0
_CATEGORY = {origin: place for place, origin in enumerate(_ORIGINS, 1)}
_AT_ONCE, _LASTING = 0, 1  # phases of markers

Json = dict[str, Any]


def encode(report: Report, options: ExportOptions) -> Iterator[bytes]:
    """Yield the profile: what it is about, the counters, the tracks, then the tables of stacks."""
    profile = _Profile(report, options)
    threads = profile.threads()
    about = {
        "meta": profile.meta(),
        "libs": [],
        "pages": [],
        "counters": list(profile.counters()),
    }
    yield _text(about)[:-1] + b',\n"threads":['
    for place, thread in enumerate(threads):
        yield b",\n" * (place > 0) + _text(thread)
    yield b'],\n"shared":' + _text(profile.tables.shown()) + b"}\n"


class Table:
    """A table by columns, as the format has all of them."""

    def __init__(self, *columns: str) -> None:
        self._columns: dict[str, list[Any]] = {column: [] for column in columns}
        self._length = 0

    def add(self, *row: object) -> int:
        """Add a row; return its index."""
        for column, value in zip(self._columns.values(), row, strict=True):
            column.append(value)
        self._length += 1
        return self._length - 1

    def __len__(self) -> int:
        return self._length

    def shown(self, **more: object) -> Json:
        """Return the columns by name, with ``more`` fields."""
        return {**self._columns, **more, "length": self._length}


class _Tables:
    """The tables of strings, files, functions, frames and stacks that all tracks share."""

    def __init__(self, stacks: ShownStacks) -> None:
        self._shown = stacks
        self._texts: dict[str, int] = {}
        self._files = Table("id", "filename", "startLine", "startColumn", "sourceMapURL", "content")
        self._functions = Table(
            *("name", "isJS", "relevantForJS", "resource", "source", "lineNumber"),
            *("columnNumber", "originalLocation"),
        )
        self._frames = Table(
            *("address", "lib", "inlineDepth", "category", "subcategory", "func", "nativeSymbol"),
            *("innerWindowID", "line", "column", "originalLocation"),
        )
        self._stacks = Table("frame", "prefixOffset")
        self._places: dict[tuple[object, ...], int] = {}

    def text(self, text: str) -> int:
        """Return the index of a string."""
        return self._texts.setdefault(text, len(self._texts))

    def stack(self, node: int, thread: str) -> int | None:
        """Return the index of the stack of a node, below its thread if that has a name."""
        place = None
        if thread:
            place = self._stack(None, self._frame(thread, "", 0, Origin.THREAD))
        for number in self._shown.frames(node):
            frame = self._shown.frame(number)
            place = self._stack(place, self._frame(*frame))
        return place

    def _stack(self, caller: int | None, frame: int) -> int:
        key = ("stack", caller, frame)
        if key not in self._places:
            offset = 0 if caller is None else len(self._stacks) - caller
            self._places[key] = self._stacks.add(frame, offset)
        return self._places[key]

    def _frame(self, function: str, path: str, lineno: int, origin: Origin) -> int:
        key = ("frame", function, path, lineno, origin)
        if key not in self._places:
            place = self._function(function, path)
            self._places[key] = self._frames.add(
                *(-1, -1, 0, _CATEGORY.get(origin, _OTHER), 0, place, None, 0),
                *(lineno or None, None, None),
            )
        return self._places[key]

    def _function(self, name: str, path: str) -> int:
        key = ("function", name, path)
        if key not in self._places:
            file = self._file(path) if path else None
            self._places[key] = self._functions.add(
                self.text(name), False, False, -1, file, None, None, None
            )
        return self._places[key]

    def _file(self, path: str) -> int:
        key = ("file", path)
        if key not in self._places:
            self._places[key] = self._files.add(None, self.text(path), 1, 1, None, None)
        return self._places[key]

    def shown(self) -> Json:
        return {
            "stackTable": self._stacks.shown(),
            "frameTable": self._frames.shown(),
            "funcTable": self._functions.shown(),
            "resourceTable": Table("name", "host", "type").shown(),
            "nativeSymbols": Table("libIndex", "address", "name", "functionSize").shown(),
            "sources": self._files.shown(),
            "sourceLocationTable": Table("source", "line", "column").shown(),
            "stringArray": list(self._texts),
        }


class _Profile:
    """The tracks, counters and markers of a report."""

    def __init__(self, report: Report, options: ExportOptions) -> None:
        self._report = report
        self._options = options
        self._stacks = ShownStacks(report)
        self.tables = _Tables(self._stacks)
        self._times_ms = _rising([point.time_s * 1000 for point in report.run.checkpoints])
        self._left_out = 0

    def meta(self) -> Json:
        run = self._report.run
        started_ms = 0.0
        if run.started is not None:
            started_ms = datetime.fromisoformat(run.started).timestamp() * 1000
        categories = [("Other", "grey"), *_ORIGINS.values()]
        notes = [{"label": "Command", "format": "string", "value": plain(" ".join(run.command))}]
        if self._left_out:
            words = f"{self._left_out:,} that were freed before the next checkpoint are left out"
            notes.append({"label": "Allocations", "format": "string", "value": words})
        return {
            "version": GECKO_VERSION,
            "preprocessedProfileVersion": PROCESSED_VERSION,
            "product": f"memdeep: {plain(run.name)}",
            "importedFrom": f"memdeep {__version__}",
            "interval": 50,
            "startTime": started_ms,
            "endTime": started_ms + self._end_ms,
            "profilingStartTime": 0,
            "profilingEndTime": self._end_ms,
            "processType": 0,
            "stackwalk": 1,
            "categories": [
                {"name": name, "color": color, "subcategories": ["Other"]}
                for name, color in categories
            ],
            "markerSchema": list(_schemas()),
            "symbolicated": True,
            "symbolicationNotSupported": True,
            "usesOnlyOneStackType": True,
            "sourceCodeIsNotOnSearchfox": True,
            "keepProfileThreadOrder": True,
            "extra": [{"label": "memdeep", "entries": notes}],
        }

    def counters(self) -> Iterator[Json]:
        """Yield the RSS, the heap of all, and the heaps of processes that were recorded too."""
        report = self._report
        yield from self._counter("RSS", "red", report.run.rss_curve)
        yield from self._counter("Heap", "blue", report.heap_curve)
        for place, one in enumerate(report.heap.processes, 1):
            name = f"Heap of {process_name(report, one.process)}"
            yield from self._counter(name, "teal", one.curve, place)

    def threads(self) -> list[Json]:
        """Return a track for each recorded process, the program's own with the phases."""
        processes = [0, *(one.process for one in self._report.heap.processes)]
        allocations = self._allocations(processes)
        return [
            self._thread(process, place, allocations[process])
            for place, process in enumerate(processes)
        ]

    @property
    def _end_ms(self) -> float:
        return self._times_ms[-1] if self._times_ms else 0.0

    def _thread(self, process: int, place: int, allocations: Table) -> Json:
        name = process_name(self._report, process)
        known = self._report.run.processes
        first = known[process].start_s if process < len(known) else None
        last = known[process].end_s if process < len(known) else None
        start_ms = round((first or 0.0) * 1000, 3)
        thread: Json = {
            "processType": "default",
            "processName": name,
            "processStartupTime": start_ms,
            "processShutdownTime": None if last is None else round(last * 1000, 3),
            "registerTime": start_ms,
            "unregisterTime": None,
            "pausedRanges": [],
            "name": plain(self._report.run.name) if place == 0 else name,
            "isMainThread": True,
            "showMarkersInTimeline": place == 0,
            "pid": str(place),
            "tid": place,
            "samples": {
                "stack": [None, None],
                "time": [start_ms, max(start_ms, self._end_ms)],
                "weight": None,
                "weightType": "samples",
                "length": 2,
            },
            "markers": self._markers(place == 0).shown(),
        }
        if len(allocations):
            thread["nativeAllocations"] = allocations.shown(weightType="bytes")
        return thread

    def _allocations(self, processes: Sequence[int]) -> Mapping[int, Table]:
        """Return the allocations and releases of each process, in the order of their time."""
        names: dict[int, set[str]] = {process: set() for process in processes}
        lives = list(self._lives())
        for life in lives:
            process = self._stacks.process(life.node)
            names.setdefault(process, set()).add(self._stacks.thread(life.node))
        events = []
        for number, life in enumerate(lives, 1):
            process = self._stacks.process(life.node)
            thread = self._stacks.thread(life.node) if len(names[process]) > 1 else ""
            stack = self.tables.stack(life.node, thread)
            events.append((self._within(life.born, 1), number, process, life.bytes, stack))
            if life.died is not None:
                events.append((self._within(life.died, 2), number, process, -life.bytes, stack))
        events.sort(key=lambda event: event[:2])
        columns = ("time", "weight", "stack", "memoryAddress", "threadId")
        found = {process: Table(*columns) for process in names}
        for time_ms, number, process, size, stack in events:
            place = processes.index(process) if process in processes else 0
            found[process].add(time_ms, size, stack, number, place)
        return found

    def _lives(self) -> Iterator[Lifetime]:
        heap, options = self._report.heap, self._options
        passing = len(heap.transients or ())
        has_passing = passing <= MAX_PASSING
        self._left_out = 0 if has_passing else passing
        for life, charged in Accounts(self._report).lifetimes():
            is_in = options.phases is None or any(
                options.has(place) for place in (*charged.allocated, *charged.freed)
            )
            if is_in and life.bytes and (has_passing or life.died != life.born):
                yield life

    def _within(self, segment: int, third: int) -> float:
        """Return a moment in a segment: what was allocated in it comes before what was freed."""
        start, end = self._times_ms[segment - 1], self._times_ms[segment]
        return start + (end - start) * third / 3

    def _markers(self, is_program: bool) -> Table:
        markers = Table("data", "name", "startTime", "endTime", "phase", "category")
        if not is_program:
            return markers
        report, times, text = self._report, self._times_ms, self.tables.text
        paths = paths_of(report.phases)
        category = _CATEGORY[Origin.MEMDEEP]
        for place, phase in enumerate(report.phases):
            if not self._options.has(place):
                continue
            heap, threads = phase.heap, phase.outline.threads
            for number, stretch in enumerate(phase.outline.stretches):
                is_span = phase.outline.kind is PhaseKind.SPAN
                kind = "memdeep phase" if is_span else "memdeep segment"
                known = {
                    "heap": None if heap is None else heap.deltas_bytes[number],
                    "rss": phase.rss_deltas_bytes[number],
                    "peak": None if heap is None else heap.peak.bytes,
                    "thread": plain(threads[number] or "") if threads else None,
                }
                data = {"type": kind, "path": paths[place]} | {
                    key: value for key, value in known.items() if value is not None
                }
                edges = (times[stretch.start], times[stretch.end])
                markers.add(data, text(plain(phase.name)), *edges, _LASTING, category)
        for point, time_ms in zip(report.run.checkpoints, times, strict=True):
            if self._options.phases is None:
                data = {"type": "memdeep checkpoint"}
                known = {"rss": point.rss_bytes, "note": point.note and plain(point.note)}
                data |= {key: value for key, value in known.items() if value is not None}
                name = text(plain(point.label))
                markers.add(data, name, time_ms, None, _AT_ONCE, category)
        return markers

    def _counter(
        self, name: str, color: str, curve: Sequence[Sample], place: int = 0
    ) -> Iterator[Json]:
        samples = sorted(curve, key=lambda sample: sample.time_s)
        if not samples:
            return
        sizes = [sample.bytes for sample in samples]
        yield {
            "name": name,
            "category": "Memory",
            "description": name,
            "pid": str(place),
            "mainThreadIndex": place,
            "samples": {
                "time": [sample.time_s * 1000 for sample in samples],
                "count": [size - before for before, size in zip([0, *sizes], sizes, strict=False)],
                "length": len(samples),
            },
            "display": {
                "graphType": "line-accumulated",
                "unit": "bytes",
                "color": color,
                "markerSchemaLocation": "timeline-memory",
                "sortWeight": 10,
                "label": name,
                "tooltipRows": [
                    _row("accumulated", name),
                    _row("count-range", "range in this view"),
                ],
            },
        }


def _row(source: str, label: str) -> Json:
    return {"type": "value", "source": source, "format": {"unit": "bytes"}, "label": label}


def _schemas() -> Iterator[Json]:
    """Yield the meaning of the fields of each kind of marker."""
    sizes = [("heap", "Heap Δ"), ("rss", "RSS Δ"), ("peak", "Peak heap")]
    fields = [{"key": key, "label": label, "format": "bytes"} for key, label in sizes]
    fields += [
        {"key": key, "label": label, "format": "string"}
        for key, label in (("path", "Path"), ("thread", "Thread"))
    ]
    shown = ["marker-chart", "marker-table", "timeline-overview", "timeline-memory"]
    for name in ("memdeep phase", "memdeep segment"):
        yield {
            "name": name,
            "display": shown if name == "memdeep phase" else shown[:2],
            "chartLabel": "{marker.name}",
            "tooltipLabel": "{marker.name}",
            "tableLabel": "{marker.name}",
            "fields": fields,
        }
    yield {
        "name": "memdeep checkpoint",
        "display": shown[:2],
        "fields": [
            {"key": "rss", "label": "RSS", "format": "bytes"},
            {"key": "note", "label": "Note", "format": "string"},
        ],
    }


def _rising(times_ms: Sequence[float]) -> Sequence[float]:
    """Return ``times_ms`` with a step between those that are not in order: each segment lasts."""
    found: list[float] = []
    for time_ms in times_ms:
        found.append(max(time_ms, found[-1] + STEP_MS) if found else time_ms)
    return found


def _text(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
