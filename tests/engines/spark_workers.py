"""`make test-spark`: Spark's Python workers under memdeep, held against the arithmetic.

Plain `pytest` does not collect it: PySpark is large, and wants Java.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from running import ROOT, environment

import memdeep
from memdeep.results import Phase, Process

pytest.importorskip("pyspark", reason="PySpark is not installed")
if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
    pytest.skip("there is no Java", allow_module_level=True)

PROGRAMS = Path(__file__).parent / "programs"
MB = 1_000_000
TIMEOUT_S = 600


def run(directory: Path, *words: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=directory,
        env=environment(SPARK_LOCAL_IP="127.0.0.1"),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def workers_of(run_dir: Path) -> list[Process]:
    return [one for one in memdeep.load(run_dir).processes if one.how == "fork"]


def kept(workers: Iterable[Process], line: str) -> tuple[dict[str, int], Counter[str]]:
    """Return the tasks by the path of their phase, and the MB that were kept by a source line."""
    tasks: dict[str, int] = {}
    sizes: Counter[str] = Counter()
    for phase in (one for worker in workers for one in worker.phases if one.kind == "span"):
        tasks[phase.path] = tasks.get(phase.path, 0) + phase.repeats
        size = _of_line(phase, line)
        sizes[phase.path] += size
    return tasks, Counter({path: size // MB for path, size in sizes.items() if size})


def _of_line(phase: Phase, line: str) -> int:
    return sum(one.bytes for one in phase.culprits if line in (one.source or ""))


def test_stages_and_functions_are_phases(tmp_path: Path) -> None:
    work = Path(shutil.copytree(ROOT / "examples/spark", tmp_path / "work"))
    run(work, "-m", "memdeep", "run", "--quiet", "--no-native", "-o", "run", "job.py")
    workers = workers_of(work / "run")
    tasks, sizes = kept(workers, "bytearray")
    assert tasks == {
        "stage 0": 4,
        "stage 0/load, score": 4,
        "stage 1": 4,
        "stage 1/train": 4,
        "stage 1/train/fit": 4,
    }
    assert sizes == {
        "stage 0": 100,
        "stage 0/load, score": 100,
        "stage 1": 20,
        "stage 1/train": 20,
        "stage 1/train/fit": 20,
    }
    rows = {row.path: row for row in memdeep.load(work / "run").across}
    [line, *_] = rows["stage 0/load, score"].lines
    assert (Path(line.filename or "").name, line.lineno) == ("features.py", 10)
    assert line.bytes // MB == 100


def test_functions_of_all_kinds(tmp_path: Path) -> None:
    shutil.copy(PROGRAMS / "spark_sql.py", tmp_path)
    said = run(tmp_path, "-m", "memdeep", "run", "-q", "--no-native", "-o", "run", "spark_sql.py")
    assert said == [
        "[Row(sum(n)=500500)]",
        "[Row(sum(a)=500500, sum(b)=501500)]",
        *("1000", "PythonException"),
    ]
    tasks, sizes = kept(workers_of(tmp_path / "run"), "bytearray")
    by_function = {path.partition("/")[2]: count for path, count in tasks.items() if "/" in path}
    assert by_function == {
        "of_rows": 4,
        "of_batches, beside": 4,
        "of_frames": 4,
        "each": 4,
        "fails": 1,
    }
    # A batch for each partition.
    found = {path.partition("/")[2]: size for path, size in sizes.items() if "/" in path}
    assert found == {"of_batches, beside": 8, "of_frames": 12, "each": 16}


def test_a_session_is_recorded_for_a_while(tmp_path: Path) -> None:
    shutil.copy(PROGRAMS / "spark_session.py", tmp_path)
    said = run(tmp_path, "spark_session.py")
    recorded = ["within {True}", "after {False} {False}"]
    assert said == ["before {False}", *recorded, *recorded, "True"]
    tasks, sizes = kept(workers_of(tmp_path / "run1"), "bytearray")
    assert [sum(found.values()) for found in (tasks, sizes)] == [2 * 4, 2 * 10]
    tasks, sizes = kept(workers_of(tmp_path / "run2"), "bytearray")
    of_partitions = {
        path.split("/")[1]: size for path, size in sizes.items() if path.count("/") == 2
    }
    assert of_partitions == {f"partition {number}": number + 1 for number in range(4)}
    for name in ("run1", "run2"):
        assert memdeep.load(tmp_path / name).problems == ()
