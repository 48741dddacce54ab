"""Somebody is told of growth without end, and never of a program that keeps what it has."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from factories import event
from hypothesis import given
from hypothesis import strategies as st

from memdeep.live.alarms import (
    CRITICAL,
    GROWTH,
    READINGS,
    WARNING,
    Alarm,
    Alarms,
    Troughs,
    is_steady,
)
from memdeep.run.progress import Progress
from memdeep.rundir import directory, journal
from memdeep.rundir.directory import RunDirectory

MB = 1 << 20


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDirectory:
    made = directory.create(tmp_path / "run", force=False)
    with open(made.journal, "ab") as file:
        file.write(journal.encode_start(17, (10 * MB, None), 0, 1))
    return made


class Told:
    """What `Alarms` tells of a run whose journal and readings are made by hand."""

    def __init__(self, run_dir: RunDirectory, **levels: int | None) -> None:
        given = {"warning_bytes": None, "critical_bytes": None} | levels
        self.alarms = Alarms(run_dir, **given)
        self._journal = run_dir.journal
        self._sequence = 0
        self.now_s = 0.0

    def event(self, kind: str, label: str, size: float, span: int = 0) -> None:
        self._sequence += 1
        self.now_s += 0.5
        made = event(kind, self._sequence, round(size * MB), label)
        with open(self._journal, "ab") as file:
            file.write(
                journal.encode_event(
                    made.kind,
                    made.sequence,
                    round(self.now_s * 1e6),
                    (made.rss_bytes, None),
                    label,
                    None,
                    "MainThread",
                    span,
                )
            )

    def reading(self, size: float, after_s: float = 1.0) -> list[Alarm]:
        self.now_s += after_s
        return list(self.alarms.update(Progress(self.now_s, round(size * MB))))


def kinds(alarms: list[Alarm]) -> list[str]:
    return [alarm.kind for alarm in alarms]


def test_a_threshold_is_told_of_when_memory_rises_over_it(run_dir: RunDirectory) -> None:
    told = Told(run_dir, warning_bytes=100 * MB, critical_bytes=200 * MB)
    assert told.reading(90) == []
    (alarm,) = told.reading(110)
    assert (alarm.kind, alarm.limit_bytes, alarm.size_bytes) == (WARNING, 100 * MB, 110 * MB)
    assert told.reading(120) == []
    assert kinds(told.reading(250)) == [CRITICAL]
    assert told.reading(250) == []


def test_a_threshold_is_told_of_once_a_phase_and_not_where_memory_hovers(
    run_dir: RunDirectory,
) -> None:
    told = Told(run_dir, warning_bytes=100 * MB)
    told.event(journal.BEGIN, "one", 50, span=1)
    (alarm,) = told.reading(101)
    assert alarm.phases == ("one",)
    assert told.reading(97) == []
    assert told.reading(101) == []  # it had not fallen well below
    assert told.reading(50) == []
    assert told.reading(101) == []  # but that was told of this phase
    told.reading(50)
    told.event(journal.END, "one", 50, span=1)
    told.event(journal.BEGIN, "two", 50, span=2)
    (alarm,) = told.reading(101)
    assert alarm.phases == ("two",)


def repeat(told: Told, sizes: list[float], name: str = "step", within: float = 1.0) -> list[Alarm]:
    """Repeat a phase within ``job`` that ends at these sizes; so much of a step grows within."""
    found = []
    told.event(journal.BEGIN, "job", sizes[0], span=1)
    for number, (before, after) in enumerate(zip([sizes[0], *sizes], sizes, strict=False)):
        told.event(journal.BEGIN, name, after - within * (after - before), span=number + 2)
        told.event(journal.END, name, after, span=number + 2)
        found += told.reading(after)
    return found


def test_a_phase_that_grows_with_each_repeat_is_told_of_once(run_dir: RunDirectory) -> None:
    (alarm,) = repeat(Told(run_dir), [50 + 3 * number for number in range(40)])
    assert (alarm.kind, alarm.grown) == (GROWTH, "job › step")
    assert alarm.repeats == 12
    assert alarm.slope_bytes == 3 * MB
    assert alarm.growth_bytes == 27 * MB


def test_growth_between_the_repeats_is_not_that_of_the_phase(run_dir: RunDirectory) -> None:
    assert repeat(Told(run_dir), [50 + 3 * number for number in range(40)], within=0.2) == []


@pytest.mark.parametrize(
    "sizes",
    [
        [100.0] * 100,
        [*(50 + 6 * number for number in range(8)), *[98.0] * 90],  # caches that fill
        [100 + 200 * (1 - 0.8**number) for number in range(100)],  # slower and slower
        [100 + 50 * (number % 2) for number in range(100)],
        [100 + 0.01 * number for number in range(100)],  # next to nothing
        [300 - number for number in range(100)],
    ],
    ids=["flat", "warm-up", "slowing", "to and fro", "noise", "falling"],
)
def test_a_program_that_keeps_its_memory_is_not_told_of(
    run_dir: RunDirectory, sizes: list[float]
) -> None:
    told = Told(run_dir)
    assert repeat(told, sizes) == []
    assert [alarm for _ in range(2000) for alarm in told.reading(sizes[-1])] == []


def test_noise_around_a_plateau_is_not_told_of(run_dir: RunDirectory) -> None:
    dice = random.Random(1)
    told = Told(run_dir)
    assert [one for _ in range(20_000) for one in told.reading(500 + dice.random() * 200)] == []


def test_a_run_that_grows_without_any_phase_is_told_of_once(run_dir: RunDirectory) -> None:
    told = Told(run_dir)
    found = [one for second in range(3000) for one in told.reading(100 + 0.5 * second)]
    (alarm,) = found
    assert (alarm.kind, alarm.grown, alarm.repeats) == (GROWTH, "", None)
    assert 600 <= alarm.elapsed_s <= 1300
    assert alarm.growth_bytes is not None
    assert alarm.growth_bytes > 100 * MB


def test_a_run_that_grows_for_a_while_is_not_told_of(run_dir: RunDirectory) -> None:
    told = Told(run_dir)
    sizes = [100 + 2.0 * min(second, 400) for second in range(5000)]
    assert [one for size in sizes for one in told.reading(size)] == []


@given(st.lists(st.integers(0, 2**40), max_size=30), st.integers(0, 2**30))
def test_what_does_not_end_higher_never_grows(readings: list[int], least: int) -> None:
    if is_steady(readings, least, 0.02):
        assert len(readings) >= READINGS
        assert readings[-1] - readings[0] >= max(least, 0.02 * readings[0])
    assert not is_steady(sorted(readings, reverse=True), least + 1, 0.02)


def test_few_readings_are_kept_however_long_a_run_is() -> None:
    troughs = Troughs()
    for second in range(0, 10**6, 7):
        troughs.add(1000 * second, 50 + second % 3)
        assert len(troughs._values) <= Troughs.CELLS
    assert troughs.of_last_half() == [50] * READINGS
