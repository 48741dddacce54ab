"""Phases are found from checkpoints alone: spans, pairs of labels, and what lies between."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from factories import checkpoint, nested_steps, program
from hypothesis import given
from hypothesis import strategies as st

from memdeep.analysis.outline import MAX_OPEN, outline
from memdeep.model import Checkpoint, CheckpointKind, PhaseKind, PhaseOutline, Stretch


def found(*steps: str, died: bool = False) -> tuple[PhaseOutline, ...]:
    return outline(program(*steps), died=died).phases


def names(outlines: Sequence[PhaseOutline]) -> list[str]:
    return [item.name for item in outlines]


def spans(outlines: Sequence[PhaseOutline]) -> dict[str, tuple[Stretch, ...]]:
    return {item.name: item.stretches for item in outlines if item.kind is PhaseKind.SPAN}


def test_a_run_without_checkpoints_is_one_segment() -> None:
    (whole,) = found()
    assert whole == PhaseOutline("(start) → (end)", PhaseKind.SEGMENT, 0, None, (Stretch(0, 1),))


def test_points_cut_the_run_into_segments() -> None:
    outlines = found("loaded", "trained")
    assert names(outlines) == ["(start) → loaded", "loaded → trained", "trained → (end)"]
    assert [item.stretches for item in outlines] == [
        (Stretch(0, 1),),
        (Stretch(1, 2),),
        (Stretch(2, 3),),
    ]


def test_a_span_stands_between_the_segments_beside_it() -> None:
    assert names(found("+load", "-load")) == [
        "(start) → begin of load",
        "load",
        "end of load → (end)",
    ]


@pytest.mark.parametrize(
    ("opening", "closing", "name"),
    [
        ("load_START", "load_END", "load"),
        ("load_BEFORE", "load_AFTER", "load"),
        ("load_start", "load_end", "load"),
        ("Load_Before", "Load_AFTER", "Load"),
        ("加载配置_START", "加载配置_END", "加载配置"),
    ],
)
def test_paired_labels_are_a_span(opening: str, closing: str, name: str) -> None:
    assert spans(found(opening, closing)) == {name: (Stretch(1, 2),)}


@pytest.mark.parametrize(
    "labels",
    [
        ("load_START", "load_AFTER"),
        ("load_BEFORE", "load_END"),
        ("load_START", "save_END"),
        ("load_START", "Load_END"),
        ("load_END", "load_START"),
        ("_START", "_END"),
        ("START", "END"),
        ("loadSTART", "loadEND"),
    ],
)
def test_labels_that_do_not_pair_stay_points(labels: tuple[str, str]) -> None:
    outlines = found(*labels)
    assert spans(outlines) == {}
    assert len(outlines) == 3


def test_pairs_of_one_label_nest() -> None:
    outlines = found("a_START", "a_START", "a_END", "a_END")
    assert [(item.name, item.depth, item.stretches) for item in outlines if item.name == "a"] == [
        ("a", 0, (Stretch(1, 4),)),
        ("a", 1, (Stretch(2, 3),)),
    ]


def test_spans_nest_by_containment() -> None:
    outlines = found("+a", "+b", "-b", "+c", "-c", "-a")
    by_name = {item.name: item for item in outlines}
    assert [by_name[name].depth for name in "abc"] == [0, 1, 1]
    assert by_name["b"].parent == by_name["c"].parent == outlines.index(by_name["a"])


def test_a_span_with_points_of_its_own_is_filled_with_segments() -> None:
    outlines = found("+a", "half", "+b", "-b", "-a")
    inside = [item.name for item in outlines if item.depth == 1]
    assert inside == ["begin of a → half", "half → begin of b", "b", "end of b → end of a"]


def test_a_span_without_points_of_its_own_gets_no_segments() -> None:
    assert [item.name for item in found("+a", "+b", "-b", "-a") if item.depth == 1] == ["b"]


def test_repeats_within_one_parent_are_one_phase() -> None:
    assert spans(found("+a", "-a", "+a", "-a", "+a", "-a")) == {
        "a": (Stretch(1, 2), Stretch(3, 4), Stretch(5, 6))
    }


def test_repeats_in_different_parents_are_different_phases() -> None:
    outlines = found("+a", "+x", "-x", "-a", "+b", "+x", "-x", "-b")
    inner = [item for item in outlines if item.name == "x"]
    assert [item.stretches for item in inner] == [(Stretch(2, 3),), (Stretch(6, 7),)]


def test_repeats_in_repeats_are_one_phase() -> None:
    outlines = found(*["+a", "+x", "-x", "-a"] * 3)
    (inner,) = (item for item in outlines if item.name == "x")
    assert inner.stretches == (Stretch(2, 3), Stretch(6, 7), Stretch(10, 11))


def test_a_span_that_was_never_closed_reaches_to_the_end_unfinished() -> None:
    assert spans(found("+load", "half")) == {"load": (Stretch(1, 3, complete=False),)}


def test_only_what_reaches_the_death_is_unfinished() -> None:
    outlines = found("+a", "+b", "-b", "half", "+c", died=True)
    unfinished = {item.name for item in outlines if not all(s.complete for s in item.stretches)}
    assert unfinished == {"a", "c"}


def test_an_open_pair_of_labels_is_a_span_only_of_a_program_that_died() -> None:
    assert spans(found("load_START", died=False)) == {}
    assert spans(found("load_START", died=True)) == {"load": (Stretch(1, 2, complete=False),)}


def test_spans_of_two_threads_may_overlap() -> None:
    points = [
        checkpoint(0),
        checkpoint(1, "a", kind=CheckpointKind.BEGIN, span=1),
        checkpoint(2, "b", kind=CheckpointKind.BEGIN, span=2),
        checkpoint(3, "a", kind=CheckpointKind.END, span=1),
        checkpoint(4, "b", kind=CheckpointKind.END, span=2),
        checkpoint(5),
    ]
    outlines = outline(points, died=False).phases
    assert spans(outlines) == {"a": (Stretch(1, 3),), "b": (Stretch(2, 4),)}
    assert {item.depth for item in outlines} == {0}


@pytest.mark.parametrize("kind", [CheckpointKind.BEGIN, CheckpointKind.END])
def test_an_end_whose_begin_was_lost_is_no_span(kind: CheckpointKind) -> None:
    points = [checkpoint(0), checkpoint(1, "a", kind=kind, span=None), checkpoint(2)]
    assert spans(outline(points, died=False).phases) == {}
    points[1] = checkpoint(1, "a", kind=CheckpointKind.END, span=9)
    assert spans(outline(points, died=False).phases) == {}


def test_of_thousands_of_nested_spans_the_outer_ones_are_phases() -> None:
    depth = 3000
    steps = [f"+{number}" for number in range(depth)] + [
        f"-{number}" for number in reversed(range(depth))
    ]
    spans = [item for item in found(*steps) if item.kind is PhaseKind.SPAN]
    assert names(spans) == [str(number) for number in range(MAX_OPEN)]
    assert outline(program(*steps), died=False).left_out == depth - MAX_OPEN


def test_spans_that_follow_each_other_are_never_too_many() -> None:
    steps = [step for number in range(1000) for step in (f"+{number}", f"-{number}")]
    assert outline(program(*steps), died=False).left_out == 0
    overlapping = ["+0", *(s for n in range(1, 1000) for s in (f"+{n}", f"-{n - 1}")), "-999"]
    assert outline(program(*overlapping), died=False).left_out == 0


@st.composite
def any_checkpoints(draw: st.DrawFn) -> tuple[Checkpoint, ...]:
    """Checkpoints as several threads, lost lines and any labels may leave them."""
    size = draw(st.integers(0, 12))
    labels = st.sampled_from(["a", "b_START", "b_END", "b_BEFORE", "b_AFTER", "_END", ""])
    points = [checkpoint(0)]
    for index in range(1, size + 1):
        span = draw(st.none() | st.integers(1, 4))
        kind = draw(st.sampled_from(CheckpointKind))
        points.append(checkpoint(index, draw(labels), kind=kind, span=span))
    return (*points, checkpoint(size + 1))


def assert_well_formed(outlines: Sequence[PhaseOutline], last: int) -> None:
    for place, item in enumerate(outlines):
        assert item.stretches
        for stretch in item.stretches:
            assert 0 <= stretch.start < stretch.end <= last
        if item.parent is None:
            assert item.depth == 0
            continue
        assert item.parent < place
        parent = outlines[item.parent]
        assert item.depth == parent.depth + 1
        for stretch in item.stretches:
            assert any(
                outer.start <= stretch.start and stretch.end <= outer.end
                for outer in parent.stretches
            )


def covered(outlines: Sequence[PhaseOutline]) -> set[int]:
    """The segments (named by the checkpoint that ends each) that the outermost phases cover."""
    return {
        segment
        for item in outlines
        if item.depth == 0
        for stretch in item.stretches
        for segment in range(stretch.start + 1, stretch.end + 1)
    }


@given(points=any_checkpoints(), died=st.booleans())
def test_children_lie_within_parents_that_come_before_them(
    points: tuple[Checkpoint, ...], died: bool
) -> None:
    assert_well_formed(outline(points, died=died).phases, len(points) - 1)


@given(points=any_checkpoints(), died=st.booleans())
def test_the_outermost_phases_cover_the_whole_run(
    points: tuple[Checkpoint, ...], died: bool
) -> None:
    assert covered(outline(points, died=died).phases) == set(range(1, len(points)))


@given(steps=nested_steps(), died=st.booleans())
def test_stretches_of_a_phase_are_sorted_and_apart(steps: tuple[str, ...], died: bool) -> None:
    for item in outline(program(*steps), died=died).phases:
        for before, after in zip(item.stretches, item.stretches[1:], strict=False):
            assert before.end <= after.start


@given(steps=nested_steps(), died=st.booleans())
def test_no_two_outermost_phases_cover_the_same_segment(steps: tuple[str, ...], died: bool) -> None:
    outlines = outline(program(*steps), died=died).phases
    lengths = sum(
        stretch.end - stretch.start
        for item in outlines
        if item.depth == 0
        for stretch in item.stretches
    )
    assert lengths == len(steps) + 1


@given(steps=nested_steps())
def test_every_closed_span_is_a_stretch_of_a_phase_of_its_name(steps: tuple[str, ...]) -> None:
    points = program(*steps)
    begins = {point.span: point for point in points if point.kind is CheckpointKind.BEGIN}
    outlines = outline(points, died=False).phases
    for end in points:
        if end.kind is CheckpointKind.END:
            stretch = Stretch(begins[end.span].index, end.index)
            assert any(stretch in item.stretches for item in outlines if item.name == end.label)
