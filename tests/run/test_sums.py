"""The sums over a tree of processes come out as the kernel counts them for a real cgroup."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from cgroups import needs_cgroups
from running import PROGRAMS, TIMEOUT_S, environment, wait_until

from memdeep.run import shares
from memdeep.run.own_limit import OwnLimit
from memdeep.run.sampling import PSS, TreeSampler, TreeSize
from memdeep.rundir.samples import tree_bytes

MB = 1 << 20
EXACT = 0.01


@needs_cgroups
@pytest.mark.skipif(not shares.IS_TOLD, reason="this system does not tell PSS")
def test_the_shares_of_all_processes_are_what_their_cgroup_holds(tmp_path: Path) -> None:
    own = OwnLimit(1024 * MB)
    held_by = own.group
    assert held_by is not None
    program = [sys.executable, str(PROGRAMS / "shares_memory.py")]
    try:
        with own.around_start():
            process = subprocess.Popen(
                program,
                cwd=tmp_path,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            sampler = TreeSampler(process.pid, time.monotonic_ns())
            reading, held = sampler.sample(), held_by.memory()
            process.communicate(b"\n" * 4, TIMEOUT_S)
        # The tracker of shared memory ends a little later, and a group with a process stays.
        wait_until(lambda: not (held_by.path / "cgroup.procs").read_text())
    finally:
        own.close()
    assert not held_by.path.exists()
    assert held is not None
    # The tracker of shared memory is a process of the tree, too.
    assert len(reading.processes) == 5
    anonymous = sum(one.pss_anon_bytes or 0 for one in reading.processes)
    shared = sum(one.pss_shmem_bytes or 0 for one in reading.processes)
    assert anonymous == pytest.approx(held.anonymous_bytes, rel=EXACT)
    assert shared == pytest.approx(held.shared_bytes, rel=EXACT)
    # Each page once: 60 MB of which the children copied 10, 20 and 30, 5 of each one's own.
    assert anonymous > (60 + 10 + 20 + 30 + 3 * 5) * MB
    assert shared == pytest.approx(30 * MB, rel=EXACT)
    assert held.used_bytes >= held.anonymous_bytes + held.shared_bytes
    size = tree_bytes(reading.processes)
    assert size is not None
    assert reading.size == TreeSize(size, PSS)
    assert anonymous + shared < size < sum(one.rss_bytes for one in reading.processes)
