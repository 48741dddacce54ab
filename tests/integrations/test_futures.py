"""Calls that executors run are phases, in threads and in other processes."""

from __future__ import annotations

import functools
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from own_recording import run

from memdeep.integrations.futures import Named, name_of, phases

BEGINNING = """
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from memdeep.integrations import futures

MB = 1_000_000
kept = []

def load(number):
    kept.append(bytearray(number * MB))
    return number

def figures(phases):
    spans = [one for one in phases if one.kind == "span"]
    return [(one.name, one.repeats, round(one.retained / MB)) for one in spans]
"""


def test_the_calls_of_threads_are_phases(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        BEGINNING
        + """
with memdeep.recording("out", native=False) as run:
    with ThreadPoolExecutor(2) as pool, futures.phases(pool):
        print(sum(pool.map(load, range(1, 5))), pool.submit(load, 5).result())
found = figures(run.phases)
print({name for name, _, _ in found}, sum(size for *_, size in found))
""",
    )
    assert lines == ["10 5", "{'load'} 15"]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_calls_of_processes_are_phases_of_these(tmp_path: Path, method: str) -> None:
    lines = run(
        tmp_path,
        BEGINNING.replace("return number", "time.sleep(0.1); return number")
        + f"""
import multiprocessing, os, time
context = multiprocessing.get_context({method!r})
"""
        + """
if __name__ == "__main__":
    ready = context.Barrier(2).wait  # so that both have calls to run
    with memdeep.recording("out", native=False) as run:
        with (
            ProcessPoolExecutor(2, mp_context=context, initializer=ready) as pool,
            futures.phases(pool),
        ):
            print(sum(pool.map(load, range(1, 5))))
    found = [one for process in run.result.processes[1:] for one in figures(process.phases)]
    print({name for name, _, _ in found}, sum(size for *_, size in found))
    (row,) = run.result.across
    print(row.path, row.count, round(row.retained / MB), row.culprit.source)
    print(sum(share.retained for share in row.shares) == row.retained, row.peak >= row.rise)
    print(sorted(row.tasks) == sorted({str(one.pid) for one in run.result.processes if one.phases}
                                      - {str(os.getpid())}))
""",
        silent=False,
    )
    assert lines == [
        *("10", "{'load'} 10"),
        *("load 4 10 kept.append(bytearray(number * MB))", "True True", "True"),
    ]


def test_the_adapter_is_in_nobodys_way(tmp_path: Path) -> None:
    """The line of the user started the processes; what a builtin allocates is not memdeep's."""
    lines = run(
        tmp_path,
        BEGINNING
        + """
import multiprocessing
if __name__ == "__main__":
    with memdeep.recording("out", native=False) as run:
        fork = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(1, mp_context=fork) as pool, futures.phases(pool):
            print(len(pool.submit(bytearray, 5 * MB).result()))
    (row,) = [one for one in run.result.processes[1].phases if one.kind == "span"]
    print(row.name, sum(line.bytes for line in row.lines("peak")) > 5 * MB)
    (started,) = [one for one in run.result._recorded.report.run.processes[1:] if one.started_by]
    print(started.started_at.function, started.started_at.lineno > 15)
""",
        silent=False,
    )
    assert lines == ["5000000", "bytearray True", "<module> True"]


def test_the_calls_of_joblib_are_phases(tmp_path: Path) -> None:
    pytest.importorskip("joblib")
    lines = run(
        tmp_path,
        BEGINNING
        + """
import joblib
if __name__ == "__main__":
    with memdeep.recording("out", native=False) as run:
        work = joblib.delayed(futures.Named(load))
        print(sum(joblib.Parallel(2)(work(number) for number in range(1, 5))))
    found = [one for process in run.result.processes[1:] for one in figures(process.phases)]
    print({name for name, _, _ in found}, sum(size for *_, size in found))
""",
        silent=False,
    )
    assert lines == ["10", "{'load'} 10"]


def test_the_executor_is_as_it_was() -> None:
    with ThreadPoolExecutor(1) as pool:
        before = dict(vars(pool))
        with phases(pool):
            assert pool.submit(int, "7").result() == 7
        assert vars(pool).keys() == before.keys()


def test_names_are_those_that_people_gave() -> None:
    def inner() -> None:
        pass

    assert name_of(inner) == "inner"
    assert name_of(functools.partial(inner, 1)) == "inner"
    assert name_of(functools.partial(functools.partial(int), "1")) == "int"
    assert name_of(Named(inner)) == "Named"
    assert pickle.loads(pickle.dumps(Named(len)))("abc") == 3
