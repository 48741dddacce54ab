"""A flight recorder keeps the detail of the last minutes; the rest is merged, and stays exact."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from following import follower_of, program_of
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from running import PROGRAMS, environment, memdeep_command, read_json, wait_until
from sealing import unseal

from memdeep import pipeline
from memdeep.follow import condense
from memdeep.follow.follower import Follower
from memdeep.heap import packed
from memdeep.heap.replay import saved
from memdeep.loading.journal import read_journal
from memdeep.report import outputs
from memdeep.report.options import DEFAULTS
from memdeep.rundir import condensed
from memdeep.rundir.directory import RunDirectory

REQUESTS = 1800
LEAKED = 50_001  # by every fifth request
TAIL = bytes(1 << 20)  # that memray has reserved
PROGRAM_WORDS = {
    "native": (),
    "deep": ("--deep", "--no-native"),
    "holders": ("--no-native", "--holders-at", "tick", "--holders-most", "3"),
}
# What depends on how finely the past is known: readings of the heap and of the RSS over time.
COARSE = (
    "rss_curve",
    "heap_curve",
    "curve",
    "peak_time_s",
    "time_s",
    "at_s",
    "problems",
    "largest",
    "frames",
    "stacks",
    "stack",
)


@pytest.fixture(scope="module", params=PROGRAM_WORDS)
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as it was when its program had ended, nothing sealed or compressed."""
    path = tmp_path_factory.mktemp(request.param) / "run"
    words = ("run", "--quiet", "--no-report", "--no-follow", "--mark-every", "0.03")
    words = (*words, *PROGRAM_WORDS[request.param], "-o", str(path))
    command = memdeep_command(*words, PROGRAMS / "serves.py", "150", "0.001")
    done = subprocess.run(command, env=environment(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    capture = path / "capture.bin"
    with open(capture, "rb") as file:
        content = (
            b"".join(packed.unpacked(file)) if packed.is_packed(file) else capture.read_bytes()
        )
    capture.write_bytes(content)
    assert unseal(path) != [0]
    return path


def report(path: Path) -> dict[str, Any]:
    made = pipeline.analyse(pipeline.load(path, lambda step: None), lambda step: None)
    read: dict[str, Any] = json.loads(b"".join(outputs.BY_NAME["json"].encode(made, DEFAULTS)))
    return read


def without_coarse(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_coarse(one) for name, one in value.items() if name not in COARSE}
    return list(map(without_coarse, value)) if isinstance(value, list) else value


def followed(recorded: Path, place: Path, stops: list[tuple[float, float]], last: float) -> Path:
    """Follow a copy of ``recorded`` that grows to each of the ``stops``, which are parts of it.

    With each comes the time at which it is looked at, as a part of that of the run, as is ``last``.
    """
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(recorded, place)
    events = read_journal(place / "journal.jsonl").events
    end_us = max(event.time_us for event in events)
    capture = place / "capture.bin"
    content = capture.read_bytes()
    now_us = 0
    patched = pytest.MonkeyPatch()
    patched.setattr(condense, "_now_us", lambda start: now_us)
    capture.write_bytes(TAIL)
    done = 0
    try:
        with open(capture, "r+b") as file:
            for number, (part, time) in enumerate(sorted(stops)):
                if number % 2 == 0:  # another one goes on from what was saved
                    follower = Follower(RunDirectory(place), 1, 1 << 30, last_s=last * end_us / 1e6)
                end = int(part * len(content))
                now_us = int(time * end_us)
                file.seek(done)
                file.write(content[done:end] + TAIL)
                file.flush()
                done = max(done, end)
                for _ in range(3):  # what does not become more is all there
                    follower.turn()
            file.seek(done)
            file.write(content[done:])
            file.truncate(len(content))
            file.flush()
            now_us = end_us
            follower.turn()
            follower.end()
    finally:
        patched.undo()
    return place


def of_whole(recorded: Path, merged: Path, place: Path) -> Path:
    """The run with all of its capture, and with what is left of its other files."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(recorded, place)
    number = saved.merges_of(merged / "capture.bin")
    left = condensed.read(RunDirectory(merged), number)
    for name, one in (
        ("journal.jsonl", left.journal),
        ("mappings", left.mappings),
        ("samples", left.samples_left),
    ):
        path = place / name
        path.write_bytes(one.content + path.read_bytes()[one.offset :])
    return place


@given(
    stops=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6),
    last=st.floats(0.05, 0.6),
)
@settings(max_examples=12, deadline=None, phases=[Phase.generate])  # each takes a second
def test_what_is_merged_has_the_figures_that_it_had(
    recorded: Path,
    tmp_path_factory: pytest.TempPathFactory,
    stops: list[tuple[float, float]],
    last: float,
) -> None:
    base = tmp_path_factory.getbasetemp()
    path = followed(recorded, base / "merged", stops, last)
    assert saved.merges_of(path / "capture.bin") > 0
    found, whole = report(path), report(of_whole(recorded, path, base / "whole"))
    (said,) = [one for one in found["problems"] if one not in whole["problems"]]
    assert "were merged, without" in said
    assert found.pop("merged")["checkpoints"] >= 0 and whole.pop("merged") is None
    found, whole = without_coarse(found), without_coarse(whole)
    for name in whole:
        assert found[name] == whole[name], name


def served(path: Path, *words: str, kills: bool = False) -> dict[str, Any]:
    """Run the service under ``--last 1s``; return the report. Who follows is killed once.

    Then the program too, if it ``kills``.
    """
    command = memdeep_command("run", "--quiet", "--last", "1s", "-o", str(path), *words)
    requests = 50 * REQUESTS if kills else REQUESTS
    with subprocess.Popen(
        [*command, str(PROGRAMS / "serves.py"), str(requests), "0.004"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        wait_until(lambda: saved.merges_of(path / "capture.bin"))
        follower = follower_of(process)
        assert follower is not None
        follower.kill()
        if kills:
            merges = saved.merges_of(path / "capture.bin")
            wait_until(lambda: saved.merges_of(path / "capture.bin") > merges)
            program = program_of(process)
            assert program is not None
            program.kill()
        _, complaints = process.communicate(timeout=60)
    assert process.returncode == (137 if kills else 0), complaints.decode()
    read: dict[str, Any] = json.loads((path / "report.json").read_text("utf-8"))
    return read


def leaked(read: dict[str, Any]) -> int:
    """How many blocks the leaking line has allocated that were alive at the end of all requests."""
    service = next(one for one in read["phases"] if one["name"] == "服务")
    line = (PROGRAMS / "serves.py").read_text("utf-8").splitlines().index(LEAK) + 1
    size = sum(one["bytes"] for one in service["culprits"] if one["lineno"] == line)
    count, rest = divmod(size, LEAKED)
    assert rest < 100 * count  # the list itself, and the heads of its objects
    return count


LEAK = "    CACHE.append(bytearray(size))"


def test_a_flight_recorder_keeps_the_detail_of_the_last(tmp_path: Path) -> None:
    read = served(tmp_path / "run")
    assert leaked(read) == REQUESTS // 5
    (said,) = read["problems"]
    assert said.startswith("Only the detail of the last minutes was kept: the first 0:00:")
    assert read["merged"]["until_s"] in [one["time_s"] for one in read["checkpoints"]]
    assert read["merged"]["checkpoints"] + len(read["checkpoints"]) >= 2 * REQUESTS
    times_s = [one["time_s"] for one in read["checkpoints"]]
    assert [one["label"] for one in read["checkpoints"][:2]] == ["(start)", "服务"]  # it is open
    assert 0.8 <= times_s[-1] - times_s[2] < 3.0
    assert max(later - one for one, later in itertools.pairwise(times_s[2:])) < 0.5  # all are there
    run_dir = RunDirectory(tmp_path / "run")
    assert len(run_dir.condensed_numbers()) == 1
    journal_bytes = run_dir.journal.stat()
    assert 512 * journal_bytes.st_blocks < journal_bytes.st_size / 2


def test_a_flight_recorder_survives_a_kill(tmp_path: Path) -> None:
    read = served(tmp_path / "run", "--deep", "--no-native", kills=True)
    assert read["exit"]["verdict"] == "killed"
    assert leaked(read) >= 200
    assert any("were merged" in said for said in read["problems"])


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("--focus", "x"), "--focus x"),
        (("--keep-capture",), "--keep-capture"),
        (("--no-follow",), "--no-follow"),
        (("--backend", "rss"), "--backend rss"),
        (("--children", "worker*"), "--children worker*"),
    ],
)
def test_what_does_not_go_with_it_is_told(
    words: tuple[str, ...], wrong: str, tmp_path: Path
) -> None:
    command = memdeep_command("run", "--last", "1m", *words, "-o", str(tmp_path / "run"))
    done = subprocess.run(
        [*command, str(PROGRAMS / "serves.py")], env=environment(), capture_output=True, check=False
    )
    assert done.returncode == 2
    assert f"--last does not go with {wrong}." in done.stderr.decode()
    assert not (tmp_path / "run").exists()


def test_the_checkpoints_that_it_sets_by_itself_need_not_be_met(tmp_path: Path) -> None:
    command = memdeep_command("run", "--last", "10m", "-o", str(tmp_path / "run"), "-c", "pass")
    done = subprocess.run(command, env=environment(), capture_output=True, check=True)
    assert b"--mark-every" not in done.stderr
    assert read_json(tmp_path / "run" / "report.json")["problems"] == []
