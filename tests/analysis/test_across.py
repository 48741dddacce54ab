"""Phases of one path in many processes are one row, whose figures are theirs together."""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from dataclasses import replace

from factories import (
    MB,
    analysed,
    culprit,
    frame,
    lifetime,
    lifetimes_in,
    nested_steps,
    phase,
    process,
    program,
    report,
    run,
    tree,
    with_rows,
)
from hypothesis import given
from hypothesis import strategies as st

from memdeep.analysis.across import Rows, with_their_rows
from memdeep.model import (
    Across,
    Finding,
    FindingKind,
    Frame,
    GroupShare,
    Peak,
    PhaseKind,
    Process,
    Report,
    Worker,
)

NAMES = ("load", "score", "a")
LOAD, SCORE = frame("load"), frame("score")


def worker(place: int) -> Process:
    return process(place, worker=Worker(f"w{place}", f"tcp://{place}", 2))


def made_of(own: Sequence[Report], *, first: int = 1) -> tuple[Across, ...]:
    """The rows of processes with these reports."""
    rows = Rows()
    for place, one in enumerate(own, first):
        rows.add(place, one)
    return rows.rows()


def keeps(size: int, *, where: str = "load") -> Report:
    """The report of a process that keeps this in the phase `load`."""
    stacks, (node,) = tree([frame("main"), frame(where)])
    return analysed(run("+load", "-load"), stacks, [lifetime(node, 2, bytes=size)])


def test_two_processes_are_one_row() -> None:
    (row,) = made_of([keeps(3 * MB), keeps(5 * MB)])
    assert (row.path, row.name, row.repeats, row.complete) == (("load",), "load", 2, True)
    assert row.retained_bytes == row.delta_bytes == row.bytes_in_use == 8 * MB
    assert [(one.process, one.retained_bytes) for one in row.shares] == [(2, 5 * MB), (1, 3 * MB)]
    assert (row.processes, row.peak_bytes, row.rise_bytes) == ((1, 2), 5 * MB, 5 * MB)
    (line,) = row.lines
    assert (line.frame, line.bytes, line.process, line.of[0]) == (LOAD, 8 * MB, 2, 2)
    assert line.stack == (frame("main"), LOAD)
    assert row.other_bytes == 0


def test_phases_are_told_apart_by_those_around_them() -> None:
    stacks, (node,) = tree([frame("keep")])
    inside = analysed(run("+a", "+load", "-load", "-a"), stacks, [lifetime(node, 3)])
    assert [row.path for row in made_of([inside, keeps(MB)])] == [("a",), ("a", "load"), ("load",)]


def test_what_holds_most_in_use_comes_first() -> None:
    pool = culprit(frame("pool"), bytes=1000 * MB, resident_bytes=MB)
    used = culprit(frame("used"), bytes=5 * MB, resident_bytes=5 * MB)
    own = [
        report(
            [
                phase("pool", retained_bytes=1000 * MB, culprits=(pool,)),
                phase("use", retained_bytes=5 * MB, culprits=(used,)),
            ]
        )
    ]
    rows = made_of(own)
    assert [(row.name, row.resident_bytes) for row in rows] == [("use", 5 * MB), ("pool", MB)]


def test_what_is_not_known_of_one_process_is_not_known_of_the_row() -> None:
    lost = report([phase("load", heap=None)])
    (row,) = made_of([keeps(3 * MB), lost])
    unknown = (row.retained_bytes, row.delta_bytes, row.allocations, row.peak_bytes, row.rise_bytes)
    assert unknown == (None,) * 5 and row.resident_bytes is row.other_bytes is None
    assert row.bytes_in_use == 0 and [line.bytes for line in row.lines] == [3 * MB]
    assert [one.retained_bytes for one in row.shares] == [3 * MB, None]


def test_residency_is_known_of_a_line_where_it_is_of_all_its_processes() -> None:
    known = phase(
        "load", retained_bytes=4 * MB, culprits=(culprit(LOAD, bytes=4 * MB, resident_bytes=MB),)
    )
    unknown = phase("load", retained_bytes=MB, culprits=(culprit(LOAD, bytes=MB),))
    (row,) = made_of([report([known]), report([unknown])])
    assert (row.lines[0].resident_bytes, row.resident_bytes) == (None, None)
    assert row.lines[0].bytes_in_use == 5 * MB
    (alone,) = made_of([report([known])])
    assert alone.bytes_in_use == MB
    (nothing,) = made_of([report([phase("load")])])
    assert nothing.resident_bytes == 0


def test_what_no_line_is_named_for_is_told() -> None:
    one = phase("load", retained_bytes=4 * MB, culprits=(culprit(LOAD, bytes=3 * MB),))
    (row,) = made_of([report([one])])
    assert row.other_bytes == MB


def test_no_line_is_left_out_however_many_there_are() -> None:
    stacks, nodes = tree(*([frame(f"line {number}", lineno=number)] for number in range(1, 31)))
    lives = [lifetime(node, 2, bytes=10_000_000 * (node == 0) + 10) for node in nodes]
    recorded = run("+load", "-load")
    (row,) = made_of([analysed(recorded, stacks, lives)] * 2)
    assert (len(row.lines), row.other_bytes) == (30, 0)


def test_tasks_that_cannot_be_told_apart_say_so() -> None:
    (row,) = made_of([report([phase("load")]), report([phase("load", overlaps=True)])])
    assert row.overlaps


def test_the_peak_is_that_of_the_process_where_others_threads_moved_memory() -> None:
    own = phase("load", peak=Peak(MB, None, None), process_peak=Peak(9 * MB, None, None))
    (row,) = made_of([report([own])])
    assert (row.peak_bytes, row.rise_bytes) == (9 * MB, MB)


def of_run(made: Report) -> Sequence[Across]:
    return with_rows(made, made.own_reports).across


def test_the_program_is_among_them_if_it_is_a_worker() -> None:
    own = {1: keeps(3 * MB), 2: keeps(MB)}
    known = run("+load", "-load", processes=(process(0), process(1), process(2)))
    made = replace(keeps(5 * MB), run=known, own_reports=own)
    assert [row.retained_bytes for row in of_run(made)] == [4 * MB]
    of_worker = replace(known, processes=(worker(0), process(1), process(2)))
    assert [row.retained_bytes for row in of_run(replace(made, run=of_worker))] == [9 * MB]


def test_of_a_program_whose_phases_hold_other_processes_memory_nothing_is_known_alone() -> None:
    shared = phase("load", retained_bytes=9 * MB, workers=(GroupShare(1, (1,), MB, MB, MB),))
    (row,) = made_of([report([shared])], first=0)
    assert row.retained_bytes is None and not row.lines


def test_one_process_makes_no_rows_unless_it_is_a_worker() -> None:
    made = replace(report(), own_reports={1: keeps(MB)})
    assert of_run(made) == ()
    assert len(of_run(replace(made, run=run(processes=(process(0), worker(1)))))) == 1


@st.composite
def reports(draw: st.DrawFn) -> Report:
    steps = draw(nested_steps(NAMES, most=12))
    stacks, nodes = tree([LOAD], [SCORE], [LOAD, SCORE])
    lives = draw(lifetimes_in(len(nodes), len(program(*steps))))
    made = analysed(run(*steps), stacks, lives)
    if not draw(st.booleans()):
        return made
    lost = draw(st.integers(0, max(0, len(made.phases) - 1)))
    phases = [
        replace(one, heap=None) if place == lost else one for place, one in enumerate(made.phases)
    ]
    return replace(made, phases=tuple(phases))


@given(st.lists(reports(), max_size=4))
def test_a_row_has_the_figures_of_its_members(own: list[Report]) -> None:
    rows = made_of(own, first=0)
    members = [member for row in rows for member in row.members]
    spans = [
        (process, place)
        for process, one in enumerate(own)
        for place, phase in enumerate(one.phases)
        if phase.outline.kind is PhaseKind.SPAN
    ]
    assert sorted(members) == spans
    for row in rows:
        check(row, own)


def check(row: Across, own: Sequence[Report]) -> None:
    phases = [own[process].phases[place] for process, place in row.members]
    assert {phase.name for phase in phases} == {row.name}
    assert row.repeats == sum(phase.repeats for phase in phases)
    assert row.repeats == sum(share.repeats for share in row.shares)
    assert row.duration_s == math.fsum(phase.duration_s for phase in phases)
    heaps = [phase.heap for phase in phases if phase.heap is not None]
    if len(heaps) < len(phases):
        assert row.retained_bytes is None
    else:
        assert row.retained_bytes == sum(heap.retained_bytes for heap in heaps)
        assert row.delta_bytes == sum(heap.delta_bytes for heap in heaps)
        assert row.peak_bytes == max(heap.peak.bytes for heap in heaps)
        assert row.rise_bytes == max(heap.peak.bytes - heap.start_bytes for heap in heaps)
    culprits = [one for heap in heaps for one in heap.every_line]
    for line in row.lines:
        its_own = [one for one in culprits if one.frame == line.frame]
        assert line.bytes == sum(one.bytes for one in its_own)
        assert line.allocations == sum(one.allocations for one in its_own)
        process, place = line.of
        heap = own[process].phases[place].heap
        assert heap is not None and line.frame in [one.frame for one in heap.every_line]
        assert line.stack[-1] == line.frame or line.frame in line.stack
    assert sum(line.bytes for line in row.lines) == sum(one.bytes for one in culprits)


@given(st.lists(reports(), min_size=1, max_size=4), st.data())
def test_neither_the_order_nor_the_grouping_of_processes_matters(
    own: list[Report], data: st.DataObject
) -> None:
    expected = made_of(own)
    left: list[Rows] = []
    for place in data.draw(st.permutations(range(len(own)))):
        one = Rows()
        one.add(place + 1, own[place])
        left.append(pickle.loads(pickle.dumps(one)))
    while len(left) > 1:
        other = left.pop(data.draw(st.integers(0, len(left) - 1)))
        into = left[data.draw(st.integers(0, len(left) - 1))]
        into.merge(other)
    assert left[0].rows() == expected


def test_a_finding_on_workers_has_the_innermost_row_that_retained_its_bytes() -> None:
    stacks, (node, other) = tree([LOAD], [SCORE])
    recorded = run("+load", "+in", "-in", "-load")
    lives = [lifetime(node, 3, bytes=9 * MB), lifetime(other, 3, bytes=3 * MB)]
    rows = made_of([analysed(recorded, stacks, lives)] * 2)

    def row_of(blamed: Frame, size: int, *processes: int) -> tuple[str, ...]:
        found = Finding(
            kind=FindingKind.GROWTH,
            phase=0,
            phases=(0,),
            bytes=size,
            share=1.0,
            culprit=culprit(blamed),
            advice=None,
            processes=processes,
        )
        return with_their_rows([found], rows)[0].row

    assert row_of(LOAD, 18 * MB, 1, 2) == row_of(LOAD, 18 * MB, 0, 2) == ("load", "in")
    assert row_of(LOAD, 18 * MB) == ()  # of the program alone
    assert row_of(LOAD, 18 * MB, 1, 3) == ()  # the third has no such phase
    assert row_of(LOAD, 99 * MB, 1, 2) == ()  # most of it was allocated elsewhere
    assert row_of(frame("other"), MB, 1, 2) == ()
