"""`monitor.log`: the checkpoints of a run as they come, written from outside the program."""

from __future__ import annotations

import re
from pathlib import Path

from running import RunMemdeep

LINE = re.compile(
    r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] \[(INFO|WARNING|CRITICAL)\] \[([^]]*)\] "
    r"RSS=\d+\.\d\dMB \(Δ[+-]\d+\.\d\dMB, [+-]\d+\.\d\dMB\)( .*)?"
)
CODE = """\
from memdeep import checkpoint, phase
checkpoint("加载config_BEFORE")
kept = b'x' * 30_000_000
checkpoint("加载config_AFTER", "12 symbols")
with phase("optimise"):
    pass
checkpoint("two\\nlines")
"""


def test_each_checkpoint_is_a_line_of_the_monitors_format(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    limits = ("--warning-mb", "45", "--critical-mb", "1000")
    done = run_memdeep("run", "--quiet", "--no-report", "-o", "run", *limits, "-c", CODE)
    assert done.returncode == 0
    lines = (tmp_path / "run" / "monitor.log").read_text("utf-8").splitlines()
    found = [match for match in map(LINE.fullmatch, lines) if match]
    assert len(found) == len(lines) == 5
    assert [match[2] for match in found] == [
        "加载config_BEFORE",
        "加载config_AFTER",
        "optimise_START",
        "optimise_END",
        "two␊lines",
    ]
    assert [match[1] for match in found[:2]] == ["INFO", "WARNING"]
    assert found[1][3] == " 12 symbols"


def test_a_killed_program_leaves_its_last_checkpoint_last(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    code = CODE + "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    done = run_memdeep("run", "--quiet", "--no-report", "-o", "run", "-c", code)
    assert done.returncode == 137
    lines = (tmp_path / "run" / "monitor.log").read_text("utf-8").splitlines()
    assert "[two␊lines]" in lines[-1]


def test_nearing_the_critical_threshold_is_said_once(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    limits = ("--warning-mb", "40", "--critical-mb", "60")
    code = CODE.replace("30_000_000", "35_000_000")
    done = run_memdeep("run", "--quiet", "--no-report", "-o", "run", *limits, "-c", code)
    assert done.returncode == 0
    text = (tmp_path / "run" / "monitor.log").read_text("utf-8")
    assert text.count("⚠️") == 1
