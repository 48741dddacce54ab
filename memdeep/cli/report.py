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
from memdeep.rundir import directory
from memdeep.symbols import cache
from memdeep.text.language import Language, chosen
from memdeep.text.safe import plain


def main(words: Sequence[str]) -> int:
    """Carry out `memdeep report WORDS`; return its exit status."""
    parser = arguments.parser("report")
    parser.add_argument("path", type=Path, metavar="RUN_DIR|CAPTURE")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="write the reports there")
    arguments.add(parser, OF_REPORTS)
    options = parser.parse_args(words)
    settings = in_force(arguments.given(options, OF_REPORTS))
    path: Path = options.path
    make(path, options.output, settings)
    return 0


def make(path: Path, into: Path | None, settings: Settings) -> Report:
    """Report on the recording at ``path``: write the files, tell the verdict, open the page.

    The files go into the directory ``into``, or else beside the recording. Return what was told.
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
        report = pipeline.analyse(pipeline.load(path, on_step), on_step, options)
        paths = pipeline.report_paths(path if into is None else directory.make_directory(into))
        pipeline.write(report, paths, on_step, options)
    if not quiet:
        _tell(report, paths["html"], spoken_language(settings))
    if settings.flag("open"):
        import webbrowser

        webbrowser.open(paths["html"].absolute().as_uri())
    return report


def _tell(report: Report, page: Path, spoken: Language) -> None:
    from rich.text import Text

    from memdeep.report import sentences, terminal

    speech.say(terminal.verdict(report, speech.stderr().width, spoken))
    for problem in sentences.problems(report, spoken):
        speech.say(Text(f"\n{plain(problem)}", style="yellow"))
    speech.say("")
    speech.say(terminal.place(page, spoken))


def spoken_language(settings: Settings) -> Language:
    """Return the language to speak on the terminal: the first of the page's."""
    return chosen(settings.text("lang") or "")[0]
