"""Writes a report as `report.json`, schema 1: the machine-readable result other programs read.

Every field, checkpoint, phase and finding has a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from memdeep.model import (
    Death,
    Exit,
    Fate,
    Finding,
    Gap,
    LastGrowth,
    MemoryLimit,
    Phase,
    PhaseHeap,
    Report,
    StackDump,
)
from memdeep.report import sentences
from memdeep.report.json_culprits import CulpritTexts
from memdeep.report.json_records import lines, record
from memdeep.text.language import language
from memdeep.version import __version__

SCHEMA = 1
ENGLISH = language("en")

Json = Mapping[str, object]


def encode(report: Report) -> Iterator[bytes]:
    """``report`` as UTF-8 JSON, in pieces. What is not known is null.

    ``death`` is null for a program that completed. Its ``phases`` (indices) are the innermost ones
    it died in; ``last_checkpoint`` is an index into ``checkpoints``; ``culprits`` are the lines by
    bytes alive when it died, or at ``known_at``, the last checkpoint where that is known.
    ``last_growth`` is the last segment that grew noticeably. ``limit`` is the tightest limit on
    memory when the program started; ``stack_dumps`` are the stacks of all threads, outermost
    first, at the moments RSS went over a limit. Sentences are in English.
    """
    run = report.run
    culprits = CulpritTexts(report)
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


def _phase(report: Report, phase: Phase, culprits: CulpritTexts) -> Json:
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


def _finding(report: Report, item: Finding, culprits: CulpritTexts) -> Json:
    return {
        "title": sentences.finding(report, item, ENGLISH),
        "phase": item.phase,
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


def _death(death: Death, culprits: CulpritTexts) -> Json:
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


def _last_growth(growth: LastGrowth, culprits: CulpritTexts) -> Json:
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
