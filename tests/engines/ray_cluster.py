"""`make test-ray`: a real Ray cluster of this machine under memdeep, held against arithmetic.

Plain `pytest` does not collect it: Ray is wanted here only, and takes long to start. Without it the
tests are skipped.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running import ROOT, environment
from shown import follow

import memdeep

pytest.importorskip("ray")

PROGRAM = Path(__file__).parent / "programs" / "with_ray.py"
MB = 1_000_000
TIMEOUT_S = 600.0
# A busy machine takes longer than Ray waits; nothing is sent to anybody.
QUIET = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_worker_register_timeout_seconds": "300",
}


def run(work: Path, *words: str) -> list[str]:
    """Run a program of Ray's in ``work``; return what it prints, but for what Ray says."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=work,
        env={**environment(), **QUIET},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if not line.startswith("\x1b[")]


@pytest.fixture(scope="module", params=["", "gather"])
def work(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The directory in which all that `with_ray.py` does was recorded, once for all tests."""
    directory = tmp_path_factory.mktemp("ray")
    said = run(directory, str(PROGRAM), *request.param.split())
    (directory / "said.json").write_text(said[-1], "utf-8")
    return directory


@pytest.fixture(scope="module")
def said(work: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((work / "said.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def rows(said: dict[str, Any]) -> dict[str, list[Any]]:
    """The number of tasks, MB kept and the first line of each row."""
    found: dict[str, list[Any]] = said["rows"]
    return found


def line_of(mark: str) -> int:
    lines = PROGRAM.read_text("utf-8").splitlines()
    (found,) = [number for number, line in enumerate(lines, 1) if line.endswith(f"  # {mark}")]
    return found


def test_the_program_works_as_without_a_recording(
    said: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    assert (said["gathered"] > 0) == ("gather" in request.node.name)
    assert said["results"] == [57, 10, 36, 24415, 6, [0, 1, 2], [0, 1, 2], 9]


@pytest.mark.parametrize(
    ("name", "tasks", "kept", "mark"),
    [
        ("load", 10, 55, "RETURNED"),
        ("hold", 8, 36, "HELD"),
        ("hold/inner", 8, 36, "HELD"),
        ("Keeper.__init__", 1, 57, "KEPT"),
        ("Keeper.size", 1, 0, ""),
        ("Async.add", 3, 6, "AWAITED"),  # all three at one time in one thread
        ("Threaded.add", 2, 9, "THREADED"),
        ("total", 4, 0, ""),  # 100 MB of the object store are nobody's heap
        ("one_after_another", 1, 0, ""),
        ("Keeper.one_after_another", 1, 0, ""),
    ],
)
def test_rows_add_up(
    rows: dict[str, list[Any]], name: str, tasks: int, kept: int, mark: str
) -> None:
    count, found, line = rows[name]
    assert count == tasks
    if mark:
        assert line == ["with_ray.py", line_of(mark), kept]
    assert kept <= found <= kept + 1  # the first task of all may import what it needs itself


def test_workers_are_told_by_what_they_are_and_how_they_ended(said: dict[str, Any]) -> None:
    ends = [(name.split()[0], end) for name, end in said["workers"]]
    assert sorted(end for end in ends if end[0] != "tasks") == [
        ("Async", "completed"),  # by `ray.kill`, as wanted
        ("Keeper", "completed"),
        ("Threaded", "completed"),
    ]
    of_tasks = [end for name, end in ends if name == "tasks"]
    assert of_tasks.count("lost") == 1  # by SIGKILL, in a task
    assert {*of_tasks} <= {"lost", "completed"}
    (problem,) = said["problems"]
    assert problem.startswith("Worker tasks ") and "was lost; how it ended is not" in problem


def test_only_workers_with_tasks_are_processes_of_the_run(work: Path) -> None:
    report = json.loads((work / "out" / "report.json").read_text("utf-8"))
    first, *others = report["processes"]
    assert first["how"] == "run" and all(one["traced"] for one in others)
    names = {one["command"].split()[1] for one in others}
    assert names == {"Async", "Keeper", "Threaded", "tasks"}
    first_finding = report["findings"][0]
    assert first_finding["culprit"]["lineno"] == line_of("KEPT")


def test_nothing_of_the_object_store_is_heap_of_a_worker(work: Path) -> None:
    result = memdeep.load(work / "out")
    readers = [one for one in result.processes if any(p.path == "total" for p in one.phases)]
    assert readers
    for one in readers:
        assert one.peak_heap is not None and one.peak_heap < 95 * MB


def test_the_page_shows_what_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    follow(ROOT / "docs" / "howto" / "ray.md", tmp_path)


def test_the_example_works(tmp_path: Path) -> None:
    lines = run(tmp_path, str(ROOT / "examples" / "ray_tasks.py"))
    assert lines[:3] == ["10", "36", str(2 * 57 * MB)]
    assert "Model.__init__  ray_tasks.py:" in lines[4]
    assert [line for line in lines if "score/prepare" in line and "34.3 MB" in line], lines


PLAIN = """
import ray

MB = 1_000_000
kept = {}


@ray.remote
def hold(number):
    kept[number] = b"x" * (number * MB)


if __name__ == "__main__":
    ray.init(num_cpus=1, include_dashboard=False, object_store_memory=200 * MB)
    ray.get([hold.remote(number) for number in range(1, 9)])
    ray.shutdown()
"""


def test_under_memdeep_run_tasks_are_phases_of_workers_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(PLAIN, "utf-8")
    run(tmp_path, "-m", "memdeep", "run", "--quiet", "-o", "run", "plain.py")
    result = memdeep.load(tmp_path / "run")
    workers = [one for one in result.processes[1:] if one.is_traced]
    assert [(one.command or "").split()[:2] for one in workers] == [["ray", "tasks"]]
    (phase,) = [phase for phase in workers[0].phases if phase.path == "hold"]
    line = phase.culprits[0]
    assert (phase.repeats, line.lineno, round(line.bytes / MB)) == (8, 10, 36)
    assert workers[0].peak_heap is not None and workers[0].peak_heap < 100 * MB
