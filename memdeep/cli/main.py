"""Words in, words out: the only place that prints and that exits."""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console
from rich.text import Text

from memdeep import pipeline
from memdeep.cli import arguments, config
from memdeep.cli.options import Settings
from memdeep.errors import EXIT_INTERRUPTED, EXIT_USAGE, MemdeepError, ProgramError
from memdeep.model import Report
from memdeep.record.marks import words as marks
from memdeep.record.spec import RecordSpec
from memdeep.report import terminal
from memdeep.report.options import ReportOptions
from memdeep.run import interpreter
from memdeep.run import program as programs
from memdeep.run.program import Program
from memdeep.rundir import directory as rundir
from memdeep.rundir.directory import RunDirectory
from memdeep.text.language import Language, language
from memdeep.text.safe import plain

if TYPE_CHECKING:  # it takes a while to import, and a report needs none of it
    from memdeep.run.options import RunOptions

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
        _say(Text("memdeep: interrupted."), console)
        status = EXIT_INTERRUPTED
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
        settings = config.merge(arguments.given(options), config.load(Path.cwd()))
        _make_report(options.path, options.output, settings, console)
        return 0
    # Some commands' modules only here: they take a while to import.
    if options.command == "watch":
        from memdeep.live import follow

        path = options.path
        run_dir = follow.newest() if path is None else rundir.existing(path)
        follow.follow(run_dir, Console(highlight=False))
        return 0
    if options.command == "config":
        return _show_config()
    if options.command == "doctor":
        from memdeep.cli import doctor

        found = doctor.checks()
        doctor.show(found, Console(highlight=False))
        return 0 if doctor.is_well(found) else 1
    arguments.parser().print_help(sys.stderr)
    return EXIT_USAGE


def _run(options: argparse.Namespace, program: Program, console: Console) -> int:
    from memdeep.live.status_line import StatusLine
    from memdeep.run import supervise

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

    def on_note(sentence: str) -> None:
        if not quiet:
            _say(Text(plain(f"memdeep: {sentence}")), console)

    with StatusLine(sys.stderr, quiet=quiet) as status_line:
        exit_status = supervise.run(program, run_dir, run_options, status_line.update, on_note)
    try:
        if run_options.native:
            with _steps(console, quiet=quiet) as on_step:
                pipeline.store_names(run_dir.path, on_step)
        if settings.flag("no-report"):
            if not quiet:
                said = _spoken(settings).say("terminal.recorded")
                _say(Text.assemble(said, terminal.link(run_dir.path)), console)
            return exit_status
        report = _make_report(run_dir.path, None, settings, console)
        pipeline.store_sources(run_dir.path, report)
    except KeyboardInterrupt:
        _complain(_interrupted(run_dir), console)
        return EXIT_INTERRUPTED
    # The program has run; its exit status is what the caller waits for.
    except MemdeepError as error:
        _complain(error, console)
    except Exception:
        traceback.print_exc()
        _complain(_unmade(run_dir), console)
    return exit_status


def _interrupted(run_dir: RunDirectory) -> MemdeepError:
    return MemdeepError(
        "The report was interrupted; all that was recorded is kept.",
        f"Make the report later: memdeep report {run_dir.path}",
        EXIT_INTERRUPTED,
    )


def _unmade(run_dir: RunDirectory) -> MemdeepError:
    return MemdeepError(
        "The report could not be made, through a fault of memdeep; what was recorded is kept.",
        f"With a version that has it corrected: memdeep report {run_dir.path}",
        EXIT_USAGE,
    )


def _run_options(settings: Settings) -> RunOptions:
    from memdeep.run.options import RunOptions

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
        memory_limit_bytes=settings.size_bytes("memory-limit"),
        kill_bytes=settings.size_bytes("kill-at"),
        redact_args=settings.flag("redact-args"),
        max_capture_bytes=settings.size_bytes("max-capture"),
        keep_free_bytes=settings.size_bytes("keep-free") or 0,
        interpreter=(
            *interpreter.inherited(),
            *interpreter.parse(settings.text("python-args") or ""),
        ),
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


def _make_report(path: Path, into: Path | None, settings: Settings, console: Console) -> Report:
    """Load, analyse, write, tell; returns what was told."""
    # Millions of objects that live to the end, and hardly a cycle: looking for those took a sixth
    # of the time.
    gc.disable()
    options = _report_options(settings)
    quiet = settings.flag("quiet")
    with _steps(console, quiet=quiet) as on_step:
        report = pipeline.analyse(pipeline.load(path), on_step, options)
        paths = pipeline.report_paths(path if into is None else rundir.make_directory(into))
        pipeline.write(report, paths, on_step, options)
    if not quiet:
        _tell(report, paths["html"], _spoken(settings), console)
    if settings.flag("open"):
        import webbrowser

        webbrowser.open(paths["html"].absolute().as_uri())
    return report


def _report_options(settings: Settings) -> ReportOptions:
    return ReportOptions(
        lang=settings.text("lang") or "both",
        source=None if settings.value("source") is None else settings.flag("source"),
        redact_args=settings.flag("redact-args"),
        editor=settings.text("editor") or "",
    )


@contextmanager
def _steps(console: Console, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """What to call with each step of something long: it shows the step while it lasts."""
    spinner = console.status("", spinner="dots") if console.is_terminal and not quiet else None

    def on_step(step: str) -> None:
        if spinner is not None:
            spinner.update(f"{step} …")

    with spinner or nullcontext():
        yield on_step


def _spoken(settings: Settings) -> Language:
    """The language of the terminal."""
    return language("zh" if settings.text("lang") == "zh" else "en")


def _tell(report: Report, html_path: Path, spoken: Language, console: Console) -> None:
    _say(terminal.verdict(report, console.width, spoken), console)
    for problem in report.run.problems:
        _say(Text(f"\n{plain(problem)}", style="yellow"), console)
    _say(Text(""), console)
    _say(terminal.place(html_path, spoken), console)


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
