"""A line that refilled a buffer did not grow; one that kept more than was freed before did."""

from __future__ import annotations

import pytest
from factories import MB, frame, heap, lifetime, phase, tree

from memdeep.analysis.charges import Charge
from memdeep.analysis.charging import Charging
from memdeep.analysis.earlier import Replaced
from memdeep.model import EARLIER_FRAME, Earlier


@pytest.mark.parametrize(
    ("kept", "freed", "grew", "replaced"),
    [
        (20, 20, False, 20),  # a buffer
        (20, 19.5, False, 19.5),
        (9.6, 2.4, True, 2.4),  # one line does both: it has grown by 7.2 MB at the least
        (20, 0, True, 0),
        (0.5, 0, True, 0),
    ],
)
def test_what_is_more_than_was_freed_is_growth(
    kept: float, freed: float, grew: bool, replaced: float
) -> None:
    stacks, (before,) = tree([frame("main"), EARLIER_FRAME])
    held = phase("request")
    lives = [lifetime(before, 0, 1, bytes=round(freed * MB))] if freed else []
    found = heap(stacks, lives, earlier=Earlier(bytes=100 * MB))
    told = Replaced(found, [held], Charging(stacks, [held.outline], 2))
    charge = Charge((0,), "", 2, [lifetime(1, bytes=round(kept * MB))])
    assert told.may_be_growth(charge, round(kept * MB), MB) is grew
    assert told.at_most(charge, round(kept * MB), MB) == round(replaced * MB)
