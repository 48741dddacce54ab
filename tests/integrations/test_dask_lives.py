"""Clusters whose workers and clients come and go while they are recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from dask_cluster import CLUSTER
from own_recording import run

pytest.importorskip("distributed")

LIVES = """
import asyncio
from memdeep.errors import MemdeepError

def loaded(client, name):
    return client.map(load, range(1, 11), key=[f"{name}-{number}" for number in range(10)])

def show(run):  # in pieces of 5 MB: in some runs a task is the one that an arena of Python's is for
    print(*[f"{row.path} {row.count} {row.retained // (5 * MB)}" for row in run.prefixes])
    print(*sorted(f"{one.name} {one.end}" for one in run.workers), *run.result.problems)

def left(dask_worker):
    from memdeep.record import api
    return api.is_recording() or "memdeep" in dask_worker.plugins
"""


def test_workers_are_restarted_and_join_and_the_client_closes(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        CLUSTER
        + LIVES
        + """
import dask
# Where a restart takes longer, a LocalCluster closes the nannies.
dask.config.set({"distributed.deploy.lost-worker-timeout": "300s"})

if __name__ == "__main__":
    with cluster() as made, Client(made) as client:
        with clusters.recording(client, "restarted") as run:
            client.gather(loaded(client, "before"))
            client.restart()
            client.gather(loaded(client, "after"))
        show(run)
        with clusters.recording(client, "joined") as run:
            made.scale(3)
            client.wait_for_workers(3)
            at = [*client.run(len, "abc")]
            client.gather([client.submit(load, 5, key=f"on-{one}", workers=one) for one in at])
        show(run)
        with clusters.recording(client, "closed") as run:
            client.gather(loaded(client, "open"))
            client.close()
        show(run)
        with Client(made) as another:
            print(*another.run(left).values())
""",
        silent=False,
    )
    assert set(lines[0].split(" ")) == {"before", "after", "10", "11"}
    assert lines[1:] == [
        "0 completed 0 running 1 completed 1 running",
        "on 3 3",
        "0 running 1 running 2 running",
        "open 10 11",
        "0 running 1 running 2 running",
        "False False False",
    ]


@pytest.mark.parametrize("processes", [True, False])
def test_an_asynchronous_client_is_recorded(tmp_path: Path, processes: bool) -> None:
    lines = run(
        tmp_path,
        CLUSTER
        + LIVES
        + f"PROCESSES = {processes}"
        + """

async def main():
    options = {"dashboard_address": ":0", "processes": PROCESSES, "asynchronous": True}
    async with (
        LocalCluster(n_workers=2, threads_per_worker=2, **options) as made,
        Client(made, asynchronous=True) as client,
    ):
        try:
            with clusters.recording(client):
                pass
        except MemdeepError as error:
            print(error)
        async with clusters.recording(client, "out", gather=True) as run:
            print(len(await client.gather(loaded(client, "awaited"))))
        try:
            async with clusters.recording(client, "failed"):
                raise ValueError
        except ValueError as error:
            print(repr(error))
        for seconds in (0, 0.05, 1):
            task = asyncio.ensure_future(cancelled(client, f"cancelled-{seconds}"))
            await asyncio.sleep(seconds)
            task.cancel()
            await asyncio.wait([task])
        print(any((await client.run(left)).values()))
        with memdeep.recording("whole", native=False) as whole:
            async with clusters.recording(client, "other") as within:
                await client.gather(loaded(client, "within"))
        print(within.path, whole.phases["dask"].name)
        show(run)

async def cancelled(client, path):
    async with clusters.recording(client, path):
        await asyncio.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
""",
        silent=False,
    )
    assert lines[0].startswith("An asynchronous client cannot be waited for here.")
    assert lines[1:5] == ["10", "ValueError()", "False", "None dask"]
    assert "awaited 10 11" in lines[5]
    assert lines[6] == ("0 running 1 running" if processes else "(client) completed")
