"""`memdeep run` writes live.json while a program runs, and its figures are those of the report."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import TIMEOUT_S, started, wait_until

from memdeep.errors import CaptureError
from memdeep.rundir import live
from memdeep.rundir.live import Live

PROGRAM = """
import memdeep, os, time
from pathlib import Path
kept = []
def load(size):
    kept.append(b"x" * size)
def churn():
    for number in range(1_500_000):
        str(number) * 9
with memdeep.phase("loading"):
    load(5_000_000)
    with memdeep.phase("churning"):
        churn()
        load(7_000_000)
        Path("ready").write_text(str(os.getpid()))
        while not Path("go").exists():
            time.sleep(0.01)
"""


def told(path: Path) -> Live | None:
    try:
        return live.read(path)
    except CaptureError:  # pragma: no cover - it is replaced at once, whenever it is read
        raise AssertionError(path.read_bytes()) from None


@pytest.mark.parametrize("source", ["--source", "--no-source"])
def test_a_run_writes_its_lines_while_it_goes_on(tmp_path: Path, source: str) -> None:
    (tmp_path / "job.py").write_text(PROGRAM)
    path = tmp_path / "run" / "live.json"
    with started(tmp_path, "--deep", source, "job.py") as process:
        wait_until(lambda: (found := told(path)) is not None and found.phases)
        wait_until(lambda: (found := told(path)) and (found.memory.heap_bytes or 0) > 12_000_000)
        found = told(path)
        assert found is not None
        assert [phase.name for phase in found.phases] == ["loading", "churning"]
        assert found.process.is_running
        assert found.lag.seconds is not None
        assert found.lag.bytes is not None
        largest = found.lines[0]
        assert (largest.function, largest.line) == ("load", 6)
        assert 12_000_000 < largest.alive_bytes < 12_001_000
        assert 7_000_000 < largest.phase_bytes < 7_001_000
        text = 'kept.append(b"x" * size)' if source == "--source" else None
        assert largest.source == text
        (tmp_path / "go").touch()
        assert process.wait(TIMEOUT_S) == 0
    ended = told(path)
    assert ended is not None
    assert not ended.process.is_running
    assert ended.lag.bytes == 0
    assert ended.lines[0].alive_bytes == largest.alive_bytes


def test_a_run_that_is_not_followed_has_none(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(PROGRAM)
    with started(tmp_path, "--deep", "--no-follow", "job.py") as process:
        (tmp_path / "go").touch()
        assert process.wait(TIMEOUT_S) == 0
    assert not (tmp_path / "run" / "live.json").exists()
