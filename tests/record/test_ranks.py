"""The processes of a parallel program are called by their ranks, and their runs do not meet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from running import RunMemdeep, environment, read_json

from memdeep.loading.run import load_run
from memdeep.record.tree import RANKS, rank
from memdeep.rundir.directory import RunDirectory

LAUNCHES = """
import os, subprocess, sys
for number in (1, 0):
    ranked = {**os.environ, "RANK": str(number), "WORLD_SIZE": "2"}
    subprocess.run([sys.executable, "train.py"], env=ranked, check=True)
"""
TRAINS = """
import subprocess, sys
kept = bytearray(20_000_000)
subprocess.run([sys.executable, "-c", "pass"], check=True)  # says the same of itself
"""


def test_processes_are_called_by_their_ranks(tmp_path: Path, run_memdeep: RunMemdeep) -> None:
    (tmp_path / "launch.py").write_text(LAUNCHES, "utf-8")
    (tmp_path / "train.py").write_text(TRAINS, "utf-8")
    done = run_memdeep("run", "--no-native", "-o", "run", "launch.py")
    assert done.returncode == 0
    found = load_run(RunDirectory(tmp_path / "run")).run.processes
    parts = [None if one.worker is None else one.worker.name for one in found]
    assert parts == [None, "rank 1", None, "rank 0", None]
    assert "rank 0 … rank 1" in done.stderr.decode()
    page = (tmp_path / "run/report.html").read_text("utf-8")
    assert "rank 0" in page
    assert "rank 1" in page


def test_each_rank_has_a_run_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAINS, "utf-8")
    for words_of_run in ((), ("-o", "out")):
        words = [sys.executable, "-m", "memdeep", "run", "--quiet", "--no-native", *words_of_run]
        ranks = [
            subprocess.Popen(
                [*words, "train.py"],
                cwd=tmp_path,
                env=environment(OMPI_COMM_WORLD_RANK=number, OMPI_COMM_WORLD_SIZE="2"),
            )
            for number in "01"
        ]
        assert [one.wait() for one in ranks] == [0, 0]
    runs = sorted(path.name for path in (tmp_path / "memdeep-runs").glob("train-*"))
    assert [name.split("-", 3)[3] for name in runs] == ["rank-0", "rank-1"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["rank-0", "rank-1"]
    report = read_json(tmp_path / "out/rank-1/report.json")
    assert report["findings"][0]["culprit"]["filename"].endswith("train.py")
    program, child = load_run(RunDirectory(tmp_path / "out/rank-1")).run.processes
    assert program.worker is not None
    assert (program.worker.name, child.worker) == ("rank 1", None)


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"RANK": "3", "WORLD_SIZE": "8", "SLURM_PROCID": "0"}, "rank 3"),
        ({"PMI_RANK": "1", "PMI_SIZE": "2"}, "rank 1"),
        ({"SLURM_PROCID": "4", "SLURM_STEP_NUM_TASKS": "5"}, "task 4"),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, None),  # a shell by `srun --pty`
        ({"RANK": "3"}, None),  # it may mean anything
        ({"RANK": "admiral", "WORLD_SIZE": "2"}, None),
        ({"RANK": "2", "WORLD_SIZE": "2"}, None),
    ],
)
def test_a_rank_is_one_of_several(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], name: str | None
) -> None:
    _set_ranks(monkeypatch, variables)
    assert rank() == name


@examples(100)
@given(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])), st.text())
def test_any_text_may_be_in_the_variables(number: str, size: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        _set_ranks(patch, {"RANK": number, "WORLD_SIZE": size.replace("\0", "")})
        assert rank() is None or int(number) < int(size)


def _set_ranks(patch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for names in RANKS:
        for name in names[:2]:
            patch.delenv(name, raising=False)
    for name, value in variables.items():
        patch.setenv(name, value)
