"""`memdeep export`: writes a run in the format of another program."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from memdeep import pipeline
from memdeep.cli import arguments, speech
from memdeep.cli.arguments import STDOUT
from memdeep.cli.options import Place
from memdeep.cli.settings import in_force
from memdeep.errors import EXIT_USAGE, MemdeepError
from memdeep.report.exports import formats
from memdeep.report.exports.formats import Format
from memdeep.report.options import ReportOptions
from memdeep.text import units
from memdeep.text.language import spoken
from memdeep.text.safe import plain


def main(words: Sequence[str]) -> int:
    """Carry out `memdeep export WORDS`; return its exit status."""
    options = arguments.parser("export").parse(words)
    settings = in_force(arguments.given(options, arguments.OF_EXPORTS))
    quiet, language = settings.flag("quiet"), spoken(settings.text("lang") or "")
    into, output = _format(options.format, options.output), options.output
    if output == STDOUT and not into.is_text and sys.stdout.isatty():
        raise MemdeepError(
            f"{into.name} is not a text that a terminal can show.",
            "Write it to a file with -o FILE, or pipe it on.",
            EXIT_USAGE,
        )
    path = options.path
    if path is None:
        path = speech.newest(language, quiet=quiet)
    with speech.steps(quiet=quiet) as on_step:
        report = pipeline.analyse(
            pipeline.load(path, on_step), on_step, ReportOptions(**settings.of(Place.REPORT))
        )
        wanted = pipeline.Wanted(options.phase, options.metric, options.table)
        pieces = pipeline.export(report, into.name, wanted)
        if output == STDOUT:
            sys.stdout.buffer.writelines(pieces)
            return 0
        if output is None:
            output = pipeline.export_path(path, into.name)
        on_step(f"Writing {output.name}")
        pipeline.write_export(output, into.name, pieces)
    if not quiet:
        size = units.size(output.stat().st_size)
        speech.say(plain(language.say("export.written", path=str(output), size=size)))
        if into.reader:
            how = into.reader.replace("FILE", shlex.quote(str(output)))
            speech.say(plain(language.say("export.open", how=how)))
    return 0


def _format(name: str | None, output: Path | None) -> Format:
    """Return the format to write: the one named, or the one that the name of the file asks for."""
    if name is not None:
        return formats.BY_NAME[name]
    if output is None or output == STDOUT:
        raise MemdeepError(
            "There is no format to export in.",
            f"Name one with --format: {', '.join(formats.BY_NAME)}.",
            EXIT_USAGE,
        )
    found = formats.of_file(output.name)
    if found is None:
        raise MemdeepError(
            f"The name {output.name} tells no format.",
            f"Name one with --format: {', '.join(formats.BY_NAME)}.",
            EXIT_USAGE,
        )
    return found
