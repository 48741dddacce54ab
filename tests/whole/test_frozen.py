"""`@frozen` makes the same data classes as `dataclasses` does, only quicker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.frozen import frozen


def made(decorate: Callable[[type], type]) -> Any:
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
VALUES = st.tuples(
    st.sampled_from("ab"), st.sampled_from([None, 0, 0.0, 1]), st.sampled_from([(), (1,)])
)


@given(VALUES, VALUES)
@examples(100)
def test_it_is_what_dataclasses_make(one: tuple[object, ...], other: tuple[object, ...]) -> None:
    quick, slow = Quick(*one), Slow(*one)
    assert repr(quick) == repr(slow)
    assert asdict(quick) == asdict(slow)
    assert quick.doubled == slow.doubled
    assert (quick == Quick(*other)) == (slow == Slow(*other))
    assert quick != slow
    if quick == Quick(*other):
        assert len({quick, Quick(*other)}) == 1
    assert replace(quick, name="c") == Quick("c", *one[1:])


def test_it_has_the_fields_the_defaults_and_the_slots() -> None:
    assert Quick("a") == Quick("a", None, ())
    assert [item.name for item in fields(Quick)] == ["name", "size", "parts"]
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
