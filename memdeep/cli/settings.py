"""The options in force: finds and reads the file that sets options, and keeps why a value holds.

`memdeep.toml` and `[tool.memdeep]` in `pyproject.toml` hold the same options, those of
`cli.options`, and the budgets (`cli.budgets`). Knows neither argparse nor what an option does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memdeep.cli.options import (
    BY_NAME,
    COMMAND_LINE,
    DEFAULT,
    ONLY_ON_COMMAND_LINE,
    OPTIONS,
    Setting,
    Settings,
    Value,
    example,
    problem,
)
from memdeep.errors import EXIT_USAGE, MemdeepError
from memdeep.frozen import frozen
from memdeep.text import toml
from memdeep.text.safe import plain

if TYPE_CHECKING:
    from memdeep.model.budget import Budget

OWN_FILE = "memdeep.toml"
PROJECT_FILE = "pyproject.toml"
PROJECT_SECTION = ("tool", "memdeep")
MAX_SHOWN = 60
_WHERE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def in_force(command_line: Mapping[str, object]) -> Settings:
    """Return the options in force here; ``command_line`` goes first. Raises MemdeepError."""
    return merge(command_line, load(Path.cwd()))


@frozen
class Config:
    """The options and the budgets that a file sets, in its order; none without a file."""

    file: Path | None = None
    settings: tuple[Setting, ...] = ()
    budgets: tuple[Budget, ...] = ()


def load(start: Path) -> Config:
    """The options set for the directory ``start``, by the nearest file in it or above it.

    `memdeep.toml` goes before the `[tool.memdeep]` of a `pyproject.toml` beside it. The search
    ends with the directory that holds `.git`, or the root. Raises MemdeepError if the file found
    cannot be read or sets what is not an option.
    """
    for directory in _upwards(start):
        own, project = directory / OWN_FILE, directory / PROJECT_FILE
        if os.path.isfile(own):
            content = _read(own)
            return _config(own, content, _parse(own, content), ())
        if os.path.isfile(project):
            content = _read(project)
            if "memdeep" not in content:
                continue  # and whether the rest of it is in order is not our affair
            document = _parse(project, content)
            if _section(document, PROJECT_SECTION) is not None:
                return _config(project, content, document, PROJECT_SECTION)
    return Config()


def merge(command_line: Mapping[str, object], loaded: Config) -> Settings:
    """The value in force of every option: of the command line, the file, the default, in turn.

    ``command_line`` holds values by the option's name, with dashes or underscores; None stands
    for "not given", and a list is not added to the file's but replaces it. Raises KeyError for a
    name that is not in `OPTIONS`.
    """
    chosen = {option.name: Setting(option.name, option.default, DEFAULT) for option in OPTIONS}
    chosen.update((setting.name, setting) for setting in loaded.settings)
    for key, value in command_line.items():
        name = BY_NAME[_normal(key)].name
        if value is not None:
            chosen[name] = Setting(name, _frozen(value), COMMAND_LINE)
    return Settings(chosen.values())


def _upwards(start: Path) -> Iterator[Path]:
    try:
        first = Path(os.path.abspath(start))
    except FileNotFoundError:  # the working directory has been removed
        return
    for directory in (first, *first.parents):
        yield directory
        if os.path.exists(directory / ".git"):
            return


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _error(
            f"{path} is not UTF-8 at line {line}, as TOML must be.", "Save it as UTF-8."
        ) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _error(f"Cannot read {path}: {reason}.", "Check its permissions.") from error


def _parse(path: Path, content: str) -> dict[str, Any]:
    try:
        return toml.document(content)
    except (ValueError, RecursionError) as error:
        sentence = str(error)
        where = _WHERE.search(sentence)
        at = ""
        if where is not None:
            sentence = sentence[: where.start()]
            at = f" at line {where[1] or content.rstrip().count(chr(10)) + 1}"
        raise _error(
            f"{path} is not valid TOML{at}: {sentence[:1].lower()}{sentence[1:]}.",
            'Options stand one a line, as in: focus = ["json", "numpy"]',
        ) from error


def _section(document: dict[str, Any], names: Sequence[str]) -> Any:
    """Return the value under ``names``, one in the other; None where there is none."""
    found: Any = document
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _config(path: Path, content: str, document: dict[str, Any], names: Sequence[str]) -> Config:
    from memdeep.cli import budgets  # only here: a run without a file of options starts sooner

    section = _section(document, names)
    if not isinstance(section, dict):
        title = f"[{'.'.join(names)}]"
        raise _error(f"{path}: {title} must be a table.", f"Write {title} on a line of its own.")
    settings: dict[str, Setting] = {}
    for key, value in section.items():
        if key == budgets.KEY:
            continue
        line = _line(content, names, key)
        where = str(path) if line is None else f"{path}:{line}"
        option = BY_NAME.get(_normal(key))
        if option is None:
            shown = key if len(key) <= MAX_SHOWN else f"{key[: MAX_SHOWN - 1]}…"
            raise _error(f"{where} sets '{shown}', which is no option.", _meant(key, names))
        wrong = problem(option, value)
        if wrong is not None:
            hint = f"Write, for example: {option.name} = {example(option, value)}"
            raise _error(f"{where}: {option.name} {wrong}.", hint)
        if option.name in settings:
            raise _error(f"{where} sets {option.name} a second time.", "Keep one of the two.")
        if option.kind == "path":
            value = path.parent / os.path.expanduser(value)
        settings[option.name] = Setting(option.name, _frozen(value), where, path)
    tables = section.get(budgets.KEY)
    return Config(path, tuple(settings.values()), budgets.read(path, content, tables))


def _frozen(value: Any) -> Value:
    return tuple(value) if isinstance(value, list) else value


def _line(content: str, names: Sequence[str], key: str) -> int | None:
    """The line of ``content`` that sets ``key``, as far as that can be told.

    tomllib keeps no places. A line sets the key if the document up to it is valid and does not
    have the key, and has it once the statement that begins there is complete.
    """
    lines = content.split("\n")
    assigns = re.compile(rf"(?:^|[\s.{{,\"']){re.escape(key)}[\"']?\s*=")
    opens = re.compile(r"\W+".join(names))
    begin = next((at for at, line in enumerate(lines) if opens.search(line)), 0)
    for number, line in enumerate(lines[begin:], begin):
        if assigns.search(line) and _has(lines[:number], names, key) is False:
            whole = (_has(lines[:end], names, key) for end in range(number + 1, len(lines) + 1))
            if next((has for has in whole if has is not None), False):
                return number + 1
    return None


def _has(lines: Sequence[str], names: Sequence[str], key: str) -> bool | None:
    """Return True if the document of these lines sets ``key``; None if it is no document."""
    try:
        section = _section(toml.document("\n".join(lines)), names)
    except (ValueError, RecursionError):
        return None
    return isinstance(section, dict) and key in section


def _normal(key: str) -> str:
    return key.replace("_", "-")


def _meant(key: str, names: Sequence[str]) -> str:
    """A hint to what was meant by a key that is no option."""
    if key in ONLY_ON_COMMAND_LINE:
        return f"Give --{key} on the command line: it is meant for one run."
    if key == PROJECT_SECTION[0] and not names:
        return f"In {OWN_FILE} the options stand alone, without [{'.'.join(PROJECT_SECTION)}]."
    import difflib

    from memdeep.cli import budgets

    near = difflib.get_close_matches(_normal(key), (*BY_NAME, budgets.KEY), n=1)
    if near and near[0] == budgets.KEY:
        return f"Did you mean {budgets.title(bool(names))}?"
    if near:
        return f"Did you mean {near[0]}?"
    return f"The options are {', '.join(option.name for option in OPTIONS)}."


def _error(sentence: str, hint: str) -> MemdeepError:
    return MemdeepError(plain(sentence), plain(hint), EXIT_USAGE)
