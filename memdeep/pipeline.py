"""The story in order: run the program, load what was recorded, find the phases, write the report.

Every stage is called here and nowhere else; nothing is printed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from memdeep import rundir
from memdeep.analysis.curves import heap_curve
from memdeep.analysis.findings import findings
from memdeep.analysis.fold import fold
from memdeep.analysis.outline import MAX_OPEN, left_out, outline
from memdeep.analysis.phases import phases
from memdeep.capture.loading import Recording, load_run
from memdeep.capture.sources import read_sources
from memdeep.model import Report
from memdeep.report import html, json, payload, view
from memdeep.rundir import RunDirectory

OnStep = Callable[[str], None]


def load(path: Path) -> Recording:
    """The recording at ``path``: a run directory or a memray capture. Raises CaptureError."""
    if rundir.is_directory(path):
        return load_run(rundir.existing(path))
    from memdeep.capture.plain import load_capture  # needs memray, which other backends do not

    return load_capture(path)


def analyse(recording: Recording, on_step: OnStep) -> Report:
    """Everything there is to say about a recording. Raises CaptureError."""
    run = recording.run
    died = run.exit is None or run.exit.verdict != "completed"
    died = died and len(run.checkpoints) > 2
    outlines = outline(run.checkpoints, died=died)
    heap = recording.heap([item.stretches for item in outlines], on_step)
    crowded = left_out(run.checkpoints, died=died)
    problems = (*run.problems, *heap.problems, *_crowding(crowded))
    run = replace(run, problems=problems)
    on_step("Finding the culprits")
    found_phases = phases(run, heap, outlines)
    return Report(
        run=run,
        heap=heap,
        phases=found_phases,
        findings=findings(heap, found_phases, len(run.checkpoints)),
        heap_curve=heap_curve(run, heap),
        sources=read_sources(heap.tree.frames, run.started, run.command),
    )


def _crowding(spans: int) -> tuple[str, ...]:
    if not spans:
        return ()
    return (
        f"{spans:,} spans are not shown as phases: {MAX_OPEN} others were open when they began.",
    )


def write(report: Report, html_path: Path, json_path: Path, on_step: OnStep) -> None:
    """Write the page and the machine-readable result. Raises OutputError."""
    on_step("Writing the page")
    rundir.write_atomically(json_path, json.encode(report))
    peaks = [phase.peak for phase in report.phases]
    folded = fold(report.heap, peaks)
    page = view.page(report, payload.encode(report, folded))
    rundir.write_atomically(html_path, html.render(page))


def report_paths(path: Path) -> tuple[Path, Path]:
    """Where the reports on ``path`` go: into the run directory, or beside a capture."""
    if rundir.is_directory(path):
        run_dir = RunDirectory(path)
        return run_dir.html, run_dir.json
    return path.with_name(f"{path.name}.report.html"), path.with_name(f"{path.name}.report.json")
