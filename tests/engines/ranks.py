"""`make test-ranks`: ranks of torchrun and of mpirun under memdeep, held against the arithmetic.

Plain `pytest` does not collect it: PyTorch is large, and Open MPI is none of Python's.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from running import environment

import memdeep
from memdeep.loading.run import load_run
from memdeep.rundir.directory import RunDirectory

PROGRAMS = Path(__file__).parent / "programs"
MEMDEEP = (sys.executable, "-m", "memdeep", "run", "-q", "--no-native")
MPIRUN = ("mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2")
TIMEOUT_S = 600
MB = 1_000_000
needs_mpi = pytest.mark.skipif(shutil.which("mpirun") is None, reason="there is no mpirun")
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed"
)


def run(work: Path, *words: str) -> None:
    shutil.copytree(PROGRAMS, work, dirs_exist_ok=True)
    done = subprocess.run(
        words, cwd=work, env=environment(), capture_output=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def kept_mb(run_dir: Path) -> dict[str, int]:
    """Return what each rank among the processes of a run has kept in the phase `keep`, in MB."""
    parts = [one.worker for one in load_run(RunDirectory(run_dir)).run.processes]
    found = {}
    for part, process in zip(parts, memdeep.load(run_dir).processes, strict=True):
        if part is not None:
            (phase,) = [one for one in process.phases if one.name == "keep"]
            found[part.name] = (phase.retained or 0) // MB
    return found


EXPECTED = {"rank 0": 10, "rank 1": 20}


@needs_torch
def test_torchrun(tmp_path: Path) -> None:
    torchrun = ("-m", "torch.distributed.run", "--nproc-per-node", "2")
    run(tmp_path, *MEMDEEP, "-o", "run", *torchrun, "with_torch.py")
    assert kept_mb(tmp_path / "run") == EXPECTED


@needs_torch
def test_memdeep_in_each_rank_of_torchrun(tmp_path: Path) -> None:
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2")
    run(tmp_path, *torchrun, *MEMDEEP[1:], "-o", "run", "with_torch.py")
    found = [kept_mb(tmp_path / "run" / f"rank-{number}") for number in (0, 1)]
    assert found == [{"rank 0": 10}, {"rank 1": 20}]


@needs_mpi
def test_mpirun_within_memdeep(tmp_path: Path) -> None:
    run(tmp_path, *MEMDEEP, "-o", "run", "starts_mpi.py")
    assert kept_mb(tmp_path / "run") == EXPECTED


@needs_mpi
def test_memdeep_in_each_rank_of_mpirun(tmp_path: Path) -> None:
    run(tmp_path, *MPIRUN, *MEMDEEP, "with_mpi.py")
    runs = sorted((tmp_path / "memdeep-runs").glob("with_mpi-*"))
    assert [kept_mb(one) for one in runs] == [{"rank 0": 10}, {"rank 1": 20}]
