"""Where processes record their own memory, captures are compressed as they grow, without loss."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from following import follower_of, program_of
from hypothesis import given, settings
from hypothesis import strategies as st
from memray import FileReader
from running import PROGRAMS, RunMemdeep, environment, memdeep_command, read_json, wait_until
from sealing import captures, left_by

from memdeep import pipeline
from memdeep.follow.follower import Follower
from memdeep.follow.shrink import Shrinker
from memdeep.heap import packed
from memdeep.heap.front import Front
from memdeep.heap.replay import saved
from memdeep.report import outputs
from memdeep.report.options import DEFAULTS
from memdeep.rundir.directory import RunDirectory, front_of

MB = 1 << 20
ROUNDS = 6
DISK = 12 * MB


def command(
    run: Path, *options: str | Path, waits: bool = False, rounds: int = ROUNDS
) -> list[str]:
    words = ("run", "--no-native", "--quiet", *options, "-o", run, PROGRAMS / "workers_fill.py")
    wait = ("wait",) if waits else ()
    return memdeep_command(*words, str(rounds), "100000", "fork", *wait)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("workers") / "run"
    return left_by(command(run, "--no-report", "--no-follow"), run)


def report(path: Path) -> bytes:
    made = pipeline.analyse(pipeline.load(path, lambda step: None), lambda step: None)
    return b"".join(outputs.BY_NAME["json"].encode(made, DEFAULTS))


@pytest.fixture(scope="module")
def whole(recorded: Path) -> bytes:
    return report(recorded)


@given(stops=st.lists(st.floats(0, 1.2), min_size=3, max_size=3))
@settings(max_examples=6, deadline=None)
def test_the_report_is_the_same(
    recorded: Path,
    whole: bytes,
    tmp_path_factory: pytest.TempPathFactory,
    stops: list[float],
) -> None:
    run = tmp_path_factory.mktemp("law") / "run"
    shutil.copytree(recorded, run)
    found = captures(run)
    assert len(found) == len(stops)
    for capture, stop in zip(found, stops, strict=True):
        shrinker = Shrinker()
        while shrinker.step(capture, int(stop * capture.stat().st_size)):
            pass
    assert report(run) == whole
    pipeline.seal(RunDirectory(run), lambda step: None)
    assert report(run) == whole
    pipeline.pack(RunDirectory(run), lambda step: None)
    assert not RunDirectory(run).fronts()
    assert not RunDirectory(run).fronts_of_children()
    assert all(capture.read_bytes().startswith(packed.MAGIC) for capture in captures(run))
    assert report(run) == whole
    threads = {one.thread_name for one in FileReader(found[0]).get_allocation_records()}
    assert not any("memdeep" in name for name in threads)  # no marker was left
    shutil.rmtree(run.parent)


def is_compressed(run: Path) -> bool:
    return len(captures(run)) == 3 and all(
        Front(capture).end or saved.is_holed(capture) for capture in captures(run)
    )


@pytest.mark.parametrize("victims", ["", "follower", "memdeep", "program", "follower memdeep"])
def test_what_workers_write_is_compressed_whoever_dies(
    work: Path, run_memdeep: RunMemdeep, victims: str
) -> None:
    run = work / "run"
    with subprocess.Popen(
        command(run, "--disk", f"{DISK // MB}M", waits=True, rounds=3 * ROUNDS),
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None and process.stdin is not None
            wait_until(lambda: any(Front(capture).end for capture in captures(run)))
            program, follower = program_of(process), follower_of(process)
            assert program is not None and follower is not None
            if "follower" in victims:
                follower.kill()
            if "memdeep" in victims:
                process.kill()
            assert process.stdout.readline() == b"ready\n"
            if not victims:
                wait_until(lambda: is_compressed(run))
                wait_until(lambda: taken(run) < DISK)
            if "program" in victims:
                program.kill()
            else:
                process.stdin.close()
            process.wait(60)
            program.wait(60)
        finally:
            with suppress(ProcessLookupError):  # the workers of a killed program wait for ever
                os.killpg(process.pid, signal.SIGKILL)
    is_orphaned = "memdeep" in victims
    if is_orphaned:
        assert run_memdeep("report", run).returncode == 0
    if victims in ("", "follower"):  # all have ended; those of a killed program may go on
        for capture in captures(run):
            assert saved.is_holed(capture) or not front_of(capture).exists()
    found = read_json(run / "report.json")
    assert found["problems"] == []
    # Each round keeps a megabyte, and so does each of its two tasks.
    (own,) = [one for one in found["phases"] if one["name"] == "回合"]
    assert 9 * ROUNDS * MB <= own["retained_bytes"] < 9 * ROUNDS * MB + 2 * MB
    if is_orphaned:  # nobody wrote what makes reports of the workers themselves
        return
    (row,) = [one for one in found["phases"] if one["kind"] == "pattern" and one["name"] == "工人"]
    assert row["repeats"] == 6 * ROUNDS
    assert 6 * ROUNDS * MB <= row["retained_bytes"] < 6 * ROUNDS * MB + MB


def taken(run: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in RunDirectory(run).growing())


def test_captures_of_processes_are_compressed_where_the_program_has_none(
    recorded: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(recorded, run)
    (run / "capture.bin").unlink()  # as with --focus, before the first of its phases
    follower = Follower(RunDirectory(run), 1, MB)
    while follower.turn() == 0.0:
        pass
    assert len(RunDirectory(run).fronts_of_children()) == 2
    assert taken(run) < 8 * MB
