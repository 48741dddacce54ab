"""What is reserved for a capture to grow is given back; what is written of it never is."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from memdeep.follow import reserve
from memdeep.follow.reserve import Reserves

MB = 1 << 20
WINDOW = 16 * MB
AHEAD_BYTES = 64 * MB  # so that files of gigabytes are not needed

# Writes as memray does, but lets its file double: `PATH MB`.
WRITER = f"""
import mmap, os, sys, time
path, most = sys.argv[1], int(sys.argv[2]) << 20
descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
size, block = 0, bytes(range(1, 129)) * 8192
for offset in range(0, most, {WINDOW}):
    if offset + {WINDOW} > size:
        grown = 2 * size + {WINDOW}
        os.posix_fallocate(descriptor, size, grown - size)
        size = grown
    with mmap.mmap(descriptor, {WINDOW}, offset=offset) as window:
        for place in range(0, {WINDOW}, len(block)):
            window[place:place + len(block)] = block
    time.sleep(0.02)
"""


def blocks(path: Path) -> int:
    return path.stat().st_blocks * 512


def grown(path: Path, written: int, size: int) -> Path:
    """A file of which so much is written, and the rest reserved."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.posix_fallocate(descriptor, 0, size)
    with mmap.mmap(descriptor, written) as window:
        window[:] = b"x" * written
    os.close(descriptor)
    return path


def test_a_little_stays_ahead_of_what_is_written(tmp_path: Path) -> None:
    path = grown(tmp_path / "capture.bin", 10 * MB, 400 * MB)
    reserves = Reserves(AHEAD_BYTES)
    reserves.step(path)
    assert blocks(path) == pytest.approx(10 * MB + 2 * AHEAD_BYTES, abs=2 * MB)
    assert path.stat().st_size == 400 * MB
    reserves.step(path)
    assert blocks(path) == pytest.approx(10 * MB + 2 * AHEAD_BYTES, abs=2 * MB)
    assert reserves.reserved_bytes(path) == pytest.approx(2 * AHEAD_BYTES, abs=2 * MB)
    reserves.restore()
    assert blocks(path) >= 400 * MB


def test_what_is_small_stays(tmp_path: Path) -> None:
    path = grown(tmp_path / "capture.bin", 10 * MB, 10 * MB + 2 * AHEAD_BYTES + 20 * MB)
    before = blocks(path)
    Reserves(AHEAD_BYTES).step(path)
    assert blocks(path) == before


def test_nothing_is_given_back_where_the_disk_is_short_of_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = grown(tmp_path / "capture.bin", 10 * MB, 400 * MB)
    monkeypatch.setattr(reserve, "ROOM_BYTES", 1 << 60)
    Reserves(AHEAD_BYTES).step(path)
    assert blocks(path) >= 400 * MB


def test_who_writes_on_meanwhile_is_not_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was quick, and had come near to what shall be given back since the first look."""
    path = grown(tmp_path / "capture.bin", 80 * MB, 400 * MB)
    monkeypatch.setattr("memdeep.heap.replay.saved.written_end", lambda capture: 10 * MB)
    Reserves(AHEAD_BYTES).step(path)
    assert blocks(path) >= 400 * MB
    with open(path, "rb") as file:
        assert file.read(80 * MB) == b"x" * (80 * MB)


def test_nothing_that_is_written_at_full_speed_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "capture.bin"
    reserves, most, given = Reserves(AHEAD_BYTES), 768, 0
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(most)]) as writer:
        while writer.poll() is None:
            if path.exists():
                reserves.step(path)
                given += blocks(path) < path.stat().st_size
    assert writer.returncode == 0
    assert given, "nothing was given back"
    block = bytes(range(1, 129)) * 8192
    with open(path, "rb") as file:
        assert all(file.read(len(block)) == block for _ in range(most))
