"""The list of what was allocated before a trace: both its ends, and the replay that reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdeep.rundir.earlier import BLOCK, MAGIC, MAPPING, Record, decode, encode

replay = pytest.importorskip("memdeep.heap.replay._replay")

ADDRESSES = st.integers(1, (1 << 47) - 1).map(lambda number: number << 3)
SIZES = st.integers(1, 1 << 40)
RECORDS = st.lists(st.tuples(st.sampled_from([BLOCK, MAPPING]), ADDRESSES, SIZES), max_size=20)


@given(RECORDS, st.integers(0, 1 << 60))
def test_what_is_written_is_read_back(records: list[Record], pause_ns: int) -> None:
    assert decode(encode(records, pause_ns)) == (records, pause_ns)


@given(RECORDS)
def test_the_replay_reads_the_same(records: list[Record]) -> None:
    made = replay.Replay()
    assert made.put_in_earlier(encode(records))
    totals = made.totals()
    assert totals["earlier_blocks"] == len(records)
    assert totals["earlier_bytes"] == sum(size for *_, size in records)


@given(RECORDS, st.data())
def test_a_list_that_is_not_whole_is_no_list(records: list[Record], data: st.DataObject) -> None:
    whole = encode(records)
    for torn in (whole[: data.draw(st.integers(0, len(whole) - 1))], whole + b"\0"):
        with pytest.raises(ValueError, match="cut off|no list"):
            decode(torn)
        made = replay.Replay()
        assert not made.put_in_earlier(torn)
        assert made.totals()["earlier_blocks"] == 0


@given(st.binary(max_size=200))
def test_anything_may_be_read(content: bytes) -> None:
    for bytes_read in (content, MAGIC + content):
        made = replay.Replay()
        is_whole = made.put_in_earlier(bytes_read)
        assert made.totals()["earlier_blocks"] == 0 or is_whole
        made.finish()


def test_it_comes_before_the_capture() -> None:
    made = replay.Replay()
    made.finish()
    with pytest.raises(ValueError, match="finished"):
        made.put_in_earlier(encode([]))
