"""`memdeep.recording`: a process records itself, as often as it likes, and nothing of it stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from own_recording import run
from running import environment

import memdeep


def test_a_recording_has_phases_findings_and_a_report(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        """
with memdeep.recording("here", native=False) as run:
    with memdeep.phase("load"):
        kept = bytearray(30_000_000)
print([phase.name for phase in run.phases], round(run.phases["load"].kept / 1e6))
print(run.findings[0].culprit.source.strip())
print(run.report())
print(memdeep.load("here").exit.verdict)
""",
    )
    assert lines == ["['load'] 30", "kept = bytearray(30_000_000)", "here/report.html", "completed"]
    assert (tmp_path / "here/report.json").exists()


NOTHING_LEFT = """
import gc, memray, subprocess, threading, time, warnings
import memdeep.inprocess.face

def descriptors():
    links = {name: f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")}
    return {name: os.readlink(link) for name, link in links.items() if os.path.exists(link)}

def state():
    return [
        descriptors(),
        threading.enumerate(),
        dict(os.environ),
        memray.Tracker,
        (os.close, os.closerange, os.kill, os._exit, os.waitpid, os.system, os.posix_spawn),
        (subprocess._fork_exec if hasattr(subprocess, "_fork_exec") else None),
        (sys.excepthook, threading.excepthook, threading._profile_hook, sys.getprofile()),
        list(gc.callbacks),
        list(warnings.filters),
    ]

def variable():
    return os.popen("echo $MEMDEEP_TREE").read()

def record(number):
    with memdeep.recording(f"run-{number}") as run, memdeep.phase("one"):
        kept = [bytearray(100) for _ in range(1000)]
    return run

record(0)  # what memray and libunwind keep for good
before = state()
for number in range(1, 51):
    run = record(number)
after = state()
for _ in range(100):  # the last instructions of a thread
    if len(os.listdir("/proc/self/task")) == 1:
        break
    time.sleep(0.01)
print(before == after or [pair for pair in zip(before, after) if pair[0] != pair[1]])
print(len(os.listdir("/proc/self/task")), repr(variable()))
print(run.phases)
"""


def test_nothing_is_left_of_fifty_recordings(tmp_path: Path) -> None:
    assert run(tmp_path, NOTHING_LEFT) == ["True", "1 '\\n'", "<1 phase: one>"]
    assert len(list(tmp_path.glob("run-*/journal.jsonl"))) == 51


def test_within_another_recording_it_is_a_phase_of_it(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        """
with memdeep.recording("outer", native=False) as outer:
    with memdeep.recording("inner", name="in it") as inner:
        kept = bytearray(1_000_000)
print([phase.name for phase in outer.phases], inner.path, inner.report())
try:
    inner.phases
except memdeep.errors.NotKnownError as error:
    print(error)
""",
    )
    assert lines[0] == "['in it'] None None"
    assert lines[1].startswith("The recording in it is a phase of another one.")
    assert not (tmp_path / "inner").exists()


def test_an_error_in_it_goes_its_way_and_is_in_the_report(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        """
try:
    with memdeep.recording("here", native=False) as run:
        {}["missing"]
except KeyError as error:
    print(repr(error))
print(run.result.exit.verdict, run.result.exit.evidence)
""",
    )
    assert lines[0] == "KeyError('missing')"
    assert lines[1] == "completed ('KeyError left the recorded code.',)"


def test_an_earlier_error_is_not_the_recordings(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        """
sys.last_type, sys.last_value, sys.last_traceback = KeyError, KeyError("before"), None
with memdeep.recording("here", native=False) as run:
    pass
print(run.result.exit.verdict, run.result.exit.evidence)
""",
    )
    assert lines == ["completed ()"]


def test_a_tracker_of_memrays_that_is_on_is_said_and_left_alone(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        """
import memray
from memdeep.errors import RecordingError
with memray.Tracker("own.bin"):
    try:
        with memdeep.recording("here"):
            pass
    except RecordingError as error:
        print(error)
print(os.path.exists("here"))
with memdeep.recording("here"):
    pass
with memray.Tracker("after.bin"):
    pass
""",
    )
    assert lines[0].startswith("memray is tracking this process already")
    assert lines[1] == "False"


def test_functions_of_each_kind_are_recorded_call_by_call(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        """
import asyncio
@memdeep.recording("plain", native=False)
def plain(size):
    return len(bytearray(size))
@memdeep.recording("waits", native=False)
async def waits(size):
    await asyncio.sleep(0)
    return len(bytearray(size))
@memdeep.recording("yields", native=False)
def yields(size):
    yield len(bytearray(size))
    yield 2
print(plain(2_000_000), plain(4_000_000), asyncio.run(waits(2_000_000)), list(yields(2_000_000)))
print(plain.__name__, plain.recording.run, sorted(set(os.listdir()) - {"job.py"}))
print([f.recording.run.phases[0].peak > 2_000_000 for f in (plain, waits, yields)])
""",
    )
    assert lines == [
        "2000000 4000000 2000000 [2000000, 2]",
        "plain <Run plain: plain-2> ['plain', 'plain-2', 'waits', 'yields']",
        "[True, True, True]",
    ]


def test_a_phase_that_outlives_its_recording_is_none_of_the_next(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        """
outliving = memdeep.phase("outliving")
with memdeep.recording("first", native=False) as first:
    outliving.__enter__()
with memdeep.recording("second", native=False) as second:
    with memdeep.phase("own"):
        outliving.__exit__(None, None, None)
print([[(one.name, one.is_complete) for one in run.phases] for run in (first, second)])
""",
    )
    assert lines == ["[[('outliving', False)], [('own', True)]]"]


@pytest.mark.parametrize("children", ["all", "none"])
def test_a_fork_within_it_goes_its_own_way(tmp_path: Path, children: str) -> None:
    lines = run(
        tmp_path,
        f"""
with memdeep.recording("here", native=False, children={children!r}) as run:
    kept = bytearray(10_000_000)
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        with memdeep.phase("child's"):
            more = bytearray(20_000_000)
        os._exit(7)
    print(os.waitpid(pid, 0)[1] >> 8)
print([process.exit for process in run.result.processes][1:])
print([phase.name for process in run.result.processes[1:] for phase in process.phases])
""",
    )
    assert lines[0] == "7"
    # Without following processes nobody sees how they end.
    assert lines[1:] == (["[7]", '["child\'s"]'] if children == "all" else ["[None]", "[]"])


def test_one_is_begun_and_ended_in_a_thread(tmp_path: Path) -> None:
    lines = run(
        tmp_path,
        """
def work():
    with memdeep.recording("here", native=False) as run:
        kept = bytearray(3_000_000)
    print(run.findings[0].culprit.source.strip(), threading.active_count())
thread = threading.Thread(target=work)
thread.start()
thread.join()
""",
    )
    assert lines == ["kept = bytearray(3_000_000) 2"]


def test_what_a_killed_program_had_recorded_is_reported(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
import signal, time
with memdeep.recording("here", native=False):
    memdeep.checkpoint("loaded")
    kept = bytearray(5_000_000)
    while not os.path.exists("here/samples"):
        time.sleep(0.01)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)
""",
        status=-9,
    )
    done = subprocess.run(
        [sys.executable, "-m", "memdeep", "report", "here"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "kept = bytearray(5_000_000)" in done.stderr


def test_importing_memdeep_imports_none_of_it() -> None:
    code = "import sys, memdeep; print([m for m in sys.modules if m.startswith('memdeep.')])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['memdeep.record', 'memdeep.record.api']"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="frames are objects of their own there")
def test_a_warm_process_has_the_figures_of_a_fresh_one_to_the_byte(tmp_path: Path) -> None:
    part = """
    with memdeep.phase("load"):
        kept = bytearray(30_000_000)
        passing = bytearray(5_000_000)
        del passing
"""
    lines = run(
        tmp_path,
        f"""
warm = [bytearray(1_000_000) for _ in range(50)]
with memdeep.recording("warm", native=False) as recorded:{part}
    warm.clear()
load = recorded.phases["load"]
print(load.kept, load.growth, load.rise, load.culprit.bytes)
""",
    )
    (tmp_path / "fresh.py").write_text(f"import memdeep\nif True:{part}", "utf-8")
    words = ["run", "-q", "--no-native", "-o", "fresh", "fresh.py"]
    subprocess.run([sys.executable, "-m", "memdeep", *words], cwd=tmp_path, check=True)
    load = memdeep.load(tmp_path / "fresh").phases["load"]
    assert load.culprit is not None
    assert load.culprit.bytes == 30_000_001  # a byte behind the content
    assert lines == [f"{load.kept} {load.growth} {load.rise} {load.culprit.bytes}"]
