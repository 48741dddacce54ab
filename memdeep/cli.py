"""The command line: words in, words out. The only place that prints and that exits."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.text import Text

from memdeep import __version__, pipeline, rundir
from memdeep.errors import EXIT_USAGE, MemdeepError, ProgramError
from memdeep.model import Report
from memdeep.record.spec import RecordSpec
from memdeep.report import text
from memdeep.run import program as programs
from memdeep.run import supervise
from memdeep.run.program import Program
from memdeep.run.supervise import MAX_INTERVAL_MS, RunOptions
from memdeep.rundir import RunDirectory
from memdeep.status import StatusLine

RUN_EXAMPLES = """\
examples:
  memdeep run backtest.py --symbols BTCUSDT     everything after the program is its own
  memdeep run -m package.module
  memdeep run --deep -o out backtest.py         exact lines for small objects, slower
  memdeep run --warning-mb 800 --critical-mb 950 etl.py

exit status: the program's own, 128+n if signal n ended it. If it never started: 127 there is no
such program, 126 it cannot be run, 125 the output cannot be written."""

REPORT_EXAMPLES = """\
examples:
  memdeep report memdeep-runs/backtest-20251120-103045
  memdeep report memray-backtest.1234.bin -o out

exit status: 0 written, 65 the capture is damaged or foreign, 66 it is not there, 125 the output
cannot be written."""

DESCRIPTION = "Which line, in which phase, made this Python program's memory explode?"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The command `memdeep`."""
    console = Console(stderr=True, highlight=False, soft_wrap=False)
    try:
        status = _dispatch(_parser(), arguments, console)
    except MemdeepError as error:
        _complain(error, console)
        status = error.exit_status
    except KeyboardInterrupt:
        console.print("memdeep: interrupted. `memdeep report RUN_DIR` makes the report later.")
        status = 130
    sys.exit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="memdeep", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"memdeep {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_run(commands)
    _add_report(commands)
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "run",
        help="run a program and report which line made its memory grow",
        description="Run a Python program under memray and report, phase by phase, which line "
        "made its memory grow.",
        usage="memdeep run [OPTIONS] (script.py | -m MODULE | -c CODE) [ARGS...]",
        epilog=RUN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="the run directory (default: memdeep-runs/<name>-<date>-<time>)",
    )
    parser.add_argument(
        "--native",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="record C and C++ frames too (default: yes)",
    )
    parser.add_argument(
        "--trace-python-allocators",
        "--deep",
        dest="python_allocators",
        action="store_true",
        help="trace every small object: exact lines, slower",
    )
    parser.add_argument(
        "--warning-mb", type=_megabytes, metavar="MB", help="draw a line at this RSS"
    )
    parser.add_argument(
        "--critical-mb", type=_megabytes, metavar="MB", help="draw a line at this RSS, in red"
    )
    parser.add_argument(
        "--sample-interval",
        type=_interval,
        default=MAX_INTERVAL_MS,
        metavar="SECONDS",
        help="how often to read RSS, at most 0.05 (default)",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")
    parser.add_argument(
        "--no-report",
        action="store_true",
        help="only record; `memdeep report DIR` makes the report later",
    )
    parser.add_argument(
        "--force", action="store_true", help="replace the run that is in DIR already"
    )
    parser.add_argument(
        "-m",
        dest="module",
        nargs=argparse.REMAINDER,
        metavar="MODULE",
        help="run a module, as `python -m` does",
    )
    parser.add_argument(
        "-c",
        dest="code",
        nargs=argparse.REMAINDER,
        metavar="CODE",
        help="run a piece of code, as `python -c` does",
    )
    parser.add_argument(
        "program",
        nargs=argparse.REMAINDER,
        metavar="script.py [ARGS...]",
        help="the program and its own arguments",
    )


def _add_report(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "report",
        help="make the report of a run again, or of a memray capture",
        description="Make the page and report.json from a run directory, without running the "
        "program again, or from a plain memray capture (one phase).",
        epilog=REPORT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("path", type=Path, metavar="RUN_DIR|CAPTURE")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="write the reports into this directory instead",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")


def _megabytes(words: str) -> int:
    size = float(words)
    if not 0 < size < 1e9:
        raise argparse.ArgumentTypeError(f"{words} is not a size in MB")
    return round(size * 1024 * 1024)


def _interval(words: str) -> int:
    interval_ms = round(float(words) * 1000)
    if not 1 <= interval_ms <= MAX_INTERVAL_MS:
        raise argparse.ArgumentTypeError(f"{words} is not between 0.001 and 0.05 seconds")
    return interval_ms


def _dispatch(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None, console: Console
) -> int:
    options = parser.parse_args(arguments)
    if options.command == "run":
        return _run(options, console)
    if options.command == "report":
        return _report(options, console)
    parser.print_help(sys.stderr)
    return EXIT_USAGE


def _run(options: argparse.Namespace, console: Console) -> int:
    program = _program(options)
    programs.check(program)
    path = options.output or rundir.default_path(program.name, datetime.now())
    run_dir = rundir.create(path, force=options.force)
    recording = RunOptions(
        native=options.native,
        python_allocators=options.python_allocators,
        interval_ms=options.sample_interval,
        warning_bytes=options.warning_mb,
        critical_bytes=options.critical_mb,
    )
    with StatusLine(sys.stderr, run_dir.journal, quiet=options.quiet) as status_line:
        exit_status = supervise.run(program, run_dir, recording, status_line.update)
    if options.no_report:
        if not options.quiet:
            console.print(Text.assemble("Recorded: ", text.link(path)), soft_wrap=True)
        return exit_status
    try:
        _write_reports(path, run_dir, options, console)
    except MemdeepError as error:
        # The program has run; its exit status is what the caller waits for.
        _complain(error, console)
    return exit_status


def _program(options: argparse.Namespace) -> Program:
    given = {
        RecordSpec.MODULE: options.module,
        RecordSpec.CODE: options.code,
        RecordSpec.SCRIPT: options.program,
    }
    for kind, words in given.items():
        if words and words[0] == "--":
            words = words[1:]
        if words:
            return Program(kind, words[0], tuple(words[1:]))
    raise ProgramError(
        "There is no program to run.",
        "Name a script, or use -m MODULE or -c CODE; see memdeep run --help.",
        EXIT_USAGE,
    )


def _report(options: argparse.Namespace, console: Console) -> int:
    directory = options.output
    if directory is not None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise rundir.write_error(directory, error) from error
    _write_reports(options.path, directory and RunDirectory(directory), options, console)
    return 0


def _write_reports(
    path: Path, into: RunDirectory | None, options: argparse.Namespace, console: Console
) -> None:
    """Load, analyse, write, tell."""
    with console.status("", spinner="dots") as spinner:

        def on_step(step: str) -> None:
            spinner.update(f"{step} …")

        if options.quiet or not console.is_terminal:
            spinner.stop()
        report = pipeline.analyse(pipeline.load(path), on_step)
        html_path, json_path = (
            (into.html, into.json) if into is not None else pipeline.report_paths(path)
        )
        pipeline.write(report, html_path, json_path, on_step)
    if not options.quiet:
        _tell(report, html_path, console)
    if options.open:
        webbrowser.open(html_path.absolute().as_uri())


def _complain(error: MemdeepError, console: Console) -> None:
    console.print(Text.assemble(("memdeep: ", "bold red"), error.message), soft_wrap=True)
    console.print(Text(f"  {error.hint}"), soft_wrap=True)


def _tell(report: Report, html_path: Path, console: Console) -> None:
    console.print(text.verdict(report, console))
    console.print()
    console.print(text.place(html_path), soft_wrap=True)
