"""What is said of a run is no more than what was seen: each program has its counter-example.

What an expert would say of its memory stands above each of them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import environment, memdeep_command, read_json

MB = 1 << 20
Told = Callable[..., tuple[dict[str, Any], str]]


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """Record a program; return its report and the verdict, its lines joined."""

    def run(program: str, *options: str) -> tuple[dict[str, Any], str]:
        (tmp_path / "job.py").write_text(program)
        command = memdeep_command("run", "--lang", "en", "-o", "run", *options, "job.py")
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
        )
        return read_json(tmp_path / "run" / "report.json"), " ".join(done.stderr.split())

    return run


def phase(report: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [one for one in report["phases"] if one["name"] == name]
    return found  # type: ignore[no-any-return]


# A byte is written at the start of each, if at all: of 229 MB some 134 were ever resident.
NEVER_RESIDENT = """
import memdeep
with memdeep.phase("alloc"):
    kept = [bytes(120_000) for _ in range(2000)]
with memdeep.phase("free"):
    top = kept.pop(); kept.clear()
"""


def test_no_more_stayed_in_the_rss_than_was_in_it(told: Told) -> None:
    report, said = told(NEVER_RESIDENT)
    held = [one for one in report["findings"] if one["kind"] == "held"]
    was_there = phase(report, "alloc")["rss_delta_bytes"]
    assert all(one["bytes"] <= 1.05 * was_there for one in held)
    assert was_there < 0.7 * phase(report, "alloc")["heap_delta_bytes"]
    if held:
        assert "freed by free, and still in the RSS" in said


# 100 MB were in use for some milliseconds: nobody may have looked.
BETWEEN_READINGS = """
import memdeep, resource, time
time.sleep(.06)
with memdeep.phase("burst"):
    kept = [bytearray(b"x") * (1 << 20) for i in range(100)]
    del kept
"""


def test_what_was_in_use_for_a_moment_was_in_use(told: Told) -> None:
    report, said = told(BETWEEN_READINGS)
    (peak,) = [one for one in report["findings"] if one["kind"] == "peak"]
    assert peak["bytes"] >= 100 * MB
    assert "never higher" not in said


# b is freed while nothing is traced; d stays.
NOT_TRACED = """
import memdeep
with memdeep.phase("pre"):  a = bytearray(b"a") * (50 << 20)
with memdeep.phase("big"):
    b = bytearray(b"a") * (40 << 20)
    del a
with memdeep.phase("post"):
    c = bytearray(b"a") * (60 << 20)
    del b
with memdeep.phase("last"):  d = bytearray(b"a") * (30 << 20)
"""


def test_what_became_of_bytes_is_known_until_the_tracing_stops(told: Told) -> None:
    report, said = told(NOT_TRACED, "--focus", "big", "--focus", "last")
    assert report["findings"][0]["culprit"]["lineno"] == 5
    assert "40.0 MB stayed: allocated by job.py:5" in said
    assert "40.0 MB were alive when the tracing stopped" in said
    assert "what became of them then is not known" in said
    assert "at the end of the run" not in said


# Each batch goes in the next phase, which is not traced.
FREED_UNSEEN = """
import memdeep
for n in range(12):
    with memdeep.phase("load"): batch = [bytearray(100_000) for _ in range(50)]
    with memdeep.phase("use"):  batch = None
"""


def test_what_is_freed_between_two_traces_does_not_add_up(told: Told) -> None:
    report, said = told(FREED_UNSEEN, "--focus", "load")
    assert [one["bytes"] // 1_000_000 for one in report["findings"]] == [5]
    assert "4.8 MB stayed" in said
    assert "kept 57.2 MB, each to its own end. Between them nothing was traced" in said
    assert "passed through" not in said
    assert "rounds" not in said


# One buffer is filled and freed again and again: what glibc keeps of it is the same memory.
FILLED_AGAIN = """
from memdeep import phase
for k in range(50):
    with phase("make"): data = bytearray(2_000_000)
    with phase("send"): data = None
"""


def test_what_an_allocator_keeps_counts_once(told: Told) -> None:
    report, said = told(FILLED_AGAIN)
    assert all(one["bytes"] < report["peak_rss_bytes"] for one in report["findings"])
    assert not [one for one in report["findings"] if one["kind"] == "held"]
    assert "of it stayed in the RSS" not in said


# What is read of the zeros is the kernel's page of them: none of it is the program's own memory.
ZEROS = """
import memdeep
with memdeep.phase("reserve"):
    zeros = [bytes(100_000) for _ in range(300)]
with memdeep.phase("read"):
    ones = sum(block.count(1) for block in zeros)
with memdeep.phase("write"):
    more = [b"x" * 100_000 for _ in range(300)]
"""


def test_zeros_that_are_read_are_not_in_use_and_what_lies_beside_them_is(told: Told) -> None:
    report, said = told(ZEROS)
    assert "used for the first time" not in said
    touched = phase(report, "reserve")["rss_delta_bytes"]  # at the start of each block
    for one in report["findings"]:
        if one["culprit"] and one["resident_bytes"] is not None:
            most = touched + MB if one["culprit"]["lineno"] == 4 else one["bytes"]
            assert most - 2 * MB < one["resident_bytes"] <= most


# Line 5 is replaced in each round; line 6 is what grows.
REPLACES = """
from memdeep import phase
history = []
for epoch in range(100):
    with phase("epoch"):
        batch = bytearray(5_000_000)
        history.append(bytearray(300_000))
"""


def test_the_culprit_of_a_phase_is_what_made_it_grow(told: Told) -> None:
    report, said = told(REPLACES)
    epoch = phase(report, "epoch")
    assert [one["lineno"] for one in epoch["culprits"]] == [7, 6]
    kept = [one["bytes"] for one in epoch["culprits"]]
    assert kept == pytest.approx([30_000_000, 5_000_000], rel=0.01)
    assert sum(kept) <= epoch["kept_bytes"] < epoch["peak_heap_bytes"]
    assert epoch["culprits"][1]["retained_bytes"] == pytest.approx(500_000_000, rel=0.01)
    assert re.search(r"epoch × 100 .{20,60} job\.py:7 ", said)


# CPython 3.11 copies the text only since it is traced.
APPENDS = """
from memdeep import phase
def concat():
    text = ""
    for i in range(3_000): text += "x" * 1000
    return len(text)
with phase("concat"):
    concat()
"""


def test_what_only_the_tracing_copies_is_not_the_programs(told: Told) -> None:
    _, said = told(APPENDS)
    if sys.version_info[:2] == (3, 11):
        assert "str + made it" in said
        assert "appends in place to a text in a local variable, but not while it is traced" in said
    assert "A value that each round joins to what came before" not in said


# To what is no local variable CPython appends by copying, traced or not.
APPENDS_IN_MODULE = """
from memdeep import phase
text = ""
with phase("concat"):
    for i in range(1_000): text += "x" * 2000
"""


def test_what_the_code_of_a_module_copies_is_copied_without_the_tracing_too(told: Told) -> None:
    _, said = told(APPENDS_IN_MODULE)
    if sys.version_info[:2] >= (3, 11):
        assert "str + made it" in said
        assert "A value that each round joins to what came before" in said
    assert "a text in a local variable" not in said


# No message has anything of the one before: that they were joined of two parts is all that is seen.
MESSAGES = """
from memdeep import phase
with phase("send"):
    for n in (7, 1, 5, 2, 8, 3, 6, 4, 1, 5, 2, 8, 3, 6, 4):
        message = b"H" * (n << 18) + b"x" * (n << 18)
"""
# Each line is read by itself; that they stay is the doing of the list.
RECORDS = """
import json
from memdeep import phase
with phase("read"):
    text = '{"name": "n", "days": [' + ", ".join(f"{n}.5" for n in range(40)) + "]}"
    rows = [json.loads(text) for n in range(10_000)]
"""
# Nobody holds the nodes but themselves.
CIRCLES = """
import gc
from memdeep import phase
gc.disable()
class Node:
    def __init__(self): self.data, self.me = bytearray(400_000), self
for n in range(9):
    with phase("step"): Node()
"""
# The results are numbers: it is the list that keeps the blocks.
BESIDE_A_CACHE = """
import functools
from memdeep import phase
log = []
@functools.lru_cache(maxsize=4)
def price(k):
    log.append(bytearray(500_000))
    return k
with phase("prices"):
    for k in range(20): price(k)
"""


@pytest.mark.parametrize(
    ("program", "false", "true"),
    [
        (MESSAGES, "Each round copies", "A value that each round joins to what came before"),
        (RECORDS, "The whole input", "all that it is given into Python objects"),
        (CIRCLES, "an attribute)", "a circle of objects that the collector has not come to)"),
        (BESIDE_A_CACHE, "The cache drops nothing", "If this belongs to the results,"),
    ],
    ids=["messages", "records", "circles", "beside a cache"],
)
def test_advice_says_what_it_takes_for_granted(
    told: Told, program: str, false: str, true: str
) -> None:
    report, _ = told(program)
    advice = " ".join(one["advice"] or "" for one in report["findings"])
    assert false not in advice
    assert true in advice


# The cache drops what is beyond eight.
BOUNDED = """
import functools
from memdeep import phase
@functools.lru_cache(maxsize=8)
def get(k): return bytearray(500_000)
for k in range(50):
    with phase("req"): get(k)
"""


def test_a_cache_with_a_bound_is_not_said_to_have_none(told: Told) -> None:
    _, said = told(BOUNDED)
    assert "whose last results functools.lru_cache keeps" in said
    assert "without a bound" not in said


# Some 20 of the 48 MB are larger than what lies in arenas.
SPLIT = """
import os
from memdeep import phase
with phase("whole"): data = os.urandom(1 << 20) * 40
with phase("lines"): lines = data.split(b"\\n")
"""


def test_bytes_beside_arenas_are_not_said_to_be_in_them(told: Told) -> None:
    report, said = told(SPLIT)
    (lines,) = [one for one in report["findings"] if one["culprit"]["lineno"] == 5]
    found = re.search(r"([\d.]+) MB stayed, ([\d.]+) MB of it in Python’s arenas", said)
    assert found is not None, said
    assert (
        float(found[2])
        < 0.8 * float(found[1])
        == pytest.approx(0.8 * lines["bytes"] / (1 << 20), rel=0.01)
    )


# Five tasks hold 10 MB each at one time, and nothing afterwards.
TASKS = """
import asyncio
from memdeep import phase
async def job(i):
    with phase("request"):
        x = b"z" * (10_000_000 + i)
        await asyncio.sleep(.1 * (i + 1))
        del x
async def main(): await asyncio.gather(*(job(i) for i in range(5)))
asyncio.run(main())
"""


def test_what_tasks_held_at_one_time_did_not_stay(told: Told) -> None:
    report, said = told(TASKS)
    first = report["findings"][0]
    assert (first["kind"], first["culprit"]["lineno"]) == ("peak", 6)
    assert first["bytes"] >= 50_000_000
    assert not [one for one in report["findings"] if one["culprit"]["lineno"] == 6][1:]
    assert "rounds" not in said


# Three tasks of other names keep 20 MB each: of no byte is it known which of them allocated it.
NAMED_TASKS = """
import asyncio
from memdeep import phase
kept = []
async def job(name):
    with phase(name):
        await asyncio.sleep(.05)
        kept.append(bytearray(20_000_000))
        await asyncio.sleep(.1)
async def main(): await asyncio.gather(*map(job, ("load", "parse", "store")))
with phase("before"): kept.append(bytearray(9_000_000))
asyncio.run(main())
"""


def test_bytes_of_tasks_are_not_said_to_be_those_of_one(told: Told) -> None:
    report, _ = told(NAMED_TASKS)
    known = "Other phases of the same thread were open meanwhile: some of it may be theirs."
    titles = {one["culprit"]["lineno"]: one["title"] for one in report["findings"]}
    assert titles[8].startswith("57.2 MB stayed: ") and titles[8].endswith(known)
    assert known not in titles[11]


# Four threads hold 10 MB each at one time; each has a peak of its own.
IN_THREADS = """
import threading, time
from memdeep import phase
barrier = threading.Barrier(4)
def work(i):
    with phase("request"):
        x = b"x" * (10_000_000 + i); barrier.wait()
        time.sleep(.1)
        del x
threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
for one in threads: one.start()
for one in threads: one.join()
"""


def test_what_threads_held_together_is_one_finding(told: Told) -> None:
    report, said = told(IN_THREADS)
    assert report["problems"] == []
    first = report["findings"][0]
    assert (first["kind"], first["culprit"]["lineno"]) == ("peak", 7)
    assert first["bytes"] >= 40_000_000
    rows = [one for one in report["phases"] if (one["name"], one["kind"]) == ("request", "span")]
    assert [one["parts"] for one in rows] == [None] * len(rows) != []
    assert "no line is known of" not in said


# The lines of the code that each process was given, and of a file that was written for one of them.
CODE_OF_OTHERS = """
import memdeep, subprocess, sys
codes = ["import time", "kept = b'x' * (30 << 20)", "time.sleep(.4)", "more = b'y' * (20 << 20)"]
with open("written.py", "w") as file:
    file.write("import time; kept = b'z' * (40 << 20); time.sleep(.4)")
with memdeep.phase("code"):
    subprocess.run([sys.executable, "-c", "\\n".join(codes), "an argument"])
    subprocess.run([sys.executable, "-c", "import time\\n\\n\\nlong = b'x' * (10 << 20)"])
with memdeep.phase("file"):
    subprocess.run([sys.executable, "written.py"])
"""


def test_the_source_of_other_processes_is_what_they_were_given(told: Told) -> None:
    report, _ = told(CODE_OF_OTHERS)
    shown = {
        (Path(one["culprit"]["filename"]).name, one["culprit"]["lineno"]): one["culprit"]["source"]
        for one in report["findings"]
        if one["culprit"] is not None
    }
    assert shown["<string>", 2] == "kept = b'x' * (30 << 20)"
    assert shown["<string>", 4] is None  # it is another one in each
    assert shown["written.py", 1].startswith("import time; kept")


def test_the_code_of_other_processes_is_no_more_told_than_their_arguments(told: Told) -> None:
    report, _ = told(CODE_OF_OTHERS, "--redact-args")
    of_codes = [one["culprit"] for one in report["findings"] if one["culprit"]]
    assert {one["source"] for one in of_codes if one["filename"] == "<string>"} == {None}


# What a thread forks has a main thread, which has the name of that one.
FORKED_BY_A_THREAD = """
import memdeep, os, threading, time
def fork():
    pid = os.fork()
    if not pid:
        kept = bytearray(b"x") * (30 << 20)
        time.sleep(.5)
        os._exit(0)
    os.waitpid(pid, 0)
with memdeep.phase("work"):
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
"""


def test_the_main_thread_of_a_forked_process_is_no_other_thread(told: Told) -> None:
    report, said = told(FORKED_BY_A_THREAD)
    (peak,) = [one for one in report["findings"] if one["bytes"] > 29 * MB]
    assert peak["culprit"]["lineno"] == 6
    assert peak["culprit"]["thread"] == "MainThread"
    assert "job.py:6 (in 1 process" in said


# The exec takes the 70 MB along.
REPLACED = """
import memdeep, os, sys
with memdeep.phase("load"):
    a = bytearray(b"a") * (70 << 20)
os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(.3)"])
"""


def test_what_an_exec_took_along_did_not_stay(told: Told) -> None:
    _, said = told(REPLACED)
    assert "70.0 MB were alive when the program was replaced by another one (exec)" in said
    assert "at the end of the run" not in said


# All but the last milliseconds are traced: line 6 keeps half a megabyte in each repeat.
STOPPED = """
import memdeep, time
keep, ring = [], [None] * 500
for n in range(150):
    with memdeep.phase("step"):
        keep.append(bytearray(500_000))
        for k in range(3000): ring[k % 500] = bytes(600 + k)
"""


def test_growth_is_found_though_the_tracing_stopped_in_its_phase(told: Told) -> None:
    report, said = told(STOPPED, "--max-capture", "1M")
    first = report["findings"][0]
    assert (first["kind"], first["culprit"]["lineno"]) == ("growth", 6)
    assert "Nothing stands out" not in said
    assert "still alive when the tracing stopped" in said


# 40 MB more than at the last reading, a moment before the kill.
KILLED = """
import memdeep, os, signal
with memdeep.phase("load"): a = bytearray(b"a") * (70 << 20)
with memdeep.phase("die"):
    b = bytearray(b"a") * (40 << 20)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_rss_at_a_death_is_a_reading_or_not_known(told: Told) -> None:
    report, _ = told(KILLED)
    *_, before, at_death = (one["rss_bytes"] for one in report["checkpoints"])
    assert at_death != before, "what was read before is no reading of the end"
    assert phase(report, "die")["heap_delta_bytes"] >= 40 * MB


# Writing makes 30 MB of private pages of what was mapped before.
PRIVATE = """
import memdeep, mmap
with open("data", "wb") as file: file.write(b"7" * (50 << 20))
file = open("data", "r+b")
with memdeep.phase("map"):
    mapped = mmap.mmap(file.fileno(), 50 << 20, flags=mmap.MAP_PRIVATE)
with memdeep.phase("write"):
    for place in range(0, 30 << 20, 4096): mapped[place] = 1
"""


def test_private_copies_of_the_pages_of_a_file_are_in_use(told: Told) -> None:
    report, said = told(PRIVATE)
    first = report["findings"][0]
    assert (first["culprit"]["lineno"], round(first["bytes"] / MB)) == (6, 30)
    assert re.search(r"30\.0 MB were used for the first time in write", said)


# Each thread writes what it has asked for at once.
THREADS = """
import memdeep, time
from concurrent.futures import ThreadPoolExecutor
def job(n):
    with memdeep.phase("job"):
        made = bytearray(b"t") * (n << 20)
        rows = [str(one) * 20 for one in range(20_000)]
        time.sleep(.02)
        return rows, bytes(made[: 1 << 20])
with memdeep.phase("pool"):
    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(job, [10] * 12))
"""


def test_what_threads_ask_for_and_write_is_not_used_later(told: Told) -> None:
    report, said = told(THREADS)
    assert "for the first time" not in said
    assert all(one["kind"] != "reserved" for one in report["findings"])
    unused = [one["fate"]["unused_bytes"] for one in report["findings"] if one["fate"]]
    assert max(unused, default=0) < 4 * MB  # the last arenas may be used in part
    rows = [one for one in report["phases"] if one["name"] == "job"]
    for row in rows:
        ends = row["heap_start_bytes"], row["heap_end_bytes"]
        assert row["peak_heap_bytes"] >= max(ends)


# Sixteen jobs in four threads: each thread has a phase that ran some of them.
JOBS = """
import threading
from memdeep import phase
kept = []
def work():
    for _ in range(4):
        with phase("job"):
            gate.wait()
            kept.append(bytearray(500_000))
gate = threading.Barrier(4)
with phase("all"):
    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads: one.start()
    for one in threads: one.join()
"""


# Nothing is imported or kept before the phase, but by memdeep's own threads.
EARLY = """
import memdeep
with memdeep.phase("load"): kept = bytearray(5_000_000)
"""


def test_a_thread_of_memdeep_is_no_culprit(told: Told) -> None:
    _, said = told(EARLY)
    assert "job.py:3" in said
    assert "no Python stack" not in said
    assert ".c:" not in said


# Each day replaces the 3 MB of the last, and leaves a thousand bytes.
LEAVES_LITTLE = """
from memdeep import phase
def block(size): return bytearray(size)
kept = []
for n in range(12):
    with phase("day"):
        data = block(3 << 20)
        kept.append(block(1000))
"""


def test_what_is_replaced_in_each_round_does_not_grow_by_what_is_left_beside_it(told: Told) -> None:
    report, said = told(LEAVES_LITTLE)
    assert 3 * MB < report["findings"][0]["bytes"] < 3.1 * MB
    assert "grew in" not in said
    assert "round after round" not in said


# The first day makes a table that stays; each of the others keeps a megabyte of the same line.
FIRST_DAY = """
from memdeep import phase
def block(size): return bytearray(size)
kept = []
for n in range(12):
    with phase(f"day {n}"): kept.append(block((60 << 20) if n == 0 else (1 << 20)))
"""


def test_what_the_other_days_keep_is_told_beside_a_first_one(told: Told) -> None:
    report, said = told(FIRST_DAY)
    first, rest = report["findings"]
    assert (first["bytes"], rest["bytes"]) == (60 * MB + 1, 11 * (MB + 1))
    assert "11.0 MB kept by 11 phases day *" in said
    assert rest["evidence"]["repeats"] == 11


# The child maps the 40 MB that the program has mapped, and holds 10 MB of its own.
ATTACHED = """
import multiprocessing, time
from multiprocessing import shared_memory
from memdeep import phase
def read(name):
    there = shared_memory.SharedMemory(name=name)
    own = bytearray(b"o") * (10 << 20)
    time.sleep(0.1)
    there.close()
if __name__ == "__main__":
    with phase("fill"):
        shared = shared_memory.SharedMemory(create=True, size=40 << 20)
        shared.buf[:] = bytes(40 << 20)
    with phase("child"):
        child = multiprocessing.get_context("fork").Process(target=read, args=(shared.name,))
        child.start(); child.join()
    shared.close(); shared.unlink()
"""


def test_shared_memory_is_not_told_again_of_each_process_that_maps_it(told: Told) -> None:
    report, said = told(ATTACHED)
    children = [one for one in report["findings"] if one["kind"] == "children"]
    assert "40.0 MB of shared memory" in said
    assert any(one["culprit"] and one["culprit"]["lineno"] == 7 for one in children)
    assert not any(one["culprit"] and one["culprit"]["lineno"] == 6 for one in children)


# Each task allocates 200,000 bytes that stay; at its end those of the others are there as well.
TASKS_THAT_KEEP = """
import asyncio
from memdeep import phase
kept = []
async def fetch():
    with phase("fetch"):
        await asyncio.sleep(0.01)
        kept.append(bytearray(200_000))
async def all_of_them():
    for _ in range(3): await asyncio.gather(*(fetch() for _ in range(10)))
with phase("all"): asyncio.run(all_of_them())
"""


def test_what_tasks_see_of_one_another_did_not_pass_through(told: Told) -> None:
    report, said = told(TASKS_THAT_KEEP)
    assert report["findings"][0]["bytes"] >= 30 * 200_000
    assert "stayed: allocated by job.py:8 in" in said
    assert "passed through" not in said


def test_a_phase_of_several_threads_ran_as_often_as_in_all_of_them(told: Told) -> None:
    _, said = told(JOBS)
    assert "job × 16" in said
    assert "in the 16 phases job" in said


# All 24 MB of texts go with the dictionary whose keys they are.
KEYS = """
import memdeep
cache = {}
with memdeep.phase("cache"):
    for i in range(100_000):
        cache["k" * 200 + str(i)] = None
"""


def test_the_keys_of_a_dictionary_go_with_it(told: Told) -> None:
    _, said = told(KEYS, "--deep", "--holders")
    found = re.search(r"held by `__main__.cache`: dropping it frees ([\d.]+) MB", said)
    assert found is not None, said
    assert float(found[1]) > 27


def test_a_disk_that_nothing_is_given_back_of_is_refused(tmp_path: Path) -> None:
    for option in ("--no-follow", "--keep-capture"):
        command = memdeep_command("run", "--disk", "2M", option, "-o", "run", "-c", "pass")
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert done.stderr.startswith(f"memdeep: --disk does not go with {option}.\n")
        assert not (tmp_path / "run").exists()


def test_a_journal_whose_end_is_lost_is_told(told: Told, tmp_path: Path) -> None:
    told("import memdeep\nfor n in range(9): memdeep.checkpoint(f'步_{n}')")
    journal = tmp_path / "run" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:5]))  # whole lines
    command = memdeep_command("report", "--quiet", "run")
    subprocess.run(command, cwd=tmp_path, env=environment(), check=True)
    report = read_json(tmp_path / "run" / "report.json")
    (said,) = report["problems"]
    assert said.startswith("The end of the journal is lost: 7 of the events")
    assert report["exit"]["evidence"] == []  # nothing tells that Python's own ending did not run


# The pool's workers read what the program had before, and have some 4 MB each to themselves.
IDLE_FORKS = """
import memdeep, multiprocessing, time
def work(number):
    time.sleep(.2)
    return number
if __name__ == "__main__":
    with memdeep.phase("load"):
        base = [bytes([i % 200 + 1]) * (1 << 20) for i in range(150)]
    with memdeep.phase("work"):
        with multiprocessing.get_context("fork").Pool(4) as pool:
            pool.map(work, range(8))
            memdeep.checkpoint("there")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the PSS is Linux's")
def test_what_forks_share_with_the_program_is_not_added_by_them(told: Told) -> None:
    report, said = told(IDLE_FORKS)
    (row,) = [one for one in report["phases"] if one["name"].endswith("there")]
    assert row["children_pss_delta_bytes"] > 80 * MB  # each has its part of what all share
    found = re.search(r"begin of work → th\S+ +\S+ MB +\+([\d.]+) MB", said)
    assert found is not None, said
    assert float(found[1]) < 70


# One buffer of 30, 60 and 90 MB, in a block of its own each time; then a third of it is left.
RESIZED = """
import memdeep
kept = bytearray()
def put():
    for _ in range(300):
        kept.extend(bytes(100_000))
with memdeep.phase("first"): put()
with memdeep.phase("second"): put()
with memdeep.phase("third"): put()
with memdeep.phase("cut"): del kept[30_000_000:]
"""


def test_what_was_in_a_container_is_no_growth_where_that_is_resized(told: Told) -> None:
    report, said = told(RESIZED)
    names = [one["name"] for one in report["phases"]]
    growth = [one for one in report["findings"] if one["kind"] == "growth"]
    grown = {names[one["phase"]]: one["bytes"] - one["moved_bytes"] for one in growth}
    for name in ("first", "second", "third"):
        assert 20 * MB < grown[name] < 40 * MB
    assert grown["cut"] == 0 and names[growth[-1]["phase"]] == "cut"
    moved = {names[one["phase"]]: one["fate"]["moved_bytes"] for one in growth}
    assert moved["first"] > 25 * MB
    assert moved["second"] > 55 * MB
    assert "of what was freed only moved to another block" in said


# While the keys of a table move to a larger one, both are there; and a list is dropped.
TABLE = """
import memdeep
with memdeep.phase("list"):
    dropped = [None] * 10_000_000
    del dropped
with memdeep.phase("table"):
    table = {}
    for number in range(1_500_000): table[number] = None
    for number in range(1_500_000, 3_000_000): table[number] = None
"""


def test_what_moved_to_a_larger_table_is_not_told_as_freed_alone(told: Told) -> None:
    report, _ = told(TABLE)
    peaks = [one for one in report["findings"] if one["kind"] == "peak" and one["fate"]]
    moved = {report["phases"][one["phase"]]["name"]: one for one in peaks}
    assert moved["table"]["fate"]["moved_bytes"] == moved["table"]["bytes"] > 50 * MB
    assert "of what was freed only moved to another block" in moved["table"]["title"]
    assert moved["list"]["fate"]["moved_bytes"] == 0
    assert "moved" not in moved["list"]["title"]


# Each list is made anew, at its size, and the one before is dropped: none of them was resized.
REBOUND = """
import memdeep
kept = [None] * 4_000_000
with memdeep.phase("again"):
    kept = [None] * 4_000_000
"""


def test_a_container_that_takes_the_place_of_another_has_not_moved(told: Told) -> None:
    report, said = told(REBOUND)
    assert all(not one["moved_bytes"] for one in report["findings"])
    assert all(not one["fate"]["moved_bytes"] for one in report["findings"] if one["fate"])
    assert "another block" not in said


# Each call is given one line, and what all made is kept: no call has to be given less.
LINE_BY_LINE = """
import json
from memdeep import phase
text = json.dumps({str(n): [n, n] for n in range(20)})
rows = []
for day in range(6):
    with phase("load"):
        for _ in range(400): rows.append(json.loads(text))
with phase("once"):
    for _ in range(3000): rows.append(json.loads(text))
"""


def test_who_reads_line_by_line_is_not_told_to_do_so(told: Told) -> None:
    report, _ = told(LINE_BY_LINE, "--deep")
    loaded, once = (
        next(one for one in report["findings"] if one["culprit"]["lineno"] == lineno)
        for lineno in (8, 10)
    )
    assert "round after round" in loaded["advice"]
    assert "Keep only the fields in use" in once["advice"]
    assert "if one call is given the whole input" in once["advice"]


# Each text is one block, so that each was read by a call of its own.
MANY_FILES = """
import pathlib
from memdeep import phase
path = pathlib.Path("text")
path.write_text("x" * 100_000)
with phase("load"):
    kept = [path.read_text() for _ in range(100)]
"""


def test_many_small_files_are_no_whole_file(told: Told) -> None:
    report, said = told(MANY_FILES)
    assert "stayed: allocated by job.py:7 in load" in said
    assert report["findings"][0]["advice"] is None


# The file is mapped already, and what is written to it is copied page by page.
WRITES_TO_A_MAP = """
import numpy
from memdeep import phase
numpy.save("a.npy", numpy.ones(4_000_000))
with phase("change"):
    a = numpy.load("a.npy", mmap_mode="c")
    a += 1
"""


def test_who_maps_a_file_is_not_told_to_map_it(told: Told) -> None:
    pytest.importorskip("numpy")
    report, said = told(WRITES_TO_A_MAP)
    (grown,) = [one for one in report["findings"] if one["kind"] == "growth" and one["phase"]]
    assert grown["culprit"]["lineno"] == 6
    assert "each page that is written to becomes a copy for this process" in grown["advice"]
    assert "were mapped by numpy.memmap" in said
    assert "mmap_mode=" not in grown["advice"]


# Of the first repeat 30 MB are kept, and freed before the second begins: in none of the two.
PEAK_OF_THE_FIRST = """
from memdeep import phase
kept = []
def step(temporary, kept_then):
    with phase("step"):
        passing = bytearray(temporary << 20)
        kept.append(bytearray(kept_then << 20))
        del passing
with phase("outer"):
    step(8, 30)
    with phase("clear"): kept.clear()
    step(1, 1)
"""


def test_a_peak_is_compared_with_the_end_of_its_own_repeat(told: Told) -> None:
    report, said = told(PEAK_OF_THE_FIRST)
    peaks = [one for one in report["findings"] if one["kind"] == "peak"]
    (of_step,) = [one for one in peaks if report["phases"][one["phase"]]["name"] == "step"]
    assert of_step["culprit"]["lineno"] == 6
    assert of_step["bytes"] // MB == 8
    assert "from one repeat to a later one" not in said
    (kept,) = [one for one in peaks if one["culprit"]["lineno"] == 7]  # it had most of the peak
    assert kept["bytes"] // MB == 30
    assert kept["fate"] is None


# Each level keeps what its two lines allocated; the locals of all are alive at the deepest.
RECURSION = """
import memdeep
kept = []
@memdeep.phase("walk")
def walk(left):
    local = bytearray(5 << 20)
    memdeep.checkpoint("at work")
    kept.append(bytearray(4 << 20))
    if left: walk(left - 1)
    kept.append(bytearray(2 << 20))
walk(6)
"""


def test_what_all_levels_of_a_recursion_keep_is_told_once(told: Told) -> None:
    report, _ = told(RECURSION)
    found = {
        (one["kind"], one["culprit"]["lineno"]): one["bytes"] // MB for one in report["findings"]
    }
    assert found == {("growth", 8): 28, ("growth", 10): 14, ("peak", 6): 35}
    assert len(report["findings"]) == 3
    outermost = min(n for n, one in enumerate(report["phases"]) if one["name"] == "walk")
    assert {one["phase"] for one in report["findings"]} == {outermost}


# Within each level another phase reads.
READS = """
import memdeep
kept = []
def walk(levels):
    with memdeep.phase("walk"):
        with memdeep.phase("read"):
            kept.append(bytearray(5_000_000))
        if levels > 1:
            walk(levels - 1)
walk(8)
memdeep.checkpoint("after")
"""


def test_what_phases_within_all_levels_of_a_recursion_keep_is_told_once(told: Told) -> None:
    report, said = told(READS)
    (first,) = report["findings"]
    assert (first["kind"], first["bytes"]) == ("growth", pytest.approx(40_000_000, rel=0.01))
    names = [report["phases"][place]["name"] for place in first["phases"]]
    assert names == ["read"] * 8
    assert "in the 8 phases read" in said.replace("\n", " ")


# 20,000 calls that have not returned, each with a frame.
DEEP = """
import sys, threading
import memdeep
sys.setrecursionlimit(100_000)
threading.stack_size(256 << 20)
def deep(left):
    return deep(left - 1) + 1 if left else 0
def work():
    with memdeep.phase("deep"):
        deep(20_000)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="where frames lie differs by version")
def test_the_frames_of_a_deep_recursion_are_told(told: Told) -> None:
    report, _ = told(DEEP)
    (peak,) = [one for one in report["findings"] if one["kind"] == "peak"]
    assert peak["evidence"]["call"] == "deep"
    assert 15_000 < peak["evidence"]["times"] <= 20_001
    assert "recursion" in peak["advice"]


# 200 MB that nobody touches, and 30 MB in use beside them.
RESERVES = """
import mmap
import memdeep
with memdeep.phase("reserve"):
    room = mmap.mmap(-1, 200 << 20)
with memdeep.phase("use"):
    used = bytearray(b"x") * (30 << 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="where the mappings are read")
def test_what_of_the_highest_heap_was_only_reserved_is_said_beside_it(told: Told) -> None:
    report, said = told(RESERVES)
    assert report["peak_heap_bytes"] > 230 * MB
    assert report["peak_heap_reserved_bytes"] == pytest.approx(200 * MB, rel=0.01)
    assert re.search(r"peak heap 2\d\d\.\d MB\s\(200\.0\sMB\sof\sit\sonly\sreserved\)", said)


def test_a_heap_in_use_was_not_reserved(told: Told) -> None:
    report, said = told(RESIZED)
    assert not report["peak_heap_reserved_bytes"]
    assert "reserved" not in said


# The program frees 60 MB before its workers start, and malloc keeps them below the last block.
FREED_BEFORE_THE_WORKERS = """
import multiprocessing, time
from memdeep import phase
def work(number):
    data = bytearray(b"x") * (80 << 20)
    time.sleep(.3)
if __name__ == "__main__":
    with phase("jobs"):
        blocks = [b"x" * 30_000 for _ in range(2000)]
        last = b"y" * 30_000
        del blocks
        with multiprocessing.get_context("fork").Pool(2) as pool:
            pool.map(work, range(2))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc keeps it")
def test_what_the_program_freed_is_known_though_its_workers_held_more(told: Told) -> None:
    report, said = told(FREED_BEFORE_THE_WORKERS)
    (held,) = [one for one in report["findings"] if one["kind"] == "held"]
    assert 50 * MB < held["bytes"] < 61 * MB
    assert "no line is known" not in said
    assert not [one for one in report["findings"] if one["kind"] == "unseen"]


STARTS_ONE = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "import time; time.sleep(.6)"])
"""


@pytest.mark.parametrize(
    ("options", "told_of"),
    [
        ((), None),
        (("--children", "none"), "--children none"),
        (("--children", "other*"), "--children"),
        (("--last", "1m"), "--last"),
    ],
)
def test_the_option_that_left_processes_out_is_named(
    options: tuple[str, ...], told_of: str | None, told: Told
) -> None:
    _, said = told(STARTS_ONE, *options)
    found = re.search(r"recorded with (.+?), which leaves out Pythons", said)
    assert (found and found[1]) == told_of


WORKERS = """
import multiprocessing
from memdeep import phase
def work(number):
    with phase("job"):
        data = bytearray(b"x") * (20 << 20)
        with phase("nothing"): pass
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        with phase("all of it"): pool.map(work, range(6), 1)
"""


@pytest.mark.parametrize("columns", [30, 45, 60, 80])
def test_no_figure_of_processes_is_cut(columns: int, told: Told, tmp_path: Path) -> None:
    told(WORKERS)
    command = memdeep_command("report", "--lang", "en", "run")
    narrow = environment(COLUMNS=str(columns))
    done = subprocess.run(
        command, cwd=tmp_path, env=narrow, capture_output=True, text=True, check=True
    )
    lines = done.stderr.splitlines()
    begin = next(place for place, line in enumerate(lines) if line.startswith("Process "))
    _, _, program, workers = lines[begin : begin + 4]
    assert re.match(r"program .*\d [KM]B +\d+\.\d MB", program)
    assert re.match(r"  fork × 2 .*\d [KM]B +\d+\.\d MB", workers)
    assert max(map(len, lines[begin : begin + 4])) <= columns
    across = [line for line in lines if line.startswith("job")]
    assert not [line for line in across if re.search(r" \d B ", line)]
