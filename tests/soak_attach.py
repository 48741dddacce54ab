"""`make soak-attach`: attaches and detaches beside busy threads, an event loop and numpy.

SOAK_ATTACHES (default: 500) times. The program must go on unharmed: its sums are right, and it has
the same threads, descriptors and hooks as after the first time, and no more memory. The way in is
`memdeep.attachable()`, or with SOAK_BY=gdb (or lldb) a debugger, which is rehearsed once.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from attaching import ATTACHABLE, STATE, Program, running

from memdeep import pipeline
from memdeep.inprocess.recording import DEFAULTS
from memdeep.run import debugger, rehearsal
from memdeep.run.attach import AttachOptions, Running, Until
from memdeep.run.called import Put, call
from memdeep.run.target import find
from memdeep.run.ways_in import Line
from memdeep.rundir import directory, runs

WORK = """
import asyncio, hashlib, json
import numpy

faults, rounds, ring = [], [0] * 6, [None] * 20_000
is_over = False

def check(number, holds):
    rounds[number] += 1
    if not holds:
        faults.append(number)

def of_numpy(number):
    while not is_over:
        with memdeep.phase("numpy"):
            many = numpy.arange(200_000, dtype=numpy.int64)
            check(number, int(many.sum()) == 19_999_900_000)
            check(number, float(numpy.linalg.norm(numpy.ones((300, 300)) @ numpy.ones(300))) > 0)

def of_objects(number):
    while not is_over:
        with memdeep.phase("objects"):
            table = {str(key): [key] * 3 for key in range(2_000)}
            check(number, json.loads(json.dumps(table)) == table)
            check(number, len(hashlib.sha256(b"x" * 100_000).hexdigest()) == 64)

def of_ring(number):
    place = 0
    while not is_over:
        with memdeep.phase("ring"):
            for _ in range(500):
                ring[place % len(ring)] = bytearray(1000)
                place += 1
            check(number, True)
        time.sleep(0.001)

async def one(number):
    with memdeep.phase("task"):
        await asyncio.sleep(0.001)
        check(number, True)

async def of_tasks(number):
    while not is_over:
        await asyncio.gather(*(one(number) for _ in range(10)))

work = [
    threading.Thread(target=target, args=(number,), name=f"work {number}")
    for number, target in enumerate(
        [of_numpy, of_numpy, of_objects, of_ring, of_objects, lambda n: asyncio.run(of_tasks(n))]
    )
]
for thread in work:
    thread.start()
time.sleep(0.5)

def be_reached():
    while not os.path.exists("reached"):
        time.sleep(0.002)
        check(0, len(os.urandom(16)) == 16)
    os.unlink("reached")

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
"""
STOP = """
is_over = True
for thread in work:
    thread.join()
print(faults, min(rounds) > 0)
"""
STAYS_BYTES = 40 << 20  # of the RSS, for what all this work leaves in the allocators


def reach(program: Program, put: Put | None) -> Running:
    """Return a way into ``program``; ``put`` puts a call into its main thread, which is at work."""
    if put is None:
        return pipeline.reach(program.pid)
    program.tell("be_reached()")
    target = find(program.pid)
    line = Line(call(target, put), target.pid)
    (program.directory / "reached").touch()
    program.await_word("done")
    return Running(target, line, line.facts())


def attach(program: Program, path: Path, deep: bool, put: Put | None) -> None:
    """Record ``program`` into ``path`` for some hundredths of a second."""
    running_program = reach(program, put)
    with running_program.line:
        how = DEFAULTS.but(children="none", trace_python_allocators=deep)
        options = AttachOptions(how, Until(seconds=0.05), None, 1 << 20)
        run_dir = directory.create(path, force=False)
        pipeline.attach(running_program, run_dir, options, lambda progress: None)


def by_debugger(name: str) -> Put:
    """Return how the debugger ``name`` puts a call. Raises AttachError if it does not work here."""
    one = debugger.Debugger(name, shutil.which(name) or name)
    rehearsal.rehearse(one, os.getpid())
    return one.put


def soak(place: Path, times: int, put: Put | None = None) -> tuple[int, int]:
    """Attach so many times; return the RSS after the first ones and at the end."""
    with running(place, (ATTACHABLE if put is None else "") + STATE + WORK) as program:
        first_bytes = 0
        warm_up = max(2, times // 10)
        for number in range(times):
            path = place / f"run-{number}"
            attach(program, path, deep=number % 5 == 4, put=put)
            if number % 50 == 10:
                held(path)
            runs.remove(directory.existing(path))
            if number == warm_up:
                program.remember()
                (told,) = program.do("print(resident())")
                first_bytes = int(told)
        program.wait_for("not api.is_recording()")
        program.hold_against_remembered()
        (told,) = program.do("print(resident())")
        assert program.do(STOP) == ["[] True"]
        assert program.process.poll() is None
    return first_bytes, int(told)


def held(path: Path) -> None:
    """Hold a report against what the program does: its ring does not grow."""
    run_dir = directory.existing(path)
    pipeline.seal(run_dir, lambda step: None)
    report = pipeline.analyse(pipeline.load(path, lambda step: None), lambda step: None)
    assert report.run.exit is not None and report.run.exit.verdict == "detached"
    for phase in report.phases:
        if phase.name == "ring" and phase.heap is not None:
            assert abs(phase.heap.delta_bytes) < 2 << 20, phase.heap.delta_bytes


def main() -> int:
    times, by = int(os.environ.get("SOAK_ATTACHES", "500")), os.environ.get("SOAK_BY", "")
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        first_bytes, last_bytes = soak(Path(place), times, by_debugger(by) if by else None)
    took_s = time.monotonic() - began_s
    grown_bytes = last_bytes - first_bytes
    assert grown_bytes < STAYS_BYTES, f"{grown_bytes:,} bytes more"
    print(
        f"{times:,} attaches by {by or 'a socket'} in {took_s:.0f} s: sums right; threads, files "
        f"and hooks as before; RSS {first_bytes >> 20} MiB, then {last_bytes >> 20} MiB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
