"""The figures only the replay can know, from a real run to report.json; and the way without it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from running import RunMemdeep, complaint, environment, read_json

from memdeep.heap.replay import engine

pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")

BLOCK = 300_000
NOISE = 30_000  # what the interpreter itself may allocate besides
READING = 1_500_000  # what the recording allocates, and frees, to read the mappings
LISTS = "<listcomp>" if sys.version_info < (3, 12) else "<module>"

Json = dict[str, Any]


def phases(directory: Path) -> dict[str, Json]:
    report = read_json(directory / "report.json")
    return {phase["name"]: phase for phase in report["phases"]}


@pytest.fixture
def run_dir(run_memdeep: RunMemdeep, work: Path) -> Path:
    done = run_memdeep("run", "--no-native", "-o", "out", "known_bytes.py", cwd=work)
    assert done.returncode == 0, done.stderr
    return work / "out"


def test_gross_figures_and_the_largest_allocations(run_dir: Path) -> None:
    found = phases(run_dir)
    keep, peak, free = found["keep"], found["peak"], found["free"]
    assert 0 <= keep["allocated_bytes"] - 10 * BLOCK < NOISE + READING
    assert keep["churn_bytes"] < NOISE + READING
    assert 0 <= peak["churn_bytes"] - 25 * BLOCK < NOISE + READING
    assert 0 <= peak["freed_bytes"] - 25 * BLOCK < NOISE + READING
    assert peak["allocations"] >= 25
    assert 0 <= free["freed_bytes"] - 4 * BLOCK < NOISE + READING
    for phase in found.values():
        assert phase["allocated_bytes"] == phase["retained_bytes"] + phase["churn_bytes"]
        assert phase["freed_bytes"] == phase["released_bytes"] + phase["churn_bytes"]
        growth = phase["allocated_bytes"] - phase["freed_bytes"]
        assert growth == phase["heap_delta_bytes"]
    first = keep["largest"][0]
    assert (first["bytes"], first["allocations"], first["function"]) == (BLOCK, 1, LISTS)
    assert "bytearray(BLOCK - 1)" in first["source"]


def test_memrays_reader_serves_where_it_must(run_memdeep: RunMemdeep, run_dir: Path) -> None:
    replayed = phases(run_dir)
    forced = environment(MEMDEEP_ENGINE="memray")
    assert run_memdeep("report", str(run_dir), env=forced).returncode == 0
    fallback = phases(run_dir)
    assert fallback.keys() == replayed.keys()
    for name, phase in fallback.items():
        assert phase["heap_delta_bytes"] == replayed[name]["heap_delta_bytes"]
        assert phase["peak_heap_bytes"] == replayed[name]["peak_heap_bytes"]
        for unknown in ("allocated_bytes", "freed_bytes", "churn_bytes", "allocations", "largest"):
            assert phase[unknown] is None
    page = (run_dir / "report.html").read_text("utf-8")
    assert "reader was used" in page


def test_an_engine_that_is_none_is_refused(run_memdeep: RunMemdeep, run_dir: Path) -> None:
    done = run_memdeep("report", str(run_dir), env=environment(MEMDEEP_ENGINE="turbo"))
    sentence, hint = complaint(done)
    assert (done.returncode, sentence) == (
        2,
        "MEMDEEP_ENGINE is set to 'turbo', which is no engine.",
    )
    assert "replay" in hint


@pytest.mark.parametrize("option", ["--native", "--no-native"])
def test_a_report_needs_no_memray(
    run_memdeep: RunMemdeep, work: Path, tmp_path: Path, option: str
) -> None:
    done = run_memdeep("run", option, "--no-report", "-o", "out", "known_bytes.py", cwd=work)
    assert done.returncode == 0, done.stderr
    (tmp_path / "site").mkdir()
    blocked = "import sys\nsys.modules['memray'] = None\n"
    (tmp_path / "site" / "sitecustomize.py").write_text(blocked)
    alone = environment(PYTHONPATH=str(tmp_path / "site"))
    done = run_memdeep("report", "out", cwd=work, env=alone)
    assert done.returncode == 0, done.stderr
    keep = phases(work / "out")["keep"]
    assert keep["retained_bytes"] == pytest.approx(10 * BLOCK, abs=NOISE)
    assert keep["culprits"][0]["filename"].endswith("known_bytes.py")


def test_a_long_pass_tells_how_far_it_is(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "STEP_BYTES", 500)
    steps: list[str] = []
    trace = engine.replay(run_dir / "capture.bin", steps.append)
    percents = [int(step.removesuffix(" %)").rpartition("(")[2]) for step in steps]
    assert percents == sorted(percents)
    assert 0 < percents[0] < 50 < percents[-1] < 100
    assert not trace.totals.truncated
