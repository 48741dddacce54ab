"""The grammar of every command, made from the table of options. Carries out no command."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from memdeep.cli import help
from memdeep.cli.options import (
    BY_NAME,
    OF_CHECKS,
    OF_REPORTS,
    OPTIONS,
    Option,
    Place,
    problem,
)
from memdeep.errors import EXIT_USAGE
from memdeep.text.units import seconds_of, size_bytes

if TYPE_CHECKING:
    from typing import NoReturn

NEWEST = "default: the newest run in memdeep-runs"
CHECK_FORMATS = ("text", "github", "markdown", "junit", "sarif", "gitlab", "openmetrics")
LEAST_EVERY_S, MOST_EVERY_S = 0.1, 86_400.0
MOST_PORT = 65_535
SHELLS = ("bash", "zsh", "fish")
STDOUT = Path("-")
DIFF_FORMATS = ("text", "markdown", "json", "html")  # of a comparison
OF_DIFF = tuple(option for option in OPTIONS if Place.REPORT in option.places)
OF_ATTACH = (
    tuple(
        BY_NAME[name]
        for name in ("native", "deep", "output", "max-capture", "keep-free", "no-report")
    )
    + OF_REPORTS
)
OF_EXPORTS = tuple(BY_NAME[name] for name in ("source", "redact-args", "values", "quiet"))


class Parser(argparse.ArgumentParser):
    """A parser of one command; a wrong word gets the usage, and the option that was meant."""

    def parse(self, words: Sequence[str], *, mixed: bool = False) -> argparse.Namespace:
        """Parse ``words``; ends the process if there is something wrong with one.

        With ``mixed``, several operands may stand apart, with options between them.
        """
        parse = self.parse_known_intermixed_args if mixed else self.parse_known_args
        parsed, unknown = parse(words)
        if unknown:
            word = unknown[0].partition("=")[0]
            kind = "option" if word.startswith("-") else "argument"
            self.error(f"there is no {kind} {word!a}{self._meant(word)}")
        return parsed

    def error(self, message: str) -> NoReturn:
        """End the process: print the usage, ``message``, and where there is more to read."""
        usage = self.format_usage()
        self.exit(EXIT_USAGE, f"{usage}{self.prog}: error: {message}\nSee: {self.prog} --help\n")

    def options(self) -> list[argparse.Action]:
        """Return what stands for options, in the order of their declaration."""
        return [action for action in self._actions if action.option_strings]

    def operands(self) -> list[argparse.Action]:
        """Return what stands for words that are no options."""
        return [action for action in self._actions if not action.option_strings]

    def _meant(self, word: str) -> str:
        names = [name for action in self.options() for name in action.option_strings]
        near = help.near(word, names)
        return f". Did you mean {near}?" if word.startswith("-") and near else ""


def parser(command: str) -> Parser:
    """Return the parser of `memdeep COMMAND`."""
    summary = help.COMMANDS[command]
    made = Parser(
        prog=f"memdeep {command}",
        description=f"{summary[0].upper()}{summary[1:]}.",
        usage=f"memdeep {command} {help.OPERANDS[command]}".rstrip(),
        epilog=help.OF_COMMANDS[command],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    if command in _OWN:
        _OWN[command](made)
    return made


def _of_run(made: Parser) -> None:
    add(made, OPTIONS)
    made.add_argument("--force", action="store_true", help="replace the run that is in DIR already")


def _of_attach(made: Parser) -> None:
    made.add_argument("pid", type=_process, metavar="PID", help="the process of the program")
    made.add_argument(
        "--for", dest="seconds", type=_time, metavar="TIME", help="detach after 60s, 5m, 1h …"
    )
    made.add_argument(
        "--until", dest="size", type=_size, metavar="SIZE", help="detach when its RSS is 950M, 2G …"
    )
    made.add_argument(
        "--until-phase",
        dest="phase",
        type=_label,
        metavar="LABEL",
        help="detach when a phase or checkpoint of this name has come to its end; * and ? match",
    )
    add(made, OF_ATTACH)
    made.add_argument("--force", action="store_true", help="replace the run that is in DIR already")


def _of_report(made: Parser) -> None:
    made.add_argument("path", type=Path, nargs="?", metavar="RUN_DIR|CAPTURE", help=NEWEST)
    made.add_argument("-o", "--output", type=Path, metavar="DIR", help="write the reports there")
    made.add_argument(
        "--force", action="store_true", help="replace what is in their place in DIR already"
    )
    add(made, OF_REPORTS)


def _of_diff(made: Parser) -> None:
    made.add_argument("runs", type=Path, nargs="*", metavar="RUN_DIR|CAPTURE", help="two runs")
    for side in ("before", "after"):
        made.add_argument(
            f"--{side}",
            type=Path,
            nargs="+",
            metavar="RUN",
            help=f"the run, or several, {side} the change; one odd run of 3 makes no noise",
        )
    made.add_argument(
        "--format",
        choices=DIFF_FORMATS,
        default=DIFF_FORMATS[0],
        help=f"(default: {DIFF_FORMATS[0]})",
    )
    made.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write it there, - for stdout"
    )
    made.add_argument(
        "--fail-on",
        action="append",
        default=[],
        metavar="FIGURE[:LIMIT]",
        help="end with 1 if this is more than before by more than LIMIT (repeatable)",
    )
    made.add_argument("--all", action="store_true", help="list the phases that are alike, too")
    add(made, OF_DIFF)


def _of_check(made: Parser) -> None:
    made.add_argument("path", type=Path, nargs="?", metavar="RUN_DIR|CAPTURE", help=NEWEST)
    made.add_argument(
        "--format",
        action="append",
        type=_format,
        default=[],
        metavar="FORMAT[=FILE]",
        help=f"write the result to FILE, or print it, as {', '.join(CHECK_FORMATS[:-1])} or "
        f"{CHECK_FORMATS[-1]} (repeatable) (default: text)",
    )
    made.add_argument(
        "--update", action="store_true", help="write the baseline, or bring it up to this run"
    )
    made.add_argument(
        "--allow-missing",
        action="store_true",
        help="let pass that phases of the baseline are not in the run",
    )
    add(made, OF_CHECKS)


def _of_one_run(made: Parser) -> None:
    made.add_argument("path", type=Path, nargs="?", metavar="RUN_DIR", help=NEWEST)


def _of_open(made: Parser) -> None:
    made.add_argument("path", type=Path, nargs="?", metavar="RUN_DIR|PAGE", help=NEWEST)


def _of_watch(made: Parser) -> None:
    _of_one_run(made)
    either = made.add_mutually_exclusive_group()
    either.add_argument(
        "--web", action="store_true", help="show it in the browser: serve a page on this machine"
    )
    made.add_argument(
        "--port",
        type=_port,
        default=0,
        metavar="N",
        help="serve that page on this port (default: one that is free)",
    )
    either.add_argument("--once", action="store_true", help="print the run as it is now, and end")
    made.add_argument(
        "--every",
        type=_seconds,
        metavar="SECONDS",
        help="show it anew so often; where that is no terminal, print the whole view",
    )


def _of_runs(made: Parser) -> None:
    made.add_argument(
        "path", type=Path, nargs="?", metavar="DIR", help="where they lie (default: memdeep-runs)"
    )
    made.add_argument(
        "--rm",
        type=Path,
        action="append",
        default=[],
        metavar="RUN_DIR",
        help="remove this run (repeatable)",
    )
    made.add_argument(
        "--keep", type=_at_least_none, metavar="N", help="remove all but the N newest"
    )


def _of_export(made: Parser) -> None:
    from memdeep.report.exports import formats

    made.add_argument("path", type=Path, nargs="?", metavar="RUN_DIR|CAPTURE", help=NEWEST)
    made.add_argument(
        "-f",
        "--format",
        choices=[*formats.BY_NAME],
        metavar="FORMAT",
        help=f"{', '.join(formats.BY_NAME)} (default: as the name of FILE says)",
    )
    made.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write it there, - for stdout (default: export.* in the run directory)",
    )
    made.add_argument(
        "--phase", metavar="PATH", help="only this phase and those inside it; * and ? match"
    )
    made.add_argument(
        "--metric",
        choices=formats.METRICS,
        help="the figure of stacks, where a format has room for one (default: kept)",
    )
    made.add_argument(
        "--table",
        choices=formats.TABLES,
        default=formats.TABLES[0],
        help="the rows of parquet and csv (default: phases)",
    )
    add(made, OF_EXPORTS)


def _of_completion(made: Parser) -> None:
    made.add_argument("shell", choices=SHELLS, metavar="|".join(SHELLS))


_OWN: dict[str, Callable[[Parser], None]] = {
    "run": _of_run,
    "attach": _of_attach,
    "report": _of_report,
    "diff": _of_diff,
    "check": _of_check,
    "open": _of_open,
    "runs": _of_runs,
    "watch": _of_watch,
    "export": _of_export,
    "completion": _of_completion,
}


def _format(word: str) -> tuple[str, Path | None]:
    """Return the name of a format, and the file to write it to, if one is given; - is none."""
    name, equals, file = word.partition("=")
    if name not in CHECK_FORMATS:
        near = help.near(name, CHECK_FORMATS)
        meant = f"did you mean {near}?" if near else f"there are {', '.join(CHECK_FORMATS)}"
        raise argparse.ArgumentTypeError(f"{name!r} is no format: {meant}")
    if equals and (not file or "\0" in file):
        raise argparse.ArgumentTypeError(f"there is no file behind {name}=")
    return name, Path(file) if equals and Path(file) != STDOUT else None


def _seconds(word: str) -> float:
    try:
        seconds = float(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{word!r} is not a number") from error
    if not LEAST_EVERY_S <= seconds <= MOST_EVERY_S:
        wanted = f"must be between {LEAST_EVERY_S:g} and {MOST_EVERY_S:g}"
        raise argparse.ArgumentTypeError(f"{word!r} {wanted}")
    return seconds


def _port(word: str) -> int:
    number = _at_least_none(word)
    if number > MOST_PORT:
        raise argparse.ArgumentTypeError(f"{word!r} is no port: there are 1 to {MOST_PORT}")
    return number


def _process(word: str) -> int:
    if not word.isascii() or not word.isdigit() or not 0 < int(word) < 1 << 31:
        raise argparse.ArgumentTypeError(f"{word!r} is no process number")
    return int(word)


def _label(word: str) -> str:
    if not word.strip():
        raise argparse.ArgumentTypeError("the name of a phase or checkpoint is empty")
    return word


def _time(word: str) -> float:
    seconds = seconds_of(word)
    if seconds is None:
        raise argparse.ArgumentTypeError(f"{word!r} is no time such as 60s, 5m or 1h")
    return seconds


def _size(word: str) -> int:
    found = size_bytes(word)
    if not found:
        raise argparse.ArgumentTypeError(f"{word!r} is no size such as 950M or 1.5G")
    return found


def _at_least_none(word: str) -> int:
    if not word.isascii() or not word.isdigit():
        raise argparse.ArgumentTypeError(f"{word!r} is no whole number")
    return int(word)


def add(parser: argparse.ArgumentParser, options: Sequence[Option]) -> None:
    """Let ``parser`` take ``options``."""
    for option in options:
        names = [f"-{option.short}"] if option.short else []
        names += [f"--{name}" for name in (option.name, *option.also)]
        if option.kind == "flag" and option.name.startswith("no-"):
            parser.add_argument(*names, action="store_const", const=True, help=option.help)
        elif option.kind == "flag":
            boolean = argparse.BooleanOptionalAction
            parser.add_argument(*names, dest=option.destination, action=boolean, help=option.help)
        elif option.kind == "texts":
            text = f"{option.help} (repeatable)"
            parser.add_argument(*names, action="append", metavar=option.metavar, help=text)
        else:
            parser.add_argument(
                *names,
                type=_Converter(option),
                metavar=_metavar(option),
                choices=option.choices or None,
                help=option.help,
            )


def given(parsed: argparse.Namespace, options: Sequence[Option]) -> dict[str, object]:
    """Return what the command line sets, by option name; None for what it does not set."""
    return {option.name: getattr(parsed, option.destination) for option in options}


def split(words: Sequence[str], options: Sequence[Option]) -> tuple[list[str], list[str]]:
    """Part our own options from the program: all words from the program's first one on."""
    with_value = {
        f"--{name}"
        for option in options
        if option.kind != "flag"
        for name in (option.name, *option.also)
    }
    with_value |= {
        f"-{option.short}" for option in options if option.short and option.kind != "flag"
    }
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


def _metavar(option: Option) -> str:
    return option.metavar or "|".join(option.choices) or option.kind.upper()


def is_path(action: argparse.Action) -> bool:
    """Tell if the value of an option, or an operand, is the path of a file or directory."""
    convert = action.type
    return convert is Path or (isinstance(convert, _Converter) and convert.option.kind == "path")


class _Converter:
    """Turns a word into an option's value, and says what is wrong with it."""

    def __init__(self, option: Option) -> None:
        self.option = option

    def __call__(self, word: str) -> object:
        if self.option.kind == "path":
            return Path(word)
        value: object = word
        if self.option.kind in ("number", "megabytes"):
            try:
                value = float(word)
            except ValueError as error:
                raise argparse.ArgumentTypeError(f"{word!r} is not a number") from error
        elif self.option.kind == "count":
            try:
                value = int(word)
            except ValueError as error:
                raise argparse.ArgumentTypeError(f"{word!r} is no whole number") from error
        wrong = problem(self.option, value)
        if wrong is not None:
            raise argparse.ArgumentTypeError(f"{word!r} {wrong}")
        return value
