"""Frozen data classes that are quickly made: a report makes more than a hundred of them.

`@frozen` stands for `@dataclass(frozen=True, slots=True)`; `field`, `replace` and `asdict` do what
those of `dataclasses` do, with such classes alone. But `dataclasses` compiles six functions for a
class, which was a quarter of the time of a small report; here one is compiled. That a field is not
set later is for the type checker to hold: so objects are made three times as fast, too.

`dataclasses` itself is imported where somebody asks for the fields of a class: it takes as long to
import as a Python takes to start, and the program that is to be recorded waits for that.

To make one by keywords takes three times as long as by position, for CPython puts these in a
dictionary first. The modules that make one for each of many thousand phases do it by position.
"""

from __future__ import annotations

from operator import attrgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import asdict, field, replace
    from typing import Any, TypeVar

    from typing_extensions import dataclass_transform

    Class = TypeVar("Class")
else:

    def dataclass_transform(**_):
        """Return what leaves a function as it is: type checkers alone look at it."""
        return lambda function: function

    def field(**how):
        """Say how a field is to be made: by a ``default`` or a ``default_factory``."""
        return _Given(how)

    def replace(thing, /, **changes):
        """Return a copy of ``thing`` with these fields changed. Raises TypeError for others."""
        take = changes.pop
        values = [
            take(name) if name in changes else getattr(thing, name) for name in thing.__match_args__
        ]
        return type(thing)(*values, **changes)

    def asdict(thing):
        """Return the fields of ``thing`` by name; those in them and in its tuples as well."""
        return {name: _plain(getattr(thing, name)) for name in thing.__match_args__}


__all__ = ["asdict", "field", "frozen", "replace"]

MISSING: Any = object()


class _Given:
    """What a class says of a field in the place of its value."""

    def __init__(self, how: dict[str, Any]) -> None:
        self.how = how


class _Asked:
    """An attribute that `dataclasses` makes, made when it is asked for."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __set_name__(self, owner: type, name: str) -> None:
        self._owner, self._name = owner, name

    def __get__(self, _instance: object, _owner: type) -> Any:
        import dataclasses

        said = {
            name: dataclasses.field(**value.how) if isinstance(value, _Given) else value
            for name, value in self._values.items()
        }
        about = {name: getattr(self._owner, name) for name in ("__annotations__", "__module__")}
        # For one without a docstring `dataclasses` writes down its signature, which takes longest.
        plain = type(self._owner.__name__, (), {**said, **about, "__doc__": self._name})
        made: Any = dataclasses.dataclass(init=False, eq=False, repr=False)(plain)
        found = getattr(made, self._name)
        setattr(self._owner, self._name, found)
        return found


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[Class]) -> type[Class]:
    """Make a frozen data class with slots; what it defines itself stays.

    Two of one class are equal if all their fields are.
    """
    names = tuple(cls.__annotations__)
    values: Callable[[object], object] = attrgetter(*names)

    def __repr__(self: object) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    def __eq__(self: object, other: object) -> bool:
        return values(self) == values(other) if type(self) is type(other) else NotImplemented

    def __hash__(self: object) -> int:
        return hash(values(self))

    own = dict(cls.__dict__)
    for name in ("__dict__", "__weakref__"):
        own.pop(name, None)
    given = {name: own.pop(name) for name in names if name in own}
    for method in (__repr__, __eq__, __hash__):
        own.setdefault(method.__name__, method)
    own["__slots__"] = own["__match_args__"] = names
    for name in ("__dataclass_fields__", "__dataclass_params__"):
        own[name] = _Asked(given)
    own["__init__"] = _maker(cls, names, given)
    kind: Any = type(cls)
    made: type[Class] = kind(cls.__name__, cls.__bases__, own)
    made.__qualname__ = cls.__qualname__
    return made


def _maker(cls: type, names: tuple[str, ...], given: dict[str, Any]) -> Callable[..., None]:
    """Compile the `__init__` of a data class, which takes all its fields."""
    scope: dict[str, Any] = {"MISSING": MISSING}
    words, steps = ["self"], []
    for name in names:
        default = f"default_{name}"
        value, word = name, name
        if name in given:
            how = _how(given[name])
            if "default_factory" in how:
                scope[default] = how["default_factory"]
                value, word = f"{default}() if {name} is MISSING else {name}", f"{name}=MISSING"
            elif "default" in how:
                scope[default] = how["default"]
                word = f"{name}={default}"
        words.append(word)
        steps.append(f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        steps.append("self.__post_init__()")
    exec(f"def __init__({', '.join(words)}): {'; '.join(steps)}", scope)
    made: Callable[..., None] = scope["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _how(value: Any) -> dict[str, Any]:
    """Return how a field is to be made, of which a class says this."""
    if type(value).__module__ == "dataclasses":  # its own `field`, of a module that has it anyway
        from dataclasses import MISSING as NOTHING

        how = {name: getattr(value, name) for name in ("default", "default_factory")}
        return {name: said for name, said in how.items() if said is not NOTHING}
    return value.how if isinstance(value, _Given) else {"default": value}


def _plain(value: Any) -> Any:
    if type(value) in (tuple, list):
        return type(value)(map(_plain, value))
    if type(value) is dict:
        return {_plain(key): _plain(one) for key, one in value.items()}
    return asdict(value) if "__dataclass_fields__" in type(value).__dict__ else value
