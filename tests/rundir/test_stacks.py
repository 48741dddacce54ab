"""`stacks.txt` is read as `faulthandler` of this Python writes it, and whatever else is in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from running import environment

from memdeep.rundir import stacks
from memdeep.rundir.stacks import Dump, DumpedFrame

HEADER = stacks.encode_header(4711, "--kill-at 950.0 MB", 12.3456, 1 << 30)


def dumped_by(code: str, directory: Path) -> str:
    """What `faulthandler` writes of the stacks at the end of ``code``."""
    path = directory / "pröbe ☃.py"
    path.write_text(f"import faulthandler, sys\n{code}\n", encoding="utf-8")
    completed = subprocess.run(
        [sys.executable, path], env=environment(), capture_output=True, check=True
    )
    return completed.stdout.decode()


def test_a_dump_of_this_python(tmp_path: Path) -> None:
    code = (
        "import threading, time; waiting = []\n"
        "def wäit(): waiting.append(1); time.sleep(60)\n"
        "threading.Thread(target=wäit, daemon=True).start()\n"
        "while not waiting: time.sleep(0.001)\n"
        "def dump(): faulthandler.dump_traceback(sys.stdout)\n"
        "dump()"
    )
    (dump,) = stacks.decode(HEADER + dumped_by(code, tmp_path))
    assert (dump.reason, dump.time_s, dump.rss_bytes) == ("--kill-at 950.0 MB", 12.346, 1 << 30)
    assert [thread.is_current for thread in dump.threads] == [False, True]
    waiting, current = dump.threads
    assert waiting.frames[-1] == DumpedFrame("wäit", str(tmp_path / "pröbe ☃.py"), 3)
    assert [called.function for called in current.frames] == ["<module>", "dump"]
    assert [called.lineno for called in current.frames] == [7, 6]


def test_a_thread_may_have_a_name_and_no_frames() -> None:
    """From 3.14 on the name is there."""
    text = (
        "Current thread 0x00007f0000000001 [MainThread] (most recent call first):\n"
        "  <no Python frame>\n\n"
        "Thread 0x00007f0000000002 (most recent call first):\n"
        '  File "<string>", line 1 in <module>\n'
    )
    (dump,) = stacks.decode(HEADER + text)
    assert [(thread.name, len(thread.frames)) for thread in dump.threads] == [
        ("MainThread", 0),
        ("0x00007f0000000002", 1),
    ]


def test_each_dump_stands_alone() -> None:
    dumps = stacks.decode(f"torn line\n{HEADER}{HEADER}Thread 0x1 (most recent call first):\n")
    assert [len(dump.threads) for dump in dumps] == [0, 1]


def test_a_dump_cut_short_keeps_what_is_whole() -> None:
    text = 'Thread 0x1 (most recent call first):\n  File "a.py", line 3 in f\n  File "b.py", li'
    (dump,) = stacks.decode(HEADER + text)
    assert dump.threads[0].frames == (DumpedFrame("f", "a.py", 3),)


@given(st.text(), st.text())
def test_any_text_is_read(before: str, after: str) -> None:
    for dump in stacks.decode(before + HEADER + after):
        assert isinstance(dump, Dump)
