"""The steps that are told while a report is made, in their order."""

from __future__ import annotations

from pathlib import Path

from factories import hostile_report
from running import PROGRAMS, RunMemdeep

from memdeep import pipeline

# Those of the readers of the heap come between the second and the third.
STEPS = ["Reading the journal", "Finding the phases", "Finding the culprits"]
STEPS += ["Weighing the findings", "Writing report.json", "Writing report.html"]


def test_each_stage_tells_its_steps(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    words = ("run", "--quiet", "--no-report", "-o", tmp_path / "run", PROGRAMS / "grows.py")
    assert run_memdeep(*words).returncode == 0
    told: list[str] = []
    recording = pipeline.load(tmp_path / "run", told.append)
    assert told == STEPS[:1]
    report = pipeline.analyse(recording, told.append)
    pipeline.write(report, pipeline.report_paths(tmp_path / "run"), told.append)
    assert [step for step in told if step in STEPS] == STEPS
    heap = told[told.index("Finding the phases") + 1 : told.index("Finding the culprits")]
    assert heap
    assert not {*heap} & {*STEPS}


def test_a_step_is_told_before_its_output_is_written(tmp_path: Path) -> None:
    paths = {"json": tmp_path / "[one].json", "html": tmp_path / "two.html"}
    told: list[tuple[str, int]] = []

    def on_step(step: str) -> None:
        told.append((step, sum(path.exists() for path in paths.values())))

    pipeline.write(hostile_report(), paths, on_step)
    assert told == [("Writing report.json", 0), ("Writing report.html", 1)]
