"""Many workers: their reports are made one after the other, and their sums are exact."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from running import environment, memdeep_command, read_json

import memdeep
from benchmarks.worker_copies import Made, copies
from memdeep import pipeline
from memdeep.errors import CaptureError
from memdeep.model import Heap, Report
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.workers import Worker, encode_worker

WORKERS = 20
SIZES = {
    "load": [100_001 + 1000 * number for number in range(8)],
    "score/prepare": [50_001 + 1000 * number for number in range(8)],
}
PROGRAM = """
import os, memdeep

kept = []

def load(number):
    with memdeep.phase("load"):
        kept.append(bytearray(100_000 + 1000 * number))
    with memdeep.phase("score"), memdeep.phase("prepare"):
        kept.append(bytearray(50_000 + 1000 * number))

for worker in range(4):
    pid = os.fork()
    if pid == 0:
        for number in (worker, worker + 4):
            load(number)
        os._exit(0)
    os.waitpid(pid, 0)
"""


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("seed")
    (place / "pool.py").write_text(PROGRAM, "utf-8")
    words = ["run", "--quiet", "--no-report", "--no-native", "-o", "run", "pool.py"]
    subprocess.run(memdeep_command(*words), cwd=place, env=environment(), check=True)
    for number, child in enumerate(RunDirectory(place / "run").children()):
        pid = json.loads(child.journal.read_text("utf-8").splitlines()[0])["pid"]
        child.worker.write_bytes(encode_worker(Worker(pid, str(number), "", 1)))
    return place / "run"


def replicated(seed: Path, into: Path, count: int) -> Made:
    made = copies(seed, into, count, SIZES)
    pipeline.seal(RunDirectory(into), lambda _: None)
    return made


@pytest.fixture(scope="module")
def many(seed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Made]:
    path = tmp_path_factory.mktemp("many") / "run"
    return path, replicated(seed, path, WORKERS)


def expected(seed: Path, made: Made) -> dict[str, int]:
    """The sums of the processes that copies were made of, less what they have less."""
    sums: Counter[str] = Counter()
    for process in memdeep.load(seed).processes[1:]:
        for phase in process.phases:
            if phase.kind == "span":
                sums[phase.path] += (phase.retained or 0) * made.by_seed[process.pid or 0]
    less = Counter(made.less)
    less["score"] = less["score/prepare"]
    return dict(sums - less)


def keep_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "MIN_OWN_REPORTS", 2)
    monkeypatch.setattr(pipeline, "MAX_OWN_REPORTS", 0)


def analysed(path: Path) -> Report:
    return pipeline.analyse(pipeline.load(path, lambda _: None), lambda _: None)


def written(report: Report, into: Path) -> dict[str, Any]:
    pipeline.write(report, {"json": into / "report.json"}, lambda _: None)
    return read_json(into / "report.json")


def test_the_rows_of_many_workers_are_the_sums_of_what_was_recorded(
    seed: Path, many: tuple[Path, Made]
) -> None:
    path, made = many
    found = {"/".join(row.path): row for row in analysed(path).across}
    sums = expected(seed, made)
    assert {name: row.retained_bytes for name, row in found.items()} == sums
    assert sums["load"] > WORKERS * 2 * 95_000 and made.less["load"] > 0
    assert {(row.repeats, len(row.shares)) for row in found.values()} == {(2 * WORKERS, WORKERS)}


def test_of_too_many_own_reports_those_of_the_highest_heaps_are_kept(
    many: tuple[Path, Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = many
    whole = analysed(path)
    everything = written(whole, tmp_path)
    keep_few(monkeypatch)
    report = analysed(path)
    peaks = {heap.process: heap.peak_bytes for heap in report.heap.processes}
    highest = sorted(peaks, key=lambda place: (-peaks[place], place))[:2]
    assert list(report.own_reports) == sorted(highest)
    assert len(report.own_left_out) == WORKERS - 2
    assert report.across == whole.across and report.phases == whole.phases
    few = written(report, tmp_path)
    assert len(few["processes"]) == len(everything["processes"])
    for name in ("phases", "checkpoints"):
        listed = len(everything[name]) - len(few[name])
        assert few[f"{name}_left_out"] - everything[f"{name}_left_out"] == listed > 0
    rows = [row for row in few["phases"] if "shares" in row]
    assert {len(row["shares"]) for row in rows} == {WORKERS}
    assert {len(row["members"]) for row in rows} == {2}
    assert {row["members_left_out"] for row in rows} == {WORKERS - 2}


def test_phases_of_a_worker_that_was_summed_up_can_be_loaded(
    many: tuple[Path, Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = many
    whole = memdeep.load(path)
    keep_few(monkeypatch)
    few = memdeep.load(path)
    for one, other in zip(whole.processes, few.processes, strict=True):
        assert [phase.path for phase in one.phases] == [phase.path for phase in other.phases]
        stacks = [
            [phase.stacks("retained") for phase in process.phases] for process in (one, other)
        ]
        assert stacks[0] == stacks[1]


def test_phases_of_a_worker_whose_files_are_gone_are_none(
    seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replicated(seed, tmp_path / "run", 4)
    keep_few(monkeypatch)
    report = memdeep.load(tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "children")
    assert (
        sorted(len(process.phases) > 0 for process in report.processes[1:])
        == [False] * 2 + [True] * 2
    )


def test_a_report_that_is_not_kept_is_let_go_though_nobody_looks_for_cycles(
    many: tuple[Path, Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = many
    keep_few(monkeypatch)
    gc.collect()
    before = [one for one in gc.get_objects() if type(one) is Heap]  # of other tests
    gc.disable()  # as `memdeep report` does
    try:
        report = analysed(path)
        heaps = [one for one in gc.get_objects() if type(one) is Heap]
    finally:
        gc.enable()
    assert len(report.own_reports) == 2
    more = len(heaps) - len(before)
    assert more <= 2 + 2  # the joined one, the program's own, and those of the two reports


def test_each_further_worker_takes_little_memory(
    seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_few(monkeypatch)
    peaks = []
    for count in (4, 4, 24):  # the first fills what is kept once
        replicated(seed, tmp_path / f"{len(peaks)}", count)
        tracemalloc.start()
        written(analysed(tmp_path / f"{len(peaks)}"), tmp_path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[2] - peaks[1]) / 20 < 100_000


def test_a_cluster_merges_run_directories_as_one_process_does(many: tuple[Path, Made]) -> None:
    distributed = pytest.importorskip("distributed")
    from memdeep.integrations import dask

    path, _ = many
    whole = {row.path: row for row in memdeep.load(path).across}
    options = {"processes": False, "dashboard_address": None}
    with (
        distributed.LocalCluster(n_workers=2, **options) as cluster,
        cluster.get_client() as client,
    ):
        found = dask.merge(client, [path], at_once=3)
        children = [child.path for child in RunDirectory(path).children()]
        apart = dask.merge(client, [*children, path.parent], at_once=7)
        with pytest.raises(CaptureError):
            dask.merge(client, [path.parent])
    assert [str(row.shares) for row in apart.prefixes] == [
        str(row.shares) for row in found.prefixes
    ]
    assert (found.unread, apart.unread) == ((), (path.parent,))
    assert [row.path for row in found.prefixes] == list(whole)
    for row in found.prefixes:
        one = whole[row.path]
        names = ("count", "retained", "resident", "other", "growth", "allocations", "tasks", "peak")
        assert [getattr(row, name) for name in names] == [getattr(one, name) for name in names]
        lines = [
            [(line.filename, line.lineno, line.bytes, line.stack) for line in of.lines]
            for of in (row, one)
        ]
        assert lines[0] == lines[1]
    assert {worker.end for worker in found.workers} == {"completed"}
    assert [worker.peak_heap for worker in found.workers].count(None) == 0
    assert f"{WORKERS}" in found.summary()
