"""The tree of processes for people: groups in a row, each below its parent, ends in words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import MB, family_report, family_run, frame, phase, process, run
from hypothesis import given
from hypothesis import strategies as st

from memdeep.model import Process, Report, Stretch
from memdeep.report import processes
from memdeep.text.language import language

ENGLISH = language("en")


def tree_of(report: Report) -> list[tuple[int, tuple[int, ...]]]:
    return [(row.depth, row.members) for row in processes.rows(report)]


def test_processes_of_one_line_are_a_row_below_the_one_that_started_them() -> None:
    assert tree_of(family_report(3)) == [(0, (0,)), (1, (1, 2, 3)), (2, (4,)), (1, (5,))]


def test_a_line_that_starts_itself_again_is_one_row() -> None:
    report = family_report(2)
    nested = replace(report.run.processes[2], parent=1)
    run = replace(
        report.run, processes=(*report.run.processes[:2], nested, *report.run.processes[3:])
    )
    assert tree_of(replace(report, run=run))[1] == (1, (1, 2))


def test_like_commands_of_one_parent_are_a_row_where_no_line_is_known() -> None:
    report = family_report(1)
    shell = report.run.processes[-1]
    more = [replace(shell, pid=200 + place, group=4 + place) for place in range(50)]
    run = replace(report.run, processes=(*report.run.processes, *more))
    assert tree_of(replace(report, run=run))[-1] == (1, tuple(range(3, 54)))


@pytest.mark.parametrize(
    ("commands", "name"),
    [
        (("/usr/bin/sort a", "/usr/bin/sort a"), "sort a × 2"),
        (("sort a", "/usr/bin/sort b"), "sort × 2"),
        (("sort a", "sleep 9", "awk 1"), "subprocess × 3"),
        (("sort a", None), "subprocess × 2"),
    ],
)
def test_a_row_has_no_command_but_that_of_all_its_processes(
    commands: tuple[str | None, ...], name: str
) -> None:
    told = [process(2, how="subprocess", command=one, directory=None) for one in commands]
    assert processes.name(told, is_program=False, language=ENGLISH) == name
    recorded = replace(told[-1], directory="children/7")
    said = processes.name([*told, recorded], is_program=False, language=ENGLISH)
    assert said == f"subprocess × {len(told) + 1}"  # its server beside its tracker, as of Python


def test_a_row_is_in_the_phase_in_which_all_its_processes_began() -> None:
    outer = phase("outer", stretches=[Stretch(1, 6)])
    inner = phase("inner", stretches=[Stretch(2, 3)], depth=1, parent=0)
    later = phase("later", stretches=[Stretch(7, 8)])
    report = family_report(3)
    times = [point.time_s for point in run(*"abcdefghi").checkpoints]

    def in_row(*segments: int) -> int | None:
        started = [
            replace(one, start_s=(times[end - 1] + times[end]) / 2)
            for one, end in zip(report.run.processes[1:], segments, strict=False)
        ]
        family = (report.run.processes[0], *started, *report.run.processes[1 + len(started) :])
        told = replace(run(*"abcdefghi"), processes=family)
        made = replace(report, run=told, phases=(outer, inner, later))
        return next(row.phase for row in processes.rows(made) if row.members == (1, 2, 3))

    assert in_row(3, 3, 3) == 1
    assert in_row(3, 5, 3) == 0
    assert in_row(3, 5, 8) is None


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4)), max_size=30))
def test_every_process_is_in_one_row_and_each_row_comes_after_its_parent(
    drawn: list[tuple[int, int]],
) -> None:
    report = family_report(0)
    firsts: dict[int, int] = {}
    started: list[Process] = []
    for place, (parent, line) in enumerate(drawn, 1):
        group = firsts.setdefault(line, place)
        at = (frame("main", lineno=line),) if line else ()
        started.append(
            process(
                place,
                parent=min(parent, place - 1),
                group=group if line else place,
                started_by=at,
                directory=None,
            )
        )
    run = replace(report.run, processes=(report.run.processes[0], *started))
    rows = processes.rows(replace(report, run=run))
    assert sorted(place for row in rows for place in row.members) == list(range(len(drawn) + 1))
    for place, row in enumerate(rows):
        assert (row.parent is None) == (place == 0)
        if row.parent is not None:
            assert row.parent < place
            assert rows[row.parent].depth == row.depth - 1


@given(st.integers(1, 12), st.integers(0, 40))
def test_at_most_so_many_rows_are_chosen_and_with_each_its_parent(most: int, lines: int) -> None:
    report = family_report(2)
    others = [
        process(300 + place, group=5 + place, parent=place % 4, peak_pss_bytes=place * MB)
        for place in range(lines)
    ]
    run = replace(report.run, processes=(*report.run.processes, *others))
    changed = replace(report, run=run)
    rows = processes.rows(changed)
    shown = processes.most_telling(changed, rows, most)
    assert 0 in shown
    assert len(shown) <= most
    parents = [rows[place].parent for place in shown]
    assert all(parent is None or parent in shown for parent in parents)


def test_ten_thousand_processes_are_few_rows() -> None:
    report = family_report(10_000)
    assert len(processes.rows(report)) == 4


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        (("completed", "completed"), "completed"),
        (("completed", "failed", "failed"), "2 failed, 1 completed"),
        (("oom-killed", "completed"), "1 oom-killed, 1 completed"),
        ((None,), "end unknown"),
    ],
)
def test_the_worst_end_is_said_first(verdicts: tuple[str | None, ...], said: str) -> None:
    members = [process(place, verdict=verdict) for place, verdict in enumerate(verdicts)]
    assert processes.ends(members, ENGLISH) == said


def test_in_brief_only_trouble_is_said() -> None:
    members = [process(place, verdict="completed") for place in range(5)]
    members.append(process(9, verdict="killed", signal="SIGKILL"))
    assert processes.ends(members, ENGLISH, in_brief=True) == "1 SIGKILL"


def test_workers_that_end_with_their_pool_are_no_deaths() -> None:
    report = family_report(3)
    ended = [
        replace(one, verdict="killed", signal="SIGTERM", ended_by_program=place > 1)
        if 1 <= place <= 3
        else one
        for place, one in enumerate(report.run.processes)
    ]
    run = replace(report.run, processes=tuple(ended))
    said = processes.deaths(replace(report, run=run), ENGLISH)
    assert [sentence for sentence in said if "SIGTERM" in sentence] == [
        "Process 101 (fork at prog.py:30) was killed by SIGTERM at 4.5 s."
    ]
    assert processes.ends(ended[1:4], ENGLISH) == "1 SIGTERM, 2 ended by SIGTERM"
    assert processes.ends(ended[2:4], ENGLISH, in_brief=True) == "ended by SIGTERM"
    assert (processes.is_dead(ended[1:4]), processes.is_dead(ended[2:4])) == (True, False)
    assert processes.trouble(ended[1:4]) < processes.trouble(ended[2:4])


def test_deaths_are_told_with_the_line_and_many_are_counted() -> None:
    report = family_report(6)
    dead = [
        replace(one, verdict="killed", signal="SIGKILL") if 1 <= place <= 6 else one
        for place, one in enumerate(report.run.processes)
    ]
    run = replace(family_run(6), processes=tuple(dead))
    said = processes.deaths(replace(report, run=run), ENGLISH)
    assert said == (
        "Process 107 (subprocess at prog.py:7) was killed by the kernel for want of memory at "
        "4.5 s.",
        "Process 101 (fork at prog.py:30) was killed by SIGKILL at 4.5 s.",
        "Process 102 (fork at prog.py:30) was killed by SIGKILL at 4.5 s.",
        "4 more were killed by a signal.",
        "1 process was still running at the end of the run.",
        "The allocations of 1 process were not recorded; "
        "what is known of it was seen from outside.",
    )


def test_a_daemon_that_no_reading_has_is_said_to_be_missing_in_the_sum() -> None:
    report = family_report(2)
    program, first, second, *others = report.run.processes
    daemon = replace(second, peak_pss_bytes=None, curve=(), start_s=0.5, end_s=4.0)
    brief = replace(daemon, end_s=0.9)

    def said(one: Process, **changes: int | None) -> bool:
        run = replace(report.run, processes=(program, first, one, *others), **changes)
        told = processes.deaths(replace(report, run=run), ENGLISH)
        return any("1 process that lived for more than 1.0 s was not seen" in each for each in told)

    assert said(daemon, peak_pss_bytes=90 * MB)
    assert not said(brief, peak_pss_bytes=90 * MB)
    assert not said(daemon, peak_pss_bytes=None)
    assert not said(replace(daemon, how="exec"), peak_pss_bytes=90 * MB)
