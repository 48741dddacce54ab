"""The front of a capture that still grows loses nothing, whenever and however it was made."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memdeep.errors import CaptureError
from memdeep.follow.shrink import Shrinker
from memdeep.heap import front, packed
from memdeep.heap.front import KEPT_BYTES, MOST_PIECES, PIECE_BYTES, Front
from memdeep.heap.replay import saved
from memdeep.rundir.directory import front_of

MB = 1 << 20
TAIL = bytes(MB)  # that memray has reserved


def some_content(size: int) -> bytes:
    """Bytes without many zeros in a row, that can be compressed."""
    words = [random.Random(number).randbytes(4096) + bytes(30) for number in range(16)]
    random.seed(size)
    return b"".join(random.choice(words) for _ in range(size // 4126 + 1))[:size]


CONTENT = some_content(50 * MB)


def read(capture: Path, offset: int = 0) -> bytes:
    with open(capture, "rb") as file:
        return b"".join(front.pieces(capture, file, offset)).rstrip(b"\0")


def shrink(capture: Path, stop: int | None = None) -> None:
    shrinker = Shrinker()
    while shrinker.step(capture, stop):
        pass


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "capture.bin"
    path.write_bytes(CONTENT + TAIL)
    return path


@given(
    ends=st.lists(st.integers(1, len(CONTENT)), min_size=1, max_size=5).map(sorted),
    stop=st.none() | st.integers(0, len(CONTENT)),
    is_anew=st.booleans(),
    offset=st.integers(0, len(CONTENT) - 1),
)
@settings(max_examples=25, deadline=None)
def test_what_is_read_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    ends: list[int],
    stop: int | None,
    is_anew: bool,
    offset: int,
) -> None:
    place = tmp_path_factory.mktemp("law")
    capture = place / "capture.bin"
    capture.write_bytes(TAIL)
    shrinker, done = Shrinker(), 0
    with open(capture, "r+b") as file:
        for end in ends:
            file.seek(done)
            file.write(CONTENT[done:end] + TAIL)
            file.flush()
            done = end
            if is_anew:  # as after whoever compresses was killed
                shrinker = Shrinker()
            while shrinker.step(capture, stop):
                pass
    known = Front(capture)
    most = done if stop is None else min(stop, done)
    assert known.end <= max(0, most)
    if most == done >= KEPT_BYTES + PIECE_BYTES + front.BEHIND_BYTES + 64:
        assert done - known.end < PIECE_BYTES + front.BEHIND_BYTES + 64
        assert capture.stat().st_blocks * 512 < done - known.end + 2 * KEPT_BYTES + len(TAIL)
        assert not saved.is_holed(capture)
        assert not saved.is_readable_by_memray(capture)
        taken, is_whole = saved.left_of(capture)
        assert is_whole
        assert taken == capture.stat().st_blocks * 512 + front_of(capture).stat().st_size
    written = CONTENT[:done]
    assert read(capture) == written.rstrip(b"\0")
    assert read(capture, offset) == written[offset:].rstrip(b"\0")
    front.pack(capture, {min(offset, done - 1): b"\x07"})
    assert not front_of(capture).exists()
    with open(capture, "rb") as file:
        assert packed.is_packed(file)
        expected = bytearray(written)
        expected[min(offset, done - 1)] = 7
        assert b"".join(packed.unpacked(file)) == bytes(expected).rstrip(b"\0")
    shutil.rmtree(place)


@pytest.mark.parametrize("lost", [1, 9, 1000, 100_000])
def test_what_is_torn_at_its_end_was_never_given_back(capture: Path, lost: int) -> None:
    shrink(capture, 30 * MB)
    size = front_of(capture).stat().st_size
    before = capture.read_bytes()
    Shrinker().step(capture)  # begun anew, it goes on
    with open(front_of(capture), "r+b") as file:
        file.truncate(max(size, front_of(capture).stat().st_size - lost))
    with open(capture, "r+b") as file:  # the machine stopped before anything was given back
        file.write(before)
    assert read(capture) == CONTENT
    shrink(capture)
    assert read(capture) == CONTENT
    assert Front(capture).end > len(CONTENT) - PIECE_BYTES - KEPT_BYTES


def test_zeros_in_its_last_pieces_were_never_given_back(capture: Path) -> None:
    shrink(capture, KEPT_BYTES + 2 * PIECE_BYTES)
    before = capture.read_bytes()
    size = front_of(capture).stat().st_size
    assert Shrinker().step(capture)
    with open(front_of(capture), "r+b") as file:  # its length was written, its content not
        file.seek(size + 5000)
        file.write(bytes(200_000))
    with open(capture, "r+b") as file:
        file.write(before)
    assert Front(capture).end == KEPT_BYTES + 2 * PIECE_BYTES
    assert read(capture) == CONTENT


@pytest.mark.parametrize("what", ["magic", "start", "first piece", "cut", "other length"])
def test_damage_is_told(capture: Path, what: str) -> None:
    shrink(capture)
    path = front_of(capture)
    content = bytearray(path.read_bytes())
    pieces = (Front(capture).end - KEPT_BYTES) // PIECE_BYTES
    assert pieces > MOST_PIECES
    if what == "magic":
        content[0] ^= 1
    elif what == "start":
        content[8] ^= 1
    elif what == "first piece":
        content[3000] ^= 1
    elif what == "cut":
        del content[len(content) // 2 :]
    else:
        content[16] ^= 1
    path.write_bytes(content)
    with pytest.raises(CaptureError, match="damaged") as raised:
        read(capture)
    assert "Restore it from a copy" in raised.value.hint


def test_a_lost_front_is_told(capture: Path) -> None:
    shrink(capture)
    front_of(capture).unlink()
    assert saved.is_holed(capture)


def test_it_begins_where_something_was_given_back(capture: Path) -> None:
    with open(capture, "r+b") as file:
        front.Front(capture)
        os.pwrite(file.fileno(), bytes(9 * MB), KEPT_BYTES)
    known = Front(capture)
    known.start = 10 * MB
    with open(capture, "rb") as file:
        known.add(known.next_pieces(file, 30 * MB))
    assert saved.is_holed(capture)
    assert (Front(capture).start, Front(capture).end) == (10 * MB, 30 * MB)
    assert read(capture, 10 * MB) == CONTENT[10 * MB :]


def test_without_lz4_it_says_so(capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(capture)
    monkeypatch.setattr(packed, "is_installed", lambda: False)
    with pytest.raises(CaptureError, match="lz4 is not installed"):
        read(capture)
