"""The grammar of the command line: what `memdeep COMMAND ...` takes, and its help."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from memdeep.cli.options import OF_REPORTS, OPTIONS, Option, problem
from memdeep.errors import EXIT_USAGE, ProgramError
from memdeep.record.spec import RecordSpec
from memdeep.run.program import Program
from memdeep.version import __version__

DESCRIPTION = "Which line, in which phase, made this Python program's memory explode?"

TOP_EXAMPLES = """\
examples:
  memdeep run backtest.py       run it; then read the verdict, or open the page
  memdeep watch                 follow it from another terminal
  memdeep report DIR            make the report again, without running

`memdeep COMMAND --help` says more."""

RUN_EXAMPLES = """\
examples:
  memdeep run backtest.py --symbols BTC   the program's own options go after it
  memdeep run -m package.module
  memdeep run --deep -o out backtest.py   exact lines for small objects, slower
  memdeep run --warning-mb 800 --critical-mb 950 etl.py
  memdeep run --memory-limit 1G --kill-at 950M etl.py
  memdeep run --mark-stdout '【(.+?)】' backtest.py
  memdeep run --focus 加载config job.py   trace only the phase under suspicion

exit status: the program's own, 128+n if signal n ended it. If it never
started: 127 there is no such program, 126 it cannot be run, 125 the output
cannot be written, 2 the options are wrong."""

REPORT_EXAMPLES = """\
examples:
  memdeep report memdeep-runs/backtest-20251120-103045
  memdeep report memray-backtest.1234.bin -o out
  memdeep report DIR --lang zh --no-source --redact-args     to show others

exit status: 0 written, 65 the capture is damaged or foreign, 66 it is not
there, 125 the output cannot be written."""

WATCH_EXAMPLES = """\
examples:
  memdeep watch                                the newest run in memdeep-runs
  memdeep watch memdeep-runs/backtest-20251120-103045"""

DOCTOR_STATUS = """\
exit status: 0 nothing needs to be done, 1 something does."""


def parser() -> argparse.ArgumentParser:
    """The parser of everything but the program to run and its own arguments."""
    top = argparse.ArgumentParser(
        prog="memdeep",
        description=DESCRIPTION,
        epilog=TOP_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"memdeep {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    run = _command(
        commands,
        "run",
        "run a program and report which line made its memory grow",
        RUN_EXAMPLES,
        usage="memdeep run [OPTIONS] (script.py | - | -m MODULE | -c CODE) [ARGS...]",
    )
    for option in OPTIONS:
        _add_option(run, option)
    run.add_argument("--force", action="store_true", help="replace the run that is in DIR already")
    report = _command(
        commands,
        "report",
        "make the report of a run again, or of a plain memray capture",
        REPORT_EXAMPLES,
    )
    report.add_argument("path", type=Path, metavar="RUN_DIR|CAPTURE")
    report.add_argument("-o", "--output", type=Path, metavar="DIR", help="write the reports there")
    for option in OPTIONS:
        if option.name in OF_REPORTS:
            _add_option(report, option)
    watch = _command(commands, "watch", "follow a run from another terminal", WATCH_EXAMPLES)
    watch.add_argument("path", type=Path, nargs="?", metavar="RUN_DIR")
    _command(
        commands, "doctor", "check the installation, and the limits on memory here", DOCTOR_STATUS
    )
    _command(commands, "config", "show which options are in force, and where they come from", "")
    return top


def parse(words: Sequence[str]) -> tuple[argparse.Namespace, Program | None]:
    """The options, and for `memdeep run` the program; exits with status 2 on wrong options.

    Raises ProgramError if `memdeep run` is given no program.
    """
    if not words or words[0] != "run":
        return parser().parse_args(words), None
    own, rest = _split(words[1:])
    options = parser().parse_args(["run", *own])
    return options, _program(rest)


def given(options: argparse.Namespace) -> dict[str, object]:
    """What was set on the command line, by option name; what was not is None."""
    return {option.name: getattr(options, option.destination, None) for option in OPTIONS}


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    description: str,
    epilog: str,
    usage: str | None = None,
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=description,
        description=f"{description[0].upper()}{description[1:]}.",
        usage=usage,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _add_option(parser: argparse.ArgumentParser, option: Option) -> None:
    names = [f"--{name}" for name in (option.name, *option.also)]
    if option.name == "output":
        names.insert(0, "-o")
    if option.kind == "flag" and option.name.startswith("no-"):
        parser.add_argument(*names, action="store_const", const=True, help=option.help)
    elif option.kind == "flag":
        boolean = argparse.BooleanOptionalAction
        parser.add_argument(*names, dest=option.destination, action=boolean, help=option.help)
    elif option.kind == "texts":
        text = f"{option.help} (repeatable)"
        parser.add_argument(*names, action="append", metavar=_metavar(option), help=text)
    else:
        parser.add_argument(
            *names, type=_Converter(option), metavar=_metavar(option), help=option.help
        )


def _metavar(option: Option) -> str:
    if option.choices:
        return "|".join(option.choices)
    if option.kind == "size":
        return "SIZE"
    last = option.name.rpartition("-")[2].upper()
    by_name = {"OUTPUT": "DIR", "INTERVAL": "SECONDS", "EVERY": "SECONDS", "STDOUT": "REGEX"}
    by_name |= {"CAPTURE": "SIZE", "FREE": "SIZE", "ARGS": "OPTIONS"}
    by_name |= {"CALL": "MODULE:NAME", "LINE": "FILE:LINE", "AT": "LABEL", "FOCUS": "LABEL"}
    return by_name.get(last, last)


class _Converter:
    """Turns a word into an option's value, and says what is wrong with it."""

    def __init__(self, option: Option) -> None:
        self._option = option

    def __call__(self, word: str) -> object:
        if self._option.kind == "path":
            return Path(word)
        value: object = word
        if self._option.kind == "number":
            try:
                value = float(word)
            except ValueError as error:
                raise argparse.ArgumentTypeError(f"{word!r} is not a number") from error
        wrong = problem(self._option, value)
        if wrong is not None:
            raise argparse.ArgumentTypeError(f"{word!r} {wrong}")
        return value


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our own options, and from the first word of the program on everything else."""
    with_value = {
        f"--{name}"
        for option in OPTIONS
        if option.kind != "flag"
        for name in (option.name, *option.also)
    } | {"-o"}
    own: list[str] = []
    place = 0
    while place < len(words):
        word = words[place]
        if word == "--":
            return own, list(words[place + 1 :])
        if not word.startswith("-") or word == "-" or word[:2] in ("-m", "-c"):
            break
        if word in with_value and word.startswith("--") and place + 1 < len(words):
            # In one piece, since a value such as `-I` would be taken for an option.
            own.append(f"{word}={words[place + 1]}")
            place += 2
        else:
            size = 2 if word in with_value else 1
            own += words[place : place + size]
            place += size
    return own, list(words[place:])


def _program(words: Sequence[str]) -> Program | None:
    """The program from its first word on; `-m` and `-c` may have their value attached."""
    kinds = {"-m": RecordSpec.MODULE, "-c": RecordSpec.CODE}
    if words and words[0][:2] in kinds:
        kind, attached = kinds[words[0][:2]], words[0][2:]
        rest = [attached, *words[1:]] if attached else list(words[1:])
    else:
        kind, rest = RecordSpec.SCRIPT, list(words)
    if not rest:
        raise ProgramError(
            "There is no program to run.",
            "Name a script, or use -m MODULE or -c CODE; see memdeep run --help.",
            EXIT_USAGE,
        )
    return Program(kind, rest[0], tuple(rest[1:]))
