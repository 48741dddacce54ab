"""Two sides compared: what differs is told with its lines, in order, and what is alike is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from factories import (
    MB,
    analysed,
    frame,
    hostile_report,
    lifetime,
    phase,
    program,
    report,
    run,
    tree,
    with_rss,
)
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.analysis.compare.compare import compare
from memdeep.analysis.compare.telling import telling
from memdeep.model import Exit, Mode, Report
from memdeep.model.comparison import Comparison, Figure, Match, PhaseChange

DEEP = Mode("memray", native=False, python_allocators=True)
COARSE = replace(DEEP, python_allocators=False)


def ran(kept: Sequence[tuple[str, float]], mode: Mode = DEEP, lineno: int = 10) -> Report:
    """A run with a span for each name, which kept so many MB in a line of its own."""
    steps = [step for name, _ in kept for step in (f"+{name}", f"-{name}")]
    frames = [frame("work", lineno=lineno + place, filename="/app/prog.py") for place in range(9)]
    main = frame("<module>", filename="/app/prog.py", lineno=99)
    stacks, nodes = tree(*([main, one] for one in frames))
    lives = [
        lifetime(nodes[place], 2 * place + 2, bytes=round(size * MB))
        for place, (_, size) in enumerate(kept)
        if size
    ]
    texts = {
        (one.filename, one.lineno): f"    {name} = read_{name}()"
        for one, (name, _) in zip(frames, kept, strict=False)
    }
    return analysed(run(*steps, mode=mode), stacks, lives, texts)


def compared(before: Report, after: Report) -> Comparison:
    return compare([("before", before)], [("after", after)])


def names(comparison: Comparison) -> list[str]:
    sides = comparison.before.report, comparison.after.report
    return [
        sides[1].phases[one.after].name
        if one.after is not None
        else sides[0].phases[one.before or 0].name
        for one in comparison.phases
    ]


def named(comparison: Comparison, name: str) -> PhaseChange:
    return comparison.phases[names(comparison).index(name)]


PLAIN = [("load", 30), ("search", 5), ("write", 1)]


def test_a_run_is_like_itself() -> None:
    one = ran(PLAIN)
    found = compared(one, one)
    assert all(change.is_alike for change in found.phases)
    assert all(change.is_alike for change in found.figures.values())
    assert not any(change.lines or change.peak_lines for change in found.phases)
    assert found.cautions == ()
    assert found.files == {}


def test_a_phase_that_grew_is_told_with_its_line_wherever_that_went() -> None:
    found = compared(ran(PLAIN), ran([("load", 33), *PLAIN[1:]], lineno=40))
    assert [change.is_alike for change in found.phases] == [False, True, True]
    change = named(found, "load")
    assert change.figures[Figure.GROWTH].delta == 3 * MB
    (line,) = change.lines
    assert line.before is not None
    assert line.after is not None
    assert (line.match, line.before.frame.lineno, line.after.frame.lineno) == (Match.SAME, 10, 40)
    assert (line.before.path, line.after.text) == ("prog.py", "load = read_load()")
    assert line.bytes.delta == 3 * MB
    assert found.figures[Figure.PEAK_HEAP].delta == 3 * MB


@pytest.mark.parametrize(("mode", "alike"), [(DEEP, False), (COARSE, True)])
def test_three_percent_more_is_noise_unless_every_small_object_was_traced(
    mode: Mode, alike: bool
) -> None:
    found = compared(ran(PLAIN, mode), ran([("load", 30.9), *PLAIN[1:]], mode))
    assert found.is_deep is not alike
    assert named(found, "load").is_alike is alike


def test_phases_that_are_gone_stand_where_they_were() -> None:
    before = ran([("a", 1), ("b", 9), ("c", 9), ("d", 1)])
    after = ran([("a", 1), ("new", 5), ("d", 1)])
    found = compared(before, after)
    assert names(found) == ["a", "b", "c", "new", "d"]
    assert [change.match for change in found.phases[1:4]] == [
        *(Match.REMOVED, Match.REMOVED),
        Match.ADDED,
    ]
    assert names(compared(before, ran([("d", 1)]))) == ["a", "b", "c", "d"]


def test_three_thousand_phases_that_are_gone_are_no_trouble() -> None:
    steps = [step for number in range(3000) for step in (f"+a{number}", f"-a{number}")]
    many = analysed(run(*steps), tree([frame()])[0], [])
    found = compared(many, ran([("x", 1)]))
    assert len(found.phases) == 3001


def test_of_several_runs_the_median_stands_for_the_side_and_all_give_figures() -> None:
    runs = [("a", ran([("load", 30)])), ("b", ran([("load", 20)])), ("c", ran([("load", 25)]))]
    found = compare(runs, [("d", ran([("load", 26)])), ("e", ran([("load", 40)]))])
    assert found.before.name == "c"
    change = named(found, "load").figures[Figure.GROWTH]
    assert sorted(change.before) == [20 * MB, 25 * MB, 30 * MB]
    assert change.is_alike  # the ranges overlap
    others = compare(runs, [("d", ran([("load", 31)])), ("e", ran([("load", 40)]))])
    assert not named(others, "load").is_alike


@pytest.mark.parametrize(
    ("before", "after", "is_alike"),
    [
        ((16, 16, 16), (16, 41, 112), False),  # one run after shows nothing of it
        ((16, 41, 16), (41, 41, 112), False),
        ((16, 16, 16), (16, 16, 112), True),  # most are alike
        ((16, 41, 16), (16, 41, 112), True),  # of both sides one lies among the others
        ((16, 41, 41), (16, 16, 41), True),
        ((112, 41, 16), (16, 16, 16), False),
        ((10, 20, 30), (15, 25, 35), True),
        ((16, 16), (16, 41), True),
        ((16, 16), (30, 41), False),
        ((16, 16, 16, 41), (40, 112, 112), False),
    ],
)
def test_one_run_that_lies_apart_makes_no_noise(
    before: Sequence[float], after: Sequence[float], is_alike: bool
) -> None:
    found = compare(
        *([(f"{size}", ran([("load", size)])) for size in one] for one in (before, after))
    )
    assert named(found, "load").figures[Figure.GROWTH].is_alike is is_alike
    assert found.figures[Figure.PEAK_HEAP].is_alike is is_alike


def test_a_run_without_a_heap_is_compared_by_its_rss() -> None:
    points = program("+load", "-load")
    sides = []
    for growth in (10, 80):
        sizes = [MB, MB, growth * MB, growth * MB]
        told = replace(phase("load", rss_delta_bytes=(growth - 1) * MB), heap=None)
        recorded = run(checkpoints=with_rss(points, *sizes), mode=Mode("rss", False, False))
        bare = replace(ran([]).heap, traced=(), at_checkpoints=(None,) * 4, peak_bytes=None)
        sides.append(report([told], run=recorded, heap=bare))
    found = compared(*sides)
    change = named(found, "load")
    assert not change.is_alike
    assert change.figures.keys() == {Figure.RSS_GROWTH, Figure.DURATION}
    assert [caution.key for caution in found.cautions] == ["caution.no_heap"]


def test_runs_that_were_not_made_alike_are_told() -> None:
    one, other = ran(PLAIN), ran(PLAIN, Mode("memray", native=True, python_allocators=False))
    end = Exit(None, "SIGKILL", "killed")
    other = replace(
        other, run=replace(other.run, python="3.12.1", memray="1.20", exit=end, name="other.py")
    )
    found = compared(one, other)
    assert [caution.key.removeprefix("caution.") for caution in found.cautions] == [
        *("program", "python", "memray", "mode", "unfinished")
    ]
    assert found.cautions[1].values == {"before": "3.11", "after": "3.12"}
    assert found.cautions[-1].values == {"run": "after", "verdict": "killed"}
    assert not found.is_deep


KEPT = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(0, 30)),
    max_size=6,
    unique_by=lambda one: one[0],
)


@examples(80)
@given(KEPT, KEPT)
def test_the_mirror_of_a_comparison_has_its_differences_the_other_way_round(
    a: list[tuple[str, float]], b: list[tuple[str, float]]
) -> None:
    one, other = ran(a), ran(b)
    found, mirrored = compared(one, other), compared(other, one)
    told = {(c.before, c.after): c for c in found.phases}
    assert {(c.after, c.before) for c in mirrored.phases} == {*told}
    for change in mirrored.phases:
        back = told[change.after, change.before]
        for figure, of_figure in change.figures.items():
            there = back.figures[figure]
            assert (there.before, there.after) == (of_figure.after, of_figure.before)
            assert there.noise == of_figure.noise
        lines = {(x.after and x.after.frame, x.before and x.before.frame) for x in change.lines}
        assert {
            (x.before and x.before.frame, x.after and x.after.frame) for x in back.lines
        } == lines


@examples(80)
@given(KEPT, KEPT)
def test_the_lines_of_a_phase_add_up_to_what_it_kept_more(
    a: list[tuple[str, float]], b: list[tuple[str, float]]
) -> None:
    one, other = ran(a), ran(b)
    found = compared(one, other)
    for change in found.phases:
        if change.lines:
            sides = [
                report.phases[place].heap.retained_bytes if place is not None else 0  # type: ignore[union-attr]
                for report, place in ((one, change.before), (other, change.after))
            ]
            assert sum(line.bytes.delta or 0 for line in change.lines) == sides[1] - sides[0]


def test_a_hostile_report_is_compared_like_any_other() -> None:
    one = hostile_report()
    assert not telling(compared(one, one))
    whole = replace(one, run=replace(one.run, exit=Exit(0, None, "completed")), death=None)
    assert all(change.is_alike for change in compared(whole, whole).phases)
