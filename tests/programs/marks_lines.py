# A comment before the docstring.
"""The doc of the module."""

from __future__ import annotations

import sys
import traceback

values = [
    1,
    2,
]


def documented(count: int) -> int:
    """The doc of documented."""
    total = 0
    for number in range(count):
        total += number

    # The line above is blank.
    while total > 100:
        total -= 1
    else:
        total += 0
    return total


@staticmethod
@property
def decorated() -> None:
    pass


class Holder:
    """The doc of Holder."""

    __slots__ = ("__value",)

    def documented(self) -> str:
        "The doc of the method."

    def choose(self, value: int) -> str:
        if value == 1:
            return "one"
        elif value == 2:  # noqa: RET505
            return "two"
        try:
            return {3: "three"}[value]
        except KeyError:
            return "many"
        finally:
            self.__value = value


def matched(value: object) -> str:
    match value:
        case 1:
            return "one"
        case [_, *_]:
            return "list"
    return "other"


def steps():
    yield 1
    x = 2; yield x  # noqa: E702  # fmt: skip


def fail(value: int) -> float:
    return (
        value
        / 0
    )  # fmt: skip


print(__doc__, documented(4), documented.__doc__, documented.__code__.co_firstlineno)
print(Holder.__doc__, Holder().documented(), Holder.documented.__doc__, fail.__doc__)
holder = Holder()
print([holder.choose(value) for value in range(1, 5)], matched(1), matched([2]), matched(3))
print(list(steps()), documented.__annotations__, sys._getframe().f_lineno)
print(sorted(name for name in globals() if "mark" in name), documented.__code__.co_consts[0])
try:
    fail(1)
except ZeroDivisionError:
    traceback.print_exc()
fail(2)
