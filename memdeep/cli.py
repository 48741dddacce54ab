"""Words in, words out: the only place that prints and that exits."""

from __future__ import annotations

import argparse
import io
import os
import sys
import webbrowser
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.text import Text

from memdeep import arguments, config, pipeline, rundir, watch
from memdeep.errors import EXIT_USAGE, MemdeepError, ProgramError
from memdeep.model import Report
from memdeep.options import Settings
from memdeep.plain import plain
from memdeep.record import marks
from memdeep.record.spec import RecordSpec
from memdeep.report import text
from memdeep.run import program as programs
from memdeep.run import supervise
from memdeep.run.program import Program
from memdeep.run.supervise import RunOptions
from memdeep.rundir import RunDirectory
from memdeep.status import StatusLine

MIB = 1 << 20


def main(words: Sequence[str] | None = None) -> NoReturn:
    """The command `memdeep`."""
    if sys.stderr is None:  # closed by whoever started us; the program shall run all the same
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - stays open until the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # labels need not fit the terminal's encoding
    console = Console(stderr=True, highlight=False)
    try:
        status = _dispatch(sys.argv[1:] if words is None else words, console)
    except MemdeepError as error:
        _complain(error, console)
        status = error.exit_status
    except KeyboardInterrupt:
        console.print("memdeep: interrupted. `memdeep report RUN_DIR` makes the report later.")
        status = 130
    try:
        sys.stderr.flush()
    except OSError:  # a full disk behind it: what it still holds must not change our status
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    sys.exit(status)


def _dispatch(words: Sequence[str], console: Console) -> int:
    options, program = arguments.parse(words)
    if program is not None:
        return _run(options, program, console)
    if options.command == "report":
        _make_report(options.path, options.output, options, console)
        return 0
    if options.command == "watch":
        watch.follow(_watched(options.path), Console(highlight=False))
        return 0
    if options.command == "config":
        return _show_config()
    arguments.parser().print_help(sys.stderr)
    return EXIT_USAGE


def _run(options: argparse.Namespace, program: Program, console: Console) -> int:
    settings = config.merge(arguments.given(options), config.load(Path.cwd()))
    programs.check(program)
    run_options = _run_options(settings)
    _check_marks(run_options.marks)
    _check_limits(run_options)
    output = settings.path("output")
    if output is None:
        run_dir = rundir.create_default(program.name, datetime.now())
    else:
        run_dir = rundir.create(output, force=options.force)
    quiet = settings.flag("quiet")
    with StatusLine(sys.stderr, quiet=quiet) as status_line:
        exit_status = supervise.run(program, run_dir, run_options, status_line.update)
    if settings.flag("no-report"):
        if not quiet:
            _say(Text.assemble("Recorded: ", text.link(run_dir.path)), console)
        return exit_status
    try:
        shown = argparse.Namespace(quiet=quiet, open=settings.flag("open"))
        _make_report(run_dir.path, None, shown, console)
    except MemdeepError as error:
        # The program has run; its exit status is what the caller waits for.
        _complain(error, console)
    return exit_status


def _run_options(settings: Settings) -> RunOptions:
    every = settings.number("mark-every")
    words = [f"stdout:{word}" for word in settings.texts("mark-stdout")]
    words += [f"call:{word}" for word in settings.texts("mark-call")]
    words += [f"line:{word}" for word in settings.texts("mark-line")]
    words += [f"every:{every}"] if every is not None else []
    return RunOptions(
        backend=settings.text("backend") or RecordSpec.MEMRAY,
        native=settings.flag("native"),
        python_allocators=settings.flag("trace-python-allocators"),
        interval_ms=round((settings.number("sample-interval") or 0.05) * 1000),
        warning_bytes=_bytes(settings.number("warning-mb")),
        critical_bytes=_bytes(settings.number("critical-mb")),
        marks=tuple(words),
        focus=settings.texts("focus"),
        start_at=settings.text("start-at") or "",
        stop_at=settings.text("stop-at") or "",
    )


def _check_marks(words: Sequence[str]) -> None:
    wrong = next(filter(None, map(marks.check, words)), None)
    if wrong is not None:
        raise ProgramError(wrong, "See the examples of memdeep run --help.", EXIT_USAGE)


def _check_limits(options: RunOptions) -> None:
    if options.traced_only and options.backend != RecordSpec.MEMRAY:
        raise ProgramError(
            f"{options.traced_only[0]} does not go with --backend {options.backend}.",
            "Only memray's tracer can be turned on and off; leave one of the two out.",
            EXIT_USAGE,
        )


def _bytes(megabytes: float | None) -> int | None:
    return None if megabytes is None else round(megabytes * MIB)


def _make_report(
    path: Path, into: Path | None, options: argparse.Namespace, console: Console
) -> None:
    """Load, analyse, write, tell."""
    shows_steps = console.is_terminal and not options.quiet
    spinner = console.status("", spinner="dots") if shows_steps else None
    with spinner or nullcontext():

        def on_step(step: str) -> None:
            if spinner is not None:
                spinner.update(f"{step} …")

        report = pipeline.analyse(pipeline.load(path), on_step)
        html_path, json_path = pipeline.report_paths(path)
        if into is not None:
            directory = rundir.make_directory(into)
            html_path, json_path = RunDirectory(directory).html, RunDirectory(directory).json
        pipeline.write(report, html_path, json_path, on_step)
    if not options.quiet:
        _tell(report, html_path, console)
    if options.open:
        webbrowser.open(html_path.absolute().as_uri())


def _tell(report: Report, html_path: Path, console: Console) -> None:
    _say(text.verdict(report, console), console)
    for problem in report.run.problems:
        _say(Text(f"\n{plain(problem)}", style="yellow"), console)
    _say(Text(""), console)
    _say(text.place(html_path), console)


def _watched(path: Path | None) -> RunDirectory:
    return watch.newest() if path is None else rundir.existing(path)


def _show_config() -> int:
    console = Console(highlight=False)
    loaded = config.load(Path.cwd())
    console.print(config.table(config.merge({}, loaded), console))
    console.print(config.place(loaded), soft_wrap=True)
    return 0


def _complain(error: MemdeepError, console: Console) -> None:
    _say(Text.assemble(("memdeep: ", "bold red"), plain(error.message)), console)
    _say(Text(f"  {plain(error.hint)}"), console)


def _say(words: object, console: Console) -> None:
    """Print, unless stderr cannot be written to: that is no reason to fail."""
    with suppress(OSError):
        console.print(words, soft_wrap=isinstance(words, Text))
