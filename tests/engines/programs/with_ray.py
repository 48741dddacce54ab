"""Tasks and actors of Ray that keep and return what is known; prints what the recording says."""

import asyncio
import builtins
import json
import os
import signal
import sys
import time

import numpy as np
import ray

import memdeep
from memdeep.integrations import gatherer
from memdeep.integrations import ray as clusters

MB = 1_000_000


def keep(size: int) -> bytes:
    kept = b"x" * (size * MB)  # HELD
    builtins.__dict__.setdefault("kept", []).append(kept)
    return kept


@ray.remote
def load(number):
    return b"x" * (number * MB)  # RETURNED


@ray.remote
def hold(number):
    with memdeep.phase("inner"):
        return len(keep(number)) // MB


@ray.remote
def total(array):
    return int(array[::4096].sum())


@ray.remote(num_returns="streaming")
def one_after_another(most):
    for number in range(most):  # noqa: UP028 - Ray sends to it, which a range does not take
        yield number


@ray.remote(max_retries=0)
def die():
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)


@ray.remote
class Keeper:
    def __init__(self):
        self.kept = b"x" * (57 * MB)  # KEPT

    def size(self):
        return len(self.kept) // MB

    def one_after_another(self, most):
        for number in range(most):  # noqa: UP028
            yield number


@ray.remote
class Async:
    def __init__(self):
        self.kept = []

    async def add(self, size):
        self.kept.append(b"x" * (size * MB))  # AWAITED
        await asyncio.sleep(0.2)
        return size


@ray.remote(max_concurrency=2)
class Threaded:
    def __init__(self):
        self.kept = []

    def add(self, size):
        self.kept.append(b"x" * (size * MB))  # THREADED
        time.sleep(0.2)
        return size


def worked():
    keeper, together, threaded = Keeper.remote(), Async.remote(), Threaded.remote()
    results = [ray.get(keeper.size.remote())]
    results.append(len(ray.get([load.remote(number) for number in range(1, 11)])))
    results.append(sum(ray.get([hold.remote(number) for number in range(1, 9)])))
    array = ray.put(np.ones(100 * MB, np.uint8))
    results.append(ray.get([total.remote(array) for _ in range(4)])[0])
    results.append(sum(ray.get([together.add.remote(size) for size in (1, 2, 3)])))
    results.append([ray.get(one) for one in one_after_another.remote(3)])
    streamed = keeper.one_after_another.options(num_returns="streaming").remote(3)
    results.append([ray.get(one) for one in streamed])
    results.append(sum(ray.get([threaded.add.remote(size) for size in (4, 5)])))
    ray.kill(together)
    try:
        ray.get(die.remote())
    except ray.exceptions.WorkerCrashedError:
        time.sleep(1)
    return results


if __name__ == "__main__":
    gathers = sys.argv[1:] == ["gather"]
    if gathers:  # through Ray, as from another host
        gatherer.Gatherer._here = lambda _self: ""
    with clusters.recording("out", gather=gathers) as run:
        options = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 500 * MB}
        ray.init(**options)
        results = worked()
        ray.shutdown()
    print(run.summary())
    print(run.report())
    rows = {
        row.path: [
            row.count,
            round((row.retained or 0) / MB),
            [
                os.path.basename(row.lines[0].filename or ""),
                row.lines[0].lineno,
                round(row.lines[0].bytes / MB),
            ]
            if row.lines
            else None,
        ]
        for row in run.prefixes
    }
    print(
        json.dumps(
            {
                "results": results,
                "rows": rows,
                "workers": [(one.name, one.end) for one in run.workers],
                "problems": run.result.problems,
                "gathered": run.gathered.bytes,
            }
        )
    )
