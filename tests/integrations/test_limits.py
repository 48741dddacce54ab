"""The limits of a test, as marks and the configuration file give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from memdeep.errors import MemdeepError
from memdeep.integrations.limits import NOISE, Limits, check_repeats, of_all, of_test, worded

NONE = Limits({})


class Item:
    """A test with marks, the nearest first."""

    def __init__(self, *marks: pytest.MarkDecorator) -> None:
        self._marks = [mark.mark for mark in marks]

    def iter_markers(self, name: str) -> Sequence[pytest.Mark]:
        return [mark for mark in self._marks if mark.name == name]

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return next(iter(self.iter_markers(name)), None)


def limits(*marks: pytest.MarkDecorator, default: Limits = NONE, others: bool = True) -> Limits:
    item: Any = Item(*marks)
    return of_test(item, default, with_others=others)


@pytest.mark.parametrize(
    ("given", "size"),
    [("10 MB", 10 << 20), ("1.5GiB", 3 << 29), ("32k", 32 << 10), ("7 B", 7), ("7", 7), (7, 7)],
)
def test_sizes_are_read_as_everywhere_in_memdeep_and_in_pytest_memray(
    given: object, size: int
) -> None:
    assert limits(pytest.mark.memdeep(max_growth=given)).call == {"max-growth": size}
    assert limits(pytest.mark.limit_memory(given)).call == {"max-rise": size}
    assert limits(pytest.mark.limit_leaks(location_limit=given)) == Limits({}, size)


def test_the_nearest_mark_comes_first_and_none_takes_a_limit_off() -> None:
    marks = (
        pytest.mark.memdeep(max_growth="1 MB", max_rise=None),
        pytest.mark.memdeep(max_growth="2 MB", max_allocations=5, no_leak=True),
    )
    default = Limits({"max-rise": 1, "max-allocations": 1}, 100)
    found = limits(*marks, default=default)
    assert found == Limits({"max-growth": 1 << 20, "max-allocations": 5}, NOISE)
    off = pytest.mark.memdeep(no_leak=False)
    assert limits(off, *marks, default=default).leak is None
    assert limits(pytest.mark.limit_memory("1 MB"), others=False) == NONE


def test_the_configuration_has_limits_of_all_tests() -> None:
    texts = {"memdeep_max_growth": " 1 MB ", "memdeep_max_allocations": "10_000", "other": "x"}
    assert of_all(texts.get) == Limits({"max-growth": 1 << 20, "max-allocations": 10_000})
    assert of_all({"memdeep_no_leak": "true"}.get) == Limits({}, NOISE)
    assert not of_all({"memdeep_no_leak": "false", "memdeep_max_rise": ""}.get)


@pytest.mark.parametrize(
    "mark",
    [
        pytest.mark.memdeep("10 MB"),
        pytest.mark.memdeep(max_grwth="10 MB"),
        pytest.mark.memdeep(max_growth="many"),
        pytest.mark.memdeep(max_growth=-1),
        pytest.mark.memdeep(max_growth=True),
        pytest.mark.memdeep(max_allocations=1.5),
        pytest.mark.memdeep(no_leak="perhaps"),
        pytest.mark.limit_memory(),
    ],
)
def test_what_makes_no_sense_is_told_with_what_to_do(mark: pytest.MarkDecorator) -> None:
    with pytest.raises(MemdeepError) as told:
        limits(mark)
    sentence, hint = worded(told.value).splitlines()
    assert sentence.startswith("memdeep: ") and hint


def test_growth_is_not_told_from_two_repeats() -> None:
    check_repeats(3)
    with pytest.raises(MemdeepError):
        check_repeats(2)
