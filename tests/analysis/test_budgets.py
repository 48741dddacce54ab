"""Budgets: what passes, what fails, what is not known, and which line is to blame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from factories import MB, analysed, culprit, frame, lifetime, nested_steps, phase, report, run, tree
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.analysis import noise
from memdeep.analysis.budgets import checked, leak, noted, paths
from memdeep.model import (
    Exit,
    Finding,
    FindingKind,
    Mode,
    Peak,
    Phase,
    PhaseKind,
    Report,
    Stretch,
    Trend,
)
from memdeep.model.budget import Budget, Check, NoteKind, Rule, Severity, State, Unknown, Verdict

RULE = Rule("/app/memdeep.toml", 1)
LIMIT = 10 * MB


def budget(limits: Mapping[Check, int | None], phase: str | None = None, **more: Any) -> Budget:
    return Budget(limits, RULE, phase, **more)


def repeated(slope: int, repeats: int = 6) -> Phase:
    trend = Trend(repeats, repeats, slope, 0, 0)
    stretches = tuple(Stretch(place, place + 1) for place in range(repeats))
    return phase("epoch", trend=trend, stretches=stretches)


def the_one(found: Report, of: Budget) -> Verdict:
    (verdict,) = checked(found, [of])
    return verdict


def grown(delta: int = 8 * MB, peak: int = 9 * MB, **changes: Any) -> Report:
    """A run with a phase that grew; the run's own figures are those of its heap."""
    held = phase("load", delta_bytes=delta, peak=Peak(peak, None, None), allocations=70)
    return report([held], **changes)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (Check.GROWTH, 8 * MB),
        (Check.PEAK_HEAP, 9 * MB),
        (Check.RISE, 9 * MB),
        (Check.ALLOCATIONS, 70),
    ],
)
def test_a_value_equal_to_the_limit_passes_and_one_above_fails(check: Check, value: int) -> None:
    at, below = (the_one(grown(), budget({check: most}, "load")) for most in (value, value - 1))
    assert (at.state, at.value, at.limit, at.fails) == (State.WITHIN, value, value, False)
    assert (below.state, below.fails) == (State.OVER, True)


def test_the_line_to_blame_is_what_was_kept_for_growth_and_what_was_held_for_a_rise() -> None:
    kept, held = culprit(frame("kept")), culprit(frame("held"))
    found = report([phase("load", culprits=(kept,), peak_culprits=(held,), allocations=1)])
    blamed = {
        check: the_one(found, budget({check: 0}, "load")).culprit
        for check in (Check.GROWTH, Check.ALLOCATIONS, Check.PEAK_HEAP, Check.RISE)
    }
    assert blamed[Check.GROWTH] == kept
    assert blamed[Check.ALLOCATIONS] is None  # what holds most need not allocate most often
    assert blamed[Check.PEAK_HEAP] == blamed[Check.RISE] == held


def test_the_figures_of_the_run_are_those_of_its_heap() -> None:
    stacks, (first, second) = tree([frame("a")], [frame("b")])
    lifetimes = [lifetime(first, 2, bytes=30 * MB), lifetime(second, 2, died=3, bytes=50 * MB)]
    found = analysed(run("+load", "-load", peak_rss_bytes=99 * MB), stacks, lifetimes)
    limits = dict.fromkeys((Check.PEAK_HEAP, Check.PEAK_RSS, Check.GROWTH, Check.RISE), 0)
    verdicts = {verdict.check: verdict for verdict in checked(found, [budget(limits)])}
    assert {check: verdict.value for check, verdict in verdicts.items()} == {
        Check.PEAK_HEAP: 80 * MB,
        Check.PEAK_RSS: 99 * MB,
        Check.GROWTH: 30 * MB,
        Check.RISE: 80 * MB,
    }
    blamed = {
        check: verdict.culprit and verdict.culprit.frame.function
        for check, verdict in verdicts.items()
    }
    assert blamed == {**dict.fromkeys(limits, "b"), Check.GROWTH: "a"}


@pytest.mark.parametrize(
    ("found", "limits", "name", "why"),
    [
        (report([phase("load", heap=None)]), {Check.GROWTH: LIMIT}, "load", Unknown.UNTRACED),
        (report([phase("load")]), {Check.ALLOCATIONS: 9}, "load", Unknown.NO_COUNT),
        (report([phase("load")]), {Check.NO_GROWTH: None}, "load", Unknown.FEW_REPEATS),
        (report([phase("load")]), {Check.GROWTH: LIMIT}, "lod", Unknown.UNMATCHED),
        (report(), {Check.PEAK_RSS: LIMIT}, None, Unknown.NO_RSS),
        (report(), {Check.ALLOCATIONS: 9}, None, Unknown.NO_COUNT),
    ],
)
def test_what_is_not_known_is_no_pass(
    found: Report, limits: dict[Check, int | None], name: str | None, why: Unknown
) -> None:
    for severity in Severity:
        verdict = the_one(found, budget(limits, name, severity=severity))
        assert (verdict.state, verdict.why, verdict.value) == (State.UNKNOWN, why, None)
        assert verdict.fails


def test_a_heap_that_was_not_traced_whole_is_at_least_as_high() -> None:
    found = report()
    held = replace(found.heap, traced=(Stretch(0, 0),), peak_bytes=8 * MB)
    found = replace(found, heap=held)
    within = the_one(found, budget({Check.PEAK_HEAP: LIMIT}))
    assert (within.state, within.why, within.value) == (State.UNKNOWN, Unknown.PARTLY, 8 * MB)
    assert the_one(found, budget({Check.PEAK_HEAP: 1})).state is State.OVER
    assert the_one(found, budget({Check.GROWTH: 1})).why is Unknown.UNTRACED


@pytest.mark.parametrize("verdict", ["killed", "failed", "unknown"])
def test_of_a_run_that_did_not_complete_nothing_is_within_its_limit(verdict: str) -> None:
    found = grown(run=run(exit=Exit(None, "SIGKILL", verdict)))
    over = the_one(found, budget({Check.GROWTH: MB}, "load"))
    within = the_one(found, budget({Check.GROWTH: LIMIT}, "load"))
    unmatched = the_one(found, budget({Check.GROWTH: LIMIT}, "later", optional=True))
    assert over.state is State.OVER
    assert (within.state, within.why, within.value) == (State.UNKNOWN, Unknown.UNFINISHED, 8 * MB)
    assert unmatched.state is State.UNKNOWN


def test_processes_that_were_not_recorded_are_told() -> None:
    found = Finding(FindingKind.UNRECORDED, 0, (0,), 30 * MB, 0.5, None, None)
    (note,) = noted(report([phase("load")], [found]))
    assert (note.kind, note.values) == (NoteKind.UNRECORDED, {"most_bytes": 30 * MB})
    assert not [*noted(report([phase("load")]))]


def test_an_optional_budget_need_not_match() -> None:
    assert checked(grown(), [budget({Check.GROWTH: LIMIT}, "later", optional=True)]) == ()
    over = the_one(grown(), budget({Check.GROWTH: 1}, "load", optional=True))
    assert over.fails


def test_a_warning_does_not_fail_the_check() -> None:
    verdict = the_one(grown(), budget({Check.GROWTH: 1}, "load", severity=Severity.WARNING))
    assert (verdict.state, verdict.fails) == (State.OVER, False)


@pytest.mark.parametrize(
    ("deep", "repeats", "slope", "state"),
    [
        (False, 20, 1, State.WITHIN),
        (False, 20, 65 << 10, State.OVER),
        (False, 4, 512 << 10, State.WITHIN),
        (False, 4, 2 * MB, State.OVER),
        (True, 20, 208, State.WITHIN),
        (True, 20, 5 << 10, State.OVER),
        (True, 20, -MB, State.WITHIN),
    ],
)
def test_no_growth_leaves_room_for_noise(
    deep: bool, repeats: int, slope: int, state: State
) -> None:
    mode = Mode("memray", native=False, python_allocators=deep)
    found = report([repeated(slope, repeats)], run=run(mode=mode))
    verdict = the_one(found, budget({Check.NO_GROWTH: None}, "epoch"))
    assert verdict.state is state
    assert verdict.limit == noise.of_repeat(repeats, is_deep=deep)


def test_no_growth_takes_a_size() -> None:
    found = report([repeated(5000)])
    assert the_one(found, budget({Check.NO_GROWTH: 4999}, "epoch")).fails
    assert not the_one(found, budget({Check.NO_GROWTH: 5000}, "epoch")).fails


def nested() -> Report:
    names = [
        ("外层", None, 0),
        ("内层", 0, 1),
        ("内层", None, 0),
        ("a/b", None, 0),
        ("x[1]*", None, 0),
    ]
    return report([phase(name, parent=parent, depth=depth) for name, parent, depth in names])


@pytest.mark.parametrize(
    ("glob", "places"),
    [
        ("内层", [1, 2]),
        ("外层 › 内层", [1]),
        ("外层/内层", [1]),
        ("外层/*", [1]),
        ("*/内层", [1]),
        ("外*", [0, 1]),
        ("a/b", [3]),
        ("*", [0, 1, 2, 3, 4]),
        ("?层", [0, 1, 2]),
        ("[外]层", [0]),
        ("内", []),
        ("x[1]*", [4]),
    ],
)
def test_a_glob_is_for_names_and_for_paths(glob: str, places: list[int]) -> None:
    verdicts = checked(nested(), [budget({Check.GROWTH: LIMIT}, glob)])
    assert [verdict.phase for verdict in verdicts if verdict.phase is not None] == places


def test_the_worst_comes_first() -> None:
    sizes = {"a": 11 * MB, "b": 40 * MB, "c": 20 * MB, "d": 2 * MB, "e": 9 * MB}
    found = report([phase(name, delta_bytes=size) for name, size in sizes.items()])
    budgets = [
        budget({Check.GROWTH: 1}, "d", severity=Severity.WARNING),
        budget({Check.GROWTH: LIMIT}, "[abcde]"),
        budget({Check.GROWTH: LIMIT}, "gone"),
    ]
    verdicts = checked(found, budgets)
    assert [verdict.name for verdict in verdicts] == ["b", "c", "a", "gone", "d", "e", "d"]
    assert [verdict.state.value for verdict in verdicts] == (
        ["over"] * 3 + ["unknown", "over"] + ["within"] * 2
    )


def test_paths_are_unique_and_hold_no_half_of_a_character() -> None:
    names = ["a", "a", "a #2", "\ud800", "\ud801", "", " ", "a"]
    found = paths(report([phase(name) for name in names]))
    assert len(set(found)) == len(names)
    assert found[:2] == ("a", "a #2")
    assert all(path.strip() for path in found)
    assert not any("\ud800" <= one <= "\udfff" for path in found for one in path)


@examples(60)
@given(st.lists(st.sampled_from(["a", "a #2", "a #2 #2", "b", "", "a › b"]), max_size=8))
def test_no_two_phases_have_the_same_path(names: list[str]) -> None:
    assert len(set(paths(report([phase(name) for name in names])))) == len(names)


STATES = [State.WITHIN, State.UNKNOWN, State.OVER]


@examples(150)
@given(
    steps=nested_steps(),
    sizes=st.lists(st.integers(0, 50), min_size=1, max_size=8),
    limit=st.integers(0, 60),
    higher=st.integers(0, 60),
    glob=st.sampled_from([None, "*", "a", "b/*", "?"]),
    end=st.sampled_from(["completed", "killed"]),
)
def test_to_raise_a_limit_never_makes_a_check_fail(
    steps: tuple[str, ...],
    sizes: list[int],
    limit: int,
    higher: int,
    glob: str | None,
    end: str,
) -> None:
    stacks, nodes = tree([frame("a")], [frame("b")])
    recorded = run(*steps, exit=Exit(0, None, end), peak_rss_bytes=sizes[0] * MB)
    last = len(recorded.checkpoints) - 1
    lifetimes = [
        lifetime(nodes[place % 2], 1 + place % last, bytes=size * MB)
        for place, size in enumerate(sizes)
        if size
    ]
    found = analysed(recorded, stacks, lifetimes)
    checks = [Check.PEAK_HEAP, Check.GROWTH, Check.RISE]
    low, high = (
        checked(found, [budget(dict.fromkeys(checks, most * MB), glob)])
        for most in (limit, limit + higher)
    )
    of_low = {(one.check, one.name): one for one in low}
    assert len(low) == len(high)
    for verdict in high:
        before = of_low[verdict.check, verdict.name]
        assert STATES.index(verdict.state) <= STATES.index(before.state)
        assert before.fails or not verdict.fails
        if verdict.state is State.WITHIN:
            assert verdict.value is not None and verdict.limit is not None
            assert verdict.value <= verdict.limit
            assert end == "completed"


def test_stretches_between_checkpoints_may_have_budgets() -> None:
    found = report([phase("a → b", kind=PhaseKind.SEGMENT, delta_bytes=MB)])
    assert the_one(found, budget({Check.GROWTH: 0}, "a → b")).state is State.OVER


def test_the_line_of_a_leak_is_none_that_warms_up_and_none_that_is_replaced() -> None:
    stacks, (leaks, warms_up, replaces) = tree(
        [frame("leaks")], [frame("warms_up")], [frame("replaces")]
    )
    lives = [lifetime(leaks, born=born, bytes=10) for born in (2, 4, 6, 8)]
    lives += [lifetime(replaces, born=born, died=born + 2) for born in (2, 4, 6)]
    lives += [lifetime(replaces, born=8), lifetime(warms_up, born=2)]
    found = analysed(run(*(["+day", "-day"] * 4)), stacks, lives)
    (day,) = (place for place, one in enumerate(found.phases) if one.name == "day")
    named = leak(found, day)
    assert named is not None
    assert (named.frame.function, named.bytes) == ("leaks", 20)
    two = analysed(run(*(["+day", "-day"] * 2)), stacks, lives[:2])
    assert leak(two, 0) is None
