"""A part goes on from a state: with the cuts that were made, and with those not known then."""

from __future__ import annotations

from pathlib import Path

import pytest
from captures import START_MS, CaptureWriter
from hypothesis import given
from hypothesis import strategies as st

from memdeep.errors import CaptureError
from memdeep.heap.parts import MARK, Part, TimeCut

pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")
from memdeep.heap.replay._replay import Replay  # noqa: E402
from memdeep.heap.replay.resume import resumed  # noqa: E402

LAST_MS = 50


def replayed(cuts: list[TimeCut]) -> Replay:
    """A replay with a record of the time each 10 ms up to LAST_MS, and these cuts."""
    writer = CaptureWriter()
    writer.push("one")
    for time_ms in range(0, LAST_MS + 1, 10):
        writer.allocate(0x1000 + 0x100 * time_ms, 10)
        writer.memory(4096, time_ms)
    engine = Replay()
    for cut in cuts:
        engine.cut(cut.time_ms, cut.after)
    writer.name_thread("a name that is so long that whatever is before it has been replayed by now")
    engine.feed(writer.content)
    return engine


def part_of(cuts: list[TimeCut]) -> Part:
    return Part(Path("capture.bin"), 0, 99, 3 + len(cuts), frozenset(range(3)), cuts=tuple(cuts))


times = st.lists(st.integers(0, 100), unique=True).map(sorted)


@given(before=times, now=times)
def test_all_that_was_cut_stays_and_what_comes_is_cut(before: list[int], now: list[int]) -> None:
    engine = replayed([TimeCut(time_ms, 0, 7) for time_ms in before])
    made = [time_ms for time_ms in before if time_ms <= LAST_MS]
    assert engine.cuts_made() == [(time_ms, 0) for time_ms in made]
    part = resumed(part_of([TimeCut(time_ms, 0, 1000 + time_ms) for time_ms in now]), engine)
    assert part.cuts == tuple(
        [TimeCut(one, 0, 1000 + one if one in now else MARK) for one in made]
        + [TimeCut(one, 0, 1000 + one) for one in now if one > LAST_MS]
    )
    assert part.markers == 3 + len(part.cuts)


@given(until_ms=st.integers(0, 120), now=times)
def test_nothing_later_is_cut_than_is_known(until_ms: int, now: list[int]) -> None:
    part = resumed(part_of([TimeCut(one, 0, one) for one in now]), Replay(), until_ms)
    assert [cut.time_ms for cut in part.cuts] == [one for one in now if one <= until_ms]


@pytest.mark.parametrize("time_ms", [15, 35, LAST_MS])
def test_a_checkpoint_that_was_not_known_then_is_an_error(time_ms: int) -> None:
    engine = replayed([TimeCut(20, 0), TimeCut(40, 0)])
    wanted = sorted([TimeCut(20, 0), TimeCut(40, 0), TimeCut(time_ms, 0)])
    with pytest.raises(CaptureError, match="before a checkpoint of the program was told of"):
        resumed(part_of(wanted), engine)
    assert engine.now()["time_ms"] == START_MS + LAST_MS
