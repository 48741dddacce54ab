"""Holds objects of as many kinds as there are, and looks at itself: `walked.py COUNT DIRECTORY`."""

import array
import asyncio
import collections
import contextvars
import ctypes
import datetime
import decimal
import enum
import fcntl
import fractions
import functools
import gc
import io
import itertools
import json
import logging.handlers
import mmap
import os
import pathlib
import queue
import re
import sqlite3
import struct
import sys
import threading
import time
import types
import weakref
import zlib
from dataclasses import dataclass

sys.setrecursionlimit(100_000)


def rows(count=2000):
    return [float(number) for number in range(count)]


class Plain:
    pass


class Slotted:
    __slots__ = ("__weakref__", "held", "other")


class Meta(type):
    def __getattribute__(cls, name):
        if name == "__sizeof__" or name.startswith("__mro"):
            raise RuntimeError("no code of the program may run")
        return super().__getattribute__(name)


class WithMeta(metaclass=Meta):
    held = rows()


class Rude(dict):
    def __sizeof__(self):
        raise RuntimeError("no code of the program may run")

    def __getattribute__(self, name):
        raise RuntimeError("no code of the program may run")

    def __repr__(self):
        raise RuntimeError("no code of the program may run")

    def __hash__(self):
        return 7

    def __eq__(self, other):
        raise RuntimeError("no code of the program may run")


class Numbers(int):
    pass


class Words(str):
    __slots__ = ()


class Pieces(bytes):
    pass


class Pairs(tuple):
    __slots__ = ()


class Failure(Exception):
    def __init__(self, held):
        super().__init__(held)
        self.held = held


class Colour(enum.Enum):
    RED = rows(10)


@dataclass(slots=True)
class Record:
    held: object
    next: object = None


Point = collections.namedtuple("Point", "x y")


class Structure(ctypes.Structure):
    _fields_ = [("one", ctypes.c_int), ("many", ctypes.c_double * 100), ("at", ctypes.c_void_p)]


def generator():
    held = rows()
    yield
    yield held


async def coroutine():
    held = rows()
    await asyncio.sleep(3600)
    return held


async def produces():
    held = rows()
    yield held


@functools.cache
def cached(number):
    return rows(number)


def closure():
    held = rows()
    return lambda: held


def fails(depth=3):
    held = rows()
    if depth:
        fails(depth - 1)
    raise Failure(held)


def plant():
    kept = {}
    kept["plain"], kept["slotted"] = Plain(), Slotted()
    kept["plain"].held = rows()
    kept["slotted"].held = rows()
    for number in range(40):  # many attributes: no inline values
        setattr(kept["plain"], f"name{number}", number)
    kept["odd dict"] = Plain()
    kept["odd dict"].__dict__ = Rude(held=rows())
    kept["rude"] = Rude({Words("key"): rows()})
    kept[Rude()] = rows(10)
    kept["subclasses"] = [Numbers(10**50), Words("word" * 100), Pieces(b"x" * 900), Pairs([rows()])]
    kept["numbers"] = [10**n for n in range(0, 3000, 100)] + [-(7**999), 1j, 1.5, True, None, ...]
    kept["texts"] = ["plain", "ü" * 500, "漢字" * 500, "\U0001f600" * 500, "\ud800", "", "\0x"]
    kept["\ud800"], kept[b"\xff"], kept[("a", 1, (None,))] = rows(9), rows(9), rows(9)
    kept["x" * 5000] = rows(9)
    kept[10**4000], kept[1.5], kept[frozenset([1])] = rows(9), rows(9), rows(9)
    kept["sets"] = [set(range(5000)), frozenset(map(str, range(900))), {()}]
    kept["deque"] = collections.deque([rows() for _ in range(300)], maxlen=500)
    kept["ordered"] = collections.OrderedDict((n, rows(20)) for n in range(100))
    kept["counter"], kept["default"] = (
        collections.Counter("abc" * 100),
        collections.defaultdict(list),
    )
    kept["chain"] = collections.ChainMap({1: rows()}, {2: rows()})
    kept["default"]["x"].append(rows())
    kept["arrays"] = [array.array("d", rows()), bytearray(50_000), memoryview(bytes(5000))[10:]]
    kept["view"] = memoryview(kept["arrays"][1])
    kept["mmap"] = mmap.mmap(-1, 1 << 16)
    kept["ctypes"] = [Structure(), (Structure * 50)(), ctypes.create_string_buffer(5000)]
    kept["ctypes"].append(ctypes.pointer(kept["ctypes"][0]))
    kept["callback"] = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 1)
    kept["generators"] = [generator(), generator(), (x for x in rows())]
    next(kept["generators"][0])
    next(kept["generators"][2])
    kept["coroutine"], kept["async"] = coroutine(), produces()
    kept["closure"], kept["partial"] = closure(), functools.partial(print, rows(), key=rows())
    kept["methods"] = [kept["plain"].__init__, [].append, Plain.__dict__, str.join, len, "".join]
    kept["properties"] = [property(closure()), classmethod(closure()), staticmethod(closure())]
    kept["weak"] = weakref.WeakKeyDictionary({kept["plain"]: rows()})
    kept["weak values"] = weakref.WeakValueDictionary({1: kept["slotted"]})
    kept["finalizer"] = weakref.finalize(kept["plain"], print, rows())
    kept["refs"] = [weakref.ref(kept["plain"], closure()), weakref.proxy(kept["slotted"])]
    kept["context"] = contextvars.copy_context()
    kept["variable"] = contextvars.ContextVar("variable")
    kept["variable"].set(rows())
    kept["iterators"] = [iter(rows()), itertools.chain(rows(), rows()), map(int, rows())]
    kept["iterators"] += [map(str, rows()), enumerate(rows()), itertools.tee(iter(rows()))]
    kept["iterators"] += [reversed(rows()), itertools.groupby(rows()), iter({1: 2}), iter("abc")]
    kept["slices"] = [slice(rows(), None), range(10**30), types.SimpleNamespace(held=rows())]
    kept["proxy"] = types.MappingProxyType({"held": rows()})
    kept["alias"], kept["union"] = list[int], int | str
    kept["patterns"] = [re.compile("(a|b)*" * 9), re.match("a(b)", "ab")]
    kept["values"] = [decimal.Decimal(10) ** 300, fractions.Fraction(1, 3)]
    kept["values"] += [datetime.datetime(2026, 1, 1), datetime.time(1), datetime.datetime.now()]
    kept["values"] += [datetime.datetime.now(datetime.timezone.utc), datetime.date(2026, 1, 1)]
    kept["files"] = [io.FileIO(os.devnull), io.BytesIO(bytes(9000)), io.StringIO("x" * 9000)]
    kept["queue"], kept["lock"] = queue.Queue(), threading.RLock()
    kept["queue"].put(rows())
    kept["zlib"], kept["struct"] = zlib.compressobj(), struct.Struct("<4I3Q")
    kept["database"] = sqlite3.connect(":memory:")
    kept["cursor"] = kept["database"].execute("select 1")
    kept["points"] = [Point(number, rows(3)) for number in range(300)]
    kept["json"] = json.loads(json.dumps({str(n): [n, {"a": n}] for n in range(2000)}))
    kept["paths"], kept["colour"] = [pathlib.Path(f"/tmp/{n}") for n in range(50)], Colour.RED
    kept["types"] = [type(f"Made{n}", (Plain,), {"held": rows(50)}) for n in range(100)]
    kept["code"] = [
        compile(f"x = {n}\ndef f(a, b={n}): return a", "made", "exec") for n in range(50)
    ]
    kept["modules"] = [types.ModuleType(f"made{n}") for n in range(20)]
    kept["nameless"] = types.ModuleType("nameless")
    del kept["nameless"].__dict__["__name__"]
    kept["nameless"].held = rows()
    kept["errors"] = []
    for _ in range(5):
        try:
            fails()
        except Failure as error:
            kept["errors"].append(error)
    kept["logged"] = logging.handlers.MemoryHandler(500)
    deep = None
    for _ in range(30_000):
        deep = Record(rows(0), deep)
    kept["deep"] = deep
    nested = []
    for _ in range(3000):
        nested = [nested]
    kept["nested"], kept["local"] = nested, threading.local()
    kept["local"].held = rows()
    cycle = Plain()
    cycle.me, cycle.held = cycle, rows()
    kept["slots unset"] = [Slotted() for _ in range(50)]
    return kept


def plant_packages():
    kept = {}
    try:
        import numpy

        kept["array"] = numpy.arange(50_000.0)
        kept["views"] = [kept["array"][10:], kept["array"].reshape(50, 1000).T, numpy.array(7)]
        boxes = numpy.empty((30, 30), dtype=object)
        boxes[3, 4] = rows()
        kept["boxes"] = [boxes, boxes[3:], boxes.T, boxes.ravel(), numpy.empty(0, dtype=object)]
        kept["strided"] = numpy.array([[1, rows()]], dtype=object)[:, ::-1].copy()
        kept["fields"] = numpy.zeros(100, dtype=[("a", "f8"), ("b", "O")])
        kept["words"] = [numpy.array(["a", "bcd"]), numpy.random.default_rng(1), numpy.float64(3)]
        kept["memmap"] = numpy.frombuffer(bytearray(8000))
        import pandas

        frame = pandas.DataFrame({"a": rows(), "b": [str(n) for n in range(2000)]})
        kept["frames"] = [frame, frame[10:], frame.groupby("b").size(), frame.describe()]
        kept["index"] = pandas.MultiIndex.from_product([range(20), list("abc")])
    except ImportError:
        pass
    return kept


def in_thread(started, goes_on):
    held = rows()
    started.release()
    goes_on.wait()
    return held


def look(walker, path, sequence):
    main = sys.modules["__main__"]
    others = [module for module in sys.modules.values() if module is not main]
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    frames = list(sys._current_frames().values())
    shows = sequence % 2
    walker.snapshot(
        file, sequence, time.monotonic_ns(), [main, *others], 0, frames, 100, shows, b""
    )
    os.close(file)
    file = os.open(path, os.O_RDONLY)
    fcntl.flock(file, fcntl.LOCK_SH)
    os.close(file)


def walker_of(path):
    import importlib.util

    spec = importlib.util.spec_from_file_location("memdeep.record._holders", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


KEPT = {}


def main():
    walker, count, directory = walker_of(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    if "--light" not in sys.argv:
        KEPT["packages"] = plant_packages()
    started, goes_on = threading.Semaphore(0), threading.Event()
    threads = [threading.Thread(target=in_thread, args=(started, goes_on)) for _ in range(4)]
    for thread in threads:
        thread.start()
        started.acquire()
    gc.disable()
    for sequence in range(1, count + 1):
        KEPT[sequence] = plant()
        look(walker, f"{directory}/holders-{sequence}", sequence)
    goes_on.set()
    for made in KEPT.values():
        if "coroutine" in made:
            made["coroutine"].close()


main()
os._exit(0)
