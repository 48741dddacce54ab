"""Measures growth that repeats: how much each repeat adds, without the warm-up."""

from __future__ import annotations

from collections.abc import Sequence

from memdeep.model import Trend

MIN_REPEATS = 3
WARM_UP_FACTOR = 2.0  # a first repeat that grows more than this many times the slope is warm-up
MIN_WARM_UP_BYTES = 64 << 10


def trend(deltas_bytes: Sequence[int]) -> Trend | None:
    """Find the trend in the growth of each repeat, in order; None for fewer than three.

    The slope is the median of the second half, so neither a warm-up nor one outlier moves it
    (compare the Theil-Sen estimator, which is a median of slopes for the same reason).
    """
    if len(deltas_bytes) < MIN_REPEATS:
        return None
    from statistics import median  # takes longer to import than most reports have use for

    slope = round(median(deltas_bytes[len(deltas_bytes) // 2 :]))
    most = max(WARM_UP_FACTOR * slope, slope + MIN_WARM_UP_BYTES)
    warm_up = 0
    while warm_up < len(deltas_bytes) // 2 and deltas_bytes[warm_up] > most:
        warm_up += 1
    return Trend(
        repeats=len(deltas_bytes),
        growing=sum(delta > 0 for delta in deltas_bytes),
        slope_bytes=slope,
        warm_up_repeats=warm_up,
        warm_up_bytes=sum(deltas_bytes[:warm_up]) - warm_up * slope,
    )
