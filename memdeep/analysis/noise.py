"""The differences that two runs of one and the same program show, by figure.

Measured on five runs each of the bundled backtest and of a job with pandas, all pairs and phases:
between identical runs none of these is exceeded. One arena of Python's allocator more or less, at
either end of a phase, is chance unless every small object is traced.
"""

from __future__ import annotations

from memdeep.frozen import frozen
from memdeep.model.comparison import Figure

KIB = 1 << 10
MIB = 1 << 20


@frozen
class Tolerance:
    """A difference that is noise: up to ``share`` of the larger figure, or up to ``least``."""

    share: float
    least: float

    def of(self, before: float, after: float) -> float:
        """Return the largest difference between ``before`` and ``after`` that is noise."""
        return max(self.least, self.share * max(abs(before), abs(after)))


_HEAP = Tolerance(0.05, 4 * MIB)
_HEAP_DEEP = Tolerance(0.001, 4 * KIB)
# The highest moment may be one at which memdeep itself reads the mappings, or not: that takes some
# tens of KB, which are freed at once. Which checkpoints have a reading depends on the time.
_PEAK_DEEP = Tolerance(0.001, 128 * KIB)
_OTHERS = {
    Figure.ALLOCATIONS: Tolerance(0.01, 100),
    Figure.PEAK_RSS: Tolerance(0.10, 20 * MIB),
    Figure.RSS_GROWTH: Tolerance(0.10, 20 * MIB),
    Figure.DURATION: Tolerance(0.10, 0.1),
}


def tolerance(figure: Figure, *, is_deep: bool) -> Tolerance:
    """Return the tolerance for ``figure``; ``is_deep`` if every small object was traced."""
    if figure in _OTHERS:
        return _OTHERS[figure]
    if not is_deep:
        return _HEAP
    return _PEAK_DEEP if figure in (Figure.PEAK_HEAP, Figure.RISE) else _HEAP_DEEP


MANY_REPEATS = 6  # of which one step of an arena cannot move the median of the second half
_ARENA = MIB
_REPEAT = 64 * KIB
_REPEAT_DEEP = 4 * KIB


def of_repeat(repeats: int, *, is_deep: bool) -> int:
    """Return the growth of a repeat after the warm-up (`Trend.slope_bytes`) that is noise.

    It is a median: a step of an arena moves it only where the repeats are few.
    """
    if is_deep:
        return _REPEAT_DEEP
    return _REPEAT if repeats >= MANY_REPEATS else _ARENA
