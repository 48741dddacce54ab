"""Pages that a forked process has split off, of real processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memdeep.run.split import SplitReader, split_pages
from memdeep.rundir import births
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.pages import decode_pages

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


def start(in_child: str = "pass", in_parent: str = "pass") -> subprocess.Popen[bytes]:
    """Start such a program."""
    code = FORKS.format(size=SIZE_MB, in_child=in_child, in_parent=in_parent)
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def pids_of(program: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Return the pids of the child, which has done its deed, and of its parent."""
    assert program.stdout is not None
    child, parent = json.loads(program.stdout.readline())
    return child, parent


def split_mb(in_child: str = "pass", in_parent: str = "pass") -> float:
    """Return the megabytes that the child of such a program has split off."""
    with start(in_child, in_parent) as program:
        return split_pages(*pids_of(program)).bytes / MB


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


def born(run_dir: RunDirectory, how: str, child: int, parent: int) -> None:
    """Write the birth of a process, and make its directory."""
    run_dir.child(str(child)).path.mkdir(parents=True, exist_ok=True)
    ancestors = [(child, 2), (parent, 1)]
    with open(run_dir.births, "ab") as file:
        file.write(births.encode_born(how, ancestors, None, str(child), [], "3", 1))


def look(reader: SplitReader, *pids: int) -> None:
    """Look as often as it takes to see that a process is at rest, and to read it."""
    for _ in range(4):
        reader.look(pids)
        time.sleep(0.06)


@pytest.mark.parametrize("how", [births.FORK, births.EXEC])
def test_the_pages_of_forks_are_kept_in_their_directories(tmp_path: Path, how: str) -> None:
    run_dir = RunDirectory(tmp_path)
    reader = SplitReader(run_dir)
    with start("sum(map(len, items))") as program:
        child, parent = pids_of(program)
        look(reader, child, parent)  # nothing was born yet
        born(run_dir, how, child, parent)
        look(reader, child, parent)
    reader.close()
    file = run_dir.child(str(child)).pages
    assert file.exists() == (how == births.FORK)
    if how == births.FORK:
        pages = decode_pages(file.read_bytes())
        assert pages is not None
        assert 23 <= pages.bytes / MB <= 27


def test_a_fork_that_became_another_program_is_not_read(tmp_path: Path) -> None:
    run_dir = RunDirectory(tmp_path)
    reader = SplitReader(run_dir)
    with start("sum(map(len, items))") as program:
        child, parent = pids_of(program)
        born(run_dir, births.FORK, child, parent)
        born(run_dir, births.EXEC, child, parent)
        look(reader, child)
    reader.close()
    assert not run_dir.child(str(child)).pages.exists()
