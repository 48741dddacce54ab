"""The beginning of programs that record a Dask cluster."""

from __future__ import annotations

# Two processes with two threads each; the functions are pickled by value, as from a notebook.
CLUSTER = """
import json
os.environ["TMPDIR"] = os.getcwd()
# A profiler that looks at a frame keeps the frame's variables beyond its end.
os.environ["DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED"] = "False"
from distributed import Client, LocalCluster
from memdeep.integrations import dask as clusters
from memdeep.integrations import gatherer

MB = 1_000_000

def load(number):
    return bytearray(number * MB)

def leak(number):
    with memdeep.phase("inner"):
        kept = bytearray(number * MB)
    import builtins
    builtins.__dict__.setdefault("leaked", []).append(kept)

def worked(client):
    loaded = client.map(load, range(1, 11), key=[f"load-{number}" for number in range(10)])
    leaked = client.map(leak, range(1, 9), key=[f"leak-{number}" for number in range(8)])
    client.gather(leaked)
    return client.submit(len, loaded).result()

def as_of_another_host():
    gatherer.Gatherer._here = lambda _self: ""
    return True

def cluster():
    options = {"dashboard_address": ":0", "memory_limit": "2GB", "silence_logs": 50}
    return LocalCluster(n_workers=2, threads_per_worker=2, **options)
"""
