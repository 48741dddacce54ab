"""Source lines are shown as they were when the program ran, or not at all."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

import pytest
from factories import frame, library, native, report

from memdeep.sources.lines import (
    CONTEXT_LINES,
    MAX_LINE_CHARACTERS,
    Executed,
    Sources,
    read_sources,
)

STARTED_S = 1_763_634_645
STARTED = datetime.fromtimestamp(STARTED_S, timezone.utc).isoformat()


def source(directory: Path, text: str | bytes, *, changed_s: float = STARTED_S - 60) -> str:
    path = directory / "prog.py"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(path, (changed_s, changed_s))
    return str(path)


NOTHING = Sources({})


def test_lines_keep_their_indent_and_are_known_by_file_and_number(tmp_path: Path) -> None:
    path = source(tmp_path, "def load():\n    return [加载] * 9  \n")
    assert read_sources([frame(filename=path, lineno=2)], STARTED).lines == {
        (path, 1): "def load():",
        (path, 2): "    return [加载] * 9",
    }


def test_the_users_lines_come_with_those_around_them(tmp_path: Path) -> None:
    path = source(tmp_path, "".join(f"line {number}\n" for number in range(1, 100)))
    own = read_sources([frame(filename=path, lineno=50)], STARTED).lines
    assert sorted(own) == [
        (path, number) for number in range(50 - CONTEXT_LINES, 51 + CONTEXT_LINES)
    ]
    others = read_sources([library(filename=path, lineno=50)], STARTED).lines
    assert others == {(path, 50): "line 50"}


@pytest.mark.parametrize(
    "name",
    [".env", ".env.local", "prod.env", "server.pem", "tls.key", "id_rsa", "id_ed25519.pub"]
    + ["client_secret.py", "credentials.py", "My_Passwords.py", ".netrc"],
)
def test_the_lines_of_a_file_that_looks_private_are_left_out(tmp_path: Path, name: str) -> None:
    path = Path(source(tmp_path, "token = 'x'\n")).rename(tmp_path / name)
    called = [frame(filename=str(path), lineno=1)]
    assert read_sources(called, STARTED) == Sources({}, (str(path),))
    asked = read_sources(called, STARTED, with_private=True)
    assert asked == Sources({(str(path), 1): "token = 'x'"})


@pytest.mark.parametrize(("mode", "is_private"), [(0o600, True), (0o400, True), (0o644, False)])
def test_a_file_that_only_its_owner_may_read_is_private(
    tmp_path: Path, mode: int, is_private: bool
) -> None:
    path = source(tmp_path, "x = 1\n")
    os.chmod(path, mode)
    found = read_sources([frame(filename=path, lineno=1)], STARTED)
    assert found.private_files == ((path,) if is_private else ())
    assert bool(found.lines) is not is_private


def test_the_files_of_libraries_are_nobodys_secrets(tmp_path: Path) -> None:
    path = Path(source(tmp_path, "x = 1\n")).rename(tmp_path / "credentials.py")
    assert read_sources([library(filename=str(path), lineno=1)], STARTED).lines


def test_a_file_changed_since_the_run_is_left_out(tmp_path: Path) -> None:
    path = source(tmp_path, "x = 1\n", changed_s=STARTED_S + 1)
    assert read_sources([frame(filename=path, lineno=1)], STARTED) == NOTHING


def test_without_a_start_the_file_is_shown_as_it_is(tmp_path: Path) -> None:
    path = source(tmp_path, "x = 1\n", changed_s=STARTED_S + 1)
    assert read_sources([frame(filename=path, lineno=1)], None).lines == {(path, 1): "x = 1"}


@pytest.mark.parametrize("lineno", [0, -1, 3, 10**9])
def test_a_line_that_is_not_there_is_left_out(tmp_path: Path, lineno: int) -> None:
    path = source(tmp_path, "x = 1\n\n")
    assert read_sources([frame(filename=path, lineno=lineno)], STARTED) == NOTHING


def test_a_blank_line_is_no_source(tmp_path: Path) -> None:
    path = source(tmp_path, "x = 1\n   \n")
    blank = frame(filename=path, lineno=2)
    found = read_sources([blank], STARTED)
    assert report(sources=found.lines).source(blank) is None


@pytest.mark.parametrize(
    "filename", ["", "<string>", "<frozen runpy>", "/missing/prog.py", "x\x00.py", "\udcff.py"]
)
def test_a_name_that_is_no_file_is_left_out(filename: str) -> None:
    assert read_sources([frame(filename=filename, lineno=1)], STARTED) == NOTHING


def test_a_directory_is_left_out(tmp_path: Path) -> None:
    os.utime(tmp_path, (STARTED_S - 60, STARTED_S - 60))
    assert read_sources([frame(filename=str(tmp_path), lineno=1)], STARTED) == NOTHING


def test_a_file_that_is_not_text_is_left_out(tmp_path: Path) -> None:
    path = source(tmp_path, b"\xff\xfe\x00\x81" * 20)
    assert read_sources([frame(filename=path, lineno=1)], STARTED) == NOTHING


def test_native_frames_have_no_source(tmp_path: Path) -> None:
    path = source(tmp_path, "int main;\n")
    assert read_sources([native(filename=path, lineno=1)], STARTED) == NOTHING


def test_a_very_long_line_is_cut(tmp_path: Path) -> None:
    path = source(tmp_path, "x = '" + "y" * 10_000 + "'\n")
    found = read_sources([frame(filename=path, lineno=1)], STARTED)
    assert len(found.lines[path, 1]) == MAX_LINE_CHARACTERS


def test_code_given_on_the_command_line_has_its_lines() -> None:
    frames = [frame(filename="<string>", lineno=number) for number in (1, 2, 3)]
    found = read_sources(frames, None, ("-c", "import os\n    kept = load()", "argument"))
    assert found.lines == {("<string>", 1): "import os", ("<string>", 2): "    kept = load()"}


def test_what_other_processes_executed_is_shown_as_it_was_for_them(tmp_path: Path) -> None:
    path = tmp_path / "written.py"
    path.write_text("kept = 1\n")
    frames = [frame(filename=str(path), lineno=1), frame(filename="<string>", lineno=2)]
    written_s = path.stat().st_mtime
    started = datetime.fromtimestamp(written_s - 5, timezone.utc).isoformat()
    given = Executed({2: "more = 2"}, {str(path): written_s + 1})
    shown = {(str(path), 1): "kept = 1", ("<string>", 2): "more = 2"}
    assert read_sources(frames, started, ("-c", "a\nb"), {}, given).lines == shown
    before = Executed({}, {str(path): written_s - 1})
    assert read_sources(frames, started, ("-c", "a\nb"), {}, before).lines == {}
