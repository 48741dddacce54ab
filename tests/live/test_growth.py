"""What is told of a run that goes on is what the report says of it in the end; little is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from factories import event
from hypothesis import assume, given
from hypothesis import strategies as st
from properties import examples

from memdeep.analysis.outline import MAX_OPEN, outline
from memdeep.live.growth import MAX_NAME, MAX_PHASES, LivePhases
from memdeep.model import MAIN_THREAD, Checkpoint, CheckpointKind, PhaseKind
from memdeep.rundir import journal, labels
from memdeep.rundir.journal import Event

MB = 1024 * 1024
KINDS = {"B": CheckpointKind.BEGIN, "E": CheckpointKind.END}

# A phase: the names of those around it and its own, its kind, repeats, growth and microseconds.
Told = tuple[tuple[str, ...], bool, int, int, int]


def live(events: Sequence[Event]) -> LivePhases:
    phases = LivePhases()
    phases.add(event(journal.START, 0, 0))
    for one in events:
        phases.add(one)
    return phases


def told_live(events: Sequence[Event], *, died: bool) -> Counter[Told]:
    """The phases that `LivePhases` shows after the exit."""
    told: Counter[Told] = Counter()
    names: list[str] = []
    phases = live(events)
    phases.all(10**6, MB)  # to look in between changes nothing
    phases.add(event(journal.EXIT, len(events) + 1, 5 * MB))
    for one in phases.all(0, 0, died=died):
        names[one.depth :] = [one.name]
        duration_us = round(one.duration_s * 1e6)
        told[tuple(names), one.is_span, one.repeats, one.rss_delta_bytes, duration_us] += 1
    return told


def told_in_the_end(events: Sequence[Event], *, died: bool) -> Counter[Told]:
    """The phases that the report has, once everything is known."""
    points = [Checkpoint(0, "(start)", CheckpointKind.POINT, 0.0, 0)]
    for index, one in enumerate(events, 1):
        kind = KINDS.get(one.kind, CheckpointKind.POINT)
        at_s = one.time_us / 1e6
        point = Checkpoint(
            index, one.label, kind, at_s, one.rss_bytes, thread=one.thread, span=one.span
        )
        points.append(point)
    last = len(points)
    points.append(Checkpoint(last, "(end)", CheckpointKind.POINT, last / 1e3, 5 * MB))
    rss = [point.rss_bytes or 0 for point in points]
    told: Counter[Told] = Counter()
    paths: list[tuple[str, ...]] = []
    for phase in outline(points, died=died).phases:
        if phase.parent is None and phase.kind is PhaseKind.SEGMENT and phase.thread is not None:
            paths.append(())  # what the main thread did beside the spans of others: RSS tells none
            continue
        around = () if phase.parent is None else paths[phase.parent]
        paths.append((*around, phase.name))
        grown = sum(rss[one.end] - rss[one.start] for one in phase.stretches)
        duration_us = sum(one.end - one.start for one in phase.stretches) * 1000
        is_span = phase.kind is PhaseKind.SPAN
        told[paths[-1], is_span, len(phase.stretches), grown, duration_us] += 1
    return told


def spans_by_name(told: Counter[Told]) -> dict[str, tuple[int, ...]]:
    """The repeats, the growth and the time of each name, wherever its spans are told."""
    sums: dict[str, tuple[int, ...]] = {}
    for (path, is_span, *figures), times in told.items():
        if is_span:
            before = sums.get(path[-1], (0, 0, 0))
            added = zip(before, figures, strict=True)
            sums[path[-1]] = tuple(old + new * times for old, new in added)
    return sums


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Events of two threads: points, spans and pairs; nested, crossing, repeated, unbalanced."""
    events: list[Event] = []
    open_spans: list[tuple[str, int]] = []
    threads = st.sampled_from(["MainThread", "MainThread", "other"])
    pairs = [f"{name}_{end}" for name in "xyz" for end in ("START", "END")]
    points = st.sampled_from(["p", "q", *pairs, "x_BEFORE", "x_AFTER", "y_end"])
    for number in range(1, draw(st.integers(0, 24)) + 1):
        rss, thread = draw(st.integers(0, 9)) * MB, draw(threads)
        step = draw(st.integers(0, 4))
        if step == 0:
            open_spans.append((draw(st.sampled_from("ab")), number))
            label, span = open_spans[-1]
            events.append(event(journal.BEGIN, number, rss, label, s=span, th=thread))
        elif step == 1 and open_spans:
            label, span = open_spans.pop(draw(st.sampled_from([-1, -1, 0])))
            events.append(event(journal.END, number, rss, label, s=span, th=thread))
        elif step == 1:
            events.append(event(journal.END, number, rss, "a", s=1000, th=thread))
        else:
            events.append(event(journal.POINT, number, rss, draw(points), th=thread))
    return events


@dataclass(frozen=True)
class Begun:
    """A span or a label, by its places among the events; ``end`` is infinite if it has none."""

    begin: int
    end: float
    is_label: bool
    is_span: bool


def begun(events: Sequence[Event], *, died: bool) -> list[Begun]:
    """Everything that may begin a span, with what became of it."""
    found = []
    waiting: dict[object, list[int]] = {}
    for place, one in enumerate(events):
        stem, suffix = labels.split(one.label) if one.kind == journal.POINT else ("", "")
        if one.kind == journal.BEGIN:
            waiting[one.span] = [place]
        elif suffix in labels.PAIRS:
            waiting.setdefault((stem, suffix), []).append(place)
        else:
            key = (stem, labels.OPENED_BY[suffix]) if suffix else one.span
            if waiting.get(key):
                begins = waiting[key]
                own = [begin for begin in begins if events[begin].thread == one.thread]
                begin = own[-1] if own else begins[-1]
                begins.remove(begin)
                found.append(Begun(begin, place, bool(suffix), is_span=True))
    for key, places in waiting.items():
        latest = {events[place].thread: place for place in places}
        for place in places:
            is_label = isinstance(key, tuple)
            is_span = not is_label or (died and place in latest.values())
            found.append(Begun(place, float("inf"), is_label, is_span))
    return found


def is_knowable(events: Sequence[Event], *, died: bool) -> bool:
    """Tell whether the conditions hold under which `Outliner` promises to be exact."""
    found = begun(events, died=died)
    spans = [one for one in found if one.is_span]
    strands = {events[one.begin].thread for one in found}
    if strands - {MAIN_THREAD} and not all(one.is_span for one in found):
        return False
    for label in found:
        thread = events[label.begin].thread
        own = [one for one in spans if events[one.begin].thread == thread]
        around = [one for one in own if one.begin < label.begin < one.end]
        if not label.is_span and any(
            older.begin < younger.begin and older.end < younger.end
            for older in around
            for younger in around
        ):
            return False
        for one in around:
            if label.is_label and one.end < label.end:
                thread = events[int(one.end)].thread
                if label.is_span == (events[label.begin].thread == thread):
                    return False
    return True


@given(histories(), st.booleans())
@examples(500)
def test_what_is_told_at_the_exit_is_what_the_report_says(events: list[Event], died: bool) -> None:
    assume(is_knowable(events, died=died))
    assert told_live(events, died=died) == told_in_the_end(events, died=died)


@given(histories(), st.booleans())
@examples(300)
def test_every_span_has_its_figures_however_the_threads_cross(
    events: list[Event], died: bool
) -> None:
    at_exit, in_the_end = told_live(events, died=died), told_in_the_end(events, died=died)
    assert spans_by_name(at_exit) == spans_by_name(in_the_end)


def steps(*words: str) -> list[Event]:
    """Points of the main thread, or of another one where the word begins with ``@``.

    ``+x`` and ``-x`` begin and end a span; each event adds a number of MB of its own.
    """
    events = []
    spans: dict[str, int] = {}
    for number, word in enumerate(words, 1):
        more = {"th": "other"} if word.startswith("@") else {}
        label = word.lstrip("@")
        rss = number * number * MB
        if label.startswith("+"):
            spans[label[1:]] = number
            events.append(event(journal.BEGIN, number, rss, label[1:], s=number, **more))
        elif label.startswith("-"):
            events.append(event(journal.END, number, rss, label[1:], s=spans[label[1:]], **more))
        else:
            events.append(event(journal.POINT, number, rss, label, **more))
    return events


@pytest.mark.parametrize(
    "words",
    [
        "x_START @y_START p x_END q @y_END",
        "x_START @y_START p x_END z_START q @y_END p z_END",
        "+a x_START p +b q -b -a +a p x_START -a",
        "+a +b p -a x_START q -b y_START",
        "x_START x_START p x_END +a -a p x_END",
        "+a +b -b p +b -b -a",
    ],
)
def test_crossing_and_lost_ends_are_told_as_in_the_end(words: str) -> None:
    events = steps(*words.split())
    assert told_live(events, died=False) == told_in_the_end(events, died=False)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("x_START p y_START +a -a x_END q y_END", "pairs of one thread cross"),
        ("+a p @x_START +b -b -a q", "another thread's label stays a point"),
        ("+a p +b x_START -a q -b", "a point's label lies in two spans that cross"),
    ],
)
def test_what_cannot_be_known_is_told_at_another_place_but_in_full(words: str, why: str) -> None:
    events = steps(*words.split())
    assert not is_knowable(events, died=False), why
    at_exit, in_the_end = told_live(events, died=False), told_in_the_end(events, died=False)
    assert at_exit != in_the_end
    assert spans_by_name(at_exit) == spans_by_name(in_the_end)


def test_a_span_whose_number_is_given_again_never_began() -> None:
    events = [
        event(journal.BEGIN, 1, 0, "a", s=1),
        event(journal.POINT, 2, MB, "p"),
        event(journal.BEGIN, 3, 3 * MB, "b", s=1),
        event(journal.END, 4, 7 * MB, "b", s=1),
    ]
    assert told_live(events, died=False) == told_in_the_end(events, died=False)


def test_of_too_many_nested_spans_the_same_are_told() -> None:
    depth = 2 * MAX_OPEN
    names = [f"{number}" for number in range(depth)]
    events = steps(*(f"+{name}" for name in names), *(f"-{name}" for name in reversed(names)))
    assert told_live(events, died=False) == told_in_the_end(events, died=False)


def test_of_too_many_labels_the_outer_ones_stay() -> None:
    words = [f"{number}_START" for number in range(2 * MAX_OPEN)]
    events = steps("main_START", *words, "+a", "-a", "main_END")
    names = {path[-1] for path, is_span, *_ in told_live(events, died=False) if is_span}
    assert names == {"main", "a"}


def test_endless_labels_without_an_end_cost_nothing_and_are_told_exactly() -> None:
    words = ["+epoch", "load_START", "+step", "p", "-step", "eval_START", "-epoch"]
    events = steps(*words * 300)
    told = told_live(events, died=False)
    assert told == told_in_the_end(events, died=False)
    assert len(told) < 20


def test_a_pair_of_long_labels_is_a_pair_still() -> None:
    name = "长" * (2 * MAX_NAME)
    growths = live(steps(f"{name}_start", f"{name}_end")).all(10**6, MB)
    assert growths[0].name.endswith("…_start")
    (span,) = (growth for growth in growths if growth.is_span)
    assert len(span.name) < MAX_NAME


def test_endless_names_and_open_spans_are_not_all_kept() -> None:
    phases = LivePhases()
    phases.add(event(journal.START, 0, 0))
    for number in range(1, 3 * MAX_PHASES):
        rss = 50 * MB if number == 5 else MB
        phases.add(event(journal.BEGIN, number, MB, f"row {number}", s=number))
        if number % 3:
            phases.add(event(journal.END, number, rss, f"row {number}", s=number))
        phases.add(event(journal.POINT, number, MB, f"{number}_START"))
    growths = phases.all(10**9, MB)
    assert len(growths) <= MAX_PHASES + 1
    assert sum(growth.is_open for growth in growths) <= MAX_OPEN + 1
    assert phases.forgotten > 0
    assert max(growths, key=lambda growth: growth.rss_delta_bytes).name == "row 5"


def test_a_pair_that_begins_again_without_an_end_is_not_nested() -> None:
    phases = LivePhases()
    phases.add(event(journal.START, 0, 0))
    for number in range(1, 50):
        phases.add(event(journal.POINT, number, number * MB, "round_START"))
    growths = phases.all(10**6, 50 * MB)
    assert max(growth.depth for growth in growths) <= 1
    assert [growth.name for growth in growths if growth.is_span] == ["round"]


@given(st.lists(st.integers(0, 3), max_size=60), st.data())
@examples(60)
def test_spans_grow_as_the_report_will_have_it(steps: list[int], data: st.DataObject) -> None:
    events, spans = [], []
    for number, step in enumerate(steps, 1):
        rss = data.draw(st.integers(0, 9)) * MB
        if step == 0 and spans:
            name, span = spans.pop()
            kind = {"s": span} if span else {}
            label = name if span else f"{name}_END"
            events.append(event(journal.END if span else "C", number, rss, label, **kind))
        elif step == 1:
            events.append(event(journal.POINT, number, rss, f"point {number % 3}"))
        elif step == 2:
            spans.append((f"span {number % 2}", number))
            events.append(event(journal.BEGIN, number, rss, spans[-1][0], s=number))
        else:
            spans.append((f"pair {number}", 0))
            events.append(event(journal.POINT, number, rss, f"pair {number}_START"))
    phases = LivePhases()
    for one in (event(journal.START, 0, 0), *events):
        phases.add(one)
    end = event(journal.EXIT, len(events) + 1, 5 * MB)
    phases.add(end)
    points = [
        Checkpoint(
            index=index,
            label=one.label,
            kind={"B": CheckpointKind.BEGIN, "E": CheckpointKind.END}.get(
                one.kind, CheckpointKind.POINT
            ),
            time_s=0.0,
            rss_bytes=one.rss_bytes,
            span=one.span,
        )
        for index, one in enumerate((event("C", 0, 0, "(start)"), *events, end))
    ]
    rss = [point.rss_bytes or 0 for point in points]
    expected = sorted(
        (phase.name, phase.depth, sum(rss[one.end] - rss[one.start] for one in phase.stretches))
        for phase in outline(points, died=True).phases
        if phase.kind is PhaseKind.SPAN
    )
    assert expected == sorted(
        (growth.name, growth.depth, growth.rss_delta_bytes)
        for growth in phases.all(0, 0)
        if growth.is_span
    )
