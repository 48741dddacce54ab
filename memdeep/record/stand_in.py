"""Objects in the place of functions in C: the program sees the function, and no frame of ours."""

import sys
from functools import partial
from operator import methodcaller

from memdeep.record.marks.frame import between, unlink_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    Call = Callable[..., Any]


def replace(module: str, name: str, make: "Callable[[Call], Call]") -> "Callable[[], None]":
    """Put another function in the place of ``name`` of ``module``, where the module has it.

    ``make`` makes it of the function that is there. `os` has its functions from another module;
    they are replaced in both. Return a function that puts back the real one wherever ours still is.
    """
    holder = sys.modules[module]
    real = getattr(holder, name, None)
    if real is None:
        return _nothing
    origin = sys.modules.get(getattr(real, "__module__", None) or "")
    holders = [one for one in (holder, origin) if getattr(one, name, None) is real]
    stand_in = in_place_of(real, make(real))
    for one in holders:
        setattr(one, name, stand_in)

    def put_back() -> None:
        for one in holders:
            if getattr(one, name, None) is stand_in:
                setattr(one, name, real)

    return put_back


def _nothing() -> None:
    """Put nothing back."""


def in_place_of(real: "Call", call: "Call") -> "Any":
    """Make an object that looks like ``real``, a function in C, and is called by ``call``.

    A class, so that no frame of ours is left in the traceback of what ``call`` raises: that is
    caught in here, and raised again by C, which calls `__init__` of what `__new__` has returned.
    No function would do for another reason: one in Python becomes a method where a class has it
    as an attribute.
    """
    call = between(call)

    def new(cls: type, *args: "Any", **kwargs: "Any") -> "Any":
        try:
            return call(*args, **kwargs)
        except BaseException as error:
            unlink_own(error)
            failed: Any = object.__new__(cls)
            failed.fail = partial(_finished().throw, error)
            return failed

    class Look(type):
        def __getattribute__(cls, name: str) -> "Any":
            # Only C asks for `__new__`, when the class is called.
            return type.__getattribute__(cls, name) if name == "__new__" else getattr(real, name)

        def __repr__(cls) -> str:
            return repr(real)

    class Function(metaclass=Look):
        __slots__ = ("fail",)
        __init__ = property(methodcaller("fail"))
        __new__ = between(new)

    return Function


def _finished() -> "Generator[None, None, None]":
    """Return a generator that is at its end: what is thrown into it comes out, from no frame."""
    generator: Generator[None, None, None] = (None for _ in ())
    for _ in generator:
        pass
    return generator
