"""Keeps objects in caches, closures, threads and exceptions, and as garbage, in three phases."""

import fcntl
import functools
import gc
import glob
import threading

from memdeep import checkpoint

CACHE = {}
HANDLERS = []
FAILURES = []


class Order:
    twin = None

    def __init__(self, number):
        self.number = number
        self.lines = [float(number + i) for i in range(40)]


@functools.cache
def features(day):
    return [float(day * i) for i in range(2000)]


def handler(rows):
    def callback(event):
        return rows[event]

    return callback


def fails(payload):
    copies = [float(i) for i in range(60000)]
    raise ValueError(payload, len(copies))


LOCAL = threading.local()
STOP = threading.Event()


def worker(ready):
    LOCAL.scratch = [str(i) for i in range(40000)]
    ready.set()
    STOP.wait()


def load():
    for name in ("BTC", "ETH", "SOL"):
        CACHE[name] = [{"open": float(i), "close": float(i) + 0.5} for i in range(16000)]


def learn():
    for day in range(120):
        features(day)
    HANDLERS.append(handler([float(i) for i in range(90000)]))
    gc.disable()
    for number in range(3000):
        one, two = Order(number), Order(number)
        one.twin, two.twin = two, one


def trade():
    del CACHE["SOL"]
    CACHE["orders"] = [Order(i) for i in range(9000)]
    try:
        fails("x" * 500_000)
    except ValueError as error:
        FAILURES.append(error)


def wait_for_looks():
    """Wait until nobody looks at the objects: at a checkpoint that comes too soon nobody does."""
    for path in glob.glob("run/holders-*"):
        with open(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH)


ready = threading.Event()
checkpoint("load_BEFORE")
load()
checkpoint("load_AFTER")
wait_for_looks()
checkpoint("learn_BEFORE")
learn()
threading.Thread(target=worker, args=(ready,), daemon=True).start()
ready.wait()
checkpoint("learn_AFTER")
wait_for_looks()
checkpoint("trade_BEFORE")
trade()
checkpoint("trade_AFTER")
STOP.set()
