"""Pages that a forked process has split off, of real processes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from memdeep.run.split import split_pages

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux tells")
MB = 1 << 20
SIZE_MB = 24

# A parent whose child does `{in_child}`; then both wait.
FORKS = """
import json, os, sys, time
blob = bytearray(b"x") * ({size} << 20)
items = [str(number).zfill(200) for number in range(100_000)]
alive, inform = os.pipe()
pid = os.fork()
if pid == 0:
    {in_child}
    os.write(inform, b"x")
    time.sleep(60)
os.read(alive, 1)
{in_parent}
print(json.dumps([pid, os.getpid()]), flush=True)
sys.stdin.read()
os.kill(pid, 9)
"""


def split_mb(in_child: str = "pass", in_parent: str = "pass") -> float:
    """Return the megabytes that the child of such a program has split off."""
    code = FORKS.format(size=SIZE_MB, in_child=in_child, in_parent=in_parent)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as program:
        assert program.stdout is not None
        child, parent = json.loads(program.stdout.readline())
        return split_pages(child, parent).bytes / MB


@pytest.mark.parametrize(
    ("in_child", "least", "most"),
    [
        ("pass", 0, 2),
        ("sum(blob[::4096])", 0, 2),
        ("blob[::4096] = bytes(len(blob[::4096]))", SIZE_MB, SIZE_MB + 2),
        ("sum(map(len, items))", 23, 27),
        ("own = bytes(24 << 20)", 0, 2),
        ("own = b'x' * (24 << 20)", 0, 2),  # its own, where the parent has nothing
    ],
)
def test_what_is_written_is_split_off(in_child: str, least: float, most: float) -> None:
    assert least <= split_mb(in_child) <= most


def test_what_the_parent_writes_is_split_off_too_and_what_it_frees_is_not() -> None:
    writes = "blob[::4096] = bytes(len(blob[::4096]))"
    assert SIZE_MB <= split_mb(in_parent=writes) <= SIZE_MB + 2
    assert split_mb(writes, "del blob") <= 2


def test_a_process_that_has_ended_has_no_pages() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as program:
        program.wait()
        with pytest.raises((OSError, ValueError)):
            split_pages(program.pid, 1)
