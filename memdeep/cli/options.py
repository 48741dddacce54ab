"""The options of `memdeep run` that may be set in a file too: the one table of them.

Knows neither argparse nor TOML, nor what an option does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from memdeep.text.safe import plain

DEFAULT = "default"
COMMAND_LINE = "command line"
ONLY_ON_COMMAND_LINE = ("force",)
OF_REPORTS = ("lang", "source", "redact-args", "editor", "open", "quiet")

Kind = Literal["flag", "number", "size", "text", "texts", "path"]
Value = bool | float | str | Path | tuple[str, ...] | None

LEAST_SIZE_BYTES = 1 << 20
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) ?([kmgt])(?:i?b)?", re.ASCII | re.IGNORECASE)
_SIZE_UNITS = "bkmgt"

_WANTED = {
    "flag": "true or false",
    "number": "a number",
    "size": "a size such as 950M or 1.5G",
    "text": "a text in quotes",
    "path": "a path in quotes",
    "texts": "a list of texts",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One option of `memdeep run` that may be set in a file.

    ``name`` is the long one without dashes in front, ``also`` are others for the same. A number
    lies between ``least`` and ``most`` (both allowed); a size is a text that `size_bytes` reads; a
    text is one of ``choices`` if there are any.
    lies between ``least`` and ``most`` (both allowed); a size is a text that `size_bytes` reads; a
    text is one of ``choices`` if there are any, and matches ``pattern`` if there is one.
    """

    name: str
    kind: Kind
    help: str
    default: Value = None
    also: tuple[str, ...] = ()
    least: float = 0.0
    most: float = 1e9
    choices: tuple[str, ...] = ()
    pattern: str = ""

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
        "memory-limit",
        "size",
        "run it under this limit, in a cgroup of its own where allowed, else as RLIMIT_AS",
    ),
    Option("kill-at", "size", "end it at this RSS, after writing down where each thread is"),
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
    Option(
        "lang",
        "text",
        "language of the page: en, zh or both with a switch (default: both)",
        "both",
        choices=("en", "zh", "both"),
    ),
    Option(
        "source",
        "flag",
        "show source lines, also of files that look private (default: not of those), or none",
    ),
    Option("redact-args", "flag", "hide the program's arguments in all that is written", False),
    Option(
        "editor",
        "text",
        "address that opens a source line, with {path} and {line} (default: VS Code)",
        "vscode://file/{path}:{line}",
        # A link must lead to an editor and not run something in the page.
        pattern=r"(?!javascript:|data:|vbscript:)[a-z][a-z0-9+.-]*:.*\{path\}.*",
    ),
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
    Option("max-capture", "size", "stop tracing, not the program, at this size of the capture"),
    Option("keep-free", "size", "stop tracing when less of the disk is free (default: 1G)", "1G"),
    Option("python-args", "text", 'options of Python itself, as in "-X dev -W error"'),
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

    def size_bytes(self, name: str) -> int | None:
        value = self.value(name)
        return size_bytes(value) if isinstance(value, str) else None

    def text(self, name: str) -> str | None:
        value = self.value(name)
        return value if isinstance(value, str) else None

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.value(name)
        return value if isinstance(value, tuple) else ()

    def path(self, name: str) -> Path | None:
        value = self.value(name)
        return value if isinstance(value, Path) else None


def size_bytes(text: str) -> int | None:
    """The bytes of ``950M``, ``1.5 GB`` or ``2GiB``, all powers of 1024; None for other texts."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        return None
    return round(float(match[1]) * (1 << 10 * _SIZE_UNITS.index(match[2].lower())))


def problem(option: Option, value: object) -> str | None:
    """What ``option`` needs ("must be …") if ``value``, as TOML has it, will not do."""
    fits = {
        "flag": lambda: isinstance(value, bool),
        "number": lambda: isinstance(value, (int, float)) and not isinstance(value, bool),
        "size": lambda: isinstance(value, str) and size_bytes(value) is not None,
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
    elif option.kind == "size" and (size_bytes(str(value)) or 0) < LEAST_SIZE_BYTES:
        return "must be at least 1M"
    elif option.choices and value not in option.choices:
        return f"must be one of {', '.join(option.choices)}"
    elif option.pattern and not re.fullmatch(option.pattern, str(value), re.IGNORECASE):
        return f"must be an address such as {option.default}"
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
    if option.kind == "size":
        return toml_text("950M")
    if option.pattern:
        return toml_text(option.default)
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
