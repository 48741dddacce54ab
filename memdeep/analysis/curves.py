"""Joins the readings of a run into the curves a timeline shows."""

from __future__ import annotations

from memdeep.model import Heap, Run, Sample


def heap_curve(run: Run, heap: Heap) -> tuple[Sample, ...]:
    """The heap over time: its exact figures at the checkpoints, and the readings in between."""
    figures = zip(run.checkpoints, heap.at_checkpoints, strict=True)
    at_checkpoints = [Sample(point.time_s, size) for point, size in figures if size is not None]
    return tuple(sorted([*at_checkpoints, *heap.curve], key=lambda sample: sample.time_s))
