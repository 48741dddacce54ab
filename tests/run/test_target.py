"""What cannot be attached to is refused in a sentence, with what to do, and is not touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from attaching import Attachment, running
from running import environment, memdeep_command, wait_until

from memdeep.errors import EXIT_NO_INPUT, AttachError
from memdeep.run import target, ways_in
from memdeep.run.target import Target, exit_status, find, is_there

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")


def refused(pid: int) -> AttachError:
    with pytest.raises(AttachError) as caught:
        ways_in.reach(find(pid))
    return caught.value


def test_a_process_that_is_not_there_or_has_ended(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    wait_until(lambda: exit_status(ended.pid) == 0)
    for pid in (ended.pid, (1 << 22) + 1):
        error = refused(pid)
        assert error.message == f"There is no process {pid}."
        assert error.exit_status == EXIT_NO_INPUT
    ended.wait()
    command = memdeep_command("attach", ended.pid, "-o", tmp_path / "out")
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == EXIT_NO_INPUT
    assert done.stderr.splitlines() == [
        f"memdeep: There is no process {ended.pid}.",
        "  See which Pythons are running: pgrep -a python",
    ]
    assert not (tmp_path / "out").exists()


def test_a_process_that_is_no_python() -> None:
    sleeping = subprocess.Popen(["sleep", "60"])
    try:
        wait_until(lambda: "sleep" in Path(f"/proc/{sleeping.pid}/cmdline").read_text())
        error = refused(sleeping.pid)
        assert error.message == f"Process {sleeping.pid} is no Python program: sleep."
        assert sleeping.poll() is None
    finally:
        sleeping.kill()
        sleeping.wait()


def test_this_very_process() -> None:
    assert "this very memdeep" in refused(os.getpid()).message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be another user")
def test_a_process_of_another_user(tmp_path: Path) -> None:
    """Whoever is neither its user nor root; root may."""
    with running(tmp_path, "") as program:
        code = (
            "import os, sys\n"
            "from memdeep.errors import AttachError\n"
            "from memdeep.run.target import find\n"
            "os.setresuid(65534, 65534, 65534)\n"
            "try: find(int(sys.argv[1]))\n"
            "except AttachError as error: print(error.message, error.hint)"
        )
        words = [sys.executable, "-c", code, str(program.pid)]
        done = subprocess.run(words, env=environment(), capture_output=True, text=True)
    assert done.stdout == (
        f"Process {program.pid} belongs to another user, of number 0. "
        "Run memdeep attach as that user, or as root.\n"
    ), done.stderr


def test_a_python_of_another_version_that_has_not_called_it(tmp_path: Path) -> None:
    with running(tmp_path, "") as program:
        found = find(program.pid)
        assert found.python == sys.version_info[:2]
        other = Target(found.pid, found.started_s, (3, 99), found.user, found.group)
        with pytest.raises(AttachError, match="only the same version can call into it") as caught:
            ways_in.reach(other)
    assert "installed for Python 3.99" in caught.value.hint


def test_a_program_that_memdeep_runs(tmp_path: Path) -> None:
    code = "import time; print('ready', flush=True); time.sleep(60)"
    command = memdeep_command("run", "--no-report", "-q", "-o", tmp_path / "run", "-c", code)
    outer = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert outer.stdout is not None and outer.stdout.readline() == "ready\n"
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        (pid,) = (
            int(one)
            for one in children
            if b"bootstrap.py" in Path(f"/proc/{one}/cmdline").read_bytes()
        )
        error = refused(pid)
        assert error.message == f"Process {pid} is being recorded by memdeep already."
        assert "memdeep watch" in error.hint
    finally:
        outer.terminate()
        outer.communicate()


def test_a_program_that_records_itself(tmp_path: Path) -> None:
    with running(tmp_path) as program:
        program.do("own = memdeep.recording('own', native=False); own.__enter__()")
        attachment = Attachment(program, name="refused")
        attachment.finish(126)
        program.do("own.__exit__(None, None, None)")
    assert "is being recorded by memdeep already" in attachment.stderr
    assert not (tmp_path / "refused").exists()


def test_a_program_of_another_memdeep(tmp_path: Path) -> None:
    code = "import memdeep.version\nmemdeep.version.__version__ = '0.0.7'\nmemdeep.attachable()\n"
    with running(tmp_path, code) as program:
        attachment = Attachment(program, name="refused")
        attachment.finish(126)
    assert "has memdeep 0.0.7, and this is memdeep" in attachment.stderr


@pytest.mark.parametrize(
    "words",
    [("0",), ("x",), (), ("7", "--for", "soon"), ("7", "--until", "0"), ("7", "--for", "0")],
)
def test_wrong_words_are_told(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = subprocess.run(
        memdeep_command("attach", *words), env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "usage: memdeep attach [OPTIONS] PID" in done.stderr


def test_the_end_of_a_process_is_read_before_its_parent_asks() -> None:
    for code, status in (("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", -9)):
        ended = subprocess.Popen([sys.executable, "-c", code])
        wait_until(lambda ended=ended: not is_there(ended.pid))  # type: ignore[misc]
        assert exit_status(ended.pid) == status
        assert ended.wait() == status
        assert exit_status(ended.pid) is None
    assert exit_status(os.getpid()) is None


def test_a_process_of_another_namespace_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "77"
    own.mkdir()
    (own / "status").write_text("Name:\tpython\nNSpid:\t77\t1\n")
    monkeypatch.setattr(target, "PROC", tmp_path)
    assert target._is_elsewhere(77)
    (own / "status").write_text("Name:\tpython\nNSpid:\t77\n")
    assert not target._is_elsewhere(77)
