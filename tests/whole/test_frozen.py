"""`@frozen` makes the same data classes as `dataclasses` does, only quicker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep import frozen as own
from memdeep.frozen import frozen


def made(decorate: Callable[[type], type], field: Callable[..., Any] = field) -> Any:
    @decorate
    class Thing:
        """A thing."""

        name: str
        size: int | None = None
        parts: tuple[int, ...] = field(default_factory=tuple)

        @property
        def doubled(self) -> str:
            return self.name * 2

    return Thing


Slow = made(dataclass(frozen=True, slots=True))
Quick = made(frozen)
Quickest = made(frozen, own.field)  # without `dataclasses`
VALUES = st.tuples(
    st.sampled_from("ab"), st.sampled_from([None, 0, 0.0, 1]), st.sampled_from([(), (1,)])
)


@given(VALUES, VALUES)
@examples(100)
def test_it_is_what_dataclasses_make(one: tuple[object, ...], other: tuple[object, ...]) -> None:
    quick, slow, quickest = Quick(*one), Slow(*one), Quickest(*one)
    assert repr(quickest) == repr(slow)
    assert asdict(quickest) == own.asdict(quickest) == own.asdict(quick) == asdict(slow)
    assert own.replace(quickest, name="c") == replace(quickest, name="c") == Quickest("c", *one[1:])
    assert repr(quick) == repr(slow)
    assert asdict(quick) == asdict(slow)
    assert quick.doubled == slow.doubled
    assert (quick == Quick(*other)) == (slow == Slow(*other))
    assert quick != slow
    if quick == Quick(*other):
        assert len({quick, Quick(*other)}) == 1
    assert replace(quick, name="c") == Quick("c", *one[1:])


def told(cls: type) -> list[tuple[object, ...]]:
    return [(one.name, one.type, one.default, one.default_factory) for one in fields(cls)]


def test_it_has_the_fields_the_defaults_and_the_slots() -> None:
    assert Quick("a") == Quick("a", None, ())
    assert told(Quick) == told(Quickest) == told(Slow)
    assert Quickest("a") == Quickest("a", None, ())
    assert not hasattr(Quick("a"), "__dict__")
    with pytest.raises(TypeError):
        Quick()


def test_what_a_class_defines_itself_stays() -> None:
    @frozen
    class Alike:
        size: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Alike)

        def __repr__(self) -> str:
            return "alike"

    assert Alike(1) == Alike(2)
    assert repr(Alike(1)) == "alike"
    assert Alike.__hash__ is None


def test_what_lies_within_is_told_by_its_fields_too() -> None:
    nested = Quickest("a", Quick("b"), ([Quickest("c")], {"d": Quick("e")}))
    assert own.asdict(nested) == asdict(nested)


def test_a_field_that_is_none_cannot_be_replaced() -> None:
    with pytest.raises(TypeError):
        own.replace(Quick("a"), colour="red")
