"""What is left of the old part of a run: written and read back, and told where it is damaged."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdeep.errors import CaptureError
from memdeep.rundir import condensed
from memdeep.rundir.condensed import NOTHING, Condensed
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.long_file import Left, read_left, read_lines
from memdeep.rundir.tail import Tail

counts = st.integers(0, 2**40)
lefts = st.builds(Left, st.binary(max_size=60), counts)


@given(
    st.builds(
        Condensed,
        until_us=counts,
        checkpoints=counts,
        events=counts,
        samples=counts,
        period_ms=counts,
        journal=lefts,
        mappings=lefts,
        samples_left=lefts,
    )
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, written: Condensed
) -> None:
    run_dir = RunDirectory(tmp_path_factory.getbasetemp())
    condensed.write(run_dir, 7, written)
    assert condensed.read(run_dir, 7) == written
    assert condensed.newest(run_dir) == written
    assert run_dir.condensed(7) in run_dir.files()


def test_nothing_is_left_out_where_nothing_was_merged(tmp_path: Path) -> None:
    assert condensed.read(RunDirectory(tmp_path), 0) == NOTHING
    assert condensed.newest(RunDirectory(tmp_path)) == NOTHING
    with pytest.raises(CaptureError, match="There is no file"):
        condensed.read(RunDirectory(tmp_path), 1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda fields: fields.pop("left"),
        lambda fields: fields["left"].pop("samples"),
        lambda fields: fields["left"]["journal"].update(offset=-1),
        lambda fields: fields["left"]["journal"].update(content=7),
        lambda fields: fields.update(until_us=2**62),
        lambda fields: fields.update(events="many"),
        lambda fields: fields.update(schema=2),
        lambda fields: fields.clear(),
    ],
)
def test_damage_is_told(tmp_path: Path, damage: object) -> None:
    run_dir = RunDirectory(tmp_path)
    condensed.write(run_dir, 1, Condensed(1, 2, 3, 4, 5))
    fields = json.loads(run_dir.condensed(1).read_bytes())
    damage(fields)  # type: ignore[operator]
    for content in (json.dumps(fields), "[]", "", "\0" * 9, "[" * 10**5):
        run_dir.condensed(1).write_text(content)
        with pytest.raises(CaptureError, match=r"condensed-1.json is damaged\."):
            condensed.read(run_dir, 1)
        assert condensed.newest(run_dir) == NOTHING


def test_the_rest_of_a_file_comes_after_what_was_left_of_it(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"first\n" + bytes(5000) + b"third\nfour")
    left = Left(b"first\nsecond\n", 5006)
    assert read_lines(path, 10, left=left).content == b"first\nsecond\nthird\nfour"
    assert read_left(path, left, 100) == b"first\nsecond\nthird\nfour"
    assert read_left(tmp_path / "none", left, 100) == b"first\nsecond\n"
    tail = Tail(path, left)
    assert tail.next_lines() == b"first\nsecond\n" and tail.is_behind
    assert tail.next_lines() == b"third\n" and not tail.is_behind
    with open(path, "ab") as file:
        file.write(b"th\n")
    assert tail.next_lines() == b"fourth\n"
    tail.close()


def test_no_more_is_asked_of_the_system_than_there_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    tracemalloc.start()
    try:
        assert read_left(tmp_path / "file", Left(b"of ", 4), 1 << 30) == b"of 456789"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
