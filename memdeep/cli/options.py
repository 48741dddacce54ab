"""The options of memdeep: the one table of them, which everything else is derived from.

The command line, `memdeep.toml`, `memdeep config` and the values that reach the stages (`Settings.
of`) all follow this table. Knows neither argparse nor TOML, nor what an option does.
"""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import Any, Literal

from memdeep.frozen import frozen
from memdeep.record.how import (
    ALL,
    MEMRAY,
    MOST_CHILDREN,
    RSS,
    SAMPLE_INTERVAL_S,
    TRACEMALLOC,
)
from memdeep.report.options import DEFAULTS
from memdeep.text.language import CHOICES
from memdeep.text.toml import quoted
from memdeep.text.units import seconds_of, size_bytes

DEFAULT = "default"
COMMAND_LINE = "command line"
ONLY_ON_COMMAND_LINE = ("force",)

Kind = Literal["flag", "number", "count", "megabytes", "size", "time", "text", "texts", "path"]
Value = bool | float | str | Path | tuple[str, ...] | None

MIB = 1 << 20
LEAST_SIZE_BYTES = MIB

_WANTED = {
    "flag": "true or false",
    "number": "a number",
    "count": "a whole number",
    "megabytes": "a number",
    "size": "a size such as 950M or 1.5G",
    "time": "a time such as 60s, 5m or 1h",
    "text": "a text in quotes",
    "path": "a path in quotes",
    "texts": "a list of texts",
}


class Place(Enum):
    """Where an option acts; the fields of the class named take its value."""

    PROGRAM = "within the program: record.how.HowToRecord"
    RUN = "around the program: run.options.RunOptions"
    INTERPRETER = "on the command line of the program's Python: run.interpreter"
    REPORT = "in what is written: report.options.ReportOptions"
    TERMINAL = "after a report has been made: cli.report"
    COMMAND = "in the commands `memdeep run` and `memdeep check` themselves: cli.run, cli.check"


@frozen
class Option:
    """One option, which the command line and a file may set.

    ``name`` is the long one without dashes in front, ``also`` are others for the same, ``short`` is
    one with a single dash. It acts in ``places``, as a field of the same name (with underscores)
    unless ``field`` names another. A number lies between ``least`` and ``most`` (both allowed); a
    size is a text that `size_bytes` reads, a time one for `seconds_of`; a text is one of
    ``choices`` if there are any, and matches ``pattern`` if there is one. ``metavar`` stands for
    the value in the help, which names the default unless it is none, or ``default_words`` in its
    place.
    """

    name: str
    kind: Kind
    places: tuple[Place, ...]
    does: str
    default: Value = None
    also: tuple[str, ...] = ()
    short: str = ""
    field: str = ""
    metavar: str = ""
    least: float = 0.0
    most: float = 1e9
    choices: tuple[str, ...] = ()
    pattern: str = ""
    default_words: str = ""

    @property
    def destination(self) -> str:
        """The name as an identifier: what argparse calls ``dest``."""
        return self.name.replace("-", "_")

    @property
    def help(self) -> str:
        """The text for `--help`: what the option does, and its default if it has one."""
        words = self.default_words
        if not words and self.default not in (None, False, ()):
            words = "yes" if self.default is True else str(self.default)
        return f"{self.does} (default: {words})" if words else self.does


_IN_PROGRAM = (Place.PROGRAM,)
_AROUND = (Place.RUN,)
_IN_REPORT = (Place.REPORT,)
_AFTER = (Place.TERMINAL,)
_IN_COMMAND = (Place.COMMAND,)

OPTIONS = (
    Option("native", "flag", _IN_PROGRAM, "record C and C++ frames too", True),
    Option(
        "trace-python-allocators",
        "flag",
        _IN_PROGRAM,
        "trace every small object: exact lines, slower",
        False,
        also=("deep",),
    ),
    Option(
        "backend",
        "text",
        _IN_PROGRAM,
        "what records",
        MEMRAY,
        choices=(MEMRAY, TRACEMALLOC, RSS),
    ),
    Option(
        "warning-mb",
        "megabytes",
        _AROUND,
        "draw a line at this RSS",
        field="warning_bytes",
        metavar="MB",
        least=0.001,
    ),
    Option(
        "critical-mb",
        "megabytes",
        _AROUND,
        "draw a line at this RSS, in red",
        field="critical_bytes",
        metavar="MB",
        least=0.001,
    ),
    Option(
        "memory-limit",
        "size",
        _AROUND,
        "run it under this limit, in a cgroup of its own where allowed, else as RLIMIT_AS",
        field="memory_limit_bytes",
    ),
    Option(
        "kill-at",
        "size",
        _AROUND,
        "end it at this RSS, after writing down where each thread is",
        field="kill_bytes",
    ),
    Option(
        "sample-interval",
        "number",
        _IN_PROGRAM,
        "seconds between readings of RSS, at most 0.05",
        SAMPLE_INTERVAL_S,
        metavar="SECONDS",
        least=0.001,
        most=0.05,
    ),
    Option(
        "output",
        "path",
        _IN_COMMAND,
        "the run directory",
        short="o",
        metavar="DIR",
        default_words="memdeep-runs/NAME-DATE-TIME",
    ),
    Option(
        "lang",
        "text",
        _IN_REPORT,
        "en, zh, or both: a switch on the page, and the locale's on the terminal",
        DEFAULTS.lang,
        choices=CHOICES,
    ),
    Option(
        "source",
        "flag",
        (Place.RUN, Place.REPORT),
        "show source lines, also of files that look private, or none",
        DEFAULTS.source,
        default_words="not of those",
    ),
    Option(
        "redact-args",
        "flag",
        (Place.PROGRAM, Place.REPORT),
        "hide the program's arguments in all that is written",
        DEFAULTS.redact_args,
    ),
    Option(
        "values",
        "flag",
        (Place.PROGRAM, Place.REPORT),
        "show keys of the program's containers in the paths of holders",
        DEFAULTS.values,
    ),
    Option(
        "editor",
        "text",
        _IN_REPORT,
        "address that opens a source line, with {path} and {line}",
        DEFAULTS.editor,
        metavar="ADDRESS",
        # A link must lead to an editor and not run something in the page.
        pattern=r"(?!javascript:|data:|vbscript:)[a-z][a-z0-9+.-]*:.*\{path\}.*",
        default_words="VS Code",
    ),
    Option("open", "flag", _AFTER, "open the page in the browser", False),
    Option("quiet", "flag", _AFTER, "say nothing but errors", False, short="q"),
    Option(
        "no-report",
        "flag",
        _IN_COMMAND,
        "only record; `memdeep report DIR` makes the report later",
        False,
    ),
    Option(
        "mark-stdout",
        "texts",
        _IN_PROGRAM,
        "a checkpoint where a line of output matches, named by group 1 or the line",
        (),
        metavar="REGEX",
    ),
    Option(
        "mark-call",
        "texts",
        _IN_PROGRAM,
        "a phase around each call; add =LABEL to name it, {0} is the first argument",
        (),
        metavar="MODULE:NAME",
    ),
    Option(
        "mark-line",
        "texts",
        _IN_PROGRAM,
        "a checkpoint where this line, or FILE:FUNCTION, is reached",
        (),
        metavar="FILE:LINE",
    ),
    Option(
        "mark-every",
        "number",
        _IN_PROGRAM,
        "a checkpoint every so many seconds",
        metavar="SECONDS",
        least=0.001,
    ),
    Option(
        "focus",
        "texts",
        _IN_PROGRAM,
        "trace only while a phase of this name is open; * and ? match",
        (),
        metavar="LABEL",
    ),
    Option(
        "start-at", "text", _IN_PROGRAM, "trace from this checkpoint or phase on", metavar="LABEL"
    ),
    Option("stop-at", "text", _IN_PROGRAM, "trace up to this checkpoint or phase", metavar="LABEL"),
    Option(
        "children",
        "text",
        _IN_PROGRAM,
        "record the Pythons that it starts: all, none, or those whose command or script matches, "
        "as in 'worker*'; forks go with their parent",
        ALL,
        metavar="PATTERN",
    ),
    Option(
        "most-children",
        "count",
        _IN_PROGRAM,
        "record at most so many of them; of others, only where they came from",
        MOST_CHILDREN,
        metavar="N",
        most=10_000,
    ),
    Option(
        "holders",
        "flag",
        _IN_PROGRAM,
        "record who holds the objects, wherever memory has grown: a pause of some ms each",
        False,
    ),
    Option(
        "holders-at",
        "texts",
        _IN_PROGRAM,
        "record who holds them at the checkpoint of this label, or the end of the phase; * and ? "
        "match",
        (),
        metavar="LABEL",
    ),
    Option(
        "holders-most",
        "count",
        _IN_PROGRAM,
        "record who holds them at most so many times",
        16,
        metavar="N",
        most=1000,
    ),
    Option(
        "max-capture",
        "size",
        _AROUND,
        "stop tracing, not the program, at this size of the capture",
        field="max_capture_bytes",
    ),
    Option(
        "disk",
        "size",
        _AROUND,
        "what the capture may take of the disk, about: of more, what is replayed is given back",
        "1G",
        field="disk_bytes",
    ),
    Option("keep-capture", "flag", _AROUND, "give nothing back, whatever its size", False),
    Option(
        "last",
        "time",
        _AROUND,
        "keep the detail of the last 10m, say, and merge what is older: for weeks; with a "
        "checkpoint each tenth of it, and none of the processes that it starts",
        field="last_s",
    ),
    Option("no-follow", "flag", _AROUND, "replay the capture at the end, not as it grows", False),
    Option(
        "keep-free",
        "size",
        _AROUND,
        "stop tracing when less of the disk is free",
        "1G",
        field="keep_free_bytes",
    ),
    Option(
        "notify",
        "texts",
        _IN_COMMAND,
        "run CMD, or post JSON to URL, over a threshold and where memory grows without end",
        (),
        metavar="CMD|URL",
    ),
    Option("check", "flag", _IN_COMMAND, "then hold it against its budgets: memdeep check", False),
    Option(
        "baseline",
        "path",
        _IN_COMMAND,
        "check it against the figures of an earlier run, too",
        metavar="FILE",
    ),
    Option(
        "python-args",
        "text",
        (Place.INTERPRETER,),
        'options of Python itself, as in "-X dev -W error"',
        metavar="OPTIONS",
    ),
)
BY_NAME = {name: option for option in OPTIONS for name in (option.name, *option.also)}
OF_REPORTS = tuple(
    option for option in OPTIONS if {Place.REPORT, Place.TERMINAL} & {*option.places}
)
OF_CHECKS = tuple(BY_NAME[name] for name in ("baseline", "lang", "quiet"))


@frozen
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

    def of(self, place: Place) -> dict[str, Any]:
        """The values of the options that act in ``place``, by field, as its class wants them.

        Megabytes and sizes become bytes. A text or number that is not set is "" or 0.
        """
        options = (option for option in OPTIONS if place in option.places)
        return {
            option.field or option.destination: _in_use(option, self.value(option.name))
            for option in options
        }

    def flag(self, name: str) -> bool:
        return bool(self.value(name))

    def text(self, name: str) -> str | None:
        value = self.value(name)
        return value if isinstance(value, str) else None

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.value(name)
        return tuple(map(str, value)) if isinstance(value, (tuple, list)) else ()

    def path(self, name: str) -> Path | None:
        value = self.value(name)
        return value if isinstance(value, Path) else None


def _in_use(option: Option, value: Value) -> Any:
    if option.kind == "size":
        return None if value is None else size_bytes(str(value))
    if option.kind == "time":
        return 0.0 if value is None else seconds_of(str(value))
    if option.kind == "megabytes":
        return None if value is None else round(float(str(value)) * MIB)
    if option.kind == "count":
        return 0 if value is None else int(str(value))
    if option.kind == "number":
        return 0.0 if value is None else float(str(value))
    return "" if value is None and option.kind == "text" else value


def problem(option: Option, value: object) -> str | None:
    """Return what is wrong ("must be …") with ``value``, as TOML has it; None if nothing is."""
    fits = {
        "flag": lambda: isinstance(value, bool),
        "number": lambda: isinstance(value, (int, float)) and not isinstance(value, bool),
        "count": lambda: isinstance(value, int) and not isinstance(value, bool),
        "megabytes": lambda: isinstance(value, (int, float)) and not isinstance(value, bool),
        "size": lambda: isinstance(value, str) and size_bytes(value) is not None,
        "time": lambda: isinstance(value, str) and seconds_of(value) is not None,
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
    elif option.kind == "time" and (seconds_of(str(value)) or 0) < 1:
        return "must be at least 1s"
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
    if option.kind in ("number", "count", "megabytes"):
        return toml_text(min(option.most, 800))
    if option.kind == "flag":
        return "true"
    if option.kind in ("size", "time"):
        return toml_text("950M" if option.kind == "size" else "10m")
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
    return quoted(str(value))
