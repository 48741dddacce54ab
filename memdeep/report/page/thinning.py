"""Thins a curve that has more points than can be drawn, without losing its heights."""

from __future__ import annotations

from collections.abc import Sequence

from memdeep.model import Sample

MAX_POINTS = 1500  # of a curve that is drawn


def thin(samples: Sequence[Sample], most: int) -> Sequence[Sample]:
    """Return at most ``most`` samples: the lowest and the highest of each group of neighbours."""
    if len(samples) <= most:
        return samples
    size = -(-len(samples) // ((most - 2) // 2))
    sizes = [sample.bytes for sample in samples]
    kept = {0, len(samples) - 1}  # the ends stay: they are where the curve meets the axis
    for start in range(0, len(samples), size):
        group = sizes[start : start + size]
        kept.add(start + group.index(min(group)))
        kept.add(start + group.index(max(group)))
    return [samples[place] for place in sorted(kept)]
