"""The story in order: `record_run`, `seal`, `load`, `analyse`, `write`.

Every stage is called here and nowhere else; nothing is printed. What a stage needs is imported
when it begins: a program starts without what will make its report, and a report is made without
what runs programs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from memdeep.errors import CaptureError, OutputError
from memdeep.frozen import frozen, replace
from memdeep.report.options import DEFAULTS, ReportOptions
from memdeep.rundir import directory, files
from memdeep.rundir.directory import RunDirectory

if TYPE_CHECKING:
    from memdeep.analysis.across import Rows
    from memdeep.analysis.baseline import Update
    from memdeep.loading.run import Recording
    from memdeep.model import Heap, LeftOut, Report
    from memdeep.model.budget import Baseline, Budget, Gate
    from memdeep.model.comparison import Comparison
    from memdeep.model.statement import Problem
    from memdeep.record.program import WhatToRun
    from memdeep.report.comparison.options import DiffOptions
    from memdeep.run.attach import AttachOptions, Running
    from memdeep.run.options import RunOptions
    from memdeep.run.progress import Progress
    from memdeep.text.language import Language

OnStep = Callable[[str], None]

# Reports of single processes that are kept are as large as so many checkpoints together, a phase
# being as large as some: by that `report.json` stays below 10 MB. So many are kept at least.
MAX_OWN_REPORTS = 60_000
CHECKPOINTS_A_PHASE = 100
MIN_OWN_REPORTS = 16

WRITTEN = ("json", "html")  # the outputs that every report is written as, in this order


def record_run(
    what: WhatToRun,
    run_dir: RunDirectory,
    options: RunOptions,
    on_progress: Callable[[Progress], None],
    on_note: Callable[[str], None],
) -> int:
    """Run a program to its end and record it; return its exit status as a shell gives it.

    Raises OutputError or ProgramError, both before the program is started.
    """
    from memdeep.run import supervise

    return supervise.run(what, run_dir, options, on_progress, on_note, _import_stages)


def _import_stages() -> None:
    """Import what makes a report, which takes as long as a quarter of a small one."""
    from memdeep.analysis import findings, patterns  # noqa: F401
    from memdeep.loading import run, seal  # noqa: F401
    from memdeep.report import outputs

    for name in WRITTEN:
        outputs.BY_NAME[name].encoder()


def reach(pid: int) -> Running:
    """Find a running program, and a way into it. Raises AttachError if it cannot be recorded."""
    from memdeep.run import target, ways_in
    from memdeep.run.attach import Running

    found = target.find(pid)
    line = ways_in.reach(found)
    return Running(found, line, line.facts())


def attach(
    program: Running,
    run_dir: RunDirectory,
    options: AttachOptions,
    on_progress: Callable[[Progress], None],
) -> None:
    """Record a running program until it is time to detach, or it has ended.

    Raises AttachError before anything is recorded, OutputError or CaptureError.
    """
    from memdeep.run import attach

    attach.attach(program, run_dir, options, on_progress)


def seal(run_dir: RunDirectory, on_step: OnStep, *, aside: bool = False) -> None:
    """Make a run that has just ended fit for memray's commands and for other machines.

    A process of its own may do a part of it ``aside``. Raises OutputError.
    """
    from memdeep.loading.seal import seal

    seal(run_dir, on_step, _import_stages if aside else None)


def pack(run_dir: RunDirectory, on_step: OnStep) -> None:
    """Compress the captures of a run that was sealed: reports are made of them as of others."""
    from memdeep.loading.seal import pack

    pack(run_dir, on_step)


def load(path: Path, on_step: OnStep) -> Recording:
    """Read the recording at ``path``: a run directory or a memray capture. Raises CaptureError."""
    if directory.is_directory(path):
        from memdeep.loading.run import load_run

        on_step("Reading the journal")
        return load_run(directory.existing(path))
    from memdeep.loading.bare_capture import load_capture

    return load_capture(path)


def analyse(
    recording: Recording,
    on_step: OnStep,
    options: ReportOptions = DEFAULTS,
    *,
    every_line: bool = False,
) -> Report:
    """Find everything there is to say about a recording. Raises CaptureError.

    With ``every_line``, no line is left out of its spans, so that they can be summed up.
    """
    from memdeep.analysis.across import Rows, across, is_worker, with_their_rows
    from memdeep.analysis.death import death, is_unfinished
    from memdeep.analysis.findings import findings
    from memdeep.analysis.ground import Seen
    from memdeep.analysis.holders import LineHolders, views, with_holders
    from memdeep.analysis.outline import MAX_OPEN, outline
    from memdeep.analysis.patterns import patterns
    from memdeep.analysis.phases import Figures, heap_curve, phases
    from memdeep.analysis.reserved import reserved_at_peak
    from memdeep.analysis.resident import settled
    from memdeep.analysis.split import copied, split_off
    from memdeep.analysis.unrecorded import unrecorded
    from memdeep.model import Report
    from memdeep.model.redaction import redacted
    from memdeep.sources import store
    from memdeep.sources.lines import read_sources
    from memdeep.sources.programs import executed

    run = redacted(recording.run) if options.redact_args else recording.run
    died = is_unfinished(run) and len(run.checkpoints) > 2
    on_step("Finding the phases")
    outlined = outline(run.checkpoints, died=died)
    heap = settled(recording.heap([item.stretches for item in outlined.phases], on_step), run)
    problems: list[Problem] = [*run.problems, *heap.problems]
    if outlined.left_out:
        others = f"{MAX_OPEN} others were open when they began"
        problems.append(f"{outlined.left_out:,} spans are not shown as phases: {others}.")
    run = replace(run, problems=tuple(problems))
    on_step("Finding the culprits")
    figures = Figures(run, heap, every_line=every_line or is_worker(run, 0))
    found_phases = phases(figures, outlined.phases)
    on_step("Weighing the findings")
    sources = store.NOTHING
    if options.source is not False:
        found = read_sources(
            heap.tree.frames,
            run.started,
            run.command,
            recording.cells,
            None if options.redact_args else executed(heap.tree, recording.programs),
            with_private=options.source is True,
        )
        sources = store.merged(recording.sources, found)
    known_holders = LineHolders(heap, keys=options.shows_keys) if heap.snapshots else None
    found_findings = findings(
        heap,
        found_phases,
        len(run.checkpoints),
        Seen(
            malloc=run.mode.backend == "memray",
            python_allocators=run.mode.python_allocators,
            # Of several processes the kernel tells it of each alone.
            highest_rss_bytes=run.max_rss_bytes if len(run.processes) < 2 else None,
            holders=known_holders,
            copies_texts=(run.python or "").startswith("3.11."),
        ),
        [*copied(run, heap, found_phases), *unrecorded(run, found_phases)],
    )
    if known_holders is not None:
        found_phases, found_findings = with_holders(known_holders, found_phases, found_findings)
    rows = Rows()
    own_reports, left_out = _own_reports(recording, heap, options, rows)
    made = Report(
        run=run,
        heap=heap,
        phases=found_phases,
        findings=found_findings,
        heap_curve=heap_curve(run, heap),
        sources=sources.lines,
        private_files=sources.private_files,
        death=death(run, heap, found_phases),
        own_reports=own_reports,
        own_left_out=left_out,
        patterns=patterns(figures, found_phases),
        split_off=split_off(heap),
        snapshots=views(heap, keys=options.shows_keys),
        peak_reserved_bytes=reserved_at_peak(heap, found_phases),
    )
    of_all = across(made, rows)
    return replace(made, across=of_all, findings=with_their_rows(made.findings, of_all))


def _own_reports(
    recording: Recording, heap: Heap, options: ReportOptions, rows: Rows
) -> tuple[dict[int, Report], dict[int, LeftOut]]:
    """Make the reports of the processes that set checkpoints, one after the other.

    All are added to ``rows``. Return those that are kept, by process, and what the others have:
    where there are too many to keep, the processes with the highest heaps are kept.
    """
    from memdeep.model import LeftOut

    peaks = {one.process: one.peak_bytes for one in heap.processes}
    kept: dict[int, Report] = {}
    left_out: dict[int, LeftOut] = {}
    size = 0
    for process in sorted(recording.own_runs, key=lambda place: (-peaks.get(place, 0), place)):
        load = partial(own_report, recording.own_runs[process], options)
        own = load()
        if own is None:
            continue
        rows.add(process, own)
        has = LeftOut(len(own.phases), len(own.run.checkpoints), load)
        size += CHECKPOINTS_A_PHASE * has.phases + has.checkpoints
        if len(kept) < MIN_OWN_REPORTS or size <= MAX_OWN_REPORTS:
            kept[process] = own
        else:
            left_out[process] = has
    return dict(sorted(kept.items())), dict(sorted(left_out.items()))


def own_report(run_dir: RunDirectory, options: ReportOptions = DEFAULTS) -> Report | None:
    """Make the report of a process of a run, to be summed up; None if it cannot be read."""
    from memdeep.errors import CaptureError
    from memdeep.loading.run import load_run

    try:
        own = load_run(run_dir)
    except CaptureError:
        return None
    return analyse(own, lambda step: None, options, every_line=True)


def store_sources(run_dir: RunDirectory, report: Report) -> None:
    """Store with a run that has just ended the source lines of its report. Raises OutputError."""
    from memdeep.sources import store
    from memdeep.sources.lines import Sources

    sources = Sources(report.sources, report.private_files)
    files.write_atomically(run_dir.sources, store.encode(sources, report.run.started))


def write(
    report: Report,
    paths: Mapping[str, Path],
    on_step: OnStep,
    options: ReportOptions = DEFAULTS,
) -> None:
    """Write ``report`` to ``paths``, which are by name of output. Raises OutputError."""
    from memdeep.report import outputs

    for name, path in paths.items():
        on_step(f"Writing report{outputs.BY_NAME[name].suffix}")
        files.write_atomically(path, outputs.BY_NAME[name].encode(report, options))


def tell_verdict(report: Report, options: ReportOptions) -> str:
    """Return the verdict on a run as text, in the first language of ``options``."""
    from memdeep.report import terminal

    return b"".join(terminal.encode(report, options)).decode().strip("\n")


def compare(
    before: Sequence[Path],
    after: Sequence[Path],
    on_step: OnStep,
    options: ReportOptions = DEFAULTS,
) -> Comparison:
    """Compare the recordings at some paths with those at others. Raises CaptureError.

    Lines are found again by their texts, whether those may be shown or not.
    """
    from memdeep.analysis.compare.compare import compare

    options = replace(options, source=options.source or None)
    sides = [
        [(str(path), analyse(load(path, on_step), on_step, options)) for path in paths]
        for paths in (before, after)
    ]
    on_step("Comparing")
    return compare(*sides)


def check_limit(text: str) -> None:
    """Raise ValueError, with what is wrong, if ``text`` is no limit for `judge`."""
    from memdeep.report.comparison.limits import limit

    limit(text)


def judge(
    comparison: Comparison, limits: Sequence[str], language: Language
) -> Sequence[tuple[bool, str]]:
    """Hold a comparison to ``limits``; return for each that is not kept if it is known, and why."""
    from memdeep.analysis.compare.gate import judge
    from memdeep.report.comparison import limits as worded

    judgements = judge(comparison, [worded.limit(text) for text in limits])
    return worded.failures(comparison, judgements, limits, language)


def encode_comparison(comparison: Comparison, name: str, options: DiffOptions) -> Iterator[bytes]:
    """Encode a comparison as text, markdown, json or html."""
    from memdeep.report.comparison import encoders

    return encoders.encode(comparison, name, options)


def live_page(program: str, options: ReportOptions = DEFAULTS) -> bytes:
    """Return the page that shows a run of ``program`` while it goes on."""
    from memdeep.report.page import live

    return live.encode(program, options)


def write_comparison(comparison: Comparison, name: str, path: Path, options: DiffOptions) -> None:
    """Write a comparison to a file. Raises OutputError."""
    files.write_atomically(path, encode_comparison(comparison, name, options))


def report_paths(path: Path) -> dict[str, Path]:
    """Return the files of the report on ``path``, by name of output.

    They lie in ``path`` if it is a directory, and beside it if it is a capture.
    """
    from memdeep.report import outputs

    names = {name: f"report{outputs.BY_NAME[name].suffix}" for name in WRITTEN}
    if directory.is_directory(path):
        return {name: path / file for name, file in names.items()}
    return {name: path.with_name(f"{path.name}.{file}") for name, file in names.items()}


def refuse_to_replace(into: Path, started: str | None) -> None:
    """Raise OutputError if ``into`` has a file in the place of the report on the run of this time.

    An earlier report on the same run may be replaced.
    """
    from memdeep.report.json import document

    paths = report_paths(into)
    there = [path for path in paths.values() if os.path.lexists(path)]
    if not there:
        return
    with suppress(CaptureError), files.open_regular(paths["json"])[0] as file:
        if document.starts_as(file.read(document.HEAD_BYTES), started):
            return
    raise OutputError(
        f"{there[-1]} is there already, and is no report of this run.",
        "Name another directory with -o, or add --force to replace it.",
    )


def read_baseline(path: Path) -> Baseline | None:
    """Read the baseline at ``path``; None if there is no such file. Raises MemdeepError."""
    from memdeep.report.gate import baseline

    content = files.read_if_there(path, baseline.MAX_BYTES)
    return None if content is None else baseline.decode(content, str(path))


def check(
    report: Report,
    budgets: Sequence[Budget],
    roots: tuple[str, ...],
    baseline: tuple[Baseline, Path] | None = None,
    *,
    allow_missing: bool = False,
) -> Gate:
    """Hold a report against budgets, and against a baseline and the path of its file.

    ``roots`` are the names of the directory that paths are told from. With ``allow_missing`` a
    phase that only the baseline has is told, and else fails the check.
    """
    from memdeep.analysis.baseline import compared
    from memdeep.analysis.budgets import checked, noted, worst_first
    from memdeep.model.budget import Gate, Rule

    verdicts = list(checked(report, budgets))
    notes = [*noted(report)]
    if baseline is not None:
        known, path = baseline
        rule = Rule(str(path.absolute()))
        found, told = compared(report, known, rule, allow_missing=allow_missing)
        verdicts += found
        notes += told
    return Gate(report, worst_first(verdicts), tuple(notes), roots)


def update_baseline(report: Report, path: Path, old: Baseline | None) -> list[Update] | None:
    """Write to ``path`` the baseline that ``old`` becomes by a report; return what changed.

    None if it stays as it is. Raises MemdeepError for a run that did not complete.
    """
    from memdeep.analysis.baseline import baseline_of, updated
    from memdeep.analysis.death import is_unfinished
    from memdeep.errors import EXIT_BAD_DATA, MemdeepError
    from memdeep.report.gate import baseline

    if is_unfinished(report.run):
        raise MemdeepError(
            "The run did not complete: its figures make no baseline.",
            "Record it to its end, then update the baseline.",
            EXIT_BAD_DATA,
        )
    new, changes = updated(old, baseline_of(report), deep=report.run.mode.python_allocators)
    if new == old:
        return None
    files.write_atomically(path, baseline.encode(new))
    return changes


def tell(gate: Gate, name: str, language: Language) -> bytes:
    """Return the result of a check in the format ``name``."""
    from memdeep.report.gate import formats

    return formats.encode(name, gate, language)


@frozen
class Wanted:
    """What an export shall hold, as somebody asks for it: a phase, a figure, a table.

    ``phase`` is the path, the name or a pattern of phases, None for all of the run. ``metric`` is
    one of `formats.METRICS`, None for what the format holds without being asked.
    """

    phase: str | None = None
    metric: str | None = None
    table: str = "phases"


def export(report: Report, name: str, wanted: Wanted) -> Iterator[bytes]:
    """Return ``report`` in the format ``name``, in pieces.

    Raises MemdeepError if the run does not have what is wanted.
    """
    from memdeep.analysis.accounts import Metric
    from memdeep.report.exports import formats, selection
    from memdeep.report.exports.options import ExportOptions

    into = formats.BY_NAME[name]
    options = ExportOptions()
    if wanted.phase is not None:
        options = selection.of_phase(report, wanted.phase, into)
    metric = None if wanted.metric is None else Metric(wanted.metric)
    options = replace(options, metric=metric, table=wanted.table)
    selection.refuse(report, into, options)
    return into.encode(report, options)


def write_export(path: Path, name: str, pieces: Iterator[bytes]) -> None:
    """Write an export in the format ``name``, packed by gzip if its file is named so.

    Raises OutputError.
    """
    from memdeep.report.exports import formats

    files.write_atomically(path, formats.packed_for(path.name, formats.BY_NAME[name], pieces))


def export_path(path: Path, name: str) -> Path:
    """Return the file to export the recording ``path`` to where none is named.

    It lies in ``path`` if it is a directory, and beside it if it is a capture.
    """
    from memdeep.report.exports import formats

    file = f"export{formats.BY_NAME[name].suffixes[0]}"
    return path / file if directory.is_directory(path) else path.with_name(f"{path.name}.{file}")
