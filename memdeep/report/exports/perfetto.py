"""Encodes a report as a trace of events for Perfetto and Chrome: phases, processes, memory.

https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU has the format. It
has no room for the stacks of allocations.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from memdeep.analysis.accounts import Metric
from memdeep.model import Phase, Report, Sample, Stretch
from memdeep.report.exports.options import ExportOptions
from memdeep.report.exports.shown import paths_of, process_name
from memdeep.text.safe import plain
from memdeep.version import __version__

WITHOUT_THREAD = "phases"
US = 1e6

Fields = Mapping[str, object]


def encode(report: Report, options: ExportOptions) -> Iterator[bytes]:
    """Yield one event a line: names of processes and threads, slices, and curves of memory."""
    yield b'{"displayTimeUnit":"ms","otherData":' + _text(
        {"memdeep": __version__, "command": plain(" ".join(report.run.command))}
    )
    yield b',"traceEvents":[\n'
    for number, event in enumerate(_events(report, options)):
        yield b",\n" * (number > 0) + _text(event)
    yield b"\n]}\n"


def _events(report: Report, options: ExportOptions) -> Iterator[Fields]:
    run = report.run
    for place in range(max(1, len(run.processes))):
        yield _named("process_name", place, 0, process_name(report, place))
    yield from _curve("RSS", 0, run.rss_curve)
    yield from _curve("heap", 0, report.heap_curve)
    for one in report.heap.processes:
        yield from _curve("heap", one.process, one.curve)
    for process, own, wanted in options.of_each(report):
        start_s = (run.processes[process].start_s or 0.0) if process else 0.0
        yield from _Tracks(own, process, start_s).events(wanted)
    if options.phases is not None:
        return
    for place, known in enumerate(run.processes):
        if place and known.curve:
            yield from _curve("PSS", place, known.curve)
        if place and known.start_s is not None and known.end_s is not None:
            figures = {"peak_rss_bytes": known.peak_rss_bytes, "verdict": known.verdict}
            yield {
                "ph": "X",
                "pid": place,
                "tid": 0,
                "cat": "process",
                "name": process_name(report, place),
                "ts": _us(known.start_s),
                "dur": _us(max(0.0, known.end_s - known.start_s)),
                "args": _known(figures),
            }


class _Tracks:
    """The tracks of one process's threads.

    Slices of a track lie in one another or apart. A phase that overlaps another one of its thread
    goes to a further track.
    """

    def __init__(self, report: Report, process: int, start_s: float) -> None:
        self._report = report
        self._process = process
        self._start_s = start_s
        self._open: dict[str, list[list[Stretch]]] = {}  # by thread and track, those open last
        self._numbers: dict[tuple[str, int], int] = {}

    def events(self, options: ExportOptions) -> Iterator[Fields]:
        """Yield the slices of the phases in the order of their start, and the names of tracks."""
        phases = self._report.phases
        paths = paths_of(phases)
        slices = [
            (stretch, place, number)
            for place, phase in enumerate(phases)
            if options.has(place)
            for number, stretch in enumerate(phase.outline.stretches)
        ]
        slices.sort(key=lambda one: (one[0].start, -one[0].end, one[1]))
        for stretch, place, number in slices:
            threads = phases[place].outline.threads
            thread = plain((threads[number] if threads else None) or WITHOUT_THREAD)
            yield from self._slice(
                paths[place], phases[place], number, self._track(thread, stretch)
            )
        for (thread, track), number in self._numbers.items():
            name = thread if track == 0 else f"{thread} ({track + 1})"
            yield _named("thread_name", self._process, number, name)

    def _track(self, thread: str, stretch: Stretch) -> int:
        tracks = self._open.setdefault(thread, [])
        for place, around in enumerate(tracks):
            while around and around[-1].end <= stretch.start:
                around.pop()
            if not around or stretch.end <= around[-1].end:
                around.append(stretch)
                return self._numbers[thread, place]
        tracks.append([stretch])
        number = self._numbers[thread, len(tracks) - 1] = len(self._numbers) + 1
        return number

    def _slice(self, path: str, phase: Phase, number: int, track: int) -> Iterator[Fields]:
        points, stretch = self._report.run.checkpoints, phase.outline.stretches[number]
        start, end = points[stretch.start].time_s, points[stretch.end].time_s
        heap = phase.heap
        figures: dict[str, object] = {
            "heap_delta_bytes": None if heap is None else heap.deltas_bytes[number],
            "rss_delta_bytes": phase.rss_deltas_bytes[number],
        }
        of_phase = {f"{metric.value}_bytes": metric.of(phase) for metric in Metric}
        yield {
            "ph": "X",
            "pid": self._process,
            "tid": track,
            "cat": phase.outline.kind.value,
            "name": plain(phase.name),
            "ts": _us(start + self._start_s),
            "dur": _us(max(0.0, end - start)),
            "args": {
                "phase": path,
                **_known(figures),
                "of_all_repeats": _known({"repeats": phase.repeats, **of_phase}),
            },
        }


def _curve(name: str, process: int, curve: Sequence[Sample]) -> Iterator[Fields]:
    for sample in curve:
        yield {
            "ph": "C",
            "pid": process,
            "name": name,
            "ts": _us(sample.time_s),
            "args": {"bytes": sample.bytes},
        }


def _named(kind: str, process: int, track: int, name: str) -> Fields:
    return {"ph": "M", "pid": process, "tid": track, "name": kind, "args": {"name": name}}


def _known(fields: Fields) -> Fields:
    return {key: value for key, value in fields.items() if value is not None}


def _us(time_s: float) -> float:
    return round(time_s * US, 3)


def _text(fields: Fields) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
