"""The tasks of a Celery worker are phases."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_recording import run

pytest.importorskip("celery")

APPLICATION = """
from celery import Celery
from memdeep.integrations import celery as tasks

MB = 1_000_000
kept = []
app = Celery("job", broker="memory://", backend="cache+memory://")

@app.task(name="load")
def load(number):
    with memdeep.phase("inner"):
        kept.append(bytearray(number * MB))
    return number

@app.task(name="fail")
def fail():
    raise ValueError

tasks.install()
tasks.install()

def figures(phases):
    return [(one.path, one.repeats, allocated(one) // MB) for one in phases if one.kind == "span"]

def allocated(phase):  # a task may be the first that needs an arena, too
    return sum(line.bytes for line in phase.culprits if "bytearray" in (line.source or ""))
"""


def test_tasks_are_phases_by_their_names(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        APPLICATION
        + """
with memdeep.recording("out", native=False) as run:
    print([load.apply((number,)).result for number in range(1, 5)])
    print(type(fail.apply().result).__name__)
    tasks.uninstall()
    load.apply((100,))
print(sorted(figures(run.phases)), tasks._open)
""",
        silent=False,
    )
    assert lines[:2] == ["[1, 2, 3, 4]", "ValueError"]
    assert lines[2].startswith("[('fail', 1, 0), ('inner', 1, 100), ('load', 4, 10), ('load/inner'")


def test_those_of_a_worker_are_too(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        APPLICATION
        + """
from celery.contrib.testing.worker import start_worker
with memdeep.recording("out", native=False) as run:
    with start_worker(app, pool="threads", concurrency=2, perform_ping_check=False):
        print([load.delay(number).get(timeout=10) for number in range(1, 5)])
found = figures(run.phases)
print(sorted({path for path, *_ in found}))
print(sum(size for path, _, size in found if path == "load"))
""",
        silent=False,
    )
    assert lines == ["[1, 2, 3, 4]", "['load', 'load/inner']", "10"]
