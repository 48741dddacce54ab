"""`monitor.log`: the checkpoints of a run as they come, written from outside the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from running import RunMemdeep

from memdeep.run import monitor_log
from memdeep.rundir import journal
from memdeep.rundir.directory import RunDirectory

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


def test_of_very_many_lines_the_newer_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_log, "MOST_BYTES", 4000)
    resident = 1 << 20, None
    lines = [journal.encode_start(1, resident, 0, 10**18)]
    lines += [
        journal.encode_event(journal.POINT, n, n, resident, f"第{n}步", None, "MainThread", 0)
        for n in range(1, 500)
    ]
    log = monitor_log.MonitorLog(RunDirectory(tmp_path), None, None)
    with open(tmp_path / "journal.jsonl", "ab") as file:
        for line in lines:
            file.write(line)
            file.flush()
            log.update(0, 0.0)
    log.close()
    found = (tmp_path / "monitor.log").read_text("utf-8").splitlines()
    assert 20 < len(found) < 60
    numbers = [int(re.search(r"第(\d+)步", line)[1]) for line in found]  # type: ignore[index]
    assert numbers == list(range(500 - len(found), 500))
