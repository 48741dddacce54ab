"""The lighter ways to record: what they know, what they say they cannot know, without memray."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from running import RunMemdeep, read_json, stack_of

PROGRAM = """\
from memdeep import checkpoint, phase
def rows(count):
    return [{"value": number, "text": str(number) * 5} for number in range(count)]
with phase("加载"):
    kept = rows(30_000)
with phase("passing"):
    passing = [bytes(1000) for _ in range(20_000)]
    del passing
checkpoint("drop_BEFORE")
del kept[:15_000]
checkpoint("drop_AFTER")
"""
MIB = 1 << 20

Json = dict[str, Any]


@pytest.fixture
def recorded(run_memdeep: RunMemdeep, tmp_path: Path) -> Any:
    """Runs the program above with a backend in a Python that has no memray; gives report.json."""
    (tmp_path / "program.py").write_text(PROGRAM, "utf-8")
    (tmp_path / "site").mkdir()
    blocked = "import sys\nsys.modules['memray'] = None\n"
    (tmp_path / "site" / "sitecustomize.py").write_text(blocked)

    def run(backend: str) -> Json:
        done = run_memdeep(
            *("run", "--backend", backend, "-o", "run", "program.py"),
            cwd=tmp_path,
            env={"PYTHONPATH": str(tmp_path / "site")},
        )
        assert done.returncode == 0, done.stderr
        if backend == "memray":
            assert b"memdeep: allocations are not traced: " in done.stderr
        return read_json(tmp_path / "run" / "report.json")

    return run


def named(report: Json, name: str) -> Json:
    (found,) = [phase for phase in report["phases"] if phase["name"] == name]
    return found


def test_tracemalloc_finds_the_line(recorded: Any) -> None:
    report = recorded("tracemalloc")
    assert report["mode"] == {"backend": "tracemalloc", "native": False, "python_allocators": False}
    assert report["memray"] is None
    first = report["findings"][0]
    assert report["phases"][first["phase"]]["name"] == "加载"
    assert first["culprit"]["lineno"] == 3
    assert first["culprit"]["source"].startswith("return [{")
    stack = stack_of(report, first["culprit"])
    assert [frame["function"] for frame in stack][:2] == ["<module>", "rows"]
    has_frame = sys.version_info < (3, 12)  # of its own
    assert [frame["function"] for frame in stack][2:3] == ["<listcomp>"] * has_frame


def test_tracemalloc_knows_growth_freeing_and_the_height_of_a_peak(recorded: Any) -> None:
    report = recorded("tracemalloc")
    load, passing, drop = (named(report, name) for name in ("加载", "passing", "drop"))
    assert load["heap_delta_bytes"] > 5 * MIB
    assert abs(passing["heap_delta_bytes"]) < MIB / 4
    assert passing["peak_heap_bytes"] - passing["heap_start_bytes"] > 19 * MIB
    assert drop["heap_delta_bytes"] == pytest.approx(-load["heap_delta_bytes"] / 2, rel=0.2)
    assert drop["freed_culprits"][0]["lineno"] == 3
    for phase in report["phases"]:
        if phase["heap_delta_bytes"] is not None:
            freed = phase["retained_bytes"] - phase["released_bytes"]
            assert freed == phase["heap_delta_bytes"]


def test_tracemalloc_says_what_it_cannot_know(recorded: Any, tmp_path: Path) -> None:
    report = recorded("tracemalloc")
    assert all(phase["peak_culprits"] == [] for phase in report["phases"])
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "native allocations are not known" in page


def test_rss_records_phases_and_nothing_of_the_heap(recorded: Any, tmp_path: Path) -> None:
    report = recorded("rss")
    assert named(report, "加载")["rss_delta_bytes"] > 4 * MIB
    assert (report["peak_heap_bytes"], report["findings"]) == (None, [])
    for phase in report["phases"]:
        assert (
            phase["heap_delta_bytes"]
            is phase["peak_heap_bytes"]
            is phase["explained_ratio"]
            is None
        )
        assert phase["culprits"] == []
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "Only the RSS was recorded" in page


def test_without_memray_the_program_runs_and_the_report_says_why_not(recorded: Any) -> None:
    report = recorded("memray")
    assert (report["exit"]["code"], report["peak_heap_bytes"]) == (0, None)
    assert named(report, "加载")["rss_delta_bytes"] > 4 * MIB
