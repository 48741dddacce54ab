"""Figures become text that is short, keeps its sign, and never claims to know the unknown."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memdeep.text import units

SIZES = st.integers(-(2**63), 2**63)
FACTORS = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40, "PB": 2**50}
SECONDS = st.floats(0, 1e9, allow_nan=False)
RATIOS = st.floats(-1e12, 1e12, allow_nan=False).map(lambda ratio: ratio + 0.0)  # no -0.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0 B"),
        (1, "1 B"),
        (345, "345 B"),
        (1023, "1023 B"),
        (1024, "1.0 KB"),
        (1536, "1.5 KB"),
        (2**20 - 1, "1.0 MB"),
        (345_297_715, "329.3 MB"),
        (-5 * 2**20, "−5.0 MB"),
        (999 * 2**20, "999.0 MB"),
        (1_069_337_805, "1.00 GB"),  # 1019.8 MB
        (1_073_741_824, "1.00 GB"),
        (3 * 2**30, "3.00 GB"),
        (10 * 2**30 - 1, "10.0 GB"),
        (2**62, "4096.0 PB"),
    ],
)
def test_sizes(value: int | None, text: str) -> None:
    assert units.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0"), (1, "+1 B"), (-1, "−1 B"), (2**20, "+1.0 MB"), (-(2**30), "−1.00 GB")],
)
def test_signed_sizes(value: int | None, text: str) -> None:
    assert units.signed_size(value) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (None, "–"),
        (0.0, "0 %"),
        (0.982, "98.2 %"),
        (0.9994, "99.9 %"),
        (0.9996, "100 %"),
        (1.0, "100 %"),
        (12.345, "1234 %"),
        (0.0123, "1.2 %"),
    ],
)
def test_percents(ratio: float | None, text: str) -> None:
    assert units.percent(ratio) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.0, "0 ms"),
        (0.000001, "<1 ms"),
        (0.000499, "<1 ms"),
        (0.0005, "<1 ms"),  # a tie, which would be rounded down to none
        (0.0006, "1 ms"),
        (0.012, "12 ms"),
        (0.9994, "999 ms"),
        (0.9994999999999999, "1.0 s"),  # times 1000 this is 999.5, which would read "1000 ms"
        (0.9995, "1.0 s"),
        (0.9996, "1.0 s"),
        (3.21, "3.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (125.0, "2 min 05 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (11_220.0, "3 h 07 min"),
        (360_000.0, "100 h 00 min"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 allocations"), (1, "1 allocation"), (2, "2 allocations"), (1204, "1,204 allocations")],
)
def test_counts(value: int, text: str) -> None:
    assert units.count(value, "allocation") == text


def read_back(text: str) -> float:
    amount, unit = text.split(" ")
    return float(amount.replace("−", "-")) * FACTORS[unit]


@given(value=SIZES)
def test_a_size_reads_back_within_its_rounding(value: int) -> None:
    text = units.size(value)
    unit = text.split(" ")[1]
    rounding = 0 if unit == "B" else 0.0501 * FACTORS[unit]
    assert abs(read_back(text) - value) <= rounding
    assert len(text) <= 11


@given(value=st.integers(2**10, 2**59))
@example(value=1_069_337_805)
@example(value=2**20 * 1000 - 1)
def test_no_size_has_four_digits_before_its_point(value: int) -> None:
    amount = units.size(value).split(" ")[0]
    assert len(amount.split(".")[0]) <= 3
    assert len(amount) >= 3


@given(value=SIZES)
def test_sizes_keep_their_sign(value: int) -> None:
    assert units.size(value).startswith("−") is (value < 0)
    assert units.signed_size(value).startswith("+") is (value > 0)
    assert units.signed_size(value).startswith("−") is (value < 0)


@given(first=SIZES, second=SIZES)
def test_a_larger_size_never_reads_smaller(first: int, second: int) -> None:
    low, high = sorted((first, second))
    assert read_back(units.size(low)) <= read_back(units.size(high))


@given(ratio=RATIOS)
def test_percents_keep_their_sign(ratio: float) -> None:
    text = units.percent(ratio)
    assert text.endswith(" %")
    assert text.startswith(("-", "−")) is (ratio < 0)


@given(seconds=SECONDS)
@example(seconds=0.0005)
def test_a_duration_reads_back_within_its_rounding(seconds: float) -> None:
    text = units.duration(seconds)
    assert text != "0 ms" or seconds == 0
    words = text.replace("<1", "0").split(" ")
    factors = {"ms": 0.001, "s": 1, "min": 60, "h": 3600}
    pairs = list(zip(words[::2], words[1::2], strict=True))
    read = sum(float(amount) * factors[unit] for amount, unit in pairs)
    seconds_least = 0.051 if len(pairs) == 1 else 0.51
    least = {"ms": 0.00051, "s": seconds_least, "min": 30.1}[pairs[-1][1]]
    assert abs(read - seconds) <= least
    assert all(float(amount) < 60 for amount, unit in pairs[1:])
