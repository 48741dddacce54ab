"""A compressed capture without lz4: memray's reader reads it, and the report says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from memdeep.heap import header, packed
from memdeep.heap.choice import PACKED, reason_for_memray
from memdeep.heap.replay import engine
from memdeep.loading.bare_capture import load_capture
from memdeep.model import Stretch
from memdeep.rundir.files import open_regular

pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")

PROGRAM = "kept = [bytearray(100_000) for _ in range(50)]"


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "capture.bin"
    command = [sys.executable, "-m", "memray", "run", "-q", "-o", str(path), "-c", PROGRAM]
    subprocess.run(command, check=True, capture_output=True)
    return path


def test_memrays_reader_unpacks_what_we_cannot(
    capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reason_for_memray(capture) is None
    ours = load_capture(capture).heap([[Stretch(0, 1)]], lambda step: None)
    monkeypatch.setattr(packed, "is_installed", lambda: False)
    assert reason_for_memray(capture) == PACKED
    recording = load_capture(capture)
    assert PACKED in recording.run.problems
    theirs = recording.heap([[Stretch(0, 1)]], lambda step: None)
    assert theirs.peak_bytes == ours.peak_bytes
    assert theirs.at_checkpoints == ours.at_checkpoints


def test_the_head_of_a_capture_is_read_once_to_choose_its_reader(
    capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def open_noted(path: Path) -> tuple[BinaryIO, int]:
        opened.append(path)
        return open_regular(path)

    for module in (header, packed, engine):
        monkeypatch.setattr(module, "open_regular", open_noted)
    assert reason_for_memray(capture) is None
    assert opened == [capture]
