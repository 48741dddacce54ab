"""What may get in the way of a recording of this process, and what it gets in the way of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from own_recording import run
from running import environment

import memdeep

SUBREAPER = """
import ctypes
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: adopts orphans, as process 1 does
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is of Linux")
def test_a_process_that_adopts_orphans_is_left_none(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        SUBREAPER
        + """
import time
for number in range(2):
    with memdeep.recording(f"run-{number}", native=False) as recorded:
        while number and not os.path.exists("run-1/samples"):
            time.sleep(0.01)
try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("none")
print(len(recorded.result.processes))
""",
    )
    assert lines == ["none", "1"]


def test_tracing_stops_at_the_limit_and_the_program_goes_on(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        """
import time
from pathlib import Path
from memdeep.inprocess.recording import DEFAULTS, Options, Recording
how = DEFAULTS.but(native=False, trace_python_allocators=True)
recording = Recording(Options(how, Path("here"), max_capture_bytes=1 << 20))
until = time.monotonic() + 60
kept = []
while "tracing has stopped" not in Path("here/journal.jsonl").read_text():
    kept.append([str(number) for number in range(10_000)])
    time.sleep(0.01)
    assert time.monotonic() < until
recording.stop()
print(any("has reached" in problem for problem in recording.run.result.problems))
print(threading.active_count(), sorted(os.listdir("/proc/self/fd")) != [])
""",
        silent=False,
    )
    assert lines == ["True", "1 True"]


def test_a_tracker_that_the_program_starts_ends_the_trace_and_is_memrays_after(
    tmp_path: Path,
) -> None:
    lines = run(
        tmp_path,
        """
import memray
with memdeep.recording("here", native=False) as recorded:
    with memray.Tracker("own.bin"):
        pass
print(any("a tracker of memray itself" in one for one in recorded.result.problems))
with memray.Tracker("after.bin"):
    pass
print(type(memray.Tracker("third.bin")).__mro__[0] is memray._memray.Tracker)
""",
        silent=False,
    )
    assert lines == ["True", "True"]


@pytest.mark.parametrize("backend", ["rss", "tracemalloc"])
def test_the_other_ways_to_record_leave_nothing_either(tmp_path: Path, backend: str) -> None:
    lines = run(
        tmp_path,
        f"""
import tracemalloc
with memdeep.recording("first", backend={backend!r}) as recorded:
    pass
before = sorted(os.listdir("/proc/self/fd")), threading.enumerate(), os.close, os.kill
for number in range(3):
    with memdeep.recording(f"run-{{number}}", backend={backend!r}) as recorded:
        with memdeep.phase("load"):
            kept = [bytes(1000) for _ in range(20_000)]
after = sorted(os.listdir("/proc/self/fd")), threading.enumerate(), os.close, os.kill
print(before == after, tracemalloc.is_tracing(), recorded.phases["load"].rss_growth is not None)
print(recorded.phases["load"].kept is not None)
""",
    )
    assert lines == ["True False True", str(backend == "tracemalloc")]


def test_a_trace_of_tracemallocs_that_is_on_is_left_alone(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        """
import tracemalloc
tracemalloc.start()
try:
    with memdeep.recording("here", backend="tracemalloc"):
        pass
except memdeep.errors.RecordingError as error:
    print(error)
print(tracemalloc.is_tracing(), os.path.exists("here"))
""",
    )
    assert lines[0].startswith("tracemalloc is tracing this process already")
    assert lines[1] == "True False"


def test_a_directory_that_is_in_use_is_refused_and_nothing_begins(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        """
with memdeep.recording("here", native=False):
    pass
try:
    with memdeep.recording("here", native=False):
        pass
except memdeep.errors.OutputError as error:
    print(error.message)
with memdeep.recording("here", native=False, force=True) as again:
    pass
print(again.path, threading.active_count(), memdeep.record.api.is_recording())
""",
    )
    assert lines == ["here exists already and is not empty.", "here 1 False"]


def test_threads_that_record_at_the_same_time_share_one_recording(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        """
@memdeep.recording("here", native=False)
def work(barrier):
    barrier.wait()
    return bytearray(100_000)
barrier = threading.Barrier(4)
threads = [threading.Thread(target=work, args=(barrier,)) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(name for name in os.listdir() if name.startswith("here")))
""",
    )
    assert len(lines) == 1 and lines[0].count("here") == 1


def test_a_forked_child_may_leave_the_block_too(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        """
with memdeep.recording("here", native=False) as recorded:
    sys.stdout.flush()
    pid = os.fork()
    kept = bytearray(3_000_000 if pid else 7_000_000)
    if pid:
        os.waitpid(pid, 0)
if pid == 0:
    print("left", memdeep.record.api.is_recording(), flush=True)
    os._exit(0)
print(recorded.result.exit.verdict, len(recorded.result.processes))
print([one.peak_heap > 3_000_000 for one in recorded.result.processes])
""",
    )
    assert lines == ["left False", "completed 2", "[True, True]"]


def test_a_python_that_it_starts_is_recorded_but_none_after(tmp_path: Path) -> None:
    worker = "import time\nkept = bytearray(9_000_000)\ntime.sleep(0.3)\n"  # until it is seen
    (tmp_path / "worker.py").write_text(worker, "utf-8")
    lines = run(
        tmp_path,
        """
import subprocess, time
with memdeep.recording("here", native=False) as recorded:
    while not os.path.exists("here/samples"):
        time.sleep(0.01)
    subprocess.run([sys.executable, "worker.py"], check=True)
subprocess.run([sys.executable, "worker.py"], check=True)
print([one.peak_heap > 9_000_000 for one in recorded.result.processes if one.is_traced][1:])
print(recorded.findings[0].culprit.source)
""",
    )
    assert lines == ["[True]", "kept = bytearray(9_000_000)"]


def test_under_memdeep_run_it_is_a_phase_of_that(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(
        "import memdeep\n"
        "with memdeep.recording('own', name='the part') as run:\n"
        "    kept = bytearray(5_000_000)\n"
        "print(run.report())\n",
        "utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "memdeep", "run", "-q", "--no-native", "-o", "out", "job.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "None\n"), done.stderr
    assert "the part" in memdeep.load(tmp_path / "out").phases
    assert not (tmp_path / "own").exists()
