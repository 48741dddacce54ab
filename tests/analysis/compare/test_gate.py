"""Limits on a comparison: nothing within the noise fails, nothing unknown passes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from comparisons import compared, job
from factories import MB
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.analysis.compare.gate import GATED, Limit, Outcome, judge
from memdeep.model import Mode, Report
from memdeep.model.comparison import Comparison, Figure
from memdeep.report.comparison.limits import NAMES, limit

DEEP = Mode("memray", native=False, python_allocators=True)


def deep(report: Report) -> Report:
    return replace(report, run=replace(report.run, mode=DEEP))


def outcome(found: Comparison, text: str) -> Outcome:
    return judge(found, [limit(text)])[0].outcome


GREW = compared(job({"load": 30, "search": 60}), job({"load": 40, "search": 60}))


@pytest.mark.parametrize(
    ("text", "over"),
    [
        *(("peak-heap", True), ("peak-heap:5%", True), ("peak-heap:20%", False)),
        *(
            ("growth:4MB", True),
            ("growth:11MB", False),
            ("growth:30%", True),
            ("growth:40%", False),
        ),
        *(("rise", True), ("peak-rss", False), ("peak-rss:0%", False)),
    ],
)
def test_a_limit_holds_for_the_run_and_the_worst_phase(text: str, over: bool) -> None:
    assert outcome(GREW, text) is (Outcome.OVER if over else Outcome.WITHIN)


def test_the_worst_phase_is_named() -> None:
    one = judge(GREW, [limit("rise")])[0]
    assert one.phase is not None
    assert (one.before, one.after) == (30 * MB, 40 * MB)


def test_a_phase_that_frees_less_than_before_is_no_growth() -> None:
    less = compared(job({"load": 40, "search": 60}), job({"load": 30, "search": 60}))
    for text in ("growth", "rise", "peak-heap:0%"):
        assert outcome(less, text) is Outcome.WITHIN


def test_a_new_phase_counts_from_nothing() -> None:
    new = compared(job({"load": 40}), job({"load": 40, "search": 60}))
    assert outcome(new, "rise:10MB") is Outcome.OVER


def test_lines_are_gated_where_every_small_object_was_traced() -> None:
    assert outcome(GREW, "line") is Outcome.COARSE
    sides = GREW.before.report, GREW.after.report
    exact = compared(*map(deep, sides))
    judged = judge(exact, [limit("line:5MB")])[0]
    assert judged.outcome is Outcome.OVER
    assert judged.line is not None
    assert outcome(exact, "line:20MB") is Outcome.WITHIN
    assert outcome(compared(deep(sides[0]), deep(sides[0])), "line") is Outcome.WITHIN


def test_a_figure_that_one_side_does_not_know_is_no_pass() -> None:
    known = GREW.before.report
    bare = replace(
        known,
        heap=replace(known.heap, peak_bytes=None, at_checkpoints=(None,) * 6),
        phases=tuple(replace(phase, heap=None) for phase in known.phases),
        run=replace(known.run, peak_rss_bytes=None),
    )
    for sides in ((known, bare), (bare, known), (bare, bare)):
        for name in ("peak-heap", "peak-rss", "growth", "rise", "allocations"):
            assert outcome(compared(*sides), name) is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("peak-heap", Limit(Figure.PEAK_HEAP)),
        ("peak-rss:10%", Limit(Figure.PEAK_RSS, share=0.1)),
        ("growth:4MB", Limit(Figure.GROWTH, amount=4 * MB)),
        ("growth:1.5 GiB", Limit(Figure.GROWTH, amount=1536 * MB)),
        ("rise:512", Limit(Figure.RISE, amount=512)),
        ("rise:2k", Limit(Figure.RISE, amount=2048)),
        ("allocations:1000", Limit(Figure.ALLOCATIONS, amount=1000)),
    ],
)
def test_limits_are_read(text: str, expected: Limit) -> None:
    assert limit(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "heap",
        "peak-heap:",
        "growth:-4MB",
        "growth:4XB",
        "rise:%",
        "allocations:4MB",
        "rise:nan",
    ],
)
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is"):
        limit(text)


@examples(60)
@given(st.lists(st.integers(0, 80), min_size=1, max_size=4))
def test_a_run_never_fails_against_itself(sizes: list[int]) -> None:
    one = job({f"phase {number}": size for number, size in enumerate(sizes)})
    for found in (compared(one, one), compared(deep(one), deep(one))):
        for figure in GATED:
            judged = judge(found, [Limit(figure, amount=0)])[0]
            assert judged.outcome is not Outcome.OVER
    assert {*NAMES.values()} == {*GATED}
