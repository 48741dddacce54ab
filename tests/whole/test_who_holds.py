"""Programs with a known holder: terminal and report.json name it, and advice rests on it."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running import environment, memdeep_command, read_json

import memdeep

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has holders")

MB = 1_000_000
BEGIN = "from memdeep import phase\n"
TRACEBACKS = """\
failures = []
def work():
    payload = bytearray(1_000_000)
    raise ValueError(len(payload))
with phase("fill"):
    for _ in range(30):
        try:
            work()
        except ValueError as error:
            failures.append(error)
"""
LOGGED = """\
import logging, logging.handlers
handler = logging.handlers.MemoryHandler(1000, logging.CRITICAL)
log = logging.getLogger("orders")
log.addHandler(handler)
log.propagate = False
with phase("fill"):
    for _ in range(30):
        log.error("%s", bytearray(1_000_000))
"""
METHOD = """\
import functools
class Day:
    def __init__(self):
        self.book = bytearray(1_000_000)
    @functools.lru_cache(maxsize=None)
    def price(self):
        return 1
with phase("fill"):
    for _ in range(30):
        Day().price()
"""
CACHE = """\
import functools
@functools.lru_cache(maxsize={size})
def load(number):
    return bytearray(1_000_000)
with phase("fill"):
    for number in range(30):
        load(number)
"""
GENERATOR = """\
pending = []
def rows():
    table = bytearray(30_000_000)
    yield len(table)
with phase("fill"):
    pending.append(rows())
    next(pending[0])
"""
GARBAGE = """\
import gc
class Node: pass
gc.disable()
with phase("fill"):
    for _ in range(30):
        node = Node()
        node.own, node.data = node, bytearray(1_000_000)
    del node
"""
TWICE = """\
A, B = [], []
with phase("fill"):
    for _ in range(30):
        A.append(bytearray(1_000_000))
        B.append(A[-1])
"""
INDEXED = """\
store = {}
with phase("fill"):
    store["a"] = bytearray(30_000_000)
    store["index"] = [store["a"]]
"""
TWO_NAMES = """\
with phase("fill"):
    first = second = bytearray(30_000_000)
"""
TWO_ATTRIBUTES = """\
class Holder: pass
holder = Holder()
with phase("fill"):
    holder.first = holder.second = bytearray(30_000_000)
"""
CHAIN = """\
class Chain:
    def __init__(self):
        self.first = None
class Link:
    def __init__(self, chain):
        self.chain, self.data, self.next = chain, bytearray(1_500), chain.first
        chain.first = self
chain = Chain()
with phase("fill"):
    for _ in range(20_000):
        Link(chain)
"""
PASSING = """\
def rows():
    table = bytearray(30_000_000)
    yield len(table)
def main():
    for _ in rows():
        with phase("fill"):
            pass
main()
"""
MAPPED = """\
import mmap, tempfile
file = tempfile.TemporaryFile()
file.truncate(30_000_000)
kept = {}
with phase("fill"):
    kept["map"] = mmap.mmap(file.fileno(), 0)
    sum(kept["map"][::4096])
"""
VIEW = """\
views = []
with phase("fill"):
    for _ in range(30):
        views.append(memoryview(bytearray(1_000_000))[:9])
"""
CHILD = """\
import multiprocessing
cache = {}
def work(ready, done):
    with phase("fill"):
        cache[1] = bytearray(30_000_000)
    ready.put(1)
    done.wait()
ready, done = multiprocessing.Queue(), multiprocessing.Event()
with phase("workers"):
    child = multiprocessing.Process(target=work, args=(ready, done))
    child.start()
    ready.get()
done.set()
child.join()
"""
# The program; in the terminal, who holds it, and the evidence of the advice; who in report.json.
CASES = {
    "tracebacks": (
        TRACEBACKS,
        "held by `__main__.failures`: dropping it frees",
        "held by the tracebacks of exceptions in `__main__.failures`",
        "__main__.failures",
    ),
    "logged": (
        LOGGED,
        "held by `__main__.handler.buffer`: dropping it frees",
        "held by log records in `__main__.handler.buffer`",
        "__main__.handler.buffer",
    ),
    "method": (
        METHOD,
        "held by `unbounded lru_cache of __main__.Day.price`",
        "held by `__main__.Day.price`, a method under an lru_cache without a bound",
        "unbounded lru_cache of __main__.Day.price",
    ),
    "unbounded": (
        CACHE.format(size=None),
        "held by `unbounded lru_cache of __main__.load`",
        "held by `__main__.load`, a cache without a bound",
        "unbounded lru_cache of __main__.load",
    ),
    "bounded": (
        CACHE.format(size=999),
        "held by `__main__.load`: dropping it frees",
        "held by `__main__.load`, a cache with a bound",
        "__main__.load",
    ),
    "generator": (
        GENERATOR,
        "held by `suspended generator rows() local 'table'`",
        "held by the suspended generator rows(), which is in `__main__.pending[0]`",
        "suspended generator rows() local 'table'",
    ),
    "garbage": (
        GARBAGE,
        "is garbage, and the collector is turned off",
        "collector was off. It was turned off by gc.disable() at job.py:4.",
        None,
    ),
    "twice": (
        TWICE,
        "held within `__main__` by more than one at once",
        "`__main__.A[",
        "__main__",
    ),
    "indexed": (INDEXED, "held by `__main__.store`: dropping it frees", "", "__main__.store"),
    "two names": (
        TWO_NAMES,
        "held by `__main__.first` and by more names at once: when all let go of it",
        "",
        "__main__.first",
    ),
    "two attributes": (
        TWO_ATTRIBUTES,
        "held by `__main__.holder`: dropping it frees",
        "",
        "__main__.holder",
    ),
    "chain": (CHAIN, "held by `__main__.chain", "", None),
    "passing": (
        PASSING,
        "held by `suspended generator rows() local 'table'`",
        "hangs on a reference without a name",
        "suspended generator rows() local 'table'",
    ),
    "mapped": (MAPPED, "held by `__main__.kept['map']`: dropping it frees 28.6 MB", "", None),
    "view": (VIEW, "held by `__main__.views`: dropping it frees 28.6 MB", "", "__main__.views"),
    "child": (CHILD, "at “end of fill”, the line had 28.6 MB = bytearray 100 %; held by", "", None),
}


def run(tmp_path: Path, program: str, *options: str) -> tuple[str, dict[str, Any]]:
    """What the terminal says on one line, and report.json."""
    job = tmp_path / "job.py"
    job.write_text(BEGIN + program, "utf-8")
    words = ["run", "--lang", "en", "--holders-at", "fill", *options, "-o", tmp_path / "out", job]
    done = subprocess.run(
        memdeep_command(*words), env=environment(), capture_output=True, timeout=120, check=True
    )
    said = " ".join(done.stderr.decode().split())
    return said, read_json(tmp_path / "out" / "report.json")


@pytest.mark.parametrize("case", CASES)
def test_the_holder_is_named(case: str, tmp_path: Path) -> None:
    program, held, evidence, path = CASES[case]
    said, report = run(tmp_path, program, "--deep")
    assert held in said
    assert evidence in said
    if path is not None:
        holders = report["findings"][0]["culprit"]["holders"]
        assert holders["paths"][0]["path"] == path
        assert holders["bytes"] == pytest.approx(30 * MB, rel=0.05)
        assert holders["paths"][0]["bytes"] == pytest.approx(30 * MB, rel=0.05)


def test_growth_counts_from_the_start_of_a_program_without_phases(tmp_path: Path) -> None:
    job = tmp_path / "job.py"
    job.write_text("kept = [bytearray(b'x' * 1_000_000) for _ in range(60)]\n", "utf-8")
    words = memdeep_command("run", "--lang", "en", "--holders", "-o", tmp_path / "out", job)
    done = subprocess.run(
        words, env=environment(), capture_output=True, timeout=120, check=True, cwd=tmp_path
    )
    assert "held by `__main__.kept`: dropping it frees" in " ".join(done.stderr.decode().split())


SECRET = """\
import functools, types
name = "".join(["an", "na@home"])
attribute = name.replace("@", "_")
by_name, namespace = {}, types.SimpleNamespace()
@functools.lru_cache(None)
def cached(*args, **kwargs):
    return bytearray(3_000_000)
def work(**kwargs):
    with phase("fill"):
        by_name[name] = bytearray(3_000_000)
        by_name[1, name] = [bytearray(3_000_000)]
        setattr(namespace, attribute, bytearray(3_000_000))
        globals()[attribute] = bytearray(3_000_000)
        cached(name, **{attribute: 1})
        partial = functools.partial(work, **{attribute: bytearray(3_000_000)})
    return partial
work(**{attribute: bytearray(3_000_000)})
"""


def found(place: Path, word: bytes) -> list[str]:
    """The files below ``place`` that have ``word``."""
    files = [path for path in place.rglob("*") if path.is_file()]
    return [path.name for path in files if word in path.read_bytes()]


@pytest.mark.parametrize("option", ["--no-values", "--redact-args"])
def test_keys_of_the_program_are_in_no_file(option: str, tmp_path: Path) -> None:
    said, report = run(tmp_path, SECRET, "--deep", option)
    assert report["snapshots"]
    assert "__main__.by_name[…]" in str(report["snapshots"])
    assert "anna" not in said
    assert found(tmp_path / "out", b"anna") == []


def test_keys_are_hidden_in_a_report_of_a_run_that_has_them(tmp_path: Path) -> None:
    run(tmp_path, SECRET.replace("attribute = name", "attribute = 'same'"), "--deep")
    out = tmp_path / "out"
    assert "report.json" in found(out, b"anna")
    shown = memdeep_command("report", out, "--no-values")
    done = subprocess.run(shown, env=environment(), capture_output=True, timeout=120, check=True)
    assert b"anna" not in done.stdout + done.stderr
    assert found(out, b"anna") == ["holders-3"]


def test_without_deep_small_objects_are_told_as_shared(tmp_path: Path) -> None:
    program = "A, B = {}, []\nwith phase('fill'):\n    for n in range(200_000):\n"
    program += "        A[n] = str(n) * 3\n        B.append((n, float(n)))\n"
    said, report = run(tmp_path, program)
    assert "lies in arenas that lines share" in said
    holders = report["findings"][0]["culprit"]["holders"]
    assert holders["shared_bytes"] > 0


def test_a_loaded_run_has_types_holders_and_snapshots(tmp_path: Path) -> None:
    _, report = run(tmp_path, TRACEBACKS, "--deep")
    result = memdeep.load(tmp_path / "out")
    (snapshot,) = result.snapshots
    (known,) = report["snapshots"]
    assert (snapshot.label, snapshot.objects) == ("fill", known["objects"])
    assert [one.path for one in snapshot.holders] == [one["path"] for one in known["holders"]]
    for line in (result.culprit, result.phases["fill"].culprit, result.phases["fill"].lines()[0]):
        assert line is not None
        assert line.holders is not None
        assert line.holders.is_exact
        assert line.holders.paths[0].path == "__main__.failures"
        assert line.holders.paths[0].frees >= 30 * MB
        assert line.holders.types[0].type == "bytearray"
        assert "held by __main__.failures" in repr(line.holders)
    words = memdeep_command("export", tmp_path / "out", "-f", "csv", "-o", "-", "--table")
    for table, rows in (("holders", snapshot.holders), ("types", snapshot.types)):
        shown = subprocess.run([*words, table], env=environment(), capture_output=True, check=True)
        lines = list(csv.DictReader(shown.stdout.decode().splitlines()))
        assert len(lines) == len(rows)
        assert {one["label"] for one in lines} == {"fill"}
        assert {one["type"] for one in lines} == {one.type for one in rows}
        pytest.importorskip("pandas")
        frame = result.to_pandas(table)
        assert list(frame.columns) == [*lines[0]]
        assert list(frame["type"]) == [one["type"] for one in lines]
