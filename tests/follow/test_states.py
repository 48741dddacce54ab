"""Where processes record their memory, states stand for what is given back of their captures."""

from __future__ import annotations

import json
import shutil
import subprocess
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
from following import follower_of
from hypothesis import given, settings
from hypothesis import strategies as st
from running import (
    PROGRAMS,
    RunMemdeep,
    environment,
    memdeep_command,
    read_json,
    wait_until,
)
from sealing import captures, left_by

from memdeep import pipeline
from memdeep.follow import states
from memdeep.follow.capture import FollowedCapture
from memdeep.follow.known import Known
from memdeep.follow.states import Noted
from memdeep.heap.replay import saved
from memdeep.heap.replay._replay import Replay
from memdeep.report import outputs
from memdeep.report.options import DEFAULTS
from memdeep.rundir import runs
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.meta import read_meta

STEP_BYTES = 64 << 10
MB = 1 << 20
DISK = 24 * MB


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("family") / "run"
    words = ("run", "--no-native", "--quiet", "--no-report", "--no-follow", "-o", run)
    return left_by(memdeep_command(*words, PROGRAMS / "family_grows.py", "150"), run)


@pytest.fixture(scope="module")
def times(recorded: Path) -> dict[Path, list[tuple[int, int]]]:
    """Of each capture, by its place in the run: when (ms since the epoch) each step was written."""
    found = {}
    for capture in captures(recorded):
        engine, content = Replay(), capture.read_bytes().rstrip(b"\0")
        steps = []
        for start in range(0, len(content), STEP_BYTES):
            piece = content[start : start + STEP_BYTES]
            engine.feed(piece)
            steps.append((engine.now()["time_ms"], start + len(piece)))
        found[capture.relative_to(recorded)] = steps
    return found


def reports(run: Path) -> list[dict[str, object]]:
    """The reports of the run and of each of its processes."""
    made = []
    for path in (run, *(child.path for child in RunDirectory(run).children())):
        report = pipeline.analyse(pipeline.load(path, lambda step: None), lambda step: None)
        content = b"".join(outputs.BY_NAME["json"].encode(report, DEFAULTS))
        made.append({**json.loads(content), "captures": None, "generated": None})
    return made


def noted(run: Path, times: dict[Path, list[tuple[int, int]]], share: float) -> Noted:
    """What would have been noted at a share of the time of the run."""
    run_dir = RunDirectory(run)
    meta, start = read_meta(run_dir), runs.first_event(run_dir)
    assert meta.duration_s is not None and start is not None
    until_ms = int(1000 * meta.duration_s * share)
    spawned_ms = (start.epoch_ns - start.monotonic_ns + meta.spawned_ns) / 1e6
    sizes = {}
    for name, steps in times.items():
        place = bisect_right(steps, spawned_ms + until_ms, key=lambda step: step[0])
        if place > 1:  # a record of the time comes up to 20 ms after what it stands for
            sizes[run / name] = steps[place - 2][1]
    return Noted(until_ms + states.MARGIN_MS, sizes)


@contextmanager
def as_it_was(run: Path, until_ms: int) -> Iterator[None]:
    """Have what was written beside the captures at a time of the samples, and no more of it."""
    meta = json.loads((run / "meta.json").read_bytes())
    until_ns = meta["spawned_ns"] + until_ms * 1_000_000
    held, unborn = run.with_name("held"), run.with_name("unborn")
    unborn.mkdir()
    shutil.copytree(run, held, ignore=shutil.ignore_patterns("capture*", "moments"))
    unknown = dict.fromkeys(("duration_s", "exit_code", "signal", "verdict", "max_rss_bytes"))
    (run / "meta.json").write_text(json.dumps({**meta, **unknown, "processes": []}))
    keep(run / "births.jsonl", lambda line: json.loads(line).get("t", 0) <= until_ns)
    keep(run / "samples", lambda line: line[0] == "#" or int(line.split("\t")[0]) <= until_ms)
    for own in (run, *(child.path for child in RunDirectory(run).children())):
        start_ns = json.loads((own / "journal.jsonl").read_text().splitlines()[0])["mono"]
        until_us = (until_ns - start_ns) // 1000
        keep(own / "journal.jsonl", partial(is_before, until_us))
        pages = own / "pages"
        if pages.exists() and int(pages.read_text().split()[1]) > until_ns:
            pages.unlink()
        if own != run:
            (own / "meta.json").unlink()
            if start_ns > until_ns:
                shutil.move(own, unborn / own.name)
    yield
    for own in unborn.glob("*"):
        shutil.move(own, run / "children" / own.name)
    for path in held.rglob("*"):
        if path.is_file() and path.name != "markers":
            path.replace(run / path.relative_to(held))
    shutil.rmtree(held)
    unborn.rmdir()


def is_before(until_us: int, line: str) -> bool:
    return bool(json.loads(line)["t"] <= until_us)


def keep(path: Path, is_kept: Callable[[str], bool]) -> None:
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if is_kept(line)), "utf-8")


@given(
    shares=st.lists(st.floats(0.12, 1.0), min_size=1, max_size=4).map(sorted),
)
@settings(max_examples=5, deadline=None)
def test_the_report_is_that_of_a_replay_of_the_whole(
    recorded: Path,
    times: dict[Path, list[tuple[int, int]]],
    tmp_path_factory: pytest.TempPathFactory,
    shares: list[float],
) -> None:
    run = tmp_path_factory.mktemp("law") / "run"
    shutil.copytree(recorded, run)
    for share in shares:
        when = noted(run, times, share)
        with as_it_was(run, when.until_ms):
            states.give_back(RunDirectory(run), when)
    given_back = {one for one in captures(run) if saved.is_holed(one)}
    assert len(given_back) == len(captures(run)) or shares[-1] < 0.9
    begun = events_of(run)
    made = reports(run)
    whole = run.with_name("whole")
    shutil.copytree(recorded, whole)
    if RunDirectory(run).moments.exists():
        shutil.copy(RunDirectory(run).moments, RunDirectory(whole).moments)
    assert [differing(*pair) for pair in zip(reports(whole), made, strict=True)] == [{}] * len(made)
    assert begun == events_of(whole)  # whoever follows it goes on from there, too
    shutil.rmtree(run.parent)


def events_of(run: Path) -> list[int]:
    """The events at which segments begin, for whoever follows the capture of the program."""
    run_dir = RunDirectory(run)
    followed = FollowedCapture(run_dir, 1, Known(run_dir))
    followed.complete()
    return [event for event in followed.begun() if event >= 0]


def differing(one: dict[str, object], other: dict[str, object]) -> dict[str, object]:
    return {name: (one[name], other[name]) for name in one if one[name] != other[name]}


@pytest.fixture(scope="module")
def given_back(
    recorded: Path,
    times: dict[Path, list[tuple[int, int]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    run = tmp_path_factory.mktemp("given") / "run"
    shutil.copytree(recorded, run)
    states.give_back(RunDirectory(run), noted(run, times, 0.95))
    assert all(map(saved.is_holed, captures(run)))
    return run


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("moments", None, ""),
        ("moments", b"", "The heap of all processes is known at fewer moments."),
        ("moments", b"12\nx\n", "The heap of all processes is known at fewer moments."),
        ("moments", b"9" * 99 + b"\n", "The heap of all processes is known at fewer moments."),
        ("children/*/capture.family.state", None, "is not known."),
        ("children/*/capture.family.state", b"mdstate\n", "it is cut off. The heap of process"),
    ],
)
def test_what_is_lost_is_told(
    given_back: Path, tmp_path: Path, name: str, content: bytes | None, told: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(given_back, run)
    (sound, *_) = reports(run)
    for path in run.glob(name):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
    (found, *_) = reports(run)
    assert told in " ".join(map(str, found["problems"]))  # type: ignore[call-overload]
    if name == "moments":  # what each held at the checkpoints is known all the same
        assert found["checkpoints"] == sound["checkpoints"]
        assert bool(found["problems"]) == bool(told)


def test_captures_of_workers_are_given_back_though_it_fails_at_first(work: Path) -> None:
    run, over = work / "run", work / "over"
    words = ("run", "--no-native", "--quiet", "--disk", f"{DISK // MB}M", "-o", run)
    arguments = (PROGRAMS / "workers_fill.py", "10000", "100000", "fork", "until", over)
    with subprocess.Popen(
        memdeep_command(*words, *arguments), env=environment(), stderr=subprocess.PIPE
    ) as process:
        wait_until(lambda: bool(savers_of(process)) or bool(RunDirectory(run).states()))
        for saver in savers_of(process):
            saver.kill()
        wait_until(lambda: captures(run) and all(map(saved.is_holed, captures(run))))
        over.touch()
        process.wait(60)
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert len(captures(run)) == 3
    assert [*run.rglob("*.new")] == []
    found = read_json(run / "report.json")
    assert found["problems"] == []
    # Each round keeps a megabyte, and so does each of its two tasks.
    (own,) = [one for one in found["phases"] if one["name"] == "回合"]
    rounds = own["repeats"]
    assert rounds > 10
    assert 3 * rounds * MB <= own["retained_bytes"] < 3 * rounds * MB + 2 * MB
    (row,) = [one for one in found["phases"] if one["kind"] == "pattern" and one["name"] == "工人"]
    assert row["repeats"] == 2 * rounds
    assert 2 * rounds * MB <= row["retained_bytes"] < 2 * rounds * MB + MB


def savers_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    follower = follower_of(process)
    return [] if follower is None else follower.children()


def test_a_process_that_has_recorded_children_keeps_its_capture(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ["--quiet", "--no-report", "--no-native", "-o", run, PROGRAMS / "has_children.py"]
    assert run_memdeep("run", *words, "word", PROGRAMS / "has_children.py").returncode == 0
    births = [json.loads(line) for line in (run / "births.jsonl").read_text().splitlines()]
    born = {one["pid"]: one for one in births if "dir" in one}
    parents = {one["pp"] for one in born.values()}
    alone = {
        one["dir"] for pid, one in born.items() if pid not in parents and one["pp"] not in born
    }
    assert len(alone) == 2 and len(born) == 4
    givable = states.givable(RunDirectory(run))
    assert {one.path.name for one in givable} == {"run", *alone}
