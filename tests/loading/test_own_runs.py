"""The directory of each process is a run of its own, with a report of that process alone."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running import (
    PROGRAMS,
    TIMEOUT_S,
    RunMemdeep,
    environment,
    memdeep_command,
    read_json,
    wait_until,
)

from memdeep.loading.own_runs import OUTLIVED
from memdeep.loading.run import load_run
from memdeep.model import Process
from memdeep.rundir.directory import RunDirectory

MB = 1_000_000


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run of `has_children.py`; one process of it still runs and has not taken its 200 MB."""
    work = tmp_path_factory.mktemp("recorded")
    words = ["run", "--quiet", "--no-report", "-o", work / "run", PROGRAMS / "has_children.py"]
    subprocess.run(
        memdeep_command(*words, "word", work / "go"),
        env=environment(),
        check=True,
        timeout=TIMEOUT_S,
    )
    yield work / "run"
    (work / "go").touch()


def processes(run_dir: Path) -> list[Process]:
    return list(load_run(RunDirectory(run_dir)).run.processes)


@pytest.fixture(scope="module")
def family(recorded: Path) -> dict[str, Process]:
    """The processes by what they do."""
    found = processes(recorded)
    names = ("program", "child", "grandchild", "started", "stays")
    assert [one.how for one in found] == ["run", "fork", "fork", "subprocess", "subprocess"]
    return dict(zip(names, found, strict=True))


def report(run_memdeep: RunMemdeep, run_dir: Path, **changes: str) -> dict[str, Any]:
    done = run_memdeep("report", "--quiet", run_dir, env=environment(**changes))
    assert (done.returncode, done.stderr) == (0, b"")
    return dict(read_json(run_dir / "report.json"))


def named(made: dict[str, Any]) -> list[str]:
    """The phases that the program named itself."""
    return [one["name"] for one in made["phases"] if "→" not in one["name"]]


@pytest.mark.parametrize("engine", ["replay", "memray"])
@pytest.mark.parametrize(
    ("name", "phases", "megabytes", "code"),
    [("child", ["inner"], 3, 0), ("grandchild", [], 5, 5), ("started", [], 7, 0)],
)
def test_a_process_has_a_report_of_its_own(
    recorded: Path,
    family: dict[str, Process],
    run_memdeep: RunMemdeep,
    tmp_path: Path,
    name: str,
    phases: list[str],
    megabytes: int,
    code: int,
    engine: str,
) -> None:
    process = family[name]
    run_dir = Path(shutil.copytree(recorded / str(process.directory), tmp_path / "alone"))
    made = report(run_memdeep, run_dir, MEMDEEP_ENGINE=engine)
    assert [problem for problem in made["problems"] if "MEMDEEP_ENGINE" not in problem] == []
    assert made["exit"]["code"] == code
    assert named(made) == phases
    assert megabytes * MB <= made["peak_heap_bytes"] < (megabytes + 1.9) * MB
    assert made["processes"][0]["pid"] == process.pid
    assert made["processes"][0]["how"] == "run"
    grandchild = [family["grandchild"].pid] if name == "child" else []
    assert [one["pid"] for one in made["processes"][1:]] == grandchild
    lived_s = (process.end_s or 0) - (process.start_s or 0)
    assert abs(made["duration_s"] - lived_s) < 0.01
    assert made["peak_rss_bytes"] > megabytes * MB


def test_a_process_is_told_by_its_own_command(
    recorded: Path, family: dict[str, Process], run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    of_run = read_json(recorded / "meta.json")["command"]
    for name in ("child", "grandchild"):
        meta = read_json(recorded / str(family[name].directory) / "meta.json")
        assert meta["command"] == of_run
    meta = read_json(recorded / str(family["started"].directory) / "meta.json")
    assert meta["command"][0] == "-c"
    assert meta["command"][2] == "word"
    assert meta["own_paths"][-1] == "<string>"


def test_only_a_forked_process_is_of_the_program_of_its_run(
    recorded: Path, family: dict[str, Process]
) -> None:
    def identity(name: str) -> dict[str, Any]:
        return dict(read_json(recorded / str(family[name].directory) / "meta.json")["identity"])

    of_run = dict(read_json(recorded / "meta.json")["identity"])
    assert of_run["main"] == "has_children.py"
    assert identity("child") == of_run
    started = identity("started")
    assert (started["main"], started["cwd"], started["hash_seed"]) == (None,) * 3
    assert started["platform"] == of_run["platform"]


@pytest.mark.parametrize("engine", ["replay", "memray"])
def test_what_a_process_did_after_the_run_is_not_counted(
    run_memdeep: RunMemdeep, tmp_path: Path, engine: str
) -> None:
    run_dir = tmp_path / "run"
    words = ["--quiet", "--no-report", "--no-native", "-o", run_dir, PROGRAMS / "has_children.py"]
    done = run_memdeep("run", *words, "word", tmp_path / "go")
    assert (done.returncode, done.stderr) == (0, b"")
    stays = processes(run_dir)[-1]
    assert (stays.verdict, stays.exit) == ("detached", None)
    own_dir = run_dir / str(stays.directory)
    before = [report(run_memdeep, one, MEMDEEP_ENGINE=engine) for one in (run_dir, own_dir)]
    tree, own = before
    assert tree["processes"][-1]["verdict"] == "detached"
    assert 13 * MB <= tree["peak_heap_bytes"] < 20 * MB
    assert 11 * MB <= own["peak_heap_bytes"] < 13 * MB
    assert own["exit"] is None
    assert OUTLIVED in own["problems"]
    assert named(own) == ["stays"]
    (tmp_path / "go").touch()
    journal = own_dir / "journal.jsonl"
    wait_until(lambda: b'"k":"X"' in journal.read_bytes())
    time.sleep(0.2)
    after = [report(run_memdeep, one, MEMDEEP_ENGINE=engine) for one in (run_dir, own_dir)]
    for was, made in zip(before, after, strict=True):
        differing = {name for name in was if was[name] != made[name]}
        assert differing <= {"captures", "generated"}, [(was[n], made[n]) for n in differing]
