"""The story in order: run the program, load what was recorded, find the phases, write the report.

Every stage is called here and nowhere else; nothing is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from memdeep.analysis.death import death, did_die
from memdeep.analysis.findings import findings
from memdeep.analysis.outline import MAX_OPEN, outline
from memdeep.analysis.phases import heap_curve, phases
from memdeep.heap import native_names
from memdeep.heap.replay import engine
from memdeep.load.bare_capture import load_capture
from memdeep.load.run import Recording, load_run
from memdeep.model import Report
from memdeep.model.redaction import redacted
from memdeep.report import outputs
from memdeep.report.options import DEFAULTS, ReportOptions
from memdeep.rundir import directory, files
from memdeep.rundir.directory import RunDirectory
from memdeep.sources import store
from memdeep.sources.lines import Sources, read_sources

OnStep = Callable[[str], None]

WRITTEN = ("json", "html")  # the outputs that every report is written as, in this order


def load(path: Path) -> Recording:
    """The recording at ``path``: a run directory or a memray capture. Raises CaptureError."""
    if directory.is_directory(path):
        return load_run(directory.existing(path))
    return load_capture(path)


def analyse(recording: Recording, on_step: OnStep, options: ReportOptions = DEFAULTS) -> Report:
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


def store_names(path: Path, on_step: OnStep) -> None:
    """Store with the run at ``path``, which has just ended, what another machine cannot know.

    Raises OutputError.
    """
    if native_names.is_installed() and engine.is_built():
        native_names.store_names(RunDirectory(path), on_step)


def store_sources(path: Path, report: Report) -> None:
    """Store with the run at ``path``, which has just ended, the source lines of its report.

    Raises OutputError.
    """
    sources = Sources(report.sources, report.private_files)
    files.write_atomically(RunDirectory(path).sources, store.encode(sources, report.run.started))


def write(
    report: Report,
    paths: Mapping[str, Path],
    on_step: OnStep,
    options: ReportOptions = DEFAULTS,
) -> None:
    """Write ``report`` to ``paths``, which are by name of output. Raises OutputError."""
    on_step("Writing the page")
    for name, path in paths.items():
        files.write_atomically(path, outputs.BY_NAME[name].encode(report, options))


def report_paths(path: Path) -> dict[str, Path]:
    """Return the files of the report on ``path``, by name of output.

    They lie in ``path`` if it is a directory, and beside it if it is a capture.
    """
    names = {name: f"report{outputs.BY_NAME[name].suffix}" for name in WRITTEN}
    if directory.is_directory(path):
        return {name: path / file for name, file in names.items()}
    return {name: path.with_name(f"{path.name}.{file}") for name, file in names.items()}
