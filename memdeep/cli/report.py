"""`memdeep report`: makes the report of a run again, or of a plain memray capture."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path

from memdeep import pipeline
from memdeep.cli import arguments, speech
from memdeep.cli.options import OF_REPORTS, Place, Settings
from memdeep.cli.settings import in_force
from memdeep.model import Report
from memdeep.report.options import ReportOptions
from memdeep.rundir import directory, runs
from memdeep.rundir.directory import RunDirectory
from memdeep.symbols import cache
from memdeep.text.language import Language, spoken
from memdeep.text.safe import plain


def main(words: Sequence[str]) -> int:
    """Carry out `memdeep report WORDS`; return its exit status."""
    options = arguments.parser("report").parse(words)
    settings = in_force(arguments.given(options, OF_REPORTS))
    path: Path | None = options.path
    if path is None:
        path = speech.newest(spoken_language(settings), quiet=settings.flag("quiet"))
    make(path, options.output, settings, force=options.force)
    return 0


def make(path: Path, into: Path | None, settings: Settings, *, force: bool = False) -> Report:
    """Report on the recording at ``path``: write the files, tell the verdict, open the page.

    The files go into the directory ``into``, or else beside the recording. What is there already
    is replaced with ``force``, or if it is an earlier report on the same run. Return what was told.
    Raises CaptureError or OutputError.
    """
    # Millions of objects that live to the end, and hardly a cycle: looking for those took a sixth
    # of the time.
    gc.disable()
    quiet = settings.flag("quiet")
    with speech.steps(quiet=quiet) as on_step:
        options = ReportOptions(
            **settings.of(Place.REPORT), cache=cache.directory_of("memdeep") / "templates"
        )
        with runs.steady(RunDirectory(path)):  # the program may still run
            recording = pipeline.load(path, on_step)
            if into is not None and not force and directory.is_directory(into):
                beside = path if directory.is_directory(path) else path.parent
                if not into.samefile(beside):
                    pipeline.refuse_to_replace(into, recording.run.started)
            report = pipeline.analyse(recording, on_step, options)
        paths = pipeline.report_paths(path if into is None else directory.make_directory(into))
        pipeline.write(report, paths, on_step, options)
    if not quiet:
        _tell(report, paths["html"], spoken_language(settings))
    if settings.flag("open"):
        speech.open_page(paths["html"], spoken_language(settings))
    return report


def _tell(report: Report, page: Path, language: Language) -> None:
    from rich.text import Text

    from memdeep.report import sentences, terminal

    speech.say(terminal.verdict(report, speech.stderr().width, language))
    for problem in sentences.problems(report, language):
        speech.say(Text(f"\n{plain(problem)}", style="yellow"))
    speech.say("")
    speech.say(terminal.place(page, language))


def spoken_language(settings: Settings) -> Language:
    """Return the language of the terminal: the page's, or the locale's if that has both."""
    return spoken(settings.text("lang") or "")
