"""What a phase kept is what its stretches allocated and is alive at the end of the last."""

from __future__ import annotations

from factories import (
    lifetimes_in,
)
from hypothesis import given
from hypothesis import strategies as st

from memdeep.analysis.kept import alive_at_last_ends
from memdeep.heap.lists import LifetimeList
from memdeep.model import Stretch


@given(st.data())
def test_what_is_kept_is_alive_at_the_end_of_the_last_stretch(data: st.DataObject) -> None:
    checkpoints = data.draw(st.integers(2, 12))
    lives = data.draw(lifetimes_in(3, checkpoints))
    spans = st.lists(st.integers(0, checkpoints - 1), min_size=2, max_size=8, unique=True)
    phases = [
        [Stretch(start, end) for start, end in zip(ends[::2], ends[1::2], strict=False)]
        for ends in map(sorted, data.draw(st.lists(spans, max_size=4)))
    ]
    found = alive_at_last_ends(LifetimeList(lives), phases, checkpoints)
    assert list(found) == [
        sum(
            life.bytes
            for life in lives
            if life.is_alive_at(stretches[-1].end)
            and any(stretch.start < life.born <= stretch.end for stretch in stretches)
        )
        for stretches in phases
    ]
