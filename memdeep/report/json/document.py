"""Encodes a report as `report.json`, schema 2: the result that other programs read.

Owns the names and the order of the fields, which `memdeep/schema/report-2.schema.json` describes.
Each field of the document, each checkpoint, phase and finding, and each entry of a table is on a
line of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from posixpath import basename, dirname

from memdeep.model import (
    Death,
    Exit,
    Fate,
    Finding,
    FindingKind,
    Identity,
    LastGrowth,
    MemoryLimit,
    Merged,
    Report,
    StackDump,
)
from memdeep.model.paths import main_program, roots_of
from memdeep.report import sentences
from memdeep.report.json.across import AcrossRows
from memdeep.report.json.checkpoints import Checkpoints
from memdeep.report.json.culprits import Culprits
from memdeep.report.json.holders import Snapshots
from memdeep.report.json.phases import Phases
from memdeep.report.json.processes import Alone, Processes
from memdeep.report.json.records import Json, lines, listed, record, rounded
from memdeep.report.json.tables import Tables
from memdeep.report.options import DEFAULTS, ReportOptions
from memdeep.text.language import language
from memdeep.version import __version__

SCHEMA = 2
HEAD_BYTES = 1 << 22  # the fields before the tables: the command may be long
ENGLISH = language("en")
_STARTED = re.compile(rb'\A\{\n"schema": \d+,\n"memdeep": .*?\n"started": ([^\n]*),\n', re.DOTALL)
_KINDS = {kind: kind.value for kind in FindingKind} | {
    FindingKind.TOUCHED: "growth",
    FindingKind.UNTRACKED: "unseen",
    FindingKind.UNRECORDED: "children",
}


def encode(report: Report, _options: ReportOptions = DEFAULTS) -> Iterator[bytes]:
    """Return ``report`` as UTF-8 JSON, in pieces. No option changes it; unknown figures are null.

    Sentences are in English. Phases, checkpoints, processes, frames and stacks are named by their
    index.

    ``limit`` is the tightest limit on memory when the program started. ``stack_dumps`` hold the
    stacks of all threads at the moments when RSS exceeded a limit. ``death`` is null for a program
    that completed: its ``phases`` are the innermost ones at the time of death, its ``culprits`` the
    lines by bytes alive at the checkpoint ``known_at``, its ``last_growth`` the last segment that
    grew noticeably. ``phases_left_out`` counts those that moved least, where there are too many to
    list. So does ``checkpoints_left_out`` where many repeat a label: of those some are listed, at
    even distances, and all that a listed phase or the death names. ``processes_left_out`` counts
    the small ones of more than a thousand that nothing names. An index is a place in the list.

    Rows over all processes come last among the phases, ``rows_left_out`` counts the smallest. Of
    many processes that set checkpoints themselves only those with the highest heaps have theirs
    listed, and their phases: those of the others are left out, and are in the rows.
    Times and shares are rounded to six decimals.
    """
    run = report.run
    main = main_program(report)
    tables = Tables(roots_of(report))
    processes = Processes(report)
    snapshots = Snapshots(report)
    culprits = Culprits(report, tables, processes, snapshots)
    phases = Phases(report, processes)
    checkpoints = Checkpoints(report, phases.places)
    # The tables are complete only when all that names their entries is encoded.
    phase_records = [record(phase) for phase in phases.encoded(culprits, checkpoints)]
    points = [*checkpoints.encoded()]
    snapshot_records = [*snapshots.encoded(checkpoints, tables)]
    of_processes = {0: phases}
    for process, own in report.own_reports.items():
        alone = Alone(processes.place(process) or 0)
        own_phases = of_processes[process] = Phases(own, alone, len(phase_records))
        start_s = run.processes[process].start_s or 0.0
        own_points = Checkpoints(own, own_phases.places, alone.process, len(points), start_s)
        own_snapshots = Snapshots(own, len(snapshot_records))
        own_culprits = Culprits(own, tables, alone, own_snapshots)
        phase_records += [record(one) for one in own_phases.encoded(own_culprits, own_points)]
        points += own_points.encoded()
        snapshot_records += own_snapshots.encoded(own_points, tables)
    across = AcrossRows(report, len(phase_records))
    phase_records += [record(row) for row in across.encoded(of_processes, processes, tables)]
    findings = [
        record(
            {**_finding(report, item, processes, phases, culprits), "row": across.place(item.row)}
        )
        for item in report.findings
    ]
    death = None
    if report.death is not None:
        death = record(_death(report.death, phases, culprits, checkpoints))
    dumps = [_stack_dump(dump, tables) for dump in run.stack_dumps]
    origins = list(processes.origins())
    stack_of = {place: tables.add(process.started_by) for place, process, _ in origins}
    phase_of = {place: phases.place(phase) for place, _, phase in origins}
    split_of = {one.process: culprits.all(one.culprits) for one in report.split_off}
    process_records = [record(one) for one in processes.encoded(stack_of, phase_of, split_of)]
    left_out = report.own_left_out.values()
    fields = {
        "schema": SCHEMA,
        "memdeep": __version__,
        "python": run.python,
        "memray": run.memray,
        "command": list(run.command),
        "identity": _identity(run.identity, main),
        "mode": {
            "backend": run.mode.backend,
            "native": run.mode.native,
            "python_allocators": run.mode.python_allocators,
        },
        "started": run.started,
        "duration_s": rounded(run.duration_s),
        "exit": None if run.exit is None else _exit(run.exit, sentences.last_checkpoint(report)),
        "peak_rss_bytes": run.peak_rss_bytes,
        "peak_pss_bytes": run.peak_pss_bytes,
        "peak_heap_bytes": report.heap.peak_bytes,
        "peak_heap_reserved_bytes": report.peak_reserved_bytes,
        "earlier": _earlier(report),
        "merged": None if run.merged is None else _merged(run.merged),
        "thresholds": _thresholds(report),
        "frames": tables.frames(),
        "stacks": tables.stacks(),
        "processes": iter(process_records),
        "processes_left_out": processes.left_out,
        "checkpoints": iter(points),
        "checkpoints_left_out": checkpoints.left_out + sum(own.checkpoints for own in left_out),
        "phases": iter(phase_records),
        "phases_left_out": phases.left_out + sum(own.phases for own in left_out),
        "rows_left_out": across.left_out,
        "problems": list(sentences.problems(report, ENGLISH)),
        "findings": iter(findings),
        "death": death,
        "limit": None if run.limit is None else _limit(run.limit),
        "stack_dumps": dumps,
        "snapshots": iter([record(one) for one in snapshot_records]),
    }
    return (line.encode("utf-8", "replace") for line in lines(fields))


def starts_as(head: bytes, started: str | None) -> bool:
    """Tell if a file that begins with ``head`` is the report of the run with this time."""
    match = _STARTED.match(head)
    return match is not None and match[1] == json.dumps(started).encode("ascii")


def _identity(known: Identity | None, main: str | None) -> Json:
    """Encode the identity of a run; one recorded without it has the main file of its stacks."""
    if known is None:
        known = Identity(root=None if main is None else dirname(main))
    return {
        "cwd": known.cwd,
        "root": known.root,
        "main": basename(known.main or main or "") or None,
        "commit": known.commit,
        "dirty": known.is_dirty,
        "platform": known.platform,
        "libc": known.libc,
        "hash_seed": known.hash_seed,
    }


def _earlier(report: Report) -> Json | None:
    """Encode what was there before memdeep was attached; None if it was not."""
    known = report.heap.of_program.earlier
    if known is None:
        return None
    return {
        "seconds": rounded(report.run.earlier_s),
        "rss_bytes": report.run.checkpoints[0].rss_bytes,
        "heap_bytes": known.bytes,
        "blocks": known.blocks,
        "unknown_frees": known.unknown_frees,
    }


def _merged(known: Merged) -> Json:
    return {
        "until_s": rounded(known.until_s),
        "checkpoints": known.checkpoints,
        "readings": known.readings,
    }


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


def kind_of(item: Finding) -> str:
    """Return the kind of a finding by the name it has in the document."""
    return "children" if item.is_of_workers else _KINDS[item.kind]


def _finding(
    report: Report, item: Finding, processes: Processes, phases: Phases, culprits: Culprits
) -> Json:
    summed = phases.listed(item.phases)
    return {
        "kind": kind_of(item),
        "title": sentences.finding(report, item, ENGLISH),
        "phase": phases.place(item.phase),
        "phases": summed,
        "phases_left_out": len(item.phases) - len(summed),
        "bytes": item.bytes,
        "resident_bytes": item.resident_bytes,
        "share": rounded(item.share),
        "culprit": None if item.culprit is None else culprits.one(item.culprit),
        "culprits": listed([]),
        "moved_bytes": item.moved_bytes,
        "advice": sentences.advice(item, ENGLISH) or None,
        "evidence": dict(item.evidence),
        "called_by": [
            {"filename": frame.filename, "lineno": frame.lineno} for frame in item.called_by
        ],
        "fate": None if item.fate is None else _fate(item.fate, phases),
        "processes": processes.listed(item.processes),
    }


def _fate(fate: Fate, phases: Phases) -> Json:
    return {
        "alive_bytes": fate.alive_bytes,
        "given_back_bytes": fate.given_back_bytes,
        "unused_bytes": fate.unused_bytes,
        "moved_bytes": fate.moved_bytes,
        "freed": [{"phase": phases.place(place), "bytes": size} for place, size in fate.freed],
    }


def _death(death: Death, phases: Phases, culprits: Culprits, points: Checkpoints) -> Json:
    growth = death.last_growth
    return {
        "phases": [phases.place(place) for place in death.phases],
        "last_checkpoint": points.place_of_known(death.last_checkpoint),
        "since_s": rounded(death.since_s),
        "rss_bytes": death.rss_bytes,
        "heap_bytes": death.heap_bytes,
        "known_at": points.place_of_known(death.known_at),
        "culprits": culprits.all(death.culprits),
        "last_growth": None
        if growth is None
        else record(_last_growth(growth, phases, culprits, points)),
    }


def _last_growth(
    growth: LastGrowth, phases: Phases, culprits: Culprits, points: Checkpoints
) -> Json:
    return {
        "start": points.place(growth.stretch.start),
        "end": points.place(growth.stretch.end),
        "phase": phases.place(growth.phase),
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


def _stack_dump(dump: StackDump, tables: Tables) -> Json:
    return {
        "reason": dump.reason,
        "time_s": rounded(dump.time_s),
        "rss_bytes": dump.rss_bytes,
        "threads": [
            {
                "name": thread.name,
                "current": thread.is_current,
                "stack": tables.add(thread.frames),
            }
            for thread in dump.threads
        ],
    }
