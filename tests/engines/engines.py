"""`make test-engines`: real engines with workers under memdeep, held against an expert's answer.

Plain `pytest` does not collect it: joblib, gunicorn, celery and greenlet are wanted here only. Each
test says before its run which line of which workers holds how much, and what started these.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from running import read_json

PROGRAMS = Path(__file__).parent / "programs"
TOLERANCE = 0.05
TIMEOUT_S = 120.0

Fields = dict[str, Any]
Meanwhile = Callable[[Path], None]


@dataclass(frozen=True)
class Run:
    """What a command did in ``work``, and what the report says where it was recorded."""

    work: Path
    status: int
    stdout: str
    stderr: str

    @cached_property
    def report(self) -> Fields:
        return read_json(self.work / "run" / "report.json")

    def processes(self, how: str) -> list[Fields]:
        return [one for one in self.report["processes"] if one["how"] == how]

    def starter(self, process: Fields) -> str | None:
        """Return the line of the user's that started a process, as ``FILE:LINE``."""
        stack = self.report["stacks"][process["started_by"]["stack"]]
        frames = [self.report["frames"][place] for place in stack]
        own = [one for one in frames if Path(one["filename"]).is_relative_to(self.work)]
        return f"{Path(own[-1]['filename']).name}:{own[-1]['lineno']}" if own else None

    def phase_of(self, process: Fields) -> str:
        return str(self.report["phases"][process["started_by"]["phase"]]["name"])


def line_of(program: str, mark: str) -> int:
    """Return the number of the line of a program that ends with a mark."""
    lines = (PROGRAMS / program).read_text("utf-8").splitlines()
    (found,) = [number for number, line in enumerate(lines, 1) if line.endswith(f"  # {mark}")]
    return found


def run(work: Path, words: Sequence[str], meanwhile: Meanwhile | None, *, recorded: bool) -> Run:
    """Run a Python with ``words`` in a copy of the programs; ``meanwhile`` ends what serves.

    It is ended as its user does: by SIGTERM to the process that was started.
    """
    shutil.copytree(PROGRAMS, work)
    command = [sys.executable]
    if recorded:
        command += ["-m", "memdeep", "run", "--quiet", "-o", "run"]
    process = subprocess.Popen(
        [*command, *words], cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        if meanwhile is not None:
            meanwhile(work)
            process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
    return Run(work, process.returncode, stdout, stderr.replace(str(work), ""))


def both(path: Path, *words: str, meanwhile: Meanwhile | None = None) -> Run:
    """Run plain and recorded; status and output must be the same but for numbers."""
    plain = run(path / "plain", words, meanwhile, recorded=False)
    recorded = run(path / "work", words, meanwhile, recorded=True)
    assert (recorded.status, plain.status) == (0, 0), recorded.stderr
    assert _without_figures(recorded.stdout) == _without_figures(plain.stdout)
    assert _without_figures(recorded.stderr) == _without_figures(plain.stderr)
    assert recorded.report["exit"]["verdict"] == "completed"
    assert recorded.report["problems"] == []
    return recorded


def _without_figures(text: str) -> list[str]:
    """Return the lines in any order: processes write at the same time."""
    return sorted(re.sub(r"[0-9a-fx]*\d[0-9a-f.]*", "#", text).splitlines())


def wait_for(condition: Callable[[], object]) -> None:
    give_up_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < give_up_s, "waited in vain"
        time.sleep(0.05)


def assert_kept(found: Run, workers: Sequence[Fields], program: str, size: int) -> Fields:
    """Hold the first finding against the line that kept ``size`` bytes in all ``workers``."""
    assert all(one["traced"] and one["exit"] == 0 for one in workers)
    assert len({one["group"] for one in workers}) == 1
    first: Fields = found.report["findings"][0]
    assert first["kind"] == "children", first["title"]
    assert Path(first["culprit"]["filename"]).name == program
    assert first["culprit"]["lineno"] == line_of(program, "KEPT")
    assert first["bytes"] == pytest.approx(size, rel=TOLERANCE)
    places = [found.report["processes"].index(one) for one in workers]
    assert first["processes"] == places
    return first


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_process_pool_executor(tmp_path: Path, how: str) -> None:
    found = both(tmp_path, "process_pool.py", how)
    workers = found.processes(how)
    assert len(workers) == 2
    first = assert_kept(found, workers, "tasks.py", 60_000_000)
    assert found.report["phases"][first["phase"]]["name"] == "search"
    for worker in workers:
        assert found.starter(worker) == f"process_pool.py:{line_of('process_pool.py', 'STARTS')}"
        assert found.phase_of(worker) == "search"
    # What the parent itself holds is told behind what its workers do.
    second = found.report["findings"][1]
    assert second["bytes"] == pytest.approx(10_000_000, rel=TOLERANCE)
    assert second["culprit"]["lineno"] == line_of("process_pool.py", "TABLE")


def test_joblib_with_loky(tmp_path: Path) -> None:
    found = both(tmp_path, "with_loky.py")
    workers = found.processes("spawn")
    assert len(workers) == 2
    first = assert_kept(found, workers, "tasks.py", 60_000_000)
    assert found.report["phases"][first["phase"]]["name"] == "search"
    for worker in workers:
        assert found.starter(worker) == f"with_loky.py:{line_of('with_loky.py', 'STARTS')}"
        assert found.phase_of(worker) == "search"


def test_pytest_with_two_workers(tmp_path: Path) -> None:
    # hypothesis, which is here too, imports all of itself as a session ends: on a busy machine that
    # may take longer than the 5 s after which execnet interrupts a worker.
    plugins = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    found = both(tmp_path, "-m", "pytest", *plugins, "-q", "-n", "2", "kept_by_tests.py")
    workers = found.processes("subprocess")
    assert len(workers) == 2
    assert_kept(found, workers, "kept_by_tests.py", 60_000_000)
    # No line of the user's has started them; none is made up.
    assert {found.starter(worker) for worker in workers} == {None}


@pytest.mark.parametrize("preload", [(), ("--preload",)])
def test_gunicorn_with_two_workers(tmp_path: Path, preload: Sequence[str]) -> None:
    def ask_both(work: Path) -> None:
        seen: set[str] = set()

        def ask() -> bool:
            with socket.socket(socket.AF_UNIX) as connection:
                try:
                    connection.connect(os.path.relpath(work / "socket"))
                    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    answer = b"".join(iter(lambda: connection.recv(1000), b""))
                except OSError:
                    return False  # it does not listen yet
            seen.add(answer.decode().rpartition("\n")[2])
            return len(seen) == 2

        wait_for(ask)

    words = ("-m", "gunicorn", "-w", "2", *preload, "-b", "unix:socket", "--no-control-socket")
    found = both(tmp_path, *words, "wsgi:app", meanwhile=ask_both)
    workers = found.processes("fork")
    assert len(workers) == 2
    assert_kept(found, workers, "wsgi.py", 60_000_000)


def test_celery_with_two_processes(tmp_path: Path) -> None:
    def give_tasks(work: Path) -> None:
        subprocess.run([sys.executable, "celery_app.py"], cwd=work, check=True)
        wait_for(lambda: len([*(work / "seen").glob("*")]) == 2)

    words = ("-m", "celery", "-A", "celery_app", "worker", "-c", "2", "--pool", "prefork")
    found = both(tmp_path, *words, meanwhile=give_tasks)
    workers = found.processes("fork")
    assert len(workers) == 2
    assert_kept(found, workers, "celery_app.py", 50_000_000)


@pytest.mark.parametrize("tracker", ["", "memray"])
def test_greenlets(tmp_path: Path, tracker: str) -> None:
    """memray's notice that it is new to greenlets shows where the program traces, only."""
    words = ("with_greenlet.py", tracker)
    plain = run(tmp_path / "plain", words, None, recorded=False)
    recorded = run(tmp_path / "work", words, None, recorded=True)
    assert ("Greenlet is experimental" in plain.stderr) == bool(tracker)
    assert "RuntimeWarning: the program's own" in plain.stderr
    own = re.sub("memdeep: tracing has stopped.*\n", "", recorded.stderr)
    assert (recorded.status, recorded.stdout) == (plain.status, plain.stdout)
    assert _without_figures(own) == _without_figures(plain.stderr)
    first = recorded.report["findings"][0]
    assert first["culprit"]["lineno"] == line_of("with_greenlet.py", "KEPT")
    assert first["bytes"] == pytest.approx(30_000_000, rel=TOLERANCE)


def test_loader_of_batches(tmp_path: Path) -> None:
    found = both(tmp_path, "data_loader.py")
    workers = found.processes("fork")
    assert len(workers) == 6
    assert len({worker["group"] for worker in workers}) == 1
    line = line_of("data_loader.py", "DATA")
    # By reading: references are counted, so that each worker has a copy of the data in the end.
    size = 400_000 * (56 + 2 * 24 + 8)
    first, second = found.report["findings"][:2]
    assert (first["kind"], first["culprit"]["lineno"]) == ("children", line)
    assert len(first["processes"]) == 2  # that lived at the same time
    assert first["bytes"] == pytest.approx(2 * size, rel=0.25)  # with the rest of their pages
    assert (second["culprit"]["lineno"], second["processes"]) == (line, [])
    assert second["bytes"] == pytest.approx(size, rel=0.25)
    for place, worker in enumerate(workers):
        assert worker["exit"] == 0
        assert found.starter(worker) == f"data_loader.py:{line_of('data_loader.py', 'STARTS')}"
        assert found.phase_of(worker) == f"epoch {place // 2}"
        assert worker["peak_heap_bytes"] < 5_000_000
    # Where others keep the processors busy, a worker may have ended before it was looked at, or may
    # have read more since: what is known is a least.
    looked_at = [worker for worker in workers if worker["split_off"] is not None]
    assert len(looked_at) >= 3
    for worker in looked_at:
        assert worker["split_off"][0]["lineno"] == line
        assert 0.1 * size < worker["split_off_bytes"] < 1.25 * size
