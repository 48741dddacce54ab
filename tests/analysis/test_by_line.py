"""Bytes are charged to lines exactly, and to the same lines as in the phases."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from factories import (
    MB,
    analysed,
    frame,
    heap,
    lifetime,
    lifetimes_in,
    nested_steps,
    program,
    run,
    stdlib,
    transient,
    tree,
    trees,
)
from hypothesis import given
from hypothesis import strategies as st

from memdeep.analysis.by_line import by_line
from memdeep.analysis.charges import outlives
from memdeep.analysis.culprits import ChargedLines
from memdeep.heap.lists import LifetimeList
from memdeep.model import Heap, Peak, Report, StackBytes
from memdeep.model.alive import AliveStacks


@st.composite
def reports(draw: st.DrawFn) -> Report:
    steps = draw(nested_steps())
    stacks = draw(trees())
    lives = draw(lifetimes_in(len(stacks.parents), len(program(*steps))))
    return analysed(run(*steps), stacks, lives)


@given(made=reports())
def test_each_line_has_the_bytes_of_the_stacks_charged_to_it(made: Report) -> None:
    charged = ChargedLines(made.heap.tree)
    lines = by_line(made.heap, [])
    expected: Counter[object] = Counter()
    for life in made.heap.lifetimes:
        expected[charged.line(life.node), life.born, life.died] += life.bytes
    found: Counter[object] = Counter()
    for life in lines.lifetimes:
        called = lines.frames[life.node]
        found[(called.filename, called.lineno), life.born, life.died] += life.bytes
    assert found == expected
    assert len(set(lines.frames)) == len(lines.frames)


@given(made=reports())
def test_lines_and_phases_agree_on_the_culprits(made: Report) -> None:
    lines = by_line(made.heap, [phase.peak for phase in made.phases])
    for phase, at_peak in zip(made.phases, lines.peaks, strict=True):
        assert phase.heap is not None
        assert at_peak is not None
        places = [(called.filename, called.lineno) for called in lines.frames]
        held: Counter[object] = Counter()
        for stack in at_peak:
            held[places[stack.node]] += stack.bytes
        for culprit in phase.heap.peak_culprits:
            assert lines.place(culprit.frame) >= 0
            assert held[culprit.frame.filename, culprit.frame.lineno] == culprit.bytes
        grown: dict[object, int] = {}
        for culprit in phase.heap.culprits:
            assert lines.place(culprit.frame) >= 0
            own = [life for life in lines.lifetimes if places[life.node] == culprit.line]
            born = [
                (life, stretch)
                for stretch in phase.outline.stretches
                for life in own
                if stretch.start < life.born <= stretch.end
            ]
            retained = sum(life.bytes for life, one in born if outlives(life, one.end))
            kept = sum(life.bytes for life, _ in born if outlives(life, phase.end))
            freed = sum(
                life.bytes
                for stretch in phase.outline.stretches
                for life in own
                if life.born <= stretch.start and life.died in stretch.segments
            )
            assert culprit.bytes == kept
            assert culprit.retained_bytes == (retained if phase.repeats > 1 else None)
            grown[culprit.line] = retained - freed
        # The line that is named made the heap grow by more than any other, or kept most.
        main = phase.main_culprit
        if main is not None and phase.heap.main_line is not None:
            assert grown[main.line] == max(grown.values()) > 0
        elif phase.heap.culprits and phase.heap.delta_bytes >= 0:
            assert main == phase.heap.culprits[0]
        else:
            assert main is None


def loading() -> tuple[Heap, int, int]:
    load = frame("load", lineno=7)
    stacks, (first, second) = tree([load, stdlib("loads")], [load, stdlib("load")])
    return heap(stacks, [lifetime(first), lifetime(second)]), first, second


def test_stacks_of_one_line_are_one() -> None:
    held, first, second = loading()
    gone = LifetimeList((transient(first, 1, MB, 2), transient(second, 1, MB, 3)))
    peak = Peak(0, None, AliveStacks((StackBytes(first, 1, 1), StackBytes(second, 2, 1))))
    lines = by_line(replace(held, transients=gone), [peak, None, Peak(0, None, None)])
    assert lines.frames == (frame("load", lineno=7),)
    assert tuple(lines.lifetimes) == (lifetime(0, bytes=20 * MB, allocations=2),)
    assert tuple(lines.transients or ()) == (transient(0, 1, 2 * MB, 5),)
    assert lines.peaks == ((StackBytes(0, 3, 2),), None, None)


def test_functions_that_share_a_line_are_charged_each_with_its_own() -> None:
    around, inner = frame("build", lineno=7), frame("<lambda>", lineno=7)
    stacks, (outer_node, inner_node) = tree([around], [around, inner])
    lines = by_line(
        heap(stacks, [lifetime(outer_node, bytes=1), lifetime(inner_node, bytes=9)]), []
    )
    held = {lines.frames[life.node].function: life.bytes for life in lines.lifetimes}
    assert held == {"build": 1, "<lambda>": 9}


def test_a_line_that_nothing_is_charged_to_has_no_place() -> None:
    held, _, _ = loading()
    lines = by_line(held, [])
    assert lines.place(frame("load", lineno=7)) == 0
    assert lines.place(frame("load", lineno=8)) == -1
    assert lines.transients is None
