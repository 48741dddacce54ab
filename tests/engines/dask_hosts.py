"""Workers on hosts that share neither the run directory nor clocks and numbers of processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import hosts
import pytest
from running import environment

pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(not hosts.may_be_made(), reason="it takes root and namespaces")

PORT = 8786
PROGRAM = f"""
import os, signal, time
import dask
from distributed import Client, LocalCluster
from memdeep.integrations import dask as clusters

MB = 1_000_000

def load(number):
    return bytearray(number * MB)

def die(number):
    kept = bytes(number) * MB
    os.kill(os.getpid(), signal.SIGKILL)

def burst():
    kept = []
    for _ in range(60):
        kept.append(bytes(10) * MB)
        time.sleep(0.01)
    time.sleep(30)

if __name__ == "__main__":
    dask.config.set({{"distributed.scheduler.allowed-failures": 0}})
    options = {{"host": "{hosts.FIRST}", "scheduler_port": {PORT}, "dashboard_address": ":0"}}
    with LocalCluster(n_workers=0, silence_logs=60, **options) as made, Client(made) as client:
        client.wait_for_workers(2)
        names = {{one["name"]: at for at, one in client.scheduler_info()["workers"].items()}}
        with clusters.recording(client, "out") as run:
            for name in "bc":
                tasks = [client.submit(load, n, key=f"{{name}}-{{n}}", workers=[name])
                         for n in range(1, 11)]
                client.gather(tasks)
            for function, *arguments in ((die, 20), (burst,)):
                try:
                    client.submit(function, *arguments, workers=["b"]).result()
                except Exception as error:
                    print(type(error).__name__)
                while len(client.scheduler_info()["workers"]) < 2:
                    time.sleep(0.05)
        for row in run.prefixes:
            if row.retained > MB:
                print(row.path, row.count, row.lines[0].bytes // MB, *row.tasks)
        print(*sorted(f"{{one.name}} {{one.end}}" for one in run.workers))
        print(len({{one.pid for one in run.workers}}), run.gathered.bytes > 0)
        durations = [one.duration for worker in run.workers for one in worker.phases]
        print(all(0 <= one < 60 for one in durations), *os.listdir("out"))
        print(*run.result.problems, sep="\\n")
        print(run.report())
"""


@contextmanager
def workers(made: hosts.Hosts, *names: str) -> Iterator[None]:
    with ExitStack() as stack:
        for name in names:
            address = f"tcp://{hosts.FIRST}:{PORT}"
            command = [
                sys.executable,
                "-m",
                "distributed.cli.dask_worker",
                address,
                "--no-dashboard",
            ]
            options = ["--name", name, "--nthreads", "2", "--memory-limit", "400MB"]
            process = subprocess.Popen(
                made.other(name, [*command, *options]), stderr=subprocess.DEVNULL, env=environment()
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


def test_all_is_gathered_also_from_a_host_whose_workers_die(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(PROGRAM, "utf-8")
    with hosts.hosts(tmp_path, "b", "c") as made, workers(made, "b", "c"):
        done = subprocess.run(
            made.first([sys.executable, "job.py"]),
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["KilledWorker", "KilledWorker"]
    burst = next(line for line in lines[2:6] if line.startswith("burst "))
    assert int(burst.split()[2]) in range(200, 400)
    assert {*lines[2:6]} - {burst} == {"b 10 55 b", "c 10 55 c", "die 1 20 b"}
    assert lines[6] in ("b lost b nanny c running", "b lost b nanny b running c running")
    assert lines[7] == f"{len(lines[6].split()) // 2} True"  # nobody has another one's number
    assert lines[8].startswith("True ") and "children" in lines[8]
    problems = lines[9:-1]
    assert len(problems) == 2 and all(line.startswith("Worker b (process 1") for line in problems)
    assert "was ended by its nanny at" in "".join(problems)
    assert "was lost; how it ended is not known." in "".join(problems)
    assert (tmp_path / "out/report.html").exists()
