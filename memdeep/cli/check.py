"""`memdeep check`: holds a run against its budgets and a baseline."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from memdeep import pipeline
from memdeep.cli import arguments, speech
from memdeep.cli.options import OF_CHECKS, Settings
from memdeep.cli.report import spoken_language
from memdeep.cli.settings import OWN_FILE, Config, load, merge
from memdeep.errors import EXIT_OVER, EXIT_USAGE, MemdeepError, OutputError
from memdeep.frozen import frozen
from memdeep.model import Report
from memdeep.model.budget import Baseline, Budget, Gate
from memdeep.rundir import files
from memdeep.text import translation
from memdeep.text.language import Language
from memdeep.text.safe import plain

SUMMARY = "GITHUB_STEP_SUMMARY"  # the variable with the file that GitHub shows as a job's summary
MAX_SUMMARY_BYTES = 1 << 20  # GitHub shows none of a larger one
FOR_PEOPLE = ("text", "github")  # formats that may be printed one after the other


@frozen
class Limits:
    """The budgets and the baseline that a run is held against.

    ``baseline`` is None where there is no file at ``path`` yet.
    """

    budgets: tuple[Budget, ...]
    path: Path | None
    baseline: Baseline | None
    roots: tuple[str, ...]


def main(words: Sequence[str]) -> int:
    """Carry out `memdeep check WORDS`; return its exit status."""
    parser = arguments.parser("check")
    options = parser.parse(words)
    printed = [name for name, file in options.format if file is None]
    if len(printed) > 1 and not set(printed) <= set(FOR_PEOPLE):
        parser.error(
            f"only one format can be printed: give {printed[-1]} a file, as in {printed[-1]}=FILE"
        )
    loaded = load(Path.cwd())
    settings = merge(arguments.given(options, OF_CHECKS), loaded)
    if options.update and settings.path("baseline") is None:
        parser.error("--update needs --baseline FILE")
    for _, file in options.format:
        if file is not None:
            _require_a_file(file)
    wanted = limits(loaded, settings, update=options.update)
    language = spoken_language(settings)
    quiet = settings.flag("quiet")
    path = options.path or speech.newest(language, quiet=quiet)
    report = _analysed(path, quiet=quiet)
    if options.update:
        _update(report, wanted, language, quiet=quiet)
    gate = _gate(report, wanted, update=options.update, allow_missing=options.allow_missing)
    for name, file in options.format:
        if file is not None:
            files.write_atomically(file, pipeline.tell(gate, name, language))
    if not printed and not (quiet and gate.passed) and (gate.verdicts or not options.update):
        printed = ["text"]
    for name in printed:
        _print(gate, name, language)
    _summarize(gate, language)
    return 0 if gate.passed else EXIT_OVER


def _require_a_file(path: Path) -> None:
    """Raise OutputError if ``path`` is a device or the like, which a file would replace."""
    is_other = path.exists() and not path.is_file()
    if is_other or os.path.abspath(path).startswith(("/dev/", "/proc/")):
        raise OutputError(
            f"{path} is not a regular file.",
            "Leave out =FILE to print the result, or name another file.",
        )


def limits(loaded: Config, settings: Settings, *, update: bool = False) -> Limits:
    """Return what to hold a run against. Raises MemdeepError if there is nothing.

    For an ``update`` of it, the baseline need not be there.
    """
    path = settings.path("baseline")
    baseline = None if path is None else pipeline.read_baseline(path)
    if path is not None and baseline is None and not update:
        raise MemdeepError(
            f"There is no baseline {path}.",
            f"Write it: memdeep check --baseline {path} --update",
            EXIT_USAGE,
        )
    if path is None and not loaded.budgets:
        raise MemdeepError(
            "There is no budget to hold the run against.",
            f'Write one into {OWN_FILE}: [[budget]], and below it: max-peak-heap = "900M"',
            EXIT_USAGE,
        )
    return Limits(loaded.budgets, path, baseline, _roots(loaded))


def is_within(path: Path, made: Report | None, wanted: Limits, settings: Settings) -> bool:
    """Hold the run at ``path`` against its limits, and tell the result as `memdeep run` does.

    ``made`` is its report where that was made already.
    """
    quiet = settings.flag("quiet")
    report = _analysed(path, quiet=quiet) if made is None else made
    gate = _gate(report, wanted)
    language = spoken_language(settings)
    if not (quiet and gate.passed):
        from memdeep.report.gate import text

        speech.say("")
        speech.say(text.result(gate, language))
    _summarize(gate, language)
    return gate.passed


def _analysed(path: Path, *, quiet: bool) -> Report:
    with speech.steps(quiet=quiet) as on_step:
        return pipeline.analyse(pipeline.load(path, on_step), on_step)


def _gate(
    report: Report, wanted: Limits, *, update: bool = False, allow_missing: bool = False
) -> Gate:
    baseline = None
    if wanted.path is not None and wanted.baseline is not None and not update:
        baseline = (wanted.baseline, wanted.path)
    return pipeline.check(
        report, wanted.budgets, wanted.roots, baseline, allow_missing=allow_missing
    )


def _update(report: Report, wanted: Limits, language: Language, *, quiet: bool) -> None:
    """Write the baseline, and say what changed in it."""
    assert wanted.path is not None
    changes = pipeline.update_baseline(report, wanted.path, wanted.baseline)
    if quiet:
        return
    if changes is None:
        speech.say(language.say("gate.update_none"))
        return
    from memdeep.report.gate import wording

    for line in wording.updates(changes, language):
        speech.say(line)
    speech.say(plain(language.say("gate.update_written", path=str(wanted.path))))


def _print(gate: Gate, name: str, language: Language) -> None:
    if sys.stdout is None:  # closed by whoever started us: the status tells the result
        return
    if name == "text":
        from rich.console import Console

        from memdeep.report.gate import text

        Console(highlight=False).print(text.result(gate, language))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(pipeline.tell(gate, name, language))
    sys.stdout.buffer.flush()


def _summarize(gate: Gate, language: Language) -> None:
    """Append the result to the summary of the job, where this is one of GitHub's."""
    summary = os.environ.get(SUMMARY)
    if not summary:
        return
    content = pipeline.tell(gate, "markdown", language)
    try:
        with open(summary, "ab") as file:
            room = MAX_SUMMARY_BYTES - file.tell()
            if len(content) > room:  # whole lines, so that what is left is a table
                content = content[: content.rfind(b"\n", 0, max(0, room)) + 1]
            file.write(content)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        sentence = f"The summary of the job cannot be written: {reason}."
        speech.say(f"memdeep: {plain(translation.here(sentence))}")


def _roots(loaded: Config) -> tuple[str, ...]:
    """Return the names of the directory that paths are told from, as given and without links."""
    here = Path(os.path.abspath("."))
    at = next((one for one in (here, *here.parents) if os.path.exists(one / ".git")), None)
    root = at or (here if loaded.file is None else loaded.file.parent)
    return tuple(dict.fromkeys(map(str, (root, os.path.realpath(root)))))
