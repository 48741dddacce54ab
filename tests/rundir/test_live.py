"""`live.json` is read back as it was written, and nothing else is taken for one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lives import line, lived

from memdeep.errors import CaptureError
from memdeep.rundir import live
from memdeep.rundir.live import MOST_LINES, LiveLine, LiveProcess

PATH = Path("run/live.json")
COUNTS = st.integers(0, 2**62)
LINES = st.builds(
    LiveLine,
    st.text(),
    COUNTS,
    st.text(),
    st.sampled_from(["user", "library"]),
    st.none() | st.text(),
    COUNTS,
    COUNTS,
    st.integers(-(2**62), 2**62),
    COUNTS,
)


@given(st.lists(LINES, max_size=5), st.text())
def test_it_is_read_back_as_it_was_written(lines: list[LiveLine], name: str) -> None:
    process = LiveProcess(name, None, is_running=False, processes=0, verdict="killed")
    made = lived(*lines, process=process)
    assert live.decode(live.encode(made), PATH) == made


def test_a_file_is_replaced_at_once_and_none_is_none(tmp_path: Path) -> None:
    path = tmp_path / "live.json"
    assert live.read(path) is None
    for made in (lived(line("a.py", 3)), lived()):
        live.write(path, made)
        assert live.read(path) == made
    assert [found.name for found in tmp_path.iterdir()] == ["live.json"]


def damaged(*path: str | int, value: Any) -> bytes:
    content = json.loads(live.encode(lived(line("a.py", 3))))
    at = content
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        live.encode(lived())[:-20],
        damaged("schema", value=2),
        damaged("elapsed_s", value=float("nan")),
        damaged("elapsed_s", value="1"),
        damaged("lines", 0, "alive_bytes", value=-1),
        damaged("lines", 0, "alive_bytes", value=1.5),
        damaged("lines", 0, "alive_bytes", value=True),
        damaged("lines", 0, "file", value=None),
        damaged("lines", 0, "more", value=1),
        damaged("lines", value=[{}]),
        damaged("heap_curve", "values", value=[-1]),
        damaged("process", "is_running", value=1),
        damaged("memory", value=None),
    ],
)
def test_what_is_no_such_file_is_refused(content: bytes) -> None:
    with pytest.raises(CaptureError, match="damaged or was written by another version"):
        live.decode(content, PATH)


def test_more_lines_than_there_may_be_are_refused() -> None:
    lines = [line(f"{number}.py", 1) for number in range(MOST_LINES)]
    assert len(live.decode(live.encode(lived(*lines)), PATH).lines) == MOST_LINES
    with pytest.raises(CaptureError):
        live.decode(live.encode(lived(*lines, line("one more.py", 1))), PATH)
