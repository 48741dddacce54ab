"""The memory of a program is not compared with that of another one that took its place."""

from __future__ import annotations

import sys
from pathlib import Path

from running import RunMemdeep, read_json

CODE = f"""\
import os, time
import memdeep
with memdeep.phase("load"):
    kept = bytearray(b"x") * (20 << 20)
with memdeep.phase("replaced"):
    time.sleep(0.3)
    then = "import time; x = bytearray(b'x') * (150 << 20); time.sleep(0.5)"
    os.execv({sys.executable!r}, [{sys.executable!r}, "-c", then])
"""


def test_no_growth_is_told_between_two_programs(work: Path, run_memdeep: RunMemdeep) -> None:
    completed = run_memdeep("run", "--no-native", "-o", "run", "-c", CODE, cwd=work)
    assert completed.returncode == 0
    report = read_json(work / "run/report.json")
    (told,) = report["exit"]["evidence"]
    assert "it put another program in its place (exec)" in told
    assert report["checkpoints"][-1]["rss_bytes"] is None
    load, replaced = report["phases"]
    assert load["rss_delta_bytes"] > 19 << 20
    assert replaced["rss_delta_bytes"] is None
    # The other program is a Python, which is recorded as one that was started.
    assert [finding["kind"] for finding in report["findings"]] == ["children", "growth"]
    # What the machine had to hold is told all the same.
    assert report["peak_rss_bytes"] > 150 << 20
    assert (work / "run/report.html").stat().st_size > 0
