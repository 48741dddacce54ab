"""The workers of a Dask cluster: one run, and a row for each prefix that adds up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dask_cluster import CLUSTER
from own_recording import run

pytest.importorskip("distributed")


@pytest.mark.parametrize("gather", ["False", "as_of_another_host()"])
def test_the_rows_of_prefixes_add_up_over_workers_and_threads(tmp_path: Path, gather: str) -> None:
    lines = run(
        tmp_path,
        CLUSTER
        + f"GATHER = {gather}"
        + """
if __name__ == "__main__":
    with cluster() as made, Client(made) as client:
        with clusters.recording(client, "out", gather=GATHER) as run:
            with clusters.recording(client, "within"):  # is a phase
                pass
            print(worked(client))
        print(client.submit(pow, 2, 10).result())
    for row in run.prefixes:
        print(row.path, row.count, len(row.tasks), row.retained // 1000, *[
            line.bytes // MB for line in row.lines[:1]
        ])
    for worker in run.workers:
        print(worker.name, worker.threads, worker.limit, worker.end)
    print(json.dumps([[row.lines[0].filename, row.lines[0].lineno] for row in run.prefixes[:2]]))
    print(sum(worker.peak_heap for worker in run.workers) // MB in range(91, 200))
    print(run.result.problems, run.report())
    os.unlink("out/samples")  # as of workers that were not seen from outside
    print([MB < worker.peak_rss < 500 * MB for worker in clusters.load("out").workers])
    print((run.gathered.bytes > 2 * run.gathered.sent_bytes > 0) == GATHER)
""",
    )
    rows, workers, last = lines[2:6], lines[6:8], lines[8:]
    assert lines[:2] == ["10", "1024"]  # and the cluster works on when the recording has ended
    sizes = {row.split()[0]: row.split()[1:] for row in rows}
    assert sizes.pop("len")[:1] == ["1"]
    assert {path: figures[0] for path, figures in sizes.items()} == {
        "load": "10",
        "leak": "8",
        "leak/inner": "8",
    }
    # Small objects are there too: Python takes memory for them by the MiB.
    more = [
        int(figures[2]) / 1000 - wanted
        for figures, wanted in zip(sizes.values(), (55, 36, 36), strict=True)
    ]
    assert all(0 <= one < 2.2 for one in more)
    assert [figures[3] for figures in sizes.values()] == ["55", "36", "36"]
    assert sorted(workers) == ["0 2 2000000000 running", "1 2 2000000000 running"]
    source = (tmp_path / "job.py").read_text("utf-8").splitlines()
    assert [(name, source[line - 1].strip()) for name, line in json.loads(last.pop(0))] == [
        (str(tmp_path / "job.py"), "return bytearray(number * MB)"),
        (str(tmp_path / "job.py"), "kept = bytearray(number * MB)"),
    ]
    assert last == ["True", "() out/report.html", "[True, True]", "True"]
    report = json.loads((tmp_path / "out/report.json").read_text("utf-8"))
    traced = [one["command"] for one in report["processes"] if one["traced"]]
    assert sorted(traced) == ["dask worker 0", "dask worker 1"]
    leak = 1 + source.index("        kept = bytearray(number * MB)")
    kept = [
        round(one["bytes"] / 1_000_000)
        for one in report["findings"]
        if "stayed" in one["title"] and one["culprit"]["lineno"] == leak
    ]
    assert kept == [36]  # what leaks is there at the end


@pytest.mark.parametrize("gather", ["False", "as_of_another_host()"])
def test_a_worker_that_dies_leaves_what_it_recorded_and_is_told(
    tmp_path: Path, gather: str
) -> None:
    lines = run(
        tmp_path,
        CLUSTER
        + f"GATHER = {gather}"
        + """
import dask, signal, time

def burst():
    kept = []
    for _ in range(60):
        kept.append(bytes(10) * MB)
        time.sleep(0.01)
    time.sleep(30)

def die():
    kept = bytes(20) * MB
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    options = {"dashboard_address": ":0", "memory_limit": "400MB", "silence_logs": 60}
    with LocalCluster(n_workers=2, threads_per_worker=2, **options) as made, Client(made) as client:
        with clusters.recording(client, "out", gather=GATHER) as run:
            for function in (burst, die):
                try:
                    client.submit(function).result()
                except Exception as error:
                    print(type(error).__name__)
                client.wait_for_workers(2)
            client.gather(client.map(load, range(1, 5)))
        for path in ("burst", "die", "load"):
            print(path, [row.lines[0].bytes // MB for row in run.prefixes if row.path == path])
        print(sorted(worker.end for worker in run.workers))
        assert clusters.load("out").summary() == run.summary()
        print(*run.result.problems, sep="\\n")
""",
        silent=False,
    )
    assert lines[:2] == ["KilledWorker", "KilledWorker"]
    burst, die, loaded, ends, *problems = lines[2:]
    assert int(burst.removeprefix("burst [").rstrip("]")) in range(200, 400)
    assert (die, loaded) == ("die [20]", "load [10]")
    assert ends == "['lost', 'nanny', 'running', 'running']"
    assert len(problems) == 2 and all(problem.startswith("Worker ") for problem in problems)
    assert "of its limit of 381.5 MB." in problems[0] + problems[1]
    assert "was lost; how it ended is not known." in problems[0] + problems[1]


def test_the_plugin_alone_records_each_worker_also_one_that_joins_later(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        CLUSTER
        + """
if __name__ == "__main__":
    with cluster() as made, Client(made) as client:
        client.register_plugin(clusters.Plugin(os.path.abspath("out")))
        worked(client)
        made.scale(3)
        client.wait_for_workers(3)
        client.run(len, "abc")
    runs = [memdeep.load(f"out/{name}") for name in sorted(os.listdir("out"))]
    print([run.name for run in runs], [run.exit.verdict for run in runs])
    for name in ("load", "leak"):
        phases = [phase for run in runs for phase in run.phases if phase.path == name]
        print(sum(phase.retained for phase in phases) // MB, sum(one.repeats for one in phases))
""",
        silent=False,
    )
    assert lines == ["['0', '1', '2'] ['completed', 'completed', 'completed']", "55 10", "36 8"]


def test_within_another_recording_it_is_a_phase_of_that(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        CLUSTER
        + """
if __name__ == "__main__":
    with memdeep.recording("out", native=False) as whole, cluster() as made, Client(made) as client:
        with clusters.recording(client, "other") as run:
            worked(client)
            print(run, run.report())
    print(whole.phases["dask"].name, os.path.exists("other"))
    phases = [one for process in whole.result.processes for one in process.phases]
    print(sum(phase.retained for phase in phases if phase.path == "load") // MB)
""",
        silent=False,
    )
    assert lines == ["<ClusterRun in None> None", "dask False", "55"]


def test_workers_that_are_threads_are_recorded_with_their_process(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        CLUSTER
        + """
if __name__ == "__main__":
    with LocalCluster(n_workers=2, processes=False, dashboard_address=":0") as made:
        with Client(made) as client, clusters.recording(client, "out") as run:
            worked(client)
    for row in run.prefixes:
        print(row.path, row.count, sum(line.bytes for line in row.lines[:1]) // MB, *row.tasks)
""",
        silent=False,
    )
    assert {"load 10 55 (client)", "leak 8 36 (client)", "leak/inner 8 36 (client)"} <= set(lines)


def test_an_error_for_the_memory_of_a_worker_goes_its_way_and_is_explained(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        CLUSTER
        + """
import dask, time

def burst():
    kept = [bytes(10) * MB for _ in range(60)]
    time.sleep(30)

if __name__ == "__main__":
    dask.config.set({"distributed.scheduler.allowed-failures": 0})
    options = {"dashboard_address": ":0", "memory_limit": "400MB", "silence_logs": 60}
    with LocalCluster(n_workers=1, threads_per_worker=2, **options) as made, Client(made) as client:
        try:
            with clusters.recording(client, "out") as run:
                client.submit(burst).result()
        except Exception as error:
            print(type(error).__name__)
    print([worker.end for worker in run.workers if worker.end != "running"])
    print(*run.result.problems, sep="\\n")
""",
        silent=False,
    )
    assert lines[:2] == ["KilledWorker", "['nanny']"]
    assert any("was ended by its nanny at" in line for line in lines[2:])


@pytest.mark.parametrize("gather", ["True", "as_of_another_host()"])
def test_what_was_sent_is_there_when_the_cluster_has_gone(tmp_path: Path, gather: str) -> None:
    lines = run(
        tmp_path,
        CLUSTER
        + f"""
import time
if __name__ == "__main__":
    made = cluster()
    client = Client(made)
    with clusters.recording(client, "out", gather={gather}) as run:
        client.gather(client.map(load, range(1, 11)))
        time.sleep(3 * gatherer.GATHER_S)
        client.close()
        made.close()
    print(*(row.lines[0].bytes // MB for row in run.prefixes), *(one.end for one in run.workers))
    print(*run.result.problems, sep="\\n")
    print(run.gathered.bytes > 0)
""",
        silent=False,
    )
    if "other" not in gather:
        assert lines == ["55 completed completed", "", str(gather == "True")]
        return
    assert (lines[0], lines[-1]) == ("55 lost lost", "True")
    assert lines[1].startswith("Not all that workers recorded could be gathered: ")
    assert [line.startswith("Worker ") for line in lines[2:-1]] == [True, True]
