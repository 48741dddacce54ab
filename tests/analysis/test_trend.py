"""A trend is the growth of a repeat once the warm-up is over."""

from __future__ import annotations

from factories import MB
from hypothesis import given
from hypothesis import strategies as st

from memdeep.analysis.trend import trend
from memdeep.model import Trend

DELTAS = st.lists(st.integers(-(2**40), 2**40), min_size=3, max_size=60)


def test_fewer_than_three_repeats_have_no_trend() -> None:
    assert trend([MB, MB]) is None


def test_equal_growth_is_all_slope() -> None:
    assert trend([MB] * 6) == Trend(6, 6, MB, 0, 0)


def test_a_large_first_repeat_is_warm_up() -> None:
    assert trend([50 * MB, MB, MB, MB, MB]) == Trend(5, 5, MB, 1, 49 * MB)


def test_a_cache_that_fills_up_has_no_slope() -> None:
    found = trend([10 * MB, 8 * MB, 3 * MB, 0, 0, 0, 0, 0])
    assert found == Trend(8, 3, 0, 3, 21 * MB)


def test_one_outlier_does_not_move_the_slope() -> None:
    found = trend([MB] * 9 + [900 * MB])
    assert found is not None
    assert found.slope_bytes == MB


@given(deltas=DELTAS, shift=st.integers(2, 5))
def test_the_slope_lies_within_the_growth_and_follows_its_unit(
    deltas: list[int], shift: int
) -> None:
    found = trend(deltas)
    assert found is not None
    assert min(deltas) <= found.slope_bytes <= max(deltas)
    assert 0 <= found.growing <= found.repeats == len(deltas)
    assert found.warm_up_bytes >= 0
    assert found.warm_up_repeats <= len(deltas) // 2
