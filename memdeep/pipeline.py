"""The story in order: `record_run`, `seal`, `load`, `analyse`, `write`.

Every stage is called here and nowhere else; nothing is printed. What a stage needs is imported
when it begins: a program starts without what will make its report, and a report is made without
what runs programs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from memdeep.rundir import directory, files
from memdeep.rundir.directory import RunDirectory

if TYPE_CHECKING:
    from memdeep.load.run import Recording
    from memdeep.model import Report
    from memdeep.record.program import WhatToRun
    from memdeep.run.options import RunOptions
    from memdeep.run.progress import Progress

OnStep = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What a report shows: ``lang`` is one of `language.CHOICES`.

    ``source`` is True for all source lines, None for all but those of files that look private.
    ``editor`` is the address that opens a file, with ``{path}`` and ``{line}``.
    """

    lang: str
    source: bool | None
    redact_args: bool
    editor: str


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

    return supervise.run(what, run_dir, options, on_progress, on_note)


def seal(run_dir: RunDirectory, on_step: OnStep) -> None:
    """Make a run that has just ended fit for memray's commands and for other machines.

    Raises OutputError.
    """
    from memdeep.load.seal import seal

    seal(run_dir, on_step)


def load(path: Path) -> Recording:
    """Read the recording at ``path``: a run directory or a memray capture. Raises CaptureError."""
    if directory.is_directory(path):
        from memdeep.load.run import load_run

        return load_run(directory.existing(path))
    from memdeep.load.bare_capture import load_capture

    return load_capture(path)


def analyse(recording: Recording, on_step: OnStep, options: ReportOptions) -> Report:
    """Find everything there is to say about a recording. Raises CaptureError."""
    from memdeep.analysis.death import death, did_die
    from memdeep.analysis.findings import findings
    from memdeep.analysis.outline import MAX_OPEN, outline
    from memdeep.analysis.phases import heap_curve, phases
    from memdeep.model import Report
    from memdeep.model.redaction import redacted
    from memdeep.sources import store
    from memdeep.sources.lines import read_sources

    run = redacted(recording.run) if options.redact_args else recording.run
    died = did_die(run) and len(run.checkpoints) > 2
    outlined = outline(run.checkpoints, died=died)
    heap = recording.heap([item.stretches for item in outlined.phases], on_step)
    problems = [*run.problems, *heap.problems]
    if outlined.left_out:
        others = f"{MAX_OPEN} others were open when they began"
        problems.append(f"{outlined.left_out:,} spans are not shown as phases: {others}.")
    run = replace(run, problems=tuple(problems))
    on_step("Finding the culprits")
    found_phases = phases(run, heap, outlined.phases)
    sources = store.NOTHING
    if options.source is not False:
        found = read_sources(
            heap.tree.frames, run.started, run.command, with_private=options.source is True
        )
        sources = store.merged(recording.sources, found)
    return Report(
        run=run,
        heap=heap,
        phases=found_phases,
        findings=findings(
            heap,
            found_phases,
            len(run.checkpoints),
            sees_malloc=run.mode.backend == "memray",
        ),
        heap_curve=heap_curve(run, heap),
        sources=sources.lines,
        private_files=sources.private_files,
        death=death(run, heap, found_phases),
    )


def store_sources(run_dir: RunDirectory, report: Report) -> None:
    """Store with a run that has just ended the source lines of its report. Raises OutputError."""
    from memdeep.sources import store
    from memdeep.sources.lines import Sources

    sources = Sources(report.sources, report.private_files)
    files.write_atomically(run_dir.sources, store.encode(sources, report.run.started))


def write(report: Report, stem: Path, on_step: OnStep, options: ReportOptions) -> Path:
    """Write the page and the machine-readable result; return the path of the page.

    ``stem`` is their path but for the suffix. Raises OutputError.
    """
    from memdeep.analysis.by_line import by_line
    from memdeep.analysis.fold import fold
    from memdeep.report import json
    from memdeep.report.page import html, payload, view
    from memdeep.text import language

    on_step("Writing the page")
    html_path, json_path = stem.with_name(f"{stem.name}.html"), stem.with_name(f"{stem.name}.json")
    files.write_atomically(json_path, json.encode(report))
    peaks = [phase.peak for phase in report.phases]
    folded, lines = fold(report.heap, peaks), by_line(report.heap, peaks)
    languages = language.chosen(options.lang)
    page = view.page(report, payload.encode(report, folded, lines, options.editor), languages)
    files.write_atomically(html_path, html.render(page, languages))
    return html_path


def stem(path: Path, into: Path | None) -> Path:
    """Return the path, but for the suffix, of the reports on the recording at ``path``.

    They go into the directory ``into``; if that is None, into the run directory or beside the
    capture.
    """
    if into is not None:
        return into / "report"
    is_run = directory.is_directory(path)
    return path / "report" if is_run else path.with_name(f"{path.name}.report")
