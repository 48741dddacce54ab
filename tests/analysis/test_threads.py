"""The law of threads: a phase is charged with what its thread allocates, and nests by thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from factories import MB, analysed, checkpoint, frame, lifetime, run, thread_root, tree
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.analysis.outline import outline
from memdeep.model import (
    MAIN_THREAD,
    Checkpoint,
    CheckpointKind,
    FindingKind,
    Lifetime,
    PhaseKind,
    Report,
)

NAMES = {"m": MAIN_THREAD, "a": "A", "b": "B", "h": "helper"}
STACKS, NODES = tree(*([thread_root(name), frame(f"{key}_line")] for key, name in NAMES.items()))
NODE = dict(zip(NAMES, NODES, strict=True))


def steps(text: str) -> tuple[Checkpoint, ...]:
    """Checkpoints by thread: ``a+x`` begins a span of A, ``a-x`` ends it, ``a.x`` is a point.

    ``a1+x`` is set by the task 1 of the thread; ``a2<1+x`` by one that was made in the span that
    began at checkpoint 1.
    """
    points = [checkpoint(0, "(start)")]
    spans: dict[str, int] = {}
    for index, word in enumerate(text.split(), 1):
        place = next(place for place, letter in enumerate(word) if letter in "+-.")
        who, kind, name = word[:place], word[place], word[place + 1 :]
        task, _, around = who[1:].partition("<")
        more = {
            "thread": NAMES[who[0]],
            "task": int(task) if task else None,
            "task_span": int(around) if around else None,
        }
        if kind == "+":
            spans[name] = index
            points.append(checkpoint(index, name, kind=CheckpointKind.BEGIN, span=index, **more))
        elif kind == "-":
            span = spans[name]
            points.append(checkpoint(index, name, kind=CheckpointKind.END, span=span, **more))
        else:
            points.append(checkpoint(index, name, **more))
    return (*points, checkpoint(len(points), "(end)"))


def spans(text: str) -> dict[str, tuple[str | None, str | None, bool]]:
    """Each span with the one it lies in, its thread, and whether it overlaps."""
    outlines = outline(steps(text), died=False).phases
    return {
        item.name: (
            None if item.parent is None else outlines[item.parent].name,
            item.thread,
            item.overlaps,
        )
        for item in outlines
        if item.kind is PhaseKind.SPAN
    }


def made(text: str, *lives: Lifetime) -> Report:
    points = steps(text)
    return analysed(run(checkpoints=points), STACKS, lives)


def deltas(report: Report) -> dict[str, int]:
    """The growth of each phase in MB."""
    return {
        phase.name: phase.heap.delta_bytes // MB
        for phase in report.phases
        if phase.heap is not None
    }


@pytest.mark.parametrize("text", ["a+x b+y a-x b-y", "a+x b+y b-y a-x", "b+y a+x a-x b-y"])
def test_spans_of_two_threads_never_nest_in_one_another(text: str) -> None:
    assert spans(text) == {"x": (None, "A", False), "y": (None, "B", False)}


def test_spans_of_workers_lie_in_the_span_of_the_main_thread_that_is_around_them() -> None:
    found = spans("m+all a+x b+y a-x b-y m-all")
    assert found["x"] == ("all", "A", False)
    assert found["y"] == ("all", "B", False)


def test_a_span_that_ends_after_that_of_the_main_thread_stands_beside_it() -> None:
    assert spans("m+all a+x m-all a-x")["x"] == (None, "A", False)


def test_what_spans_cover_is_no_segment_of_the_run_whichever_ends_first() -> None:
    outlines = outline(steps("b+x m+y b-x b+z b-z m-y"), died=False).phases
    segments = [item.name for item in outlines if item.kind is PhaseKind.SEGMENT]
    assert segments == ["(start) → begin of x", "begin of x → begin of y", "end of y → (end)"]


def test_a_thread_that_began_before_the_main_threads_spans_does_not_work_for_them() -> None:
    found = spans("a+beat a-beat m+load a+beat2 a-beat2 m-load")
    assert found["beat2"] == (None, "A", False)


def test_a_worker_that_began_in_a_span_of_the_main_thread_works_in_the_next_one_too() -> None:
    found = spans("m+one a+x a-x m-one m+two a+y a-y m-two")
    assert (found["x"][0], found["y"][0]) == ("one", "two")


def test_crossing_spans_of_one_thread_overlap() -> None:
    found = spans("m+x m+y m-x m-y")
    assert found == {"x": (None, MAIN_THREAD, True), "y": (None, MAIN_THREAD, True)}


def test_spans_of_two_tasks_overlap_though_one_ends_first() -> None:
    found = spans("m1+x m2+y m2-y m1-x")
    assert found == {"x": (None, MAIN_THREAD, True), "y": (None, MAIN_THREAD, True)}


def test_spans_of_tasks_lie_in_that_of_their_thread_around_the_loop() -> None:
    found = spans("m+all m1+x m2+y m1-x m2-y m-all")
    assert found["x"] == ("all", MAIN_THREAD, True)
    assert found["all"] == (None, MAIN_THREAD, False)


def test_a_span_of_a_task_lies_in_the_span_that_made_the_task() -> None:
    found = spans("m1+all m2<1+x m3<1+y m2-x m3-y m1-all")
    assert (found["x"], found["y"]) == (
        ("all", MAIN_THREAD, True),
        ("all", MAIN_THREAD, True),
    )


def test_each_thread_is_charged_with_its_own() -> None:
    text = "a+x b+y b-y a-x"
    lives = [
        lifetime(NODE["a"], 3, bytes=2 * MB),
        lifetime(NODE["b"], 3, bytes=4 * MB),
        lifetime(NODE["m"], 3, bytes=50 * MB),
    ]
    report = made(text, *lives)
    assert deltas(report)["x"] == 2
    assert deltas(report)["y"] == 4
    # What the main thread did beside them has a row of its own.
    beside = [phase for phase in report.phases if phase.outline.kind is PhaseKind.SEGMENT]
    assert [phase.heap.delta_bytes // MB for phase in beside if phase.heap] == [50]
    assert {phase.explained_ratio for phase in report.phases} == {None}


def test_helpers_belong_to_the_phase_around_them() -> None:
    assert deltas(made("m+x m-x", lifetime(NODE["h"], 2)))["x"] == 10
    assert deltas(made("a+x a-x", lifetime(NODE["h"], 2)))["x"] == 10
    nested = deltas(made("m+all a+x a-x m-all", lifetime(NODE["h"], 3)))
    assert (nested["all"], nested["x"]) == (10, 0)


def test_a_phase_around_workers_has_all_that_they_allocated() -> None:
    lives = [lifetime(NODE["a"], 3, bytes=2 * MB), lifetime(NODE["b"], 4, bytes=4 * MB)]
    found = deltas(made("m+all a+x b+y a-x b-y m-all", *lives))
    assert (found["all"], found["x"], found["y"]) == (6, 2, 4)


def test_the_peak_of_a_thread_beside_others_is_its_own() -> None:
    lives = [lifetime(NODE["a"], 2, 4, bytes=3 * MB), lifetime(NODE["b"], 3, bytes=40 * MB)]
    report = made("a+x b+y a.half b-y a-x", *lives)
    peaks = {phase.name: phase.heap.peak.bytes // MB for phase in report.phases if phase.heap}
    assert (peaks["x"], peaks["y"]) == (3, 40)


def test_growth_is_found_in_the_phase_of_the_thread_that_made_it() -> None:
    lives = [lifetime(NODE["a"], 3, bytes=20 * MB), lifetime(NODE["b"], 3, bytes=30 * MB)]
    report = made("a+x b+y b-y a-x", *lives)
    grown = {
        report.phases[item.phase].name: item.bytes // MB
        for item in report.findings
        if item.kind is FindingKind.GROWTH
    }
    assert grown == {"x": 20, "y": 30}


def test_tasks_of_one_thread_share_what_it_allocates_and_say_so() -> None:
    report = made("m1+x m2+y m2-y m1-x", lifetime(NODE["m"], 3))
    found = {phase.name: phase for phase in report.phases}
    assert found["x"].outline.overlaps and found["y"].outline.overlaps
    assert deltas(report)["x"] == deltas(report)["y"] == 10


@pytest.mark.parametrize(("beside", "thread"), [("", "A"), ("b", None)])
def test_a_pattern_has_the_thread_of_its_phases_unless_others_are_in_its_figures(
    beside: str, thread: str | None
) -> None:
    text = " ".join(["b+beside", *(f"a+day{n} a-day{n}" for n in range(4)), "b-beside"])
    ends = [place for place, word in enumerate(text.split(), 1) if word.startswith("a-")]
    lives = [lifetime(NODE[who], end, bytes=3 * MB) for who in f"a{beside}" for end in ends]
    (days,) = (item.phase for item in made(text, *lives).patterns if item.phase.name == "day*")
    assert days.outline.thread == thread
    assert not days.outline.overlaps


def test_a_phase_of_threads_one_after_the_other_is_one_phase() -> None:
    (phase,) = (
        item
        for item in outline(steps("a+x a-x b+x b-x"), died=False).phases
        if item.kind is PhaseKind.SPAN
    )
    assert (len(phase.stretches), phase.thread, phase.threads) == (2, None, ("A", "B"))


def test_a_phase_of_threads_that_take_turns_is_one_of_each() -> None:
    text = "a+x a-x b+x b-x a+x a-x b+x b-x"
    found = [p for p in outline(steps(text), died=False).phases if p.kind is PhaseKind.SPAN]
    assert sorted((phase.thread, len(phase.stretches)) for phase in found) == [("A", 2), ("B", 2)]


def test_without_threads_of_stacks_the_overlap_is_said() -> None:
    stacks, (node,) = tree([frame()])
    points = steps("a+x b+y b-y a-x")
    report = analysed(run(checkpoints=points), stacks, [lifetime(node, 3)])
    overlapping = {phase.name for phase in report.phases if phase.outline.overlaps}
    assert overlapping == {"x", "y"}


@dataclass(frozen=True)
class Span:
    name: str
    thread: str
    begin: int
    end: int


@st.composite
def interleavings(draw: st.DrawFn) -> tuple[tuple[Checkpoint, ...], tuple[Span, ...]]:
    """Spans of three threads, nested in each thread, in any order; some are never closed."""
    points = [checkpoint(0, "(start)")]
    open_spans: dict[str, list[tuple[str, int]]] = {key: [] for key in "mab"}
    found = []
    for index in range(1, draw(st.integers(0, 14)) + 1):
        key = draw(st.sampled_from("mab"))
        step = draw(st.sampled_from("++--."))
        if step == "+":
            name = f"{key}{index}" if draw(st.booleans()) else f"{key} again"
            open_spans[key].append((name, index))
            kind, span = CheckpointKind.BEGIN, index
        elif step == "-" and open_spans[key]:
            name, span = open_spans[key].pop()
            kind = CheckpointKind.END
            found.append(Span(name, key, span, index))
        else:
            name, kind, span = "tick", CheckpointKind.POINT, None
        points.append(checkpoint(index, name, kind=kind, span=span, thread=NAMES[key]))
    last = len(points)
    for key, spans_left in open_spans.items():
        found += [Span(name, key, begin, last) for name, begin in spans_left]
    return (*points, checkpoint(last, "(end)")), tuple(found)


def enclosing(spans_of_run: Sequence[Span], thread: str, segment: int) -> set[int]:
    """The begins of the spans that are charged with what ``thread`` allocates in ``segment``."""
    own = [s for s in spans_of_run if s.thread == thread and s.begin < segment <= s.end]
    charged = {s.begin for s in own}
    mine = [s for s in spans_of_run if s.thread == thread]
    main = [s for s in spans_of_run if s.thread == "m"]
    if thread == "m" or not own:
        return charged
    first = min(s.begin for s in mine)
    if any(s.begin < first <= s.end for s in main):
        outermost = min(own, key=lambda s: s.begin)
        charged |= {
            s.begin
            for s in main
            if s.begin < outermost.begin
            and (outermost.end < s.end or outermost.end == s.end == max(x.end for x in main))
            and outermost.end <= s.end
        }
    return charged


def starts_charged(report: Report) -> set[int]:
    """The begins of the stretches of spans that grew."""
    return {
        stretch.start
        for phase in report.phases
        if phase.outline.kind is PhaseKind.SPAN and phase.heap is not None
        for stretch, delta in zip(phase.outline.stretches, phase.heap.deltas_bytes, strict=True)
        if delta
    }


@given(interleavings(), st.sampled_from("mab"), st.data())
@examples(400)
def test_what_a_thread_allocates_in_a_span_is_charged_to_its_own_and_those_around_it(
    drawn: tuple[tuple[Checkpoint, ...], tuple[Span, ...]], thread: str, data: st.DataObject
) -> None:
    points, of_run = drawn
    segment = data.draw(st.integers(1, len(points) - 1))
    expected = enclosing(of_run, thread, segment)
    if not expected:
        return
    report = analysed(run(checkpoints=points), STACKS, [lifetime(NODE[thread], segment)])
    assert starts_charged(report) == expected


@given(interleavings(), st.data())
@examples(400)
def test_the_outermost_phases_grew_by_what_the_heap_grew_by(
    drawn: tuple[tuple[Checkpoint, ...], tuple[Span, ...]], data: st.DataObject
) -> None:
    points, _ = drawn
    lives = []
    for _ in range(data.draw(st.integers(0, 6))):
        born = data.draw(st.integers(1, len(points) - 1))
        died = data.draw(st.none() | st.integers(born, len(points) - 1))
        node = NODE[data.draw(st.sampled_from("mabh"))]
        lives.append(lifetime(node, born, None if died == born else died, bytes=4 * MB))
    report = analysed(run(checkpoints=points), STACKS, lives)
    outermost = [phase for phase in report.phases if phase.outline.parent is None]
    assert sum(p.heap.delta_bytes for p in outermost if p.heap) == report.heap.at_checkpoints[-1]
    for phase in report.phases:
        held = phase.heap
        assert held is not None
        assert held.retained_bytes - held.freed_bytes == held.delta_bytes
        assert sum(held.deltas_bytes) == held.delta_bytes
        assert 0 <= held.kept_bytes <= held.retained_bytes


@given(interleavings())
@examples(100)
def test_without_names_of_threads_all_is_as_with_one_thread(
    drawn: tuple[tuple[Checkpoint, ...], tuple[Span, ...]],
) -> None:
    points, _ = drawn
    unnamed = [replace(point, thread=None) for point in points]
    one = [replace(point, thread=MAIN_THREAD) for point in points]
    without, named = (outline(each, died=False).phases for each in (unnamed, one))
    assert [replace(item, threads=()) for item in named] == list(without)


def test_the_share_of_a_line_is_of_what_the_threads_of_its_phases_allocated() -> None:
    names = ("A", "B", "helper")
    stacks, nodes = tree(*([thread_root(name), frame("work")] for name in names))
    points = steps("a+t1 b+t2 h+t3 a.p a-t1 b-t2 h-t3")
    lives = [
        lifetime(node, 4, bytes=size * MB) for node, size in zip(nodes, (4, 5, 6), strict=True)
    ]
    made_of_all = analysed(run(checkpoints=points), stacks, lives)
    (found,) = [one for one in made_of_all.findings if one.kind is FindingKind.GROWTH]
    assert (found.pattern, found.bytes // MB, found.share) == ("t*", 15, 1.0)
