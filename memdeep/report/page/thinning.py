"""Thins curves to what can be seen. Knows no page."""

from __future__ import annotations

from collections.abc import Sequence

from memdeep.model import Sample


def thin(samples: Sequence[Sample], most: int) -> Sequence[Sample]:
    """At most ``most`` samples; of each group of neighbours the lowest and the highest stay."""
    if len(samples) <= most:
        return samples
    size = -(-len(samples) // ((most - 2) // 2))
    kept = {0, len(samples) - 1}  # the ends stay: they are where the curve meets the axis
    for start in range(0, len(samples), size):
        group = range(start, min(start + size, len(samples)))
        kept.add(min(group, key=lambda place: samples[place].bytes))
        kept.add(max(group, key=lambda place: samples[place].bytes))
    return [samples[place] for place in sorted(kept)]
