"""Processes that were not recorded are told by what they had in use, and by their line."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import family_report
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.analysis.findings import findings
from memdeep.analysis.unrecorded import unrecorded
from memdeep.model import Finding, FindingKind, PhaseKind, Process, Report, Run, Sample
from memdeep.report import sentences
from memdeep.text.language import language

MB = 1 << 20
REPORT = family_report(2)
LAST_S = REPORT.run.checkpoints[-1].time_s
CURVES = st.lists(
    st.lists(st.tuples(st.floats(0, LAST_S), st.integers(0, 900 * MB)), min_size=1, max_size=6),
    min_size=1,
    max_size=4,
)


def other(*samples: tuple[float, int], **changes: object) -> Process:
    """A process that was seen from outside only: its PSS (MB) over time."""
    curve = tuple(Sample(time_s, size * MB) for time_s, size in samples)
    plain = Process(77, parent=0, command="/usr/bin/sort -S 200M", curve=curve, end_s=LAST_S)
    return replace(plain, **{"group": 1, **changes})  # type: ignore[arg-type]


def with_others(*processes: Process) -> Run:
    return replace(REPORT.run, processes=(REPORT.run.processes[0], *processes))


def found(*processes: Process) -> list[Finding]:
    return unrecorded(with_others(*processes), REPORT.phases)


def moments(name: str) -> tuple[float, float]:
    """Two moments within the phase ``name``."""
    (phase,) = (one for one in REPORT.phases if one.outline.name == name)
    start, end = (
        REPORT.run.checkpoints[place].time_s
        for place in (phase.outline.stretches[0].start, phase.outline.stretches[0].end)
    )
    return start + (end - start) / 3, start + (end - start) * 2 / 3


NAMES = [one.outline.name for one in REPORT.phases if one.outline.kind is PhaseKind.SPAN]


@pytest.mark.parametrize("name", NAMES)
def test_the_phase_in_which_they_rose_is_named(name: str) -> None:
    first_s, second_s = moments(name)
    (item,) = found(other((first_s, 5), (second_s, 120)))
    assert item.kind is FindingKind.UNRECORDED
    assert REPORT.phases[item.phase].outline.name == name
    assert (item.bytes, item.culprit, item.processes) == (120 * MB, None, (1,))


def test_what_was_there_when_the_phase_began_does_not_count() -> None:
    first_s, second_s = moments(NAMES[-1])
    before_s = moments(NAMES[0])[0]
    assert before_s < first_s
    items = found(other((before_s, 100), (first_s, 100), (second_s, 130)))
    assert [(REPORT.phases[one.phase].outline.name, one.bytes) for one in items] == [
        (NAMES[0], 100 * MB)
    ]


def test_a_process_and_those_that_it_started_are_told_together() -> None:
    first_s, second_s = moments(NAMES[-1])
    shell = other((first_s, 1), command="sh -c 'sort | tail'")
    inner = other((second_s, 40), parent=1, group=2)
    also = other((second_s, 2), parent=1, group=3, command="tail -1")
    (item,) = found(shell, inner, also)
    assert (item.bytes, item.processes) == (43 * MB, (1, 2, 3))
    assert item.evidence == {"programs": "sort, …"}


def test_recorded_processes_are_not_told_so() -> None:
    first_s, _ = moments(NAMES[-1])
    assert found(other((first_s, 100), directory="children/77")) == []
    # Of those beyond the number to be recorded, the others that the line started tell.
    assert found(other((first_s, 9), directory="children/77"), other((first_s, 100))) == []
    assert unrecorded(REPORT.run, REPORT.phases) == []


@examples(100)
@given(
    curves=CURVES,
    lives=st.lists(st.tuples(st.floats(0, LAST_S), st.floats(0, LAST_S)), min_size=4, max_size=4),
)
def test_readings_may_lie_before_the_start_of_a_process_and_after_its_end(
    curves: list[list[tuple[float, int]]], lives: list[tuple[float, float]]
) -> None:
    """Clocks differ: what is read at the wrong moment is nobody's, and nothing breaks."""
    processes = []
    for samples, life in zip(curves, lives, strict=False):
        made = tuple(Sample(time_s, size) for time_s, size in sorted(samples))
        start_s, end_s = sorted(life)
        processes.append(replace(other((0, 0)), curve=made, start_s=start_s, end_s=end_s))
    for item in found(*processes):
        assert item.processes
        assert item.bytes > 0


def test_another_program_is_told_beside_a_recorded_one_of_its_line() -> None:
    first_s, _ = moments(NAMES[-1])
    python = other((first_s, 9), directory="children/77", command="python big.py")
    shell = other((first_s, 1), command="sh -c 'python big.py; sort'")
    (item,) = found(python, shell, other((first_s, 100), parent=2, group=3))
    assert (item.bytes, item.evidence["programs"]) == (101 * MB, "sort, …")  # the shell is another


def test_of_a_fork_counts_what_it_has_to_itself() -> None:
    """Idle forks have shares of what their parent held before: they use nothing more."""
    first_s, second_s = moments(NAMES[-1])
    idle = replace(other((first_s, 70)), how="fork", own_curve=(Sample(first_s, MB // 8),))
    busy = replace(idle, own_curve=(Sample(first_s, MB), Sample(second_s, 30 * MB)))
    assert sum(item.bytes for item in found(idle, idle)) < MB
    (item,) = found(idle, busy)
    assert item.bytes == 30 * MB + MB // 8


@examples(100)
@given(curves=CURVES)
def test_never_more_is_told_than_was_in_use_at_once(curves: list[list[tuple[float, int]]]) -> None:
    processes = []
    for place, samples in enumerate(curves):
        samples.sort(key=lambda sample: sample[0])
        made = tuple(Sample(time_s, size) for time_s, size in samples)
        processes.append(replace(other((0, 0)), pid=80 + place, curve=made, group=1 + place % 2))
    most = {}
    for group in {one.group for one in processes}:
        members = [one for one in processes if one.group == group]
        times = {sample.time_s for one in members for sample in one.curve}
        most[group] = max(
            sum(
                next((s.bytes for s in reversed(one.curve) if s.time_s <= time_s), 0)
                for one in members
            )
            for time_s in times
        )
    for item in found(*processes):
        groups = {processes[place - 1].group for place in item.processes}
        assert len(groups) == 1
        assert 0 < item.bytes <= most[groups.pop()]


@pytest.mark.parametrize("code", ["en", "zh"])
def test_the_sentence_says_that_they_were_not_recorded(code: str) -> None:
    first_s, _ = moments(NAMES[-1])
    run = with_others(other((first_s, 400)))
    points = len(run.checkpoints)
    every = findings(
        REPORT.heap, REPORT.phases, points, of_processes=unrecorded(run, REPORT.phases)
    )
    (item,) = (one for one in every if one.kind is FindingKind.UNRECORDED)
    said = sentences.finding(_report(run), item, language(code))
    expected = {
        "en": f"400.0 MB more were in use in {NAMES[-1]} by 1 process of the program (sort), "
        "whose allocations were not recorded.",
        "zh": f"“{NAMES[-1]}”中，程序的 1 个进程（sort）多使用了 400.0 MB，它们的分配没有被记录。",
    }
    assert said == expected[code]


def _report(run: Run) -> Report:
    return replace(REPORT, run=run)
