"""Phases are found again where siblings were added, removed, moved, renamed, or wrapped."""

from __future__ import annotations

from time import perf_counter

from factories import (
    MB,
    analysed,
    frame,
    lifetime,
    nested_steps,
    phase,
    program,
    report,
    run,
    tree,
)
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.analysis.compare.lines import match_lines
from memdeep.analysis.compare.phases import PhasePair, longest_rising, match_phases
from memdeep.model import PhaseKind, Report
from memdeep.model.comparison import Match

Told = set[tuple[str | None, str | None, Match]]


def ran(*steps: str) -> Report:
    """A run in which each span that ends kept 10 MB on a line of its own."""
    points = program(*steps)
    ends = [(place, step[1:]) for place, step in enumerate(steps, 1) if step.startswith("-")]
    stacks, nodes = tree(*([frame("main"), frame(f"work_{name}")] for _, name in ends))
    lives = [
        lifetime(node, place, bytes=10 * MB) for node, (place, _) in zip(nodes, ends, strict=True)
    ]
    texts = {(one.filename, one.lineno): f"{one.function}()" for one in stacks.frames}
    return analysed(run(checkpoints=points), stacks, lives, texts)


def pairs(before: Report, after: Report) -> tuple[PhasePair, ...]:
    return match_phases(before, after, match_lines(before, after))


def told(before: Report, after: Report) -> Told:
    """The names of the spans that were matched, or not."""
    found = set()
    for old, new, match in pairs(before, after):
        ones = (
            None if old is None else before.phases[old].outline,
            None if new is None else after.phases[new].outline,
        )
        if any(one is not None and one.kind is PhaseKind.SPAN for one in ones):
            found.add((*(None if one is None else one.name for one in ones), match))
    return found  # type: ignore[return-value]


def test_a_phase_that_is_added_or_removed_leaves_its_siblings_in_place() -> None:
    before, after = ran("+a", "-a", "+b", "-b"), ran("+a", "-a", "+new", "-new", "+b", "-b")
    same = {("a", "a", Match.SAME), ("b", "b", Match.SAME)}
    assert told(before, after) == {*same, (None, "new", Match.ADDED)}
    assert told(after, before) == {*same, ("new", None, Match.REMOVED)}


def test_a_phase_that_changed_its_place_among_others_was_moved() -> None:
    before = ran("+a", "-a", "+b", "-b", "+c", "-c")
    after = ran("+c", "-c", "+a", "-a", "+b", "-b")
    same = {("a", "a", Match.SAME), ("b", "b", Match.SAME)}
    assert told(before, after) == {*same, ("c", "c", Match.MOVED)}


def test_a_phase_within_a_new_one_was_moved_and_is_not_the_new_one() -> None:
    before, after = ran("+load", "-load"), ran("+prepare", "+load", "-load", "-prepare")
    assert told(before, after) == {
        (None, "prepare", Match.ADDED),
        ("load", "load", Match.MOVED),
    }


def test_a_phase_is_known_under_a_like_name_and_what_is_in_it_stays() -> None:
    before = ran("+Phase4_checks", "+inner", "-inner", "-Phase4_checks")
    after = ran("+Phase4_check_all", "+inner", "-inner", "-Phase4_check_all")
    assert told(before, after) == {
        ("Phase4_checks", "Phase4_check_all", Match.RENAMED),
        ("inner", "inner", Match.SAME),
    }


def test_a_phase_is_known_under_any_name_by_the_line_that_kept_most() -> None:
    before, after = ran("+load", "-load"), ran("+准备数据", "-准备数据")
    assert told(before, after) == {("load", None, Match.REMOVED), (None, "准备数据", Match.ADDED)}
    frames = [frame("main"), frame("read")]
    stacks, (node,) = tree(frames)
    one, other = (
        analysed(
            run(f"+{name}", f"-{name}"),
            stacks,
            [lifetime(node, 2)],
            {(one.filename, one.lineno): f"{one.function}()" for one in frames},
        )
        for name in ("load", "准备数据")
    )
    assert told(one, other) == {("load", "准备数据", Match.RENAMED)}


def test_a_phase_is_known_by_its_line_though_what_lies_between_others_holds_it_too() -> None:
    def job(name: str) -> Report:
        steps = (f"+{name}", f"-{name}", *("+loop", "-loop") * 4)
        stacks, (load, grow) = tree([frame("load")], [frame("grow")])
        lives = [lifetime(load, 2, bytes=10 * MB)]
        lives += [lifetime(grow, place, bytes=MB) for place in (4, 6, 8, 10)]
        return analysed(run(checkpoints=program(*steps)), stacks, lives)

    between = [phase.outline for phase in job("load").phases if " → " in phase.name]
    assert any(len(outline.stretches) == 3 for outline in between)
    same = ("loop", "loop", Match.SAME)
    assert told(job("load"), job("fetch")) == {("load", "fetch", Match.RENAMED), same}


def test_a_phase_with_an_added_checkpoint_or_span_is_itself() -> None:
    before = ran("+load", "-load")
    for inside in (["half"], ["+parse", "-parse"]):
        after = ran("+load", *inside, "-load")
        assert ("load", "load", Match.SAME) in told(before, after)


def test_segments_are_known_by_the_label_that_they_begin_or_end_with() -> None:
    before, after = ran("one", "two", "three"), ran("one", "half", "two", "three")
    found = {
        (old and before.phases[old].name, new and after.phases[new].name): match
        for old, new, match in pairs(before, after)
    }
    assert found["one → two", "one → half"] is Match.RENAMED
    assert found[None, "half → two"] is Match.ADDED
    assert found["two → three", "two → three"] is Match.SAME


@examples(100)
@given(nested_steps())
def test_a_run_matches_itself(steps: tuple[str, ...]) -> None:
    one = ran(*steps)
    assert [*pairs(one, one)] == [
        PhasePair(place, place, Match.SAME) for place in range(len(one.phases))
    ]


@examples(100)
@given(nested_steps("abcd"), nested_steps("abcd"))
def test_every_phase_is_in_one_pair(a: tuple[str, ...], b: tuple[str, ...]) -> None:
    one, other = ran(*a), ran(*b)
    found = pairs(one, other)
    assert sorted(old for old, _, _ in found if old is not None) == [*range(len(one.phases))]
    assert [new for _, new, _ in found if new is not None] == [*range(len(other.phases))]


@st.composite
def spans(draw: st.DrawFn) -> list[str]:
    """Steps with spans of different names, some of which lie in the one before."""
    steps: list[str] = []
    for name in draw(st.permutations("abcdefg"))[: draw(st.integers(0, 7))]:
        inside = bool(steps) and draw(st.booleans())
        steps[len(steps) - inside :] = [f"+{name}", f"-{name}", *steps[len(steps) - inside :]]
    return steps


@examples(100)
@given(spans(), spans())
def test_the_mirror_pairs_the_same_phases(a: list[str], b: list[str]) -> None:
    one, other = ran(*a), ran(*b)
    found = {(old, new) for old, new, _ in pairs(one, other)}
    assert found == {(new, old) for old, new, _ in pairs(other, one)}


@examples(200)
@given(st.lists(st.integers(0, 6), max_size=9))
def test_a_longest_rising_part_rises_and_none_is_longer(numbers: list[int]) -> None:
    found = [numbers[place] for place in longest_rising(numbers)]
    assert found == sorted({*found})
    best = [1] * len(numbers)
    for place, number in enumerate(numbers):
        shorter = [best[other] for other in range(place) if numbers[other] < number]
        best[place] += max(shorter, default=0)
    assert len(found) == max(best, default=0)


def test_three_thousand_phases_take_little_time_whatever_their_names() -> None:
    many = range(3000)
    alike = report([phase("epoch") for _ in many])
    distinct = report([phase(f"day {number}") for number in many])
    others = report([phase(f"第{number}天 of the run") for number in many])
    for one, other in ((alike, alike), (distinct, distinct), (distinct, others), (alike, others)):
        begun = perf_counter()
        pairs(one, other)
        assert perf_counter() - begun < 3
