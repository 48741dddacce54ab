"""Source lines are shown as they were when the program ran, or not at all."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

import pytest
from factories import frame, native

from memdeep.capture.sources import MAX_LINE_CHARACTERS, read_sources

STARTED_S = 1_763_634_645
STARTED = datetime.fromtimestamp(STARTED_S, timezone.utc).isoformat()


def source(directory: Path, text: str | bytes, *, changed_s: float = STARTED_S - 60) -> str:
    path = directory / "prog.py"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(path, (changed_s, changed_s))
    return str(path)


def test_lines_are_stripped_and_known_by_file_and_number(tmp_path: Path) -> None:
    path = source(tmp_path, "def load():\n    return [加载] * 9  \n")
    frames = [frame(filename=path, lineno=number) for number in (1, 2)]
    assert read_sources(frames, STARTED) == {
        (path, 1): "def load():",
        (path, 2): "return [加载] * 9",
    }


def test_a_file_changed_since_the_run_is_left_out(tmp_path: Path) -> None:
    path = source(tmp_path, "x = 1\n", changed_s=STARTED_S + 1)
    assert read_sources([frame(filename=path, lineno=1)], STARTED) == {}


def test_without_a_start_the_file_is_shown_as_it_is(tmp_path: Path) -> None:
    path = source(tmp_path, "x = 1\n", changed_s=STARTED_S + 1)
    assert read_sources([frame(filename=path, lineno=1)], None) == {(path, 1): "x = 1"}


@pytest.mark.parametrize("lineno", [0, -1, 3, 10**9])
def test_a_line_that_is_not_there_is_left_out(tmp_path: Path, lineno: int) -> None:
    path = source(tmp_path, "x = 1\n\n")
    assert read_sources([frame(filename=path, lineno=lineno)], STARTED) == {}


def test_a_blank_line_is_left_out(tmp_path: Path) -> None:
    path = source(tmp_path, "x = 1\n   \n")
    assert read_sources([frame(filename=path, lineno=2)], STARTED) == {}


@pytest.mark.parametrize(
    "filename", ["", "<string>", "<frozen runpy>", "/missing/prog.py", "x\x00.py", "\udcff.py"]
)
def test_a_name_that_is_no_file_is_left_out(filename: str) -> None:
    assert read_sources([frame(filename=filename, lineno=1)], STARTED) == {}


def test_a_directory_is_left_out(tmp_path: Path) -> None:
    os.utime(tmp_path, (STARTED_S - 60, STARTED_S - 60))
    assert read_sources([frame(filename=str(tmp_path), lineno=1)], STARTED) == {}


def test_a_file_that_is_not_text_is_left_out(tmp_path: Path) -> None:
    path = source(tmp_path, b"\xff\xfe\x00\x81" * 20)
    assert read_sources([frame(filename=path, lineno=1)], STARTED) == {}


def test_native_frames_have_no_source(tmp_path: Path) -> None:
    path = source(tmp_path, "int main;\n")
    assert read_sources([native(filename=path, lineno=1)], STARTED) == {}


def test_a_very_long_line_is_cut(tmp_path: Path) -> None:
    path = source(tmp_path, "x = '" + "y" * 10_000 + "'\n")
    found = read_sources([frame(filename=path, lineno=1)], STARTED)
    assert len(found[path, 1]) == MAX_LINE_CHARACTERS


def test_code_given_on_the_command_line_has_its_lines() -> None:
    frames = [frame(filename="<string>", lineno=number) for number in (1, 2, 3)]
    found = read_sources(frames, None, ("-c", "import os\n    kept = load()", "argument"))
    assert found == {("<string>", 1): "import os", ("<string>", 2): "kept = load()"}
