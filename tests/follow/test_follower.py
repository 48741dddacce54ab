"""A report that goes on from a saved state equals one on the whole capture, to the byte."""

from __future__ import annotations

import errno
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import PROGRAMS, environment, memdeep_command
from sealing import unpack, unseal

from memdeep import pipeline
from memdeep.errors import CaptureError
from memdeep.follow.follower import Follower
from memdeep.heap.replay import saved
from memdeep.report import outputs
from memdeep.report.options import DEFAULTS
from memdeep.rundir.directory import RunDirectory, state_of

TAIL = bytes(1 << 20)  # that memray has reserved
MODES = {
    "native": (),
    "deep": ("--deep",),
    "holders": ("--no-native", "--holders-at", "*", "--holders-most", "5"),
}


@pytest.fixture(scope="module", params=MODES)
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as it was when its program had ended, nothing sealed or compressed."""
    path = tmp_path_factory.mktemp(request.param) / "run"
    words = ("run", "--quiet", "--no-report", "--no-follow", *MODES[request.param], "-o", path)
    command = memdeep_command(*words, PROGRAMS / "fills_capture.py", "12", "30000")
    done = subprocess.run(command, env=environment(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    unpack(path / "capture.bin")
    assert unseal(path) != [0]
    return path


def report(path: Path) -> bytes:
    recording = pipeline.load(path, lambda step: None)
    made = pipeline.analyse(recording, lambda step: None)
    return b"".join(outputs.BY_NAME["json"].encode(made, DEFAULTS))


@pytest.fixture(scope="module")
def whole(recorded: Path) -> bytes:
    return report(recorded)


def followed(recorded: Path, place: Path, ends: list[float], disk: int) -> Path:
    """Follow a copy of ``recorded`` that grows to each of ``ends``, parts of it, then to all."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(recorded, place)
    capture = place / "capture.bin"
    content = capture.read_bytes()
    follower = Follower(RunDirectory(place), 1, disk)
    done = 0
    capture.write_bytes(TAIL)
    with open(capture, "r+b") as file:
        for end in sorted(int(end * len(content)) for end in ends):
            file.seek(done)
            file.write(content[done:end] + TAIL)
            file.flush()
            done = end
            for _ in range(1 + end % 3):  # what does not become more is all there
                follower.turn()
        file.seek(done)
        file.write(content[done:])
        file.truncate(len(content))
    return place


@given(ends=st.lists(st.floats(0, 1), min_size=1, max_size=8), is_ended=st.booleans())
@settings(max_examples=12, deadline=None)
def test_any_state_and_the_rest_make_the_same_report(
    recorded: Path,
    whole: bytes,
    tmp_path_factory: pytest.TempPathFactory,
    ends: list[float],
    is_ended: bool,
) -> None:
    place = tmp_path_factory.getbasetemp() / "followed"
    path = followed(recorded, place, ends, 1)
    if is_ended:
        follower = Follower(RunDirectory(path), 1, 1)  # one that was started anew
        follower.turn()
        follower.end()
        assert saved.covered_bytes(path / "capture.bin") == (path / "capture.bin").stat().st_size
    capture = path / "capture.bin"
    if saved.covered_bytes(capture) > 2 << 20:
        assert saved.is_holed(capture)
    assert report(path) == whole


def test_who_lets_a_capture_take_more_than_it_shall_is_late(recorded: Path, work: Path) -> None:
    run = work / "run"
    shutil.copytree(recorded, run)
    size = (run / "capture.bin").stat().st_blocks * 512
    for disk, is_late in ((2 * size, False), (None, False), (size // 2, True)):
        follower = Follower(RunDirectory(run), 1, disk)
        assert not follower.is_late
        follower.turn()
        assert follower.is_late == is_late


def test_a_state_of_another_capture_is_refused(recorded: Path, tmp_path: Path) -> None:
    path = followed(recorded, tmp_path / "run", [0.9], 1)
    state = state_of(path / "capture.bin")
    content = bytearray((path / "capture.bin").read_bytes())
    content[33] ^= 1  # of the time when it began
    (path / "capture.bin").write_bytes(content)
    with pytest.raises(CaptureError, match="another capture"):
        saved.load(path / "capture.bin")
    assert state.exists()


@pytest.mark.parametrize("place", [0, 8, 16, 100, -1])
def test_a_damaged_state_is_told_where_it_is_needed(
    recorded: Path, whole: bytes, tmp_path: Path, place: int
) -> None:
    path = followed(recorded, tmp_path / "run", [0.9], 1)
    capture = path / "capture.bin"
    content = bytearray(state_of(capture).read_bytes())
    content[place] ^= 0xFF
    state_of(capture).write_bytes(content)
    if saved.is_holed(capture):
        assert b"capture.state cannot be read" in report(path)
    shutil.copy(recorded / "capture.bin", capture)
    assert report(path) == whole  # it is not needed


def test_a_capture_that_cannot_be_given_back_is_kept(
    recorded: Path,
    whole: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def refuse(file: int, start: int, end: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr("memdeep.follow.capture.punch", refuse)
    path = followed(recorded, tmp_path / "run", [0.5, 0.9], 1)
    told = "The capture is kept whole, whatever its size: Operation not supported.\n"
    assert capfd.readouterr().err == told
    assert not saved.is_holed(path / "capture.bin")
    assert report(path) == whole
