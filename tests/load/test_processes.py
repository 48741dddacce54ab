"""What is made of the readings of processes from outside."""

from __future__ import annotations

from dataclasses import replace

from factories import MB, process

from memdeep.load.processes import highest_sum
from memdeep.model import Sample


def test_readings_before_the_start_are_not_added_up() -> None:
    """They have the time 0, all of them: of each process the last one counts."""
    program = replace(process(1), curve=(Sample(0.0, 10 * MB), Sample(0.0, 20 * MB)))
    child = replace(process(2), curve=(Sample(0.0, 5 * MB), Sample(1.0, 6 * MB)))
    assert highest_sum([program, child]) == 25 * MB
