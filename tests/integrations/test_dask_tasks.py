"""What a Dask worker runs is a phase, whose figures come out to the arithmetic."""

from __future__ import annotations

from pathlib import Path

import pytest
from dask_cluster import CLUSTER
from own_recording import run

pytest.importorskip("distributed")

# Without the arenas of Python's objects, of 1 MiB each, that any task may be the one to ask for.
ROWS = """
    for row in run.prefixes:
        sizes = [line.bytes for line in row.lines if line.bytes > 1.5 * MB]
        if sizes:
            print(row.path, row.count, round(sum(sizes) / MB))
"""


def test_tasks_of_all_kinds_add_up(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    lines = run(
        tmp_path,
        CLUSTER
        + """
import dask.array, numpy, operator, time
from pathlib import Path
from distributed import get_client, worker_client

def make(number):
    return numpy.ones(number * MB // 8)

def total(arrays):
    return sum(array.sum() for array in arrays)

def within(number):
    with worker_client() as client:
        made = client.map(make, [number, number], key=[f"sub-{number}-{i}" for i in range(2)])
        return float(total(client.gather(made)))

def within_the_same(number):
    client = get_client()
    made = [client.submit(make, number, key=("tuple", number, i)) for i in range(2)]
    return float(total(client.gather(made)))

def fail(number):
    import builtins
    builtins.__dict__.setdefault("kept", []).append(bytearray(number * MB))
    raise ValueError

def flaky(path):
    with open(path, "a") as file:
        file.write("x")
        if file.tell() < 3:
            fail(4)
    return bytearray(6 * MB)

def slow(path):
    made = bytearray(5 * MB)
    Path(path, "begun").touch()
    while not Path(path, "go").exists():
        time.sleep(0.01)
    return made

if __name__ == "__main__":
    with cluster() as made, Client(made) as client:
        with clusters.recording(client, "out") as run:
            ones = dask.array.ones((1000, 1000), chunks=(500, 1000)).persist()  # one byte for all
            fused = (dask.array.zeros((1000, 1000), chunks=(250, 1000)) + 1).persist()
            spread = dask.array.arange(4_000_000, chunks=1_000_000, dtype="f8").persist()
            print(int(spread.max().compute()), int(fused.sum().compute() + ones.sum().compute()))
            delayed = [dask.delayed(make)(number) for number in range(1, 5)]
            print(float(dask.delayed(total)(delayed).compute()))
            print(client.submit(within, 3).result(), client.submit(within_the_same, 5).result())
            print(client.get({"x": (make, 9), "y": (operator.add, (len, "x"), 1)}, "y"))
            print(repr(client.submit(fail, 7).exception()))
            print(len(client.submit(flaky, os.path.abspath("tries"), retries=5).result()) // MB)
            cancelled = client.submit(slow, os.getcwd())
            while not Path("begun").exists():
                time.sleep(0.01)
            cancelled.cancel()
            Path("go").touch()
            while any(client.run(lambda dask_worker: len(dask_worker.active_threads)).values()):
                time.sleep(0.01)
"""
        + ROWS,
        silent=False,
    )
    assert lines[:4] == ["3999999 2000000", "1250000.0", "750000.0 1250000.0", "1125001"]
    assert lines[4:6] == ["ValueError()", "6"]
    assert set(lines[6:]) == {
        "arange 4 32",
        "add 4 8",  # what was fused is named by its last
        "make 4 10",
        "sub 2 6",
        "tuple 2 10",
        "x 1 9",
        "fail 1 7",
        "flaky 3 14",  # each try counts
        "slow 1 5",  # it was cancelled
    }


def test_dataframes_add_up(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    lines = run(
        tmp_path,
        CLUSTER
        + """
import dask.dataframe, numpy, pandas

def part(number):
    return pandas.DataFrame({"a": numpy.arange(MB), "b": numpy.arange(MB) * 1.0})

if __name__ == "__main__":
    with cluster() as made, Client(made) as client:
        with clusters.recording(client, "out") as run:
            columns = pandas.DataFrame({"a": [1], "b": [1.0]})
            frame = dask.dataframe.from_map(part, range(4), meta=columns).persist()
            doubled = frame.assign(c=frame.b * 2.0).persist()
            print(len(doubled), doubled.c.sum().compute())
"""
        + ROWS,
        silent=False,
    )
    assert lines[0] == "4000000 3999996000000.0"
    kept = {line.split()[0]: line.split()[2] for line in lines[1:]}
    assert kept.pop("part") == "64"  # four times two columns of eight bytes
    # By the name of the fused task, which ends with "assign"; small objects take MiBs elsewhere.
    assigned, *others = sorted(map(int, kept.values()), reverse=True)
    assert assigned == 32
    assert all(one < 4 for one in others)


def test_coroutines_and_actors_are_charged_with_their_own_only(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        CLUSTER
        + """
import asyncio, memdeep, threading, time

async def fetch(number):
    await asyncio.sleep(0.1)
    made = bytearray(number * MB)
    with memdeep.phase("inner"):
        await asyncio.sleep(0.1)
        more = bytearray(number * MB)
    return made

async def fail(number):
    await asyncio.sleep(0.01)
    import builtins
    builtins.__dict__.setdefault("kept", []).append(bytearray(number * MB))
    raise ValueError

async def hang(number):
    import builtins
    builtins.__dict__.setdefault("kept", []).append(bytearray(number * MB))
    await asyncio.sleep(60)

class Store:
    def __init__(self):
        self.kept = [bytearray(2 * MB)]

    def add(self, number):
        self.kept.append(bytearray(number * MB))
        return threading.current_thread().name

    async def fetch(self, number):
        await asyncio.sleep(0.1)
        self.kept.append(bytearray(number * MB))
        await asyncio.sleep(0.1)
        return threading.current_thread().name

    def miss(self):
        raise KeyError(1)

def hung(dask_worker):
    import builtins
    return len(builtins.__dict__.get("kept", []))

if __name__ == "__main__":
    with cluster() as made, Client(made) as client:
        with clusters.recording(client, "out") as run:
            fetched = client.map(fetch, range(1, 9), key=[f"fetch-{n}" for n in range(8)])
            print(sum(map(len, client.gather(fetched))) // MB)
            print(repr(client.submit(fail, 3).exception()))
            hanging = client.submit(hang, 11)
            while sum(client.run(hung).values()) < 2:
                time.sleep(0.01)
            hanging.cancel()
            store = client.submit(Store, actor=True).result()
            print(*{store.add(number).result().split("-Thread")[0][2:] for number in (1, 2, 3)})
            print(*sorted(one.result() for one in [store.fetch(number) for number in (4, 5, 6)]))
            print(store.add(7, separate_thread=False).result())
            try:
                store.miss().result()
            except KeyError as error:
                print(repr(error))
        print(store.fetch(1).result())
"""
        + ROWS,
        silent=False,
    )
    assert lines[:3] == ["36", "ValueError()", "Dask-Actor"]
    lanes = [f"Dask-Coroutines-{number}" for number in (1, 2, 3)]
    assert lines[3] in (" ".join(lanes), "Dask-Coroutines-2 Dask-Coroutines-3 Dask-Coroutines-4")
    assert lines[4:7] == [lines[3].split()[0], "KeyError(1)", "MainThread"]
    assert set(lines[7:]) == {
        "fetch 8 36",
        "fetch/inner 8 36",
        "fail 1 3",
        "hang 1 11",
        "Store 1 2",
        "Store.add 4 13",
        "Store.fetch 3 15",
    }
