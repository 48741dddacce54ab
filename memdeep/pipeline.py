"""The story in order: run the program, load what was recorded, find the phases, write the report.

Every stage is called here and nowhere else; nothing is printed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from memdeep.analysis.by_line import by_line
from memdeep.analysis.death import death, did_die
from memdeep.analysis.findings import findings
from memdeep.analysis.fold import fold
from memdeep.analysis.outline import MAX_OPEN, outline
from memdeep.analysis.phases import heap_curve, phases
from memdeep.load import seal as load_seal
from memdeep.load.bare_capture import load_capture
from memdeep.load.run import Recording, load_run
from memdeep.model import Report
from memdeep.model.redaction import redacted
from memdeep.report import json
from memdeep.report.page import html, payload, view
from memdeep.rundir import directory, files
from memdeep.rundir.directory import RunDirectory
from memdeep.sources import store
from memdeep.sources.lines import Sources, read_sources
from memdeep.text import language

OnStep = Callable[[str], None]

VSCODE = "vscode://file/{path}:{line}"


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What a report shows: ``lang`` is one of `language.CHOICES`.

    ``source`` is True for all source lines, None for all but those of files that look private.
    ``editor`` is the address that opens a file, with ``{path}`` and ``{line}``.
    """

    lang: str = "both"
    source: bool | None = None
    redact_args: bool = False
    editor: str = VSCODE


def load(path: Path) -> Recording:
    """The recording at ``path``: a run directory or a memray capture. Raises CaptureError."""
    if directory.is_directory(path):
        return load_run(directory.existing(path))
    return load_capture(path)


def analyse(
    recording: Recording, on_step: OnStep, options: ReportOptions = ReportOptions()
) -> Report:
    """Everything there is to say about a recording. Raises CaptureError."""
    run = redacted(recording.run) if options.redact_args else recording.run
    died = did_die(run) and len(run.checkpoints) > 2
    outlined = outline(run.checkpoints, died=died)
    heap = recording.heap([item.stretches for item in outlined.phases], on_step)
    problems = (*run.problems, *heap.problems, *_crowding(outlined.left_out))
    run = replace(run, problems=problems)
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


def _crowding(spans: int) -> tuple[str, ...]:
    if not spans:
        return ()
    return (
        f"{spans:,} spans are not shown as phases: {MAX_OPEN} others were open when they began.",
    )


def seal(path: Path, on_step: OnStep) -> None:
    """Make the run at ``path``, which has just ended, fit for memray and for other machines.

    Raises OutputError.
    """
    load_seal.seal(RunDirectory(path), on_step)


def store_sources(path: Path, report: Report) -> None:
    """Store with the run at ``path``, which has just ended, the source lines of its report.

    Raises OutputError.
    """
    sources = Sources(report.sources, report.private_files)
    files.write_atomically(RunDirectory(path).sources, store.encode(sources, report.run.started))


def write(
    report: Report,
    html_path: Path,
    json_path: Path,
    on_step: OnStep,
    options: ReportOptions = ReportOptions(),
) -> None:
    """Write the page and the machine-readable result. Raises OutputError."""
    on_step("Writing the page")
    files.write_atomically(json_path, json.encode(report))
    peaks = [phase.peak for phase in report.phases]
    folded, lines = fold(report.heap, peaks), by_line(report.heap, peaks)
    languages = language.chosen(options.lang)
    page = view.page(report, payload.encode(report, folded, lines, options.editor), languages)
    files.write_atomically(html_path, html.render(page, languages))


def report_paths(path: Path) -> tuple[Path, Path]:
    """Where the reports on ``path`` go: into the run directory, or beside a capture."""
    if directory.is_directory(path):
        run_dir = RunDirectory(path)
        return run_dir.html, run_dir.json
    return path.with_name(f"{path.name}.report.html"), path.with_name(f"{path.name}.report.json")
