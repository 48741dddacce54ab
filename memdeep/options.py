"""The options of `memdeep run` that may be set in a file too: the one table of them.

Knows neither argparse nor TOML, nor what an option does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from memdeep.plain import plain

DEFAULT = "default"
COMMAND_LINE = "command line"
ONLY_ON_COMMAND_LINE = ("force",)

Kind = Literal["flag", "number", "text", "texts", "path"]
Value = bool | float | str | Path | tuple[str, ...] | None

_WANTED = {
    "flag": "true or false",
    "number": "a number",
    "text": "a text in quotes",
    "path": "a path in quotes",
    "texts": "a list of texts",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One option of `memdeep run` that may be set in a file.

    ``name`` is the long one without dashes in front, ``also`` are others for the same. A number
    lies between ``least`` and ``most`` (both allowed); a text is one of ``choices`` if there are
    any.
    """

    name: str
    kind: Kind
    help: str
    default: Value = None
    also: tuple[str, ...] = ()
    least: float = 0.0
    most: float = 1e9
    choices: tuple[str, ...] = ()

    @property
    def destination(self) -> str:
        """The name as an identifier: what argparse calls ``dest``."""
        return self.name.replace("-", "_")


OPTIONS = (
    Option("native", "flag", "record C and C++ frames too (default: yes)", True),
    Option(
        "trace-python-allocators",
        "flag",
        "trace every small object: exact lines, slower",
        False,
        also=("deep",),
    ),
    Option(
        "backend",
        "text",
        "what records (default: memray)",
        "memray",
        choices=("memray", "tracemalloc", "rss"),
    ),
    Option("warning-mb", "number", "draw a line at this RSS", least=0.001),
    Option("critical-mb", "number", "draw a line at this RSS, in red", least=0.001),
    Option(
        "sample-interval",
        "number",
        "seconds between readings of RSS (default and most: 0.05)",
        0.05,
        (),
        0.001,
        0.05,
    ),
    Option("output", "path", "the run directory (default: memdeep-runs/NAME-DATE-TIME)"),
    Option("open", "flag", "open the page in the browser", False),
    Option("quiet", "flag", "say nothing but errors", False),
    Option("no-report", "flag", "only record; `memdeep report DIR` makes the report later", False),
    Option(
        "mark-stdout",
        "texts",
        "a checkpoint where a line of output matches, named by group 1 or the line",
        (),
    ),
    Option(
        "mark-call",
        "texts",
        "a phase around each call; add =LABEL to name it, {0} is the first argument",
        (),
    ),
    Option("mark-line", "texts", "a checkpoint where this line, or FILE:FUNCTION, is reached", ()),
    Option("mark-every", "number", "a checkpoint every so many seconds", least=0.001),
    Option("focus", "texts", "trace only while a phase of this name is open; * and ? match", ()),
    Option("start-at", "text", "trace from this checkpoint or phase on"),
    Option("stop-at", "text", "trace up to this checkpoint or phase"),
)
BY_NAME = {name: option for option in OPTIONS for name in (option.name, *option.also)}


@dataclass(frozen=True, slots=True)
class Setting:
    """An option with its value and where that came from.

    ``origin`` is ``default``, ``command line`` or ``/path/memdeep.toml:3``; ``file`` is set for
    the last of them only.
    """

    name: str
    value: Value
    origin: str
    file: Path | None = None


class Settings(tuple[Setting, ...]):
    """All options in the order of `OPTIONS`, each with the value in force."""

    __slots__ = ()

    def value(self, name: str) -> Value:
        return next(setting.value for setting in self if setting.name == name)

    def flag(self, name: str) -> bool:
        return bool(self.value(name))

    def number(self, name: str) -> float | None:
        value = self.value(name)
        return float(value) if isinstance(value, (int, float)) else None

    def text(self, name: str) -> str | None:
        value = self.value(name)
        return value if isinstance(value, str) else None

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.value(name)
        return value if isinstance(value, tuple) else ()

    def path(self, name: str) -> Path | None:
        value = self.value(name)
        return value if isinstance(value, Path) else None


def problem(option: Option, value: object) -> str | None:
    """What ``option`` needs ("must be …") if ``value``, as TOML has it, will not do."""
    fits = {
        "flag": lambda: isinstance(value, bool),
        "number": lambda: isinstance(value, (int, float)) and not isinstance(value, bool),
        "text": lambda: isinstance(value, str),
        "path": lambda: isinstance(value, str),
        "texts": lambda: isinstance(value, list) and all(isinstance(one, str) for one in value),
    }
    if not fits[option.kind]():
        return f"must be {_WANTED[option.kind]}"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # Written so that `nan`, which is a number in TOML, fails as well.
        if not option.least <= value <= option.most:
            return f"must be between {toml_text(option.least)} and {toml_text(option.most)}"
    elif option.choices and value not in option.choices:
        return f"must be one of {', '.join(option.choices)}"
    elif option.kind == "path" and isinstance(value, str) and (not value or "\0" in value):
        return "must be a path"
    return None


def example(option: Option, value: object) -> str:
    """A value that ``option`` takes, as TOML; made of the wrong ``value`` where that can be."""
    if option.kind == "texts":
        return toml_text((value,) if isinstance(value, str) else ("first", "second"))
    if option.kind == "number":
        return toml_text(min(option.most, 800))
    if option.kind == "flag":
        return "true"
    return toml_text(option.choices[0] if option.choices else "name")


def toml_text(value: Value) -> str:
    """``value`` as TOML has it, safe for a terminal; an en dash for none."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(int(value)) if value == int(value) else str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(toml_text, value))}]"
    return '"' + "".join(map(_toml_character, str(value))) + '"'


def _toml_character(character: str) -> str:
    if character in ('"', "\\"):
        return f"\\{character}"
    if plain(character) == character:
        return character
    is_surrogate = 0xD800 <= ord(character) < 0xE000  # which TOML cannot name
    return plain(character) if is_surrogate else f"\\U{ord(character):08x}"
