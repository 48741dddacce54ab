"""Encodes a report as `report.json`, schema 1: the result that other programs read.

Owns the names and the order of the fields. Each field of the document, each phase and each finding
is on a line of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache

from memdeep.model import (
    Culprit,
    Death,
    Exit,
    Fate,
    Finding,
    Frame,
    Gap,
    LastGrowth,
    MemoryLimit,
    Origin,
    Phase,
    PhaseHeap,
    Report,
    StackDump,
)
from memdeep.report import sentences
from memdeep.report.options import DEFAULTS, ReportOptions
from memdeep.text.language import language
from memdeep.version import __version__

SCHEMA = 1
ENGLISH = language("en")
MAX_STACKS = 5000  # kept as text in case they come again: each may be long

Json = Mapping[str, object]

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def encode(report: Report, _options: ReportOptions = DEFAULTS) -> Iterator[bytes]:
    """Return ``report`` as UTF-8 JSON, in pieces. No option changes it; unknown figures are null.

    Sentences are in English. Phases and checkpoints are named by their index.

    ``limit`` is the tightest limit on memory when the program started. ``stack_dumps`` hold the
    stacks of all threads, outermost frame first, at the moments when RSS exceeded a limit.
    ``death`` is null for a program that completed: its ``phases`` are the innermost ones at the
    time of death, its ``culprits`` the lines by bytes alive at the checkpoint ``known_at``, its
    ``last_growth`` the last segment that grew noticeably.
    """
    run = report.run
    culprits = _Culprits(report)
    fields = {
        "schema": SCHEMA,
        "memdeep": __version__,
        "python": run.python,
        "memray": run.memray,
        "command": list(run.command),
        "mode": {
            "backend": run.mode.backend,
            "native": run.mode.native,
            "python_allocators": run.mode.python_allocators,
        },
        "started": run.started,
        "duration_s": run.duration_s,
        "exit": None if run.exit is None else _exit(run.exit, sentences.last_checkpoint(report)),
        "peak_rss_bytes": run.peak_rss_bytes,
        "peak_heap_bytes": report.heap.peak_bytes,
        "thresholds": _thresholds(report),
        "processes": [
            {
                "pid": process.pid,
                "parent_pid": process.parent_pid,
                "command": process.command,
                "peak_rss_bytes": process.peak_rss_bytes,
                "exit": process.exit,
            }
            for process in run.processes
        ],
        "checkpoints": _checkpoints(report),
        "phases": (_phase(report, phase, culprits) for phase in report.phases),
        "problems": list(run.problems),
        "findings": (_finding(report, item, culprits) for item in report.findings),
        "death": None if report.death is None else record(_death(report.death, culprits)),
        "limit": None if run.limit is None else _limit(run.limit),
        "stack_dumps": [_stack_dump(dump) for dump in run.stack_dumps],
    }
    return (line.encode("utf-8", "replace") for line in lines(fields))


class Encoded(str):
    """A value that is JSON text already."""

    __slots__ = ()


def encoded(value: object) -> Encoded:
    """Encode ``value``. Raises ValueError for NaN and infinity."""
    return Encoded(_encode(value))


def listed(values: Iterable[Encoded]) -> Encoded:
    """Join ``values`` to a list."""
    return Encoded(f"[{','.join(values)}]")


def record(fields: Mapping[str, object]) -> Encoded:
    """Encode ``fields`` as an object; `Encoded` values are taken as they are."""
    parts = []
    plain: dict[str, object] = {}
    for name, value in fields.items():
        if isinstance(value, Encoded):
            if plain:
                parts.append(_encode(plain)[1:-1])
                plain = {}
            parts.append(f"{_encode(name)}:{value}")
        else:
            plain[name] = value
    if plain:
        parts.append(_encode(plain)[1:-1])
    return Encoded(f"{{{','.join(parts)}}}")


def lines(fields: Mapping[str, object]) -> Iterator[str]:
    """Encode ``fields`` as a document, a field a line; an iterator of objects has a line each."""
    before = "{"
    for name, value in fields.items():
        head = f"{before}\n{_encode(name)}: "
        before = ","
        if isinstance(value, Iterator):
            between = f"{head}["
            for item in value:
                yield f"{between}\n{record(item)}"
                between = ","
            yield f"{between}]" if between != "," else "\n]"
        else:
            yield f"{head}{value if isinstance(value, Encoded) else _encode(value)}"
    yield "\n}\n"


def _exit(end: Exit, last_checkpoint: str | None) -> Json:
    return {
        "code": end.code,
        "signal": end.signal,
        "verdict": end.verdict,
        "evidence": list(sentences.exit_evidence(end, ENGLISH)),
        "last_checkpoint": last_checkpoint,
    }


def _thresholds(report: Report) -> Json | None:
    run = report.run
    if run.warning_bytes is None and run.critical_bytes is None:
        return None
    return {"warning_bytes": run.warning_bytes, "critical_bytes": run.critical_bytes}


def _checkpoints(report: Report) -> Iterator[Json]:
    return (
        {
            "index": point.index,
            "label": point.label,
            "note": point.note,
            "time_s": point.time_s,
            "rss_bytes": point.rss_bytes,
            "rss_file_bytes": point.rss_file_bytes,
            "heap_bytes": report.heap.at_checkpoints[point.index],
            "thread": point.thread,
            "pid": point.pid,
            "kind": point.kind.value,
        }
        for point in report.run.checkpoints
    )


def _phase(report: Report, phase: Phase, culprits: _Culprits) -> Json:
    heap = phase.heap
    return {
        "name": phase.name,
        "kind": phase.outline.kind.value,
        "start": phase.start,
        "end": phase.end,
        "depth": phase.outline.depth,
        "parent": phase.outline.parent,
        "repeats": phase.repeats,
        "pid": report.run.checkpoints[phase.start].pid,
        "duration_s": phase.duration_s,
        "rss_start_bytes": phase.rss_start_bytes,
        "rss_end_bytes": phase.rss_end_bytes,
        "rss_delta_bytes": phase.rss_delta_bytes,
        "rss_worst_bytes": max((d for d in phase.rss_deltas_bytes if d is not None), default=None),
        **_heap(phase.heap),
        "explained_ratio": phase.explained_ratio,
        "complete": phase.complete,
        "culprits": culprits.all(heap.culprits if heap else ()),
        "peak_culprits": culprits.all(heap.peak_culprits if heap else ()),
        "freed_culprits": culprits.all(heap.freed_culprits if heap else ()),
        "largest": None if heap is None or heap.largest is None else culprits.all(heap.largest),
        "gap": None if phase.gap is None else _gap(phase.gap),
        "trend": None if phase.trend is None else asdict(phase.trend),
    }


def _heap(heap: PhaseHeap | None) -> Json:
    return {
        "heap_start_bytes": None if heap is None else heap.start_bytes,
        "heap_end_bytes": None if heap is None else heap.end_bytes,
        "heap_delta_bytes": None if heap is None else heap.delta_bytes,
        "peak_heap_bytes": None if heap is None else heap.peak.bytes,
        "peak_time_s": None if heap is None else heap.peak.time_s,
        "retained_bytes": None if heap is None else heap.retained_bytes,
        "released_bytes": None if heap is None else heap.freed_bytes,
        "allocated_bytes": None if heap is None else heap.allocated_bytes,
        "freed_bytes": None if heap is None else heap.gross_freed_bytes,
        "churn_bytes": None if heap is None else heap.churn_bytes,
        "allocations": None if heap is None else heap.allocations,
    }


def _gap(gap: Gap) -> Json:
    return {
        "file_bytes": gap.file_bytes,
        "slack_bytes": gap.slack_bytes,
        "untouched_bytes": gap.untouched_bytes,
    }


def _finding(report: Report, item: Finding, culprits: _Culprits) -> Json:
    return {
        "title": sentences.finding(report, item, ENGLISH),
        "phase": item.phase,
        "phases": list(item.phases),
        "bytes": item.bytes,
        "culprit": None if item.culprit is None else culprits.one(item.culprit),
        "advice": sentences.advice(item, ENGLISH) or None,
        "kind": item.kind.value,
        "share": item.share,
        "evidence": dict(item.evidence),
        "fate": None if item.fate is None else _fate(item.fate),
    }


def _fate(fate: Fate) -> Json:
    return {
        "alive_at_end_bytes": fate.alive_bytes,
        "freed": [{"phase": place, "bytes": size} for place, size in fate.freed],
    }


def _death(death: Death, culprits: _Culprits) -> Json:
    growth = death.last_growth
    return {
        "phases": list(death.phases),
        "last_checkpoint": death.last_checkpoint,
        "since_s": death.since_s,
        "rss_bytes": death.rss_bytes,
        "heap_bytes": death.heap_bytes,
        "known_at": death.known_at,
        "culprits": culprits.all(death.culprits),
        "last_growth": None if growth is None else record(_last_growth(growth, culprits)),
    }


def _last_growth(growth: LastGrowth, culprits: _Culprits) -> Json:
    return {
        "start": growth.stretch.start,
        "end": growth.stretch.end,
        "phase": growth.phase,
        "heap_bytes": growth.heap_bytes,
        "rss_bytes": growth.rss_bytes,
        "culprits": culprits.all(growth.culprits),
    }


def _limit(limit: MemoryLimit) -> Json:
    return {
        "bytes": limit.bytes,
        "source": sentences.statement(limit.source, ENGLISH),
        "of_address_space": limit.of_address_space,
    }


def _stack_dump(dump: StackDump) -> Json:
    return {
        "reason": dump.reason,
        "time_s": dump.time_s,
        "rss_bytes": dump.rss_bytes,
        "threads": [
            {
                "name": thread.name,
                "current": thread.is_current,
                "stack": [
                    {
                        "function": called.function,
                        "filename": called.filename,
                        "lineno": called.lineno,
                    }
                    for called in thread.frames
                ],
            }
            for thread in dump.threads
        ],
    }


class _Culprits:
    """Encodes the culprits of one report; what they share is encoded once."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._tree = report.heap.tree
        self._lines: dict[Frame, str] = {}
        self._frames: dict[int, Encoded | None] = {}  # by index; None for a thread
        self._stack = lru_cache(MAX_STACKS)(self._encoded_stack)

    def all(self, culprits: Sequence[Culprit]) -> Encoded:
        """Encode ``culprits`` as a list."""
        return listed(map(self.one, culprits))

    def one(self, culprit: Culprit) -> Encoded:
        """Encode ``culprit`` as an object; its stack is outermost first, without the thread."""
        return Encoded(
            f'{{{self._line(culprit.frame)},"bytes":{culprit.bytes},'
            f'"allocations":{culprit.allocations},"share":{encoded(culprit.share)},'
            f'"stack":{self._stack(culprit.node)}}}'
        )

    def _line(self, frame: Frame) -> str:
        """Encode the fields that all culprits of a line have in common, without braces."""
        known = self._lines.get(frame)
        if known is None:
            line = {
                "filename": frame.filename,
                "lineno": frame.lineno,
                "function": frame.function,
                "source": self._report.source(frame),
            }
            known = self._lines[frame] = encoded(line)[1:-1]
        return known

    def _encoded_stack(self, node: int) -> Encoded:
        frames = []
        while node >= 0:
            number = self._tree.frame_ids[node]
            if number not in self._frames:
                self._frames[number] = self._encoded_frame(number)
            frame = self._frames[number]
            if frame is not None:
                frames.append(frame)
            node = self._tree.parents[node]
        return listed(reversed(frames))

    def _encoded_frame(self, number: int) -> Encoded | None:
        frame = self._tree.frames[number]
        if frame.origin is Origin.THREAD:
            return None
        return encoded(
            {
                "function": frame.function,
                "filename": frame.filename,
                "lineno": frame.lineno,
                "native": frame.origin is Origin.NATIVE,
            }
        )
