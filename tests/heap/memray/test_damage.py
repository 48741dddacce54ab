"""memray's reader is given a changed copy where the capture itself may not be changed."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from memdeep.errors import CaptureError
from memdeep.heap.memray.damage import read_confined


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "capture.bin"
    path.write_bytes(b"before MARK after")
    return path


def read(path: Path, inside: object) -> tuple[str, bytes]:
    return str(path), path.read_bytes()


def test_a_copy_has_the_changes_and_goes_when_it_was_read(capture: Path) -> None:
    descriptors = set(os.listdir("/dev/fd"))
    path, content = read_confined(capture, {7: b"mark"}, read, lambda step: None)
    assert content == b"before mark after"
    assert path != str(capture)
    assert capture.read_bytes() == b"before MARK after"
    assert set(os.listdir("/dev/fd")) == descriptors
    assert [entry.name for entry in capture.parent.iterdir()] == ["capture.bin"]


def test_without_changes_the_capture_itself_is_read(capture: Path) -> None:
    found = read_confined(capture, {}, read, lambda step: None)
    assert found == (str(capture), b"before MARK after")


def test_no_room_for_a_copy_is_an_error_with_its_place(
    capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(CaptureError) as caught:
        read_confined(capture, {7: b"mark"}, read, lambda step: None)
    assert "a copy of capture.bin: the disk is full" in caught.value.message
    assert "TMPDIR" in caught.value.hint
