"""A file is written wholly or not at all, and what fails has a sentence with the path."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from memdeep.errors import OutputError
from memdeep.rundir import files


def test_an_atomic_write_replaces_the_file_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    files.write_atomically(path, b"first")
    files.write_atomically(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.mkdir()  # a directory cannot be replaced by a file
    (path / "inside").write_text("kept")
    with pytest.raises(OutputError) as caught:
        files.write_atomically(path, b"new")
    assert str(path) in caught.value.message
    assert [file.name for file in tmp_path.rglob("*")] == ["report.json", "inside"]


def test_a_write_into_a_missing_directory_is_an_error_with_the_path(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "report.json"
    with pytest.raises(OutputError) as caught:
        files.write_atomically(path, b"new")
    assert str(path) in caught.value.message


def test_a_full_disk_is_called_a_full_disk() -> None:
    error = files.write_error(Path("x/capture.bin"), OSError(errno.ENOSPC, "No space left"))
    assert error.message == "Cannot write x/capture.bin: the disk is full."
    assert "space" in error.hint


def test_other_failures_give_the_reason_of_the_system() -> None:
    error = files.write_error(Path("x"), OSError(errno.EACCES, "Permission denied"))
    assert error.message == "Cannot write x: permission denied."
