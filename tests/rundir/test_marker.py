"""The name that marks a checkpoint, and the list of where markers lay."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import ROOT

from memdeep.rundir import marker

PLACES = st.lists(st.tuples(st.integers(0, 2**70), st.integers(0, 10**30 - 1)), max_size=20)


@given(sequence=st.integers(0, 10**marker.DIGITS - 1))
def test_names_are_of_one_length_and_tell_the_number(sequence: int) -> None:
    name = marker.name(sequence)
    assert len(name) == len(marker.PREFIX) + marker.DIGITS
    assert int(name.removeprefix(marker.PREFIX)) == sequence


def test_the_replay_looks_for_the_same_name() -> None:
    source = Path(ROOT / "native" / "replay.hpp").read_text()
    assert re.search(rf'kPrefix\[\] = "{marker.PREFIX}";', source)
    assert re.search(rf"kDigits = {marker.DIGITS};", source)


@given(places=PLACES)
def test_places_come_back_as_they_were(places: list[tuple[int, int]]) -> None:
    assert marker.decode_places(marker.encode_places(places)) == places


@pytest.mark.parametrize("content", [b"1\n", b"1\t2\t3\n", b"1\tx\n", b"-1\t2\n", b"\xff", b"\0"])
def test_damaged_places_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        marker.decode_places(content)
