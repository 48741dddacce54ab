"""The memory of a program is not compared with that of another one that took its place."""

from __future__ import annotations

import re
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


FIRST = """\
import os, sys
from memdeep import phase
with phase("first"):
    kept = b"x" * 20_000_000
os.execv(sys.executable, [sys.executable, "next.py"])
"""
NEXT = """\
import re
import sys
from memdeep import phase
with phase("second"):
    kept = b"x" * 45_000_000
sys.exit(3)
"""


def test_the_program_that_took_its_place_is_told_as_the_program(
    tmp_path: Path, run_memdeep: RunMemdeep
) -> None:
    (tmp_path / "first.py").write_text(FIRST)
    (tmp_path / "next.py").write_text(NEXT)
    done = run_memdeep("run", "--no-native", "-o", "run", "first.py", cwd=tmp_path)
    said = " ".join(done.stderr.decode().split())
    report = read_json(tmp_path / "run/report.json")
    program, then = report["processes"]
    assert then["pid"] == program["pid"]
    assert (then["how"], then["exit"], then["verdict"]) == ("exec", 3, "failed")
    assert then["end_s"] == max(one["time_s"] for one in report["checkpoints"])
    assert "end unknown" not in said
    assert "process that the program started" not in said
    assert "second 42.9 MB" in said  # its phases are rows of what all processes did
    # It held its memory to the end of the run, as the program would have done.
    assert "42.9 MB stayed: allocated by next.py:5 in second (in the program" in said
    assert "(in the program that took its place)" in said
    # What the first one held is gone: its 19 MB are not beside the 43.
    assert 42 < report["peak_heap_bytes"] / (1 << 20) < 50
    # Too brief for a look from outside, each knows its RSS at its own checkpoints.
    assert program["peak_rss_bytes"] > 20_000_000 + 10_000_000
    assert then["peak_rss_bytes"] > 45_000_000 + 10_000_000
    assert report["peak_rss_bytes"] >= then["peak_rss_bytes"]
    kept = next(one for one in report["findings"] if "first.py" in one["title"])
    assert kept["fate"]["alive_bytes"] == 0
    page = (tmp_path / "run/report.html").read_text()
    assert "19.1 MB were alive when the program was replaced by another one (exec)" in page
    # The time of the exec is that of the table of processes.
    (told,) = [one for one in report["exit"]["evidence"] if "in its place" in one]
    after = re.match(r"([\d.]+) (ms|s) after its start", told)
    assert after is not None
    assert float(after[1]) / (1000 if after[2] == "ms" else 1) <= then["start_s"] + 0.1
