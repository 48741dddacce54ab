"""Writes a report as `report.json`, schema 1: the machine-readable result other programs read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from memdeep import __version__
from memdeep.model import Culprit, Exit, Finding, Origin, Phase, PhaseHeap, Report
from memdeep.report import words

SCHEMA = 1

Json = Mapping[str, object]


def encode(report: Report) -> bytes:
    """``report`` as UTF-8 JSON. What is not known is null."""
    run = report.run
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
        "exit": None if run.exit is None else _exit(run.exit, words.last_checkpoint(report)),
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
        "phases": [_phase(report, phase) for phase in report.phases],
        "problems": list(run.problems),
        "findings": [_finding(report, item) for item in report.findings],
    }
    text = json.dumps(fields, ensure_ascii=False, indent=1, allow_nan=False)
    return (text + "\n").encode("utf-8", "replace")


def _exit(end: Exit, last_checkpoint: str | None) -> Json:
    return {
        "code": end.code,
        "signal": end.signal,
        "verdict": end.verdict,
        "evidence": list(end.evidence),
        "last_checkpoint": last_checkpoint,
    }


def _thresholds(report: Report) -> Json | None:
    run = report.run
    if run.warning_bytes is None and run.critical_bytes is None:
        return None
    return {"warning_bytes": run.warning_bytes, "critical_bytes": run.critical_bytes}


def _checkpoints(report: Report) -> Sequence[Json]:
    return [
        {
            "index": point.index,
            "label": point.label,
            "note": point.note,
            "time_s": point.time_s,
            "rss_bytes": point.rss_bytes,
            "heap_bytes": report.heap.at_checkpoints[point.index],
            "thread": point.thread,
            "pid": point.pid,
            "kind": point.kind.value,
        }
        for point in report.run.checkpoints
    ]


def _phase(report: Report, phase: Phase) -> Json:
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
        "allocated_bytes": None,  # memray's reader does not count what a phase frees again
        "freed_bytes": None,
        "churn_bytes": None,
        "allocations": None,
        "explained_ratio": phase.explained_ratio,
        "complete": phase.complete,
        "culprits": _culprits(report, heap.culprits if heap else ()),
        "peak_culprits": _culprits(report, heap.peak_culprits if heap else ()),
        "freed_culprits": _culprits(report, heap.freed_culprits if heap else ()),
        "largest": None,
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
    }


def _culprits(report: Report, culprits: Sequence[Culprit]) -> Sequence[Json]:
    return [_culprit(report, culprit) for culprit in culprits]


def _culprit(report: Report, culprit: Culprit) -> Json:
    frame = culprit.frame
    return {
        "filename": frame.filename,
        "lineno": frame.lineno,
        "function": frame.function,
        "source": report.sources.get((frame.filename, frame.lineno)),
        "bytes": culprit.bytes,
        "allocations": culprit.allocations,
        "share": culprit.share,
        "stack": [
            {
                "function": called.function,
                "filename": called.filename,
                "lineno": called.lineno,
                "native": called.origin is Origin.NATIVE,
            }
            for called in report.heap.tree.stack(culprit.node)
        ],
    }


def _finding(report: Report, item: Finding) -> Json:
    return {
        "title": words.finding(report, item),
        "phase": item.phase,
        "bytes": item.bytes,
        "culprit": _culprit(report, item.culprit),
        "advice": None if item.advice is None else words.ADVICE[item.advice],
        "kind": item.kind.value,
    }
