"""The heap's curve goes through its exact figures at the checkpoints."""

from __future__ import annotations

from factories import MB, frame, heap, lifetime, run, tree

from memdeep.analysis.phases import heap_curve
from memdeep.model import Sample


def test_checkpoints_and_readings_are_one_curve_in_time() -> None:
    stacks, (node,) = tree([frame()])
    readings = (Sample(0.5, 3), Sample(1.5, 4))
    held = heap(stacks, [lifetime(node, 1, bytes=MB)], 3, curve=readings)
    assert heap_curve(run("loaded"), held) == (
        Sample(0.0, 0),
        Sample(0.5, 3),
        Sample(1.0, MB),
        Sample(1.5, 4),
        Sample(2.0, MB),
    )
