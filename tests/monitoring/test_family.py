"""What a child's monitor tells its ancestors comes back whole, and damage is no member."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdeep.monitoring import family
from memdeep.monitoring.family import LINE_BYTES, MAX_LINES, Family, Member

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there are no files in memory")
SIZES = st.none() | st.integers(0, 2**63)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


def fields(member: Member) -> list[object]:
    return [getattr(member, name) for name in Member.__slots__]


@given(
    st.integers(1, 2**22), TEXTS, st.tuples(SIZES, SIZES, SIZES), st.integers(0), st.none() | TEXTS
)
def test_a_line_is_of_one_length_and_comes_back(
    pid: int,
    name: str,
    sizes: tuple[int | None, int | None, int | None],
    count: int,
    label: str | None,
) -> None:
    count %= 10**12
    line = family._encode(Member(pid, name, sizes, count, label))
    assert len(line) == LINE_BYTES
    read = family._decode(line)
    assert read is not None
    assert (read.pid, read.checkpoints) == (pid, count)
    assert (read.start_bytes, read.last_bytes, read.peak_bytes) == sizes
    assert (read.peak_label is None) == (label is None)
    again = family._decode(family._encode(read))
    assert again is not None
    assert fields(again) == fields(read)


@given(st.binary(max_size=LINE_BYTES))
def test_no_bytes_crash_the_reader_of_lines(content: bytes) -> None:
    family._decode(content)


def test_a_child_finds_its_parent_and_no_more_than_there_is_room_for() -> None:
    parent = Family()
    try:
        os.ftruncate(parent._own, LINE_BYTES * (MAX_LINES - 1))
        for name in ("last", "none"):
            pid = os.fork()
            if pid == 0:
                Family().tell(Member(os.getpid(), name, (1, 2, 3), 4, "x"))
                os._exit(0)
            os.waitpid(pid, 0)
        (only,) = parent.members()
        assert only.name == "last"
        assert (only.start_bytes, only.last_bytes, only.peak_bytes) == (1, 2, 3)
    finally:
        parent.close()
    assert parent.members() == []


def test_a_number_that_has_become_another_files_is_left_alone() -> None:
    one = Family()
    fd = one._own
    other = os.open("/dev/null", os.O_RDONLY)
    os.dup2(other, fd)
    os.close(other)
    assert one.members() == []
    one.close()
    os.fstat(fd)
    os.close(fd)
