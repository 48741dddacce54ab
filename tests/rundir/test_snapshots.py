"""A line of snapshots.jsonl is read back as it was written, or refused."""

from __future__ import annotations

import subprocess
import sys

import pytest
from factories import ANY_TEXT, COUNTS
from hypothesis import given
from hypothesis import strategies as st

from memdeep.rundir import snapshots

STACKS = st.integers(0, 2**40)
PLACES = st.tuples(ANY_TEXT, COUNTS)
HELD = st.dictionaries(STACKS, st.tuples(COUNTS, COUNTS), max_size=5)
NEW = st.dictionaries(STACKS, st.lists(PLACES, max_size=4), max_size=5)


@given(sequence=COUNTS, peak_bytes=COUNTS, held=HELD, new=NEW)
def test_a_line_comes_back_as_it_was(
    sequence: int,
    peak_bytes: int,
    held: dict[int, tuple[int, int]],
    new: dict[int, list[tuple[str, int]]],
) -> None:
    line = snapshots.encode(sequence, peak_bytes, held, list(new.items()))
    assert line.count(b"\n") == 1
    read = snapshots.decode(line)
    assert (read.sequence, read.peak_bytes) == (sequence, peak_bytes)
    assert read.held == held
    assert read.new == new


@given(sequence=COUNTS, peak_bytes=COUNTS)
def test_a_total_that_has_hardly_changed_has_no_stacks(sequence: int, peak_bytes: int) -> None:
    read = snapshots.decode(snapshots.encode(sequence, peak_bytes))
    assert (read.sequence, read.peak_bytes) == (sequence, peak_bytes)
    assert (read.held, read.new) == (None, {})


def test_lines_are_those_of_earlier_versions() -> None:
    line = snapshots.encode(7, 900, {0: [800, 2]}, [(0, (("/a.py", 3), ("/b.py", 4)))])
    frames = b'[["/a.py", 3], ["/b.py", 4]]'
    expected = b'{"n": 7, "peak": 900, "stacks": [[0, 800, 2]], "new": [[0, ' + frames + b"]]}\n"
    assert line == expected


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nonsense",
        b"\0" * 10,
        b"[]",
        b'{"n": 1}',
        b'{"n": 1, "peak": -1}',
        b'{"n": 1, "peak": 1e400}',
        b'{"n": 1, "peak": 2, "stacks": [[1, 2]]}',
        b'{"n": 1, "peak": 2, "stacks": [[1e400, 2, 3]]}',
        b'{"n": 1, "peak": 2, "stacks": 3}',
        b'{"n": 1, "peak": 2, "new": [[1, [["/a.py"]]]]}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_line_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        snapshots.decode(line)


@given(line=st.binary(max_size=80))
def test_any_line_is_read_or_refused(line: bytes) -> None:
    try:
        read = snapshots.decode(line)
    except ValueError:
        return
    assert read.sequence >= 0


def test_it_imports_json_and_nothing_else() -> None:
    code = """
import json, sys
import memdeep.rundir
before = {*sys.modules}
import memdeep.rundir.snapshots
print(*({*sys.modules} - before))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["memdeep.rundir.snapshots"]
