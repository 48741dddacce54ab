"""The tasks of Spark's Python workers are phases. A package like Spark's own stands for it here."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from running import RunMemdeep, environment

import memdeep
from memdeep.integrations.spark_worker import MOST_NAMES, joined, names_of

MB = 1_000_000
MODULES = {
    "__init__": "",
    "taskcontext": """
class TaskContext:
    _context = None

    def __init__(self, stage, partition):
        self.stageId = lambda: stage
        self.partitionId = lambda: partition

    @classmethod
    def _setTaskContext(cls, context):
        cls._context = context

class BarrierTaskContext(TaskContext):
    pass
""",
    "worker_util": """
def read_command(serializer, command):
    return command
""",
    "util": """
def handle_worker_exception(error, outfile):
    outfile.append(repr(error))
""",
    "worker": """
from pyspark.taskcontext import BarrierTaskContext, TaskContext
from pyspark.util import handle_worker_exception
from pyspark.worker_util import read_command

def read_udfs(serializer, functions, eval_type):
    return [read_command(serializer, one)[0] for one in functions]

def main(stage, partition, functions):
    said = []
    try:
        TaskContext._setTaskContext(TaskContext(stage, partition))
        if len(functions) == 1:
            found = [read_command(None, (functions[0], None))[0]]
        else:
            found = read_udfs(None, [(one, "long") for one in functions], 100)
        for one in found:
            one(partition + 1)
        TaskContext._setTaskContext(None)
        BarrierTaskContext._setTaskContext(None)
    except BaseException as error:
        handle_worker_exception(error, said)
    return said
""",
    "daemon": """
import os
import pyspark.taskcontext
for worker in range(2):
    if os.fork() == 0:
        from job import fails, load, score
        from pyspark.worker import main
        main(1, 2 * worker, [load])
        main(1, 2 * worker + 1, [load])
        assert main(2, worker, [load, score, score]) == []
        assert main(3, worker, [fails]) == [f"ValueError({worker + 1})"]
        os._exit(0)
    os.wait()
""",
}
JOB = """
kept = []

def load(number):
    kept.append(bytearray(number * 1_000_000))

def score(number):
    kept.append(bytearray(number * 100_000))

def fails(number):
    raise ValueError(number)
"""
STARTS = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'pyspark.daemon'], check=1)"


def record(path: Path, run_memdeep: RunMemdeep, **changes: str) -> list[dict[str, list[Any]]]:
    """Return repeats and kept bytes of the phases of each worker, by their paths."""
    (path / "pyspark").mkdir()
    for name, source in MODULES.items():
        (path / "pyspark" / f"{name}.py").write_text(source, "utf-8")
    (path / "job.py").write_text(JOB, "utf-8")
    words = ("run", "--quiet", "--no-native", "-o", "run", "-c", STARTS)
    done = run_memdeep(*words, env=environment(PYTHONPATH=str(path), **changes))
    assert (done.returncode, done.stderr) == (0, b"")
    workers = [one for one in memdeep.load(path / "run").processes if one.how == "fork"]
    return [
        {one.path: [one.repeats, _kept(one)] for one in worker.phases if one.kind == "span"}
        for worker in workers
    ]


def _kept(phase: Any) -> float:
    """Return what was kept of the arrays, in MB: a task may import and need an arena, too."""
    return (
        float(sum(one.bytes for one in phase.culprits if "kept" in (one.source or ""))) // 1e5 / 10
    )


def test_tasks_are_phases_of_their_stage_and_functions(
    tmp_path: Path, run_memdeep: RunMemdeep
) -> None:
    first, second = record(tmp_path, run_memdeep)
    assert first == {
        "stage 1": [2, 3.0],
        "stage 1/load": [2, 3.0],
        "stage 2": [1, 1.2],
        "stage 2/load, score": [1, 1.2],
        "stage 3": [1, 0.0],
        "stage 3/fails": [1, 0.0],
    }
    assert second["stage 1/load"] == [2, 7.0]
    assert second["stage 2/load, score"] == [1, 2.4]


def test_partitions_are_phases_if_they_are_to_be(tmp_path: Path, run_memdeep: RunMemdeep) -> None:
    first, _ = record(tmp_path, run_memdeep, MEMDEEP_SPARK_PARTITIONS="1")
    assert first["stage 1"] == [2, 3.0]
    assert first["stage 1/partition 0/load"] == [1, 1.0]
    assert first["stage 1/partition 1/load"] == [1, 2.0]


def of_spark(function: Any, *held: Any) -> Any:
    """Return a function of Spark's whose closure has others, the one that runs first by `prev`."""
    if held:
        (prev_func,) = held

        def pipeline(rows: Any) -> Any:
            return function(prev_func(rows))

    else:

        def pipeline(rows: Any) -> Any:
            return function(rows)

    pipeline.__module__ = "pyspark.core.rdd"
    return pipeline


def clean(row: Any) -> Any:
    return row


class Row:
    def take(self, row: Any) -> Any:
        return row


def test_the_functions_of_a_chain_are_named_in_its_order() -> None:
    def score(row: Any) -> Any:
        return row

    command = (of_spark(score, of_spark(clean)), None, object(), object())
    assert names_of(command) == ["clean", "score"]
    assert names_of((of_spark(functools.partial(clean, 1)), None)) == ["clean"]
    assert names_of((of_spark(Row().take), "long")) == ["Row.take"]
    line = test_the_functions_of_a_chain_are_named_in_its_order.__code__.co_firstlineno
    assert names_of((of_spark(lambda row: row),)) == [f"lambda test_spark_worker.py:{line + 9}"]


def test_what_is_no_function_of_the_program_has_no_name() -> None:
    assert names_of((of_spark(len), None, 3, "text", [1, 2])) == []
    itself: list[Any] = []
    itself.append(itself)
    assert names_of(itself) == []
    assert joined([]) == ""
    assert joined(["a", "b", "a"]) == "a, b"
    assert joined("abcd") == "a, b, c …"
    assert MOST_NAMES == 3
