"""`memdeep diff`: compares two runs, or several a side, and fails where asked to."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from memdeep import pipeline
from memdeep.cli import arguments, speech
from memdeep.cli.arguments import STDOUT, Parser
from memdeep.cli.options import Place
from memdeep.cli.settings import in_force
from memdeep.frozen import replace
from memdeep.report.comparison.options import DiffOptions
from memdeep.report.options import ReportOptions
from memdeep.symbols import cache
from memdeep.text.language import Language, spoken

if TYPE_CHECKING:
    from memdeep.model.comparison import Comparison

EXIT_OVER = 1


def main(words: Sequence[str]) -> int:
    """Carry out `memdeep diff WORDS`; return its exit status."""
    parser = arguments.parser("diff")
    given = parser.parse(words, mixed=True)
    before, after = _sides(parser, given.runs, given.before, given.after)
    output = None if given.output == STDOUT else given.output
    if given.format == "html" and output is None and sys.stdout.isatty():
        parser.error("argument --format: html is a page for the browser: name a file with -o")
    for text in given.fail_on:
        try:
            pipeline.check_limit(text)
        except ValueError as error:
            parser.error(f"argument --fail-on: {error}")
    settings = in_force(arguments.given(given, arguments.OF_DIFF))
    language = spoken(settings.text("lang") or "")
    options = DiffOptions(
        ReportOptions(
            **settings.of(Place.REPORT), cache=cache.directory_of("memdeep") / "templates"
        ),
        all_phases=given.all,
    )
    gc.disable()  # millions of objects that live to the end, and hardly a cycle
    with speech.steps(quiet=False) as on_step:
        comparison = pipeline.compare(before, after, on_step, options.report)
    _show(comparison, given.format, output, _in(language, given.format, options))
    if output is not None:
        from memdeep.report import terminal

        speech.say(terminal.place(output, language))
    failures = pipeline.judge(comparison, given.fail_on, language)
    for _, sentence in failures:
        speech.say(sentence)
    return EXIT_OVER if failures else 0


def _sides(
    parser: Parser,
    runs: Sequence[Path],
    before: Sequence[Path] | None,
    after: Sequence[Path] | None,
) -> tuple[Sequence[Path], Sequence[Path]]:
    if before and after and not runs:
        return before, after
    if before or after:
        parser.error("give --before and --after, each with its runs, or two runs without them")
    if len(runs) != 2:
        hint = "several a side stand behind --before and --after"
        parser.error(f"two runs are compared, the one before first; {hint}")
    return runs[:1], runs[1:]


def _in(language: Language, name: str, options: DiffOptions) -> DiffOptions:
    """Return ``options`` in the language of the terminal; a page may have both."""
    if name == "html":
        return options
    return replace(options, report=replace(options.report, lang=language.code))


def _show(comparison: Comparison, name: str, path: Path | None, options: DiffOptions) -> None:
    if path is not None:
        pipeline.write_comparison(comparison, name, path, options)
        return
    if name == "text":
        from rich.console import Console

        console = Console(highlight=False)
        if console.is_terminal:
            from memdeep.report.comparison import text
            from memdeep.text.language import chosen

            language = chosen(options.report.lang)[0]
            console.print(text.verdict(comparison, console.width, language, options))
            return
        options = replace(options, report=replace(options.report, width=console.width))
    for piece in pipeline.encode_comparison(comparison, name, options):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
