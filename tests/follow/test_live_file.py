"""`memdeep run` writes live.json while a program runs, and its figures are those of the report."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import TIMEOUT_S, RunMemdeep, read_json, started, wait_until

from memdeep.errors import CaptureError
from memdeep.rundir import directory, live, runs
from memdeep.rundir.directory import RunDirectory
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


LAPS = """
import memdeep, os, time
from pathlib import Path
kept = []
with memdeep.phase("laps"):
    while not Path("go").exists():
        with memdeep.phase("lap"):
            kept.append(b"x" * 100_000)
            for number in range(30_000):
                str(number) * 9
        if len(kept) == 3:
            Path("ready").write_text(str(os.getpid()))
"""


def test_a_report_is_made_of_what_was_given_back_while_more_is_written(
    tmp_path: Path, run_memdeep: RunMemdeep
) -> None:
    (tmp_path / "job.py").write_text(LAPS)
    capture = tmp_path / "run" / "capture.bin"
    with started(tmp_path, "--deep", "--disk", "8M", "job.py") as process:
        wait_until(lambda: capture.stat().st_blocks * 512 < capture.stat().st_size / 2)
        for name in ("one", "two"):
            assert run_memdeep("report", "run", "-o", name, "--quiet").returncode == 0
            report = read_json(tmp_path / name / "report.json")
            assert report["problems"] == []
            assert report["exit"]["verdict"] == "running"
            (laps,) = [phase for phase in report["phases"] if phase["name"] == "laps"]
            size = laps["culprits"][0]["bytes"]
            ends = [point for point in report["checkpoints"] if point["label"] == "lap"]
            # The capture is read after the journal, and all that is in it by then is counted.
            assert size // 100_033 >= len(ends) // 2
            its_list = 1000 + 16 * (size // 100_033)
            assert size % 100_033 < its_list, "each of them once"
        (tmp_path / "go").touch()
        assert process.wait(TIMEOUT_S) == 0


def test_nothing_is_given_back_while_the_captures_are_read(tmp_path: Path) -> None:
    run_dir = directory.create(tmp_path / "run", force=False)
    with runs.changing(run_dir) as is_alone:
        assert is_alone
    with runs.steady(run_dir), runs.steady(run_dir), runs.changing(run_dir) as is_alone:
        assert not is_alone
    with runs.changing(run_dir) as is_alone:
        assert is_alone
    with runs.changing(RunDirectory(tmp_path / "none")) as is_alone:
        assert is_alone
