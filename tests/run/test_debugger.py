"""A debugger puts a call into a program, after it has done so in a process of memdeep's own.

The laws: a debugger that harms the process of the rehearsal never comes near the program; a
program that was called into computes, prints and ends as it would have; a call that comes too late
does nothing.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from attaching import STATE, Attachment, Program, running
from running import ROOT, environment, memdeep_command, wait_until

from memdeep import pipeline
from memdeep.errors import AttachError
from memdeep.run import called, debugger, functions, rehearsal, ways_in
from memdeep.run.debugger import Debugger
from memdeep.run.target import RefusedError, find

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="functions are found in /proc"),
    pytest.mark.skipif(sys.version_info >= (3, 14), reason="the interpreter itself is asked there"),
]
as_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root may do that to others"
)
WORK = """
kept, sums, is_over = [], [], False
gate = threading.Lock()
gate.acquire()

def leak():
    with memdeep.phase("leak"):
        kept.append(bytearray(5_000_000))

def in_thread():
    while not is_over:
        sums.append(sum(range(1000)) == 499_500)
        time.sleep(0.001)

def at_work(turns=0):
    while turns > 0 or not os.path.exists("enough"):
        turns -= 1
        time.sleep(0.005)
        assert not gate.acquire(timeout=0.001)
        assert os.path.getsize("job.py") > 100

def wait_in_c(seconds):
    threading.Timer(seconds, gate.release).start()
    gate.acquire()

thread = threading.Thread(target=in_thread)
thread.start()
"""
END = "is_over = True; thread.join(); print(all(sums), len(kept))"


NOWHERE = 8  # an address at which nothing lies


def works(one: Debugger) -> bool:
    try:
        rehearsal.rehearse(one, os.getpid())
    except AttachError:
        return False
    return True


@pytest.fixture(scope="module")
def good() -> dict[str, Debugger]:
    """The debuggers of this system that work here, by name."""
    return {one.name: one for one in debugger.installed() if works(one)}


@pytest.fixture(params=debugger.DEBUGGERS)
def own(
    request: pytest.FixtureRequest,
    good: dict[str, Debugger],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Debugger:
    """One of them; the others do not work."""
    if request.param not in good:
        pytest.skip(f"no {request.param} here that works")
    for name in debugger.DEBUGGERS:
        if name != request.param:
            put_on_path(tmp_path / "bin", monkeypatch, "exit 1", name)
    return good[request.param]


@pytest.fixture
def gdb(good: dict[str, Debugger]) -> Debugger:
    if "gdb" not in good:
        pytest.skip("no gdb here that works")
    return good["gdb"]


def put_on_path(place: Path, monkeypatch: pytest.MonkeyPatch, code: str, name: str = "gdb") -> None:
    """Put a program of the shell's that is called like a debugger before all others."""
    place.mkdir(exist_ok=True)
    (place / name).write_text(f"#!/bin/sh\n{code}\n")
    (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")


def enough(program: Program) -> None:
    """Wait until it has done its work, in which no call may have failed."""
    (program.directory / "enough").touch()
    assert program.await_word("done") == []


def refused(program: Program) -> AttachError:
    with pytest.raises(AttachError) as caught:
        ways_in.reach(find(program.pid)).close()
    return caught.value


def test_a_program_that_has_called_nothing_is_recorded(tmp_path: Path, own: Debugger) -> None:
    with running(tmp_path, WORK) as program:
        program.do("before = set(globals())")
        for name in ("first", "second"):
            attachment = Attachment(program, name=name).begun(program)
            program.do("leak()")
            report = attachment.interrupt().finish()
            assert report["exit"]["verdict"] == "detached"
            (leak,) = [one for one in report["phases"] if one["name"] == "leak"]
            assert leak["complete"] and abs(leak["heap_delta_bytes"] - 5_000_000) < 500_000
            assert report["findings"][0]["culprit"]["source"] == "kept.append(bytearray(5_000_000))"
        assert program.do("print(set(globals()) - before)") == ["{'before'}"]
        assert program.do(END) == ["True 2"]
        program.tell("sys.exit(7)")
        assert program.process.wait(timeout=20) == 7


def test_calls_of_a_program_at_work_do_not_fail(tmp_path: Path, own: Debugger) -> None:
    with running(tmp_path, WORK) as program:
        target = find(program.pid)
        program.tell("at_work()")
        for _ in range(6):
            called.call(target, own.put).close()
            time.sleep(0.05)
        enough(program)
        assert program.do(END) == ["True 0"]


def test_signals_that_come_meanwhile_reach_the_program(tmp_path: Path, gdb: Debugger) -> None:
    """A timer of its own, and those of others."""
    code = """
import signal
got = {signal.SIGALRM: 0, signal.SIGUSR1: 0}
def count(number, frame):
    got[number] += 1
signal.signal(signal.SIGALRM, count)
signal.signal(signal.SIGUSR1, count)
"""
    with running(tmp_path, WORK + code) as program:
        target, is_over = find(program.pid), threading.Event()
        program.tell("signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001); at_work()")

        def send() -> None:
            while not is_over.wait(0.002):
                program.process.send_signal(signal.SIGUSR1)

        sending = threading.Thread(target=send)
        sending.start()
        for _ in range(4):
            called.call(target, gdb.put).close()
        is_over.set()
        sending.join()
        enough(program)
        program.do("signal.setitimer(signal.ITIMER_REAL, 0)")
        assert program.do("print(min(got.values()) > 100)") == ["True"]
        assert program.do(END) == ["True 0"]


@as_root
def test_a_program_of_another_tree_of_files(tmp_path: Path, gdb: Debugger) -> None:
    """Such as systemd gives a service with PrivateTmp."""
    own_files = (
        "mount --bind . /mnt && mount -t tmpfs none /tmp && mkdir -p $PWD && "
        'mount --bind /mnt $PWD && cd $PWD && exec "$@"'
    )
    mounting = ["unshare", "--mount", "sh", "-c", own_files, "sh"]
    if (
        shutil.which("unshare") is None
        or subprocess.run(
            [*mounting, sys.executable, "-c", "import memdeep"], cwd=tmp_path
        ).returncode
    ):
        pytest.skip("nothing may be mounted here")
    with running(tmp_path, WORK, [*mounting, sys.executable]) as program:
        assert not called._sees_our_files(program.pid)
        program.tell("at_work()")
        pipeline.reach(program.pid).line.close()
        enough(program)
        assert program.do("print(len(os.listdir('/tmp')))") == ["1"]
        assert program.do(END) == ["True 0"]


@as_root
def test_a_program_of_another_user_and_another_build_of_python(gdb: Debugger) -> None:
    """The system's Python has its functions in the executable, and no memray."""
    if shutil.which("setpriv") is None:
        pytest.skip("there is no setpriv")
    words = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    words.append("/usr/bin/python3")
    variables = {"PYTHONPATH": str(ROOT), "HOME": "/"}
    asking = [*words, "-c", "import memdeep, sys; print(sys.version_info[:2])"]
    told = subprocess.run(asking, env=environment(**variables), capture_output=True, text=True)
    if told.stdout.strip() != str(sys.version_info[:2]):
        pytest.skip(f"{words[-1]} is of another version, or may not read the tests")
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        with running(Path(place), WORK, words, **variables) as program:
            attachment = Attachment(program).begun(program)
            program.do("leak()")
            report = attachment.interrupt().finish()
            assert attachment.out.stat().st_uid == 65534
            assert report["findings"][0]["culprit"]["source"] == "kept.append(bytearray(5_000_000))"
            assert program.do(END) == ["True 1"]


def test_a_main_thread_that_waits_in_c_is_not_reached_and_the_late_call_does_nothing(
    tmp_path: Path, gdb: Debugger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(called, "CALL_S", 1.0)
    with running(tmp_path, WORK + STATE) as program:
        program.do("import _socket, select")
        program.remember()
        program.tell("wait_in_c(4)")
        began_s = time.monotonic()
        with pytest.raises(AttachError, match="has run no line of Python in its main thread"):
            called.call(find(program.pid), gdb.put)
        assert time.monotonic() - began_s < 3
        assert program.await_word("done") == []
        program.do("time.sleep(0.1)")
        program.hold_against_remembered()
        assert program.do(END) == ["True 0"]


@pytest.fixture
def other_function(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Have a function of the C library called for one of Python's; without a name it crashes."""
    real = functions.of_process

    def take(field: str, name: str) -> None:
        def of_process(pid: int) -> functions.Functions:
            begins = functions._begins(pid)
            libc = [path for path in begins if functions._LIBC.match(os.path.basename(path))]
            (address,) = functions._first(pid, libc, (name,), begins) if name else (NOWHERE,)
            return replace(real(pid), **{field: address})

        monkeypatch.setattr(debugger, "of_process", of_process)

    return take


def test_a_call_that_hangs_is_taken_away_from_the_program(
    tmp_path: Path,
    own: Debugger,
    monkeypatch: pytest.MonkeyPatch,
    other_function: Callable[[str, str], None],
) -> None:
    monkeypatch.setattr(debugger, "CALL_S", 4.0)
    other_function("add_pending_call", "pause")
    with running(tmp_path, WORK + STATE) as program:
        program.remember()
        with pytest.raises(AttachError, match="could not call into process"):
            called.call(find(program.pid), own.put)
        program.hold_against_remembered()
        program.tell("at_work(20)")
        enough(program)
        assert program.do(END) == ["True 0"]


@pytest.mark.parametrize(
    ("field", "name", "sentence"),
    [
        ("is_initialized", "sched_yield", "has not begun yet, or has ended"),  # it returns 0
        ("add_pending_call", "", "could not call into process"),
        ("add_pending_call", "close", "Too many calls await the main thread"),  # -1
    ],
)
def test_a_call_that_cannot_be_added_is_told_and_does_no_harm(
    tmp_path: Path,
    own: Debugger,
    other_function: Callable[[str, str], None],
    field: str,
    name: str,
    sentence: str,
) -> None:
    other_function(field, name)
    with running(tmp_path, WORK) as program:
        with pytest.raises(AttachError, match=sentence):
            called.call(find(program.pid), own.put)
        assert program.do(END) == ["True 0"]


# What a debugger does to its target. The file `script` lies where it is started.
PID = "pid=$(sed -n 's/^attach //p' script)\n"
FAILING_CALL = "-ex 'set $rax = -514' -ex 'set $orig_rax = -1' -ex detach"
BAD = {
    "kills": ("kill -9 $pid; sleep 0.2", "was killed by SIGKILL"),
    "does nothing": ("exit 0", "was not reached"),
    "lies": ("echo '$1 = 0'", "was not reached"),
    "hangs": ("exec sleep 60", "was not reached"),
    "stops": ("kill -STOP $pid; echo '$1 = 0'", "did not go on"),
    # As gdb 13.1 leaves it on a processor with AMX, which cannot write the registers back.
    "fails calls": (
        f"sleep 0.1; {{gdb}} -nx -batch -p $pid {FAILING_CALL} >/dev/null 2>&1; "
        "{gdb} -nx -batch -x script",
        "failed afterwards: ",
    ),
}


@pytest.mark.parametrize("how", BAD)
def test_a_bad_debugger_is_found_in_the_rehearsal_and_the_program_is_not_touched(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch, good: dict[str, Debugger]
) -> None:
    code, reason = BAD[how]
    if how == "fails calls":
        if "gdb" not in good or platform.machine() != "x86_64":
            pytest.skip("no gdb here that works, or other registers")
        code = code.replace("{gdb}", good["gdb"].path)
    monkeypatch.setattr(called, "CALL_S", 2.0)
    monkeypatch.setattr(debugger, "CALL_S", 2.0)
    monkeypatch.setattr(rehearsal, "ENDS_S", 2.0)
    monkeypatch.setattr(debugger, "DEBUGGERS", ("gdb",))
    told = f'if [ "$1" = --version ]; then echo "GNU gdb 0.1"; exit; fi\n{PID}'
    put_on_path(tmp_path / "bin", monkeypatch, f"{told}echo $pid >> {tmp_path}/touched\n{code}")
    with running(tmp_path, WORK + STATE) as program:
        program.remember()
        error = refused(program)
        assert error.message.startswith(
            "GNU gdb 0.1 does not work here: a process of memdeep's own"
        )
        assert reason in error.message, error.message
        assert f"Process {program.pid} was not touched." in error.hint
        assert str(program.pid) not in (tmp_path / "touched").read_text().split()
        program.hold_against_remembered()
        assert program.do(END) == ["True 0"]


def test_the_second_debugger_is_taken_if_the_first_does_not_work(
    tmp_path: Path, gdb: Debugger, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_path(tmp_path / "bin", monkeypatch, "exit 1")
    monkeypatch.setattr(debugger, "DEBUGGERS", ("gdb", "second"))
    second = Debugger("gdb", gdb.path)
    first = next(debugger.installed())
    monkeypatch.setattr(rehearsal, "installed", lambda: iter([first, second]))
    with running(tmp_path, WORK) as program:
        assert rehearsal.rehearsed(find(program.pid)).__self__ == second  # type: ignore[attr-defined]


def test_without_a_debugger_it_is_said_what_would_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path, WORK) as program:
        monkeypatch.setenv("PATH", str(tmp_path))
        error = refused(program)
        assert "it has not called memdeep.attachable(), and there is no debugger" in error.message
        assert "costs nothing until somebody attaches" in error.hint
        assert "gdb or lldb" in error.hint
        assert program.do(END) == ["True 0"]


@as_root
def test_who_may_not_trace_the_program_is_told_so(tmp_path: Path, gdb: Debugger) -> None:
    words = ["setpriv", "--bounding-set", "-sys_ptrace"]
    with running(tmp_path, WORK) as program:
        command = [*words, *memdeep_command("attach", program.pid, "-o", tmp_path / "out")]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True)
        assert done.returncode == 126
        assert done.stderr.splitlines() == [
            f"memdeep: The system does not let memdeep trace process {program.pid}.",
            "  Attach as root, where it may use ptrace (docker run --cap-add=SYS_PTRACE), or let "
            "the program call memdeep.attachable().",
        ]
        assert program.do(END) == ["True 0"]


@contextmanager
def traced(pid: int) -> Iterator[int]:
    """Have another process trace ``pid``, which goes on."""
    code = (
        "import ctypes, sys, time\n"
        "ctypes.CDLL(None).ptrace(0x4206, int(sys.argv[1]), None, None)\n"  # PTRACE_SEIZE
        "print('ready', flush=True); time.sleep(60)"
    )
    tracer = subprocess.Popen(
        [sys.executable, "-c", code, str(pid)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert tracer.stdout is not None and tracer.stdout.readline() == "ready\n"
        yield tracer.pid
    finally:
        tracer.kill()
        tracer.communicate()


def test_a_program_that_is_traced_already_is_not_touched(tmp_path: Path, gdb: Debugger) -> None:
    with running(tmp_path, WORK) as program:
        with traced(program.pid) as tracer:
            assert refused(program).message == (
                f"Process {program.pid} is traced already, by process {tracer}."
            )
        assert program.do(END) == ["True 0"]


def test_a_program_that_is_stopped_is_not_touched(tmp_path: Path, gdb: Debugger) -> None:
    with running(tmp_path, WORK) as program:
        program.process.send_signal(signal.SIGSTOP)
        state = Path(f"/proc/{program.pid}/status")
        wait_until(lambda: "State:\tT" in state.read_text())
        error = refused(program)
        assert error.message == f"Process {program.pid} is stopped."
        assert "State:\tT" in state.read_text()
        program.process.send_signal(signal.SIGCONT)
        assert program.do(END) == ["True 0"]


def test_a_program_that_ends_meanwhile_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path, WORK) as program:

        def end(*_arguments: object) -> None:
            program.process.kill()

        with pytest.raises(AttachError, match="has just ended"):
            called.call(find(program.pid), end)


def test_an_interrupt_ends_the_debugger_and_the_program_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_path(tmp_path / "bin", monkeypatch, "exec sleep 60")
    with running(tmp_path, WORK) as program:
        attaching = Attachment(program)
        children = Path(f"/proc/{attaching.process.pid}/task/{attaching.process.pid}/children")
        wait_until(lambda: any(names(children, "sleep")))
        (sleeping,) = names(children, "sleep")
        attaching.interrupt()
        attaching.process.communicate(timeout=20)
        assert not Path(f"/proc/{sleeping}").exists()
        assert program.do(END) == ["True 0"]


def names(children: Path, wanted: str) -> list[str]:
    """Return those of the processes in the file ``children`` that have this name."""
    found = []
    for pid in children.read_text().split():
        with suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == wanted:
                found.append(pid)
    return found


def test_functions_are_found_where_they_lie() -> None:
    found = functions.of_process(os.getpid())
    of_python = ctypes.pythonapi
    assert [found.is_initialized, found.add_pending_call, found.run_string, found.mmap] == [
        ctypes.cast(function, ctypes.c_void_p).value
        for function in (
            of_python.Py_IsInitialized,
            of_python.Py_AddPendingCall,
            of_python.PyRun_SimpleString,
            ctypes.CDLL(None).mmap,
        )
    ]


def test_a_process_whose_python_was_replaced_or_has_no_such_functions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "77"
    own.mkdir()
    (own / "exe").symlink_to("/opt/python3.11 (deleted)")
    (own / "maps").write_text("400000-500000 r-xp 00000000 08:01 7 /opt/python3.11 (deleted)\n")
    monkeypatch.setattr(functions, "PROC", tmp_path)
    with pytest.raises(AttachError, match=r"has been replaced since: /opt/python3.11 \(deleted\)"):
        functions.of_process(77)
    (own / "exe").unlink()
    (own / "exe").symlink_to("/opt/python3.11")
    with pytest.raises(AttachError, match="are not found in process 77"):
        functions.of_process(77)
    with pytest.raises(RefusedError, match="does not let memdeep trace process 78"):
        functions.of_process(78)
