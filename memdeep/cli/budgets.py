"""The budgets that a file sets, in tables `[[budget]]`: says what is wrong with one, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from memdeep.cli.options import toml_text
from memdeep.errors import EXIT_USAGE, MemdeepError
from memdeep.model.budget import OF_PHASE, OF_RUN, Budget, Check, Rule, Severity
from memdeep.text.safe import plain
from memdeep.text.units import size_bytes

KEY = "budget"
EXAMPLE = '[[budget]] phase = "load*" max-growth = "32M"'  # each on a line of its own
MAX_SHOWN = 60
MOST = 1 << 60

_CHECKS = {check.value: check for check in (*OF_PHASE, *OF_RUN)}
_SIZE = 'must be a size such as "32M", or a number of bytes'
_COUNT = "must be a whole number, 0 or more"
# Keys with what is wrong with a value that does not fit, and a value that does.
_KEYS = {
    "phase": ("must be a text that is not empty", '"load*"'),
    **{name: (_SIZE, '"32M"') for name, check in _CHECKS.items() if not check.is_count},
    Check.NO_GROWTH.value: ('must be true, a size such as "64K", or a number of bytes', "true"),
    Check.ALLOCATIONS.value: (_COUNT, "100_000"),
    "severity": (f"must be one of {', '.join(one.value for one in Severity)}", '"warning"'),
    "optional": ("must be true or false", "true"),
}
_OPENS = re.compile(r"\s*\[\[[\s\"']*(?:tool[\s\"'.]+memdeep[\s\"'.]+)?budget\b")


def title(in_project: bool) -> str:
    """Return the line that begins a budget, in `pyproject.toml` or in a file of our own."""
    return f"[[{'tool.memdeep.' if in_project else ''}{KEY}]]"


def read(path: Path, content: str, tables: object) -> tuple[Budget, ...]:
    """Return the budgets of ``tables``, the value of `KEY` in the file. Raises MemdeepError."""
    if tables is None:
        return ()
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        wanted = title(path.name == "pyproject.toml")
        raise _error(f"{path}: budget must be a list of tables.", f"Begin each with {wanted}.")
    lines = content.split("\n")
    begun = [number for number, line in enumerate(lines) if _OPENS.match(line)]
    found = []
    for place, table in enumerate(tables):
        rule = Rule(str(path), number=place + 1)
        own: list[str] = []
        if len(begun) == len(tables):  # else they are written in another way, or within a text
            rule = Rule(str(path), begun[place] + 1, place + 1)
            own = lines[begun[place] : [*begun, len(lines)][place + 1]]
        found.append(_budget(_Table(rule, own), table))
    return tuple(found)


class _Table:
    """The place of a budget in its file, for sentences on what is wrong with it."""

    def __init__(self, rule: Rule, lines: Sequence[str]) -> None:
        self.rule = rule
        self._lines = lines

    def where(self, key: str | None = None) -> str:
        """Name the file and the line of ``key``, or of the whole budget, as far as it is known."""
        line = self.rule.line
        if line is None:
            return f"{self.rule.path}, {KEY} {self.rule.number}"
        if key is not None:
            assigns = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=")
            line += next((at for at, text in enumerate(self._lines) if assigns.match(text)), 0)
        return f"{self.rule.path}:{line}"


def _budget(place: _Table, table: Mapping[str, Any]) -> Budget:
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("_", "-")
        if name not in _KEYS:
            shown = key if len(key) <= MAX_SHOWN else f"{key[: MAX_SHOWN - 1]}…"
            raise _error(f"{place.where(key)} sets '{shown}', which no budget has.", _meant(name))
        if name in values:
            raise _error(f"{place.where(key)} sets {name} a second time.", "Keep one of the two.")
        if not _fits(name, value):
            wrong, example = _KEYS[name]
            hint = f"Write, for example: {name} = {example}"
            raise _error(f"{place.where(key)}: {name} {wrong}.", hint)
        values[name] = value
    phase = values.get("phase")
    for name in values:
        _require_its_place(place, name, phase)
    given = ((check, values[name]) for name, check in _CHECKS.items() if name in values)
    limits = {check: _limit(value) for check, value in given}
    if not limits:
        hint = f"Add one of {', '.join(_CHECKS)}."
        raise _error(f"{place.where()}: the budget sets no limit.", hint)
    return Budget(
        limits=limits,
        rule=place.rule,
        phase=phase,
        severity=Severity(values.get("severity", "error")),
        optional=values.get("optional", False),
    )


def _require_its_place(place: _Table, name: str, phase: str | None) -> None:
    check = _CHECKS.get(name)
    is_of_phases = name == "optional" or check is Check.NO_GROWTH
    if phase is None and is_of_phases:
        raise _error(
            f"{place.where(name)}: {name} is for phases, and this budget is for the run.",
            f'Name the phases too, as in: phase = "load*"; or leave {name} out.',
        )
    if phase is not None and check is not None and check not in OF_PHASE:
        raise _error(
            f"{place.where(name)}: {name} is for the run, and this budget is for phases.",
            "Put it into a budget without a phase; of phases there is max-rise.",
        )


def _fits(name: str, value: object) -> bool:
    if name == "severity":
        return value in [one.value for one in Severity]
    if name == "optional":
        return isinstance(value, bool)
    if name == "phase":
        return isinstance(value, str) and value != ""
    if isinstance(value, bool):
        return value and name == Check.NO_GROWTH.value
    if isinstance(value, int):
        return 0 <= value <= MOST
    if name == Check.ALLOCATIONS.value or not isinstance(value, str):
        return False
    size = size_bytes(value)
    return size is not None and size <= MOST


def _limit(value: object) -> int | None:
    if value is True:
        return None
    return value if isinstance(value, int) else size_bytes(str(value))


def _meant(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, _KEYS, n=1)
    return f"Did you mean {near[0]}?" if near else f"A budget has {', '.join(_KEYS)}."


def _error(sentence: str, hint: str) -> MemdeepError:
    return MemdeepError(plain(sentence), plain(hint), EXIT_USAGE)


def shown(budget: Budget) -> Iterator[str]:
    """Yield what a budget sets, each as TOML has it."""
    if budget.phase is not None:
        yield f"phase = {toml_text(budget.phase)}"
    for check, limit in budget.limits.items():
        yield f"{check.value} = {'true' if limit is None else _shown_limit(check, limit)}"
    if budget.severity is not Severity.ERROR:
        yield f"severity = {toml_text(budget.severity.value)}"
    if budget.optional:
        yield "optional = true"


def _shown_limit(check: Check, limit: int) -> str:
    for place, unit in ((30, "G"), (20, "M"), (10, "K")):
        if limit and not check.is_count and limit % (1 << place) == 0:
            return toml_text(f"{limit >> place}{unit}")
    return f"{limit:_}"
