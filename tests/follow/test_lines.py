"""The figures by line of a run that goes on are those that its report will have."""

from __future__ import annotations

import os
import subprocess
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from driven import Driven
from factories import event
from hypothesis import given
from hypothesis import strategies as st
from running import PROGRAMS, TIMEOUT_S, environment, memdeep_command

from memdeep import pipeline
from memdeep.analysis.culprits import ChargedLines
from memdeep.follow.lines import CELLS, Earlier, HeapCurve, HeldPhases, LiveLines
from memdeep.model import Origin, Report
from memdeep.rundir import journal
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.live import Live

PAUSES = ("before all", "in the middle", "after the days", "after all")
MB = 1_000_000


@dataclass(frozen=True)
class Paused:
    """A run, its report, and how it was told to be at each of its pauses."""

    report: Report
    at: dict[str, Live]


@pytest.fixture(scope="module", params=[(), ("--deep", "--no-native")], ids=["plain", "deep"])
def paused(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Paused:
    work = tmp_path_factory.mktemp("paused")
    words = ("run", "--quiet", "--no-report", *request.param, "-o", "run")
    command = memdeep_command(*words, PROGRAMS / "pauses.py")
    at = {}
    with subprocess.Popen(
        command, cwd=work, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        driven = None
        for label in PAUSES:
            assert os.read(process.stdout.fileno(), 1) == b"."
            driven = driven or Driven(work / "run")
            at[label] = driven.update()
            process.stdin.write(b"x")
            process.stdin.flush()
        assert driven is not None
        driven.close()
        assert process.wait(TIMEOUT_S) == 0
    recording = pipeline.load(work / "run", lambda step: None)
    return Paused(pipeline.analyse(recording, lambda step: None), at)


def alive_by_line(report: Report, label: str, after: str | None = None) -> Counter[tuple[str, int]]:
    """What the report says was alive at a checkpoint, by line; born after another one."""
    points = report.run.checkpoints
    at = next(point.index for point in points if point.label == label)
    born_after = max((point.index for point in points[:at] if point.label == after), default=-1)
    lines = ChargedLines(report.heap.tree)
    found: Counter[tuple[str, int]] = Counter()
    for life in report.heap.lifetimes:
        is_alive = life.born <= at and (life.died is None or life.died > at)
        if is_alive and life.born > born_after:
            frame = lines.frame(life.node)
            if frame.origin is not Origin.MEMDEEP:
                found[frame.filename, frame.lineno] += life.bytes
    return found


@pytest.mark.parametrize("label", PAUSES)
def test_lines_hold_at_a_checkpoint_what_the_report_says(paused: Paused, label: str) -> None:
    live = paused.at[label]
    told = alive_by_line(paused.report, label)
    named = [line for line in live.lines if line.origin != "native"]
    assert {(line.file, line.line): line.alive_bytes for line in named} == {
        (line.file, line.line): told[line.file, line.line] for line in named
    }
    listed = {(line.file, line.line) for line in named}
    largest = [place for place, size in told.items() if size >= MB and place[1] > 0]
    assert set(largest) <= listed
    assert any(line.alive_bytes >= MB for line in named)


@pytest.mark.parametrize(
    ("label", "phases", "after"),
    [
        ("in the middle", ("回测", "行情"), "行情_START"),
        ("after the days", ("回测",), "回测"),
    ],
)
def test_phases_and_what_they_keep_are_those_of_the_report(
    paused: Paused, label: str, phases: tuple[str, ...], after: str
) -> None:
    live = paused.at[label]
    assert tuple(phase.name for phase in live.phases if phase.is_span) == phases
    told = alive_by_line(paused.report, label, after)
    named = [line for line in live.lines if line.origin != "native"]
    assert {(line.file, line.line): line.phase_bytes for line in named} == {
        (line.file, line.line): told[line.file, line.line] for line in named
    }
    assert any(line.phase_bytes >= MB // 2 for line in named)


def test_outside_of_all_phases_growth_counts_from_the_last_checkpoint(paused: Paused) -> None:
    live = paused.at["after all"]
    assert [(phase.name, phase.is_span) for phase in live.phases] == [("after all", False)]
    assert all(line.phase_bytes < MB for line in live.lines)


@pytest.mark.parametrize("label", PAUSES)
def test_all_bytes_are_told_once(paused: Paused, label: str) -> None:
    live = paused.at[label]
    sums = sum(line.alive_bytes for line in live.lines) + live.others.alive_bytes
    assert sums + live.memory.recorder_bytes == live.memory.heap_bytes
    grown = sum(line.phase_bytes for line in live.lines) + live.others.phase_bytes
    assert 0 <= live.phases[-1].grown_bytes - grown <= live.memory.recorder_bytes
    assert [line.alive_bytes for line in live.lines] == sorted(
        (line.alive_bytes for line in live.lines), reverse=True
    )


def test_the_text_of_a_line_and_the_state_of_the_program_are_told(paused: Paused) -> None:
    live = paused.at["in the middle"]
    texts = {line.function: line.source for line in live.lines}
    assert texts["load"] == 'kept.append(b"x" * size)'
    assert live.process.is_running
    assert live.process.name == "pauses"
    assert live.process.verdict is None
    assert live.lag.bytes == 0
    assert live.lag.seconds is not None
    assert live.lag.seconds < TIMEOUT_S
    assert live.memory.resident_bytes is not None
    assert live.heap_curve.values[-1] is not None


def test_the_last_minute_is_the_time_since_the_start_of_a_younger_run(paused: Paused) -> None:
    live = paused.at["in the middle"]
    assert 0 < live.minute_s <= live.elapsed_s + 1
    assert all(line.minute_bytes == line.alive_bytes for line in live.lines)


def held(*sizes: int) -> array[int]:
    return array("q", sizes)


def test_growth_is_told_of_the_last_minute() -> None:
    earlier = Earlier()
    for second in range(200):
        earlier.keep(1000 * second, held(second))
    ago_s, then = earlier.minute_ago(200_000)
    assert 59 <= ago_s <= 61
    assert then[0] == round(200 - ago_s)


@given(st.lists(st.integers(1, 400_000), min_size=1, max_size=200))
def test_little_is_kept_of_earlier_figures_and_their_age_is_told(gaps: list[int]) -> None:
    earlier, at_ms = Earlier(), 0
    for gap in gaps:
        at_ms += gap
        ago_s, then = earlier.minute_ago(at_ms)
        assert ago_s == pytest.approx((at_ms - (then[0] if len(then) else 0)) / 1000)
        earlier.keep(at_ms, held(at_ms))
        assert len(earlier._kept) <= 34


def test_a_curve_says_nothing_of_what_was_not_read() -> None:
    curve = HeapCurve()
    curve.add(20_000, 7, 8)
    assert curve.values[:-1] == [None] * (len(curve.values) - 1)
    curve.add(21_000, 6, 9)
    assert curve.values[-3:] == [7, 7, 9], "what was high for a moment is high in that one only"
    assert curve.peak_bytes == 9
    curve.add(3_000_000, 1, 1)
    assert len(curve.values) <= CELLS
    assert max(filter(None, curve.values)) == 9
    assert None in curve.values[2:-1]


def test_an_event_waits_for_its_marker() -> None:
    phases = HeldPhases()
    phases.begun(event(journal.START, 0, 0))
    phases.add(event(journal.BEGIN, 1, 0, "one", s=1))
    phases.add(event(journal.BEGIN, 2, 0, "two", s=2))
    assert phases.where() == ()
    phases.reach(1, 0)
    assert phases.where() == ("one",)
    phases.reach(2, 0)
    assert [phase.sequence for phase in phases.open()] == [1, 2]


def test_an_event_without_a_marker_waits_for_a_later_time() -> None:
    phases = HeldPhases()
    start = event(journal.START, 0, 0)
    phases.begun(start)
    phases.add(event(journal.BEGIN, 1, 0, "one", s=1, t=5_000_000))
    phases.reach(0, start.epoch_ns // 1_000_000 + 4_000)
    assert phases.where() == ()
    phases.reach(0, start.epoch_ns // 1_000_000 + 6_000)
    assert phases.where() == ("one",)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[LiveLines]:
    with LiveLines(RunDirectory(tmp_path)) as lines:
        yield lines


def test_nothing_is_made_up_before_there_is_a_capture(empty: LiveLines) -> None:
    from memdeep.heap.replay._replay import Replay

    live = empty.update(Replay(), 1e9, ())
    assert live.memory.heap_bytes is None
    assert live.memory.resident_bytes is None
    assert live.lag.seconds is None
    assert live.limit.left_s is None
    assert not live.lines
