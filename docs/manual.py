"""Makes `docs/memdeep.1`, the manual page, from the grammar of the commands: `make man`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from memdeep.cli import arguments, help

PAGE = Path(__file__).with_name("memdeep.1")
FILES = {
    "memdeep.toml": "the options; or [tool.memdeep] in pyproject.toml. See `memdeep config`.",
    "memdeep-runs": "the runs, each in a directory; memdeep-runs/latest leads to the newest.",
}
ENVIRONMENT = {
    "LC_ALL, LC_MESSAGES, LANG": "the language of the terminal: 中文 if it begins with zh.",
    "NO_COLOR": "no colours on the terminal.",
    "DEBUGINFOD_URLS": "where the symbols of native code are asked for.",
}


def page() -> Iterator[str]:
    """Yield the lines of the manual page, in the language of man(7)."""
    yield '.TH MEMDEEP 1 "" "memdeep" "User Commands"'
    yield from (".SH NAME", f"memdeep \\- {_text(help.DESCRIPTION)}", ".SH SYNOPSIS")
    for place, (name, operands) in enumerate(help.OPERANDS.items()):
        yield from ([".br"] if place else [])
        yield f".B memdeep {name}"
        yield from ([_text(operands)] if operands else [])
    yield from (
        ".SH DESCRIPTION",
        "Runs a Python program under memray and reports, phase by phase,",
    )
    yield "which line made its memory grow."
    for name in help.COMMANDS:
        yield from _command(name)
    yield from _terms("FILES", FILES)
    yield from _terms("ENVIRONMENT", ENVIRONMENT)
    yield from (".SH SEE ALSO", ".BR memray (1)")


def _command(name: str) -> Iterator[str]:
    parser = arguments.parser(name)
    yield f".SH MEMDEEP {name.upper()}"
    yield _text(parser.description or "")
    for action in parser.options():
        yield from (".TP", _names(action), _text(action.help or ""))
    epilog = parser.epilog or ""
    for part in filter(None, epilog.split("\n\n")):
        title, _, rest = part.partition("\n")
        is_list = title == "examples:"
        yield ".PP"
        if is_list:
            yield from (_text(title.capitalize()), ".nf", *map(_text, rest.split("\n")), ".fi")
        else:
            yield from map(_text, part.split("\n"))


def _terms(title: str, table: dict[str, str]) -> Iterator[str]:
    yield f".SH {title}"
    for name, does in table.items():
        yield from (".TP", f".B {_text(name)}", _text(does))


def _names(action: argparse.Action) -> str:
    names = ", ".join(f"\\fB{_text(name)}\\fR" for name in action.option_strings)
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    return f"{names} \\fI{_text(metavar)}\\fR" if metavar and action.nargs != 0 else names


def _text(text: str) -> str:
    """Return ``text`` without what troff would take for a command."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(\s*)([.'])", r"\1\\&\2", escaped)


if __name__ == "__main__":
    PAGE.write_text("\n".join(page()) + "\n", "utf-8")
    sys.stdout.write(f"{PAGE}\n")
