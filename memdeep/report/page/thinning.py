"""Thins a curve that has more points than can be drawn, without losing its heights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from memdeep.model import Sample

MAX_POINTS = 1500  # of a curve that is drawn


def thin(samples: Sequence[Sample], most: int) -> Sequence[Sample]:
    """Return at most ``most`` samples: the lowest and the highest of each group of neighbours.

    Half of the groups have the same number of samples, and half are equally long: so nothing is
    lost of a time that has many, nor of one that has few.
    """
    if len(samples) <= most:
        return samples
    count = max(1, (most - 2) // 4)
    sizes = [sample.bytes for sample in samples]
    kept = {0, len(samples) - 1}  # the ends stay: they are where the curve meets the axis
    for start, end in (*_alike(len(samples), count), *_equally_long(samples, count)):
        group = sizes[start:end]
        kept.add(start + group.index(min(group)))
        kept.add(start + group.index(max(group)))
    return [samples[place] for place in sorted(kept)]


def _alike(size: int, count: int) -> Iterator[tuple[int, int]]:
    step = -(-size // count)
    for start in range(0, size, step):
        yield start, min(size, start + step)


def _equally_long(samples: Sequence[Sample], count: int) -> Iterator[tuple[int, int]]:
    first_s = samples[0].time_s
    step_s = (samples[-1].time_s - first_s) / count
    start, until_s = 0, first_s + step_s
    for place, sample in enumerate(samples):
        if sample.time_s > until_s and place > start:
            yield start, place
            start = place
            while step_s > 0 and until_s < sample.time_s:
                until_s += step_s
    yield start, len(samples)
