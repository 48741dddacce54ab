"""The grammar of the command line, made from the table of options. Knows no command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from memdeep.cli import help
from memdeep.cli.options import Option, problem


def parser(command: str, usage: str | None = None) -> argparse.ArgumentParser:
    """Return a parser for `memdeep COMMAND`, which takes no arguments yet."""
    summary = help.COMMANDS[command]
    return argparse.ArgumentParser(
        prog=f"memdeep {command}",
        description=f"{summary[0].upper()}{summary[1:]}.",
        usage=usage,
        epilog=help.OF_COMMANDS[command],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


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
            convert, metavar = _Converter(option), _metavar(option)
            parser.add_argument(*names, type=convert, metavar=metavar, help=option.help)


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
    with_value |= {f"-{option.short}" for option in options if option.short}
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


class _Converter:
    """Turns a word into an option's value, and says what is wrong with it."""

    def __init__(self, option: Option) -> None:
        self._option = option

    def __call__(self, word: str) -> object:
        if self._option.kind == "path":
            return Path(word)
        value: object = word
        if self._option.kind in ("number", "megabytes"):
            try:
                value = float(word)
            except ValueError as error:
                raise argparse.ArgumentTypeError(f"{word!r} is not a number") from error
        elif self._option.kind == "count":
            try:
                value = int(word)
            except ValueError as error:
                raise argparse.ArgumentTypeError(f"{word!r} is no whole number") from error
        wrong = problem(self._option, value)
        if wrong is not None:
            raise argparse.ArgumentTypeError(f"{word!r} {wrong}")
        return value
