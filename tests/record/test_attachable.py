"""`memdeep.attachable()`: a socket for this user alone, which a forked child does not have."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import sys
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from attaching import ATTACHABLE, STATE, Attachment, running
from running import wait_until

from memdeep.inprocess.recording import DEFAULTS
from memdeep.record import attachable
from memdeep.record.attached import RECORD, TELL

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")

# From then on a process is reached without a socket.
needs_socket = pytest.mark.skipif(sys.version_info >= (3, 14), reason="its interpreter is asked")
# Of a forked child: until its parent is gone.
LIVES = "[time.sleep(0.01) for _ in iter(lambda: os.getppid() == PARENT, False)]; os._exit(0)"
WHERE = "import memdeep.record.attachable as own; print(own._door._path)"


def test_the_socket_is_this_user_s_alone_and_gone_at_the_end(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    # Near the root: the name of a socket has 107 bytes at most.
    runtime = Path(tempfile.mkdtemp(prefix="memdeep-"))
    request.addfinalizer(partial(shutil.rmtree, runtime))
    with running(tmp_path, ATTACHABLE, XDG_RUNTIME_DIR=str(runtime)) as program:
        (path,) = program.do(WHERE)
        assert path == str(runtime / "memdeep" / f"{program.pid}.attach")
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(runtime / "memdeep").st_mode) == 0o700
        tasks = len(os.listdir(f"/proc/{program.pid}/task"))
        # Once more, which does nothing; no thread of it is one of `threading`'s.
        assert program.do("print(memdeep.attachable(), threading.active_count())") == ["True 1"]
        assert len(os.listdir(f"/proc/{program.pid}/task")) == tasks
        program.tell("sys.exit(0)")
        program.process.wait()
        assert not os.path.lexists(path)


def test_it_lies_elsewhere_where_the_path_is_too_long(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    with running(tmp_path, ATTACHABLE, XDG_RUNTIME_DIR=str(long), TMPDIR=str(long)) as program:
        assert program.do(WHERE) == [f"/tmp/memdeep-{os.getuid()}/{program.pid}.attach"]
        assert Attachment(program, "--for", "0.1").finish()["exit"]["verdict"] == "detached"


def test_a_directory_that_others_may_enter_is_not_used(tmp_path: Path) -> None:
    open_to_all = tmp_path / "memdeep"
    open_to_all.mkdir(mode=0o700)
    open_to_all.chmod(0o755)
    with pytest.raises(OSError, match="is not a directory of this user alone"):
        attachable._make_private(str(open_to_all))


def test_a_program_that_cannot_have_one_is_told_and_goes_on(tmp_path: Path) -> None:
    code = """
import memdeep.record.attachable as own
own.directories = lambda: ["/proc"]
print(memdeep.attachable(), flush=True)
"""
    with running(tmp_path, code) as program:
        assert program.do("print(memdeep.attachable())") == ["False"]


@needs_socket
def test_a_forked_child_is_not_attached_to_by_its_parent_s_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # there is no debugger
    with running(tmp_path) as program:
        (child,) = program.do(f"child = os.fork()\nif child == 0: {LIVES}\nprint(child)")
        own = program.pid
        program.pid = int(child)
        refused = Attachment(program, name="child")
        refused.finish(126)
        assert "it has not called memdeep.attachable()" in refused.stderr
        program.pid = own
        assert Attachment(program, "--for", "0.1").finish()["exit"]["verdict"] == "detached"


def test_a_child_that_calls_it_has_one_of_its_own(tmp_path: Path) -> None:
    code = ATTACHABLE + "other, mine = os.pipe()\n"
    with running(tmp_path, code) as program:
        (child,) = program.do(
            "child = os.fork()\n"
            "if child == 0:\n"
            "    os.write(mine, b'%d' % memdeep.attachable())\n"
            f"    {LIVES}\n"
            "print(child, os.read(other, 1).decode())"
        )
        pid, is_attachable = child.split()
        assert is_attachable == "1"
        own, program.pid = program.pid, int(pid)
        report = Attachment(program, "--for", "0.1").finish()
        program.pid = own
    assert report["checkpoints"][0]["process"] == 0
    assert report["processes"][0]["pid"] == int(pid)


def test_a_fork_while_it_is_attached_is_not_recorded_and_runs(tmp_path: Path) -> None:
    with running(tmp_path) as program:
        attachment = Attachment(program).begun(program)
        lines = program.do(
            "child = os.fork()\n"
            "if child == 0:\n"
            "    kept = bytearray(1_000_000)\n"
            "    os._exit(10 + api.is_recording())\n"
            "print(os.waitpid(child, 0)[1] >> 8)"
        )
        report = attachment.interrupt().finish()
    assert lines == ["10"]
    assert report["exit"]["verdict"] == "detached"


def connected(program_path: str) -> socket.socket:
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(10)
    line.connect(program_path)
    return line


def test_whatever_is_said_to_it_the_program_goes_on(tmp_path: Path) -> None:
    said = [
        b"\n",
        b"no JSON\n",
        b"[1]\n",
        b'{"do": "dance"}\n',
        b'{"do": "detach"}\n',
        b'{"do": "%s"}\n' % RECORD.encode(),
        b'{"do": "%s", "how": ["run_dir=/nowhere", "--"]}\n' % RECORD.encode(),
        b"x" * (1 << 17),
    ]
    with running(tmp_path) as program:
        (path,) = program.do(WHERE)
        for words in said:
            with connected(path) as line:
                answer = b""
                with suppress(ConnectionError):  # it has hung up
                    line.sendall(words)
                    line.shutdown(socket.SHUT_WR)
                    answer = line.makefile("rb").readline()
                assert answer == b"" or b"problem" in answer, words
        with connected(path) as line:
            line.sendall(b'{"do": "%s"}\n' % TELL.encode())
            assert b'"obstacle": ""' in line.makefile("rb").readline()
        wait_until(lambda: program.do("print(api.is_recording())") == ["False"])
        assert Attachment(program, "--for", "0.1").finish()["exit"]["verdict"] == "detached"


def test_a_recording_that_cannot_begin_leaves_nothing(tmp_path: Path) -> None:
    words = DEFAULTS.but(run_dir=str(tmp_path / "missing"), children="none").to_words()
    order = (json.dumps({"do": RECORD, "how": words}) + "\n").encode()
    with running(tmp_path, ATTACHABLE + STATE) as program:
        Attachment(program, "--for", "0.1", "--no-report", name="first").process.wait()
        program.remember()
        (path,) = program.do(WHERE)
        ours, theirs = socket.socketpair()
        with connected(path) as line, ours, theirs:
            socket.send_fds(line, [order], [theirs.fileno()])
            theirs.close()
            assert b"No such file or directory" in line.makefile("rb").readline()
        program.hold_against_remembered()


@needs_socket
def test_a_program_that_closes_all_its_files_is_not_harmed(tmp_path: Path) -> None:
    """The thread waits in `accept` once more at most, and never on a file of the program's."""
    with running(tmp_path) as program:
        program.do("os.closerange(3, 65536)")
        program.do("files = [open(os.devnull) for _ in range(10)]")
        attachment = Attachment(program, name="refused")
        attachment.finish(126)
        assert program.do("print(len(files))") == ["10"]
