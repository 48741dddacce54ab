"""The limits of a test: those of its marks, those of pytest-memray's, and those of all tests.

The nearest mark comes first. Knows no recording.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from memdeep.errors import EXIT_USAGE, MemdeepError
from memdeep.frozen import frozen
from memdeep.text import translation, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import pytest

MARK = "memdeep"
# The names of `memdeep.model.budget.Check`, by those of a mark.
CHECKS = {
    "max_growth": "max-growth",
    "max_rise": "max-rise",
    "max_allocations": "max-allocations",
}
NO_LEAK = "no_leak"
LEAST_REPEATS = 3
NOISE = -1  # the limit of a leak is what tracing itself leaves
_PLAIN = re.compile(r"(\d{1,15}) ?B?", re.ASCII | re.IGNORECASE)
_OFF = ("", "0", "false", "no", "off")
_ON = ("1", "true", "yes", "on")


@frozen
class Limits:
    """The limits of one test: of its call by their checks, and of what a repeat may leave.

    ``leak`` is None where leaks are not looked for.
    """

    call: Mapping[str, int]
    leak: int | None = None

    def __bool__(self) -> bool:
        return bool(self.call) or self.leak is not None


def of_all(read: Callable[[str], object]) -> Limits:
    """Return the limits that the configuration file has for all tests, by its key.

    Raises MemdeepError.
    """
    given = {}
    for name in (*CHECKS, NO_LEAK):
        value = read(f"memdeep_{name}")
        if value is not None and str(value).strip() != "":
            given[name] = str(value)
    return _limits(given, "memdeep_{}")


def of_test(item: pytest.Item, default: Limits, *, with_others: bool) -> Limits:
    """Return the limits of a test; ``with_others`` are pytest-memray's marks understood.

    Raises MemdeepError.
    """
    call, leak = dict(default.call), default.leak
    if with_others:
        memory = item.get_closest_marker("limit_memory")
        leaks = item.get_closest_marker("limit_leaks")
        if memory is not None:
            call["max-rise"] = _size(_first(memory, "memory_limit"), "limit_memory")
        if leaks is not None:
            leak = _size(_first(leaks, "location_limit"), "limit_leaks")
    for mark in reversed(list(item.iter_markers(MARK))):
        if mark.args:
            raise _error(
                f"A limit of a test has a name, and {mark.args[0]!r} has none.",
                'Write, for example: max_growth="10 MB"',
            )
        own = _limits({name: one for name, one in mark.kwargs.items() if one is not None}, "{}")
        call.update(own.call)
        for name in CHECKS:
            if name in mark.kwargs and mark.kwargs[name] is None:
                call.pop(CHECKS[name], None)
        if NO_LEAK in mark.kwargs:
            leak = own.leak
    return Limits(call, leak)


def _limits(given: Mapping[str, Any], shown: str) -> Limits:
    call: dict[str, int] = {}
    leak = None
    for name, value in given.items():
        where = shown.format(name)
        if name == NO_LEAK:
            leak = _leak(value, where)
        elif name == "max_allocations":
            call[CHECKS[name]] = _count(value, where)
        elif name in CHECKS:
            call[CHECKS[name]] = _size(value, where)
        else:
            known = ", ".join((*CHECKS, NO_LEAK))
            raise _error(f"A test has no limit {name}.", f"It may have {known}.")
    return Limits(call, leak)


def _first(mark: pytest.Mark, name: str) -> object:
    return mark.args[0] if mark.args else mark.kwargs.get(name)


def _leak(value: object, where: str) -> int | None:
    """Return the limit of a leak: True stands for what is noise, a size for itself."""
    text = str(value).strip().lower()
    if text in _OFF:
        return None
    return NOISE if text in _ON else _size(value, where)


def _count(value: object, where: str) -> int:
    text = str(value).replace("_", "").replace(",", "").strip()
    if isinstance(value, bool) or not text.isdecimal():
        raise _error(
            f"{where} must be a number of allocations, not {value!r}.", "Write, for example: 10_000"
        )
    return int(text)


def _size(value: object, where: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    text = value.strip() if isinstance(value, str) else ""
    plain = _PLAIN.fullmatch(text)
    size = int(plain[1]) if plain is not None else units.size_bytes(text)
    if size is None:
        raise _error(f"{where} must be a size, not {value!r}.", 'Write, for example: "10 MB"')
    return size


def check_repeats(repeats: int) -> None:
    """Raise MemdeepError if so many repeats are too few to tell growth from noise."""
    if repeats < LEAST_REPEATS:
        raise _error(
            f"--memdeep-repeat must be {LEAST_REPEATS} or more.",
            "With fewer repeats, growth cannot be told from noise.",
        )


def worded(error: MemdeepError) -> str:
    """Return an error and its hint in the language of the terminal."""
    return f"memdeep: {translation.here(error.message)}\n{translation.here(error.hint)}"


def _error(sentence: str, hint: str) -> MemdeepError:
    return MemdeepError(sentence, hint, EXIT_USAGE)
