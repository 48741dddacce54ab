"""Findings answer which lines, in which phases, made the memory grow: worst first, once each."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from factories import (
    MB,
    analysed,
    frame,
    lifetime,
    lifetimes_in,
    nested_steps,
    phase,
    program,
    report,
    run,
    stdlib,
    tree,
    trees,
)
from factories import (
    heap as plain_heap,
)
from hypothesis import given
from hypothesis import strategies as st

from memdeep.analysis.findings import MAX_FINDINGS, findings
from memdeep.analysis.ground import Seen
from memdeep.model import (
    Advice,
    Finding,
    FindingKind,
    Heap,
    Lifetime,
    Origin,
    Parts,
    Peak,
    Report,
    StackBytes,
    StackTree,
    Stretch,
)
from memdeep.model.alive import AliveStacks

KEEP, DROP = frame("keep"), frame("drop")


def summary(made: Report) -> list[tuple[str, str, int]]:
    """Each finding as (phase, function, MB)."""
    return [
        (made.phases[item.phase].name, item.culprit.frame.function, item.bytes // MB)
        for item in made.findings
    ]


def test_the_line_that_kept_most_comes_first() -> None:
    stacks, (keep, drop) = tree([KEEP], [DROP])
    lives = [lifetime(drop, 2, bytes=20 * MB), lifetime(keep, 2, bytes=30 * MB)]
    made = analysed(run("+load", "-load"), stacks, lives)
    assert summary(made) == [("load", "keep", 30), ("load", "drop", 20)]
    assert [item.share for item in made.findings] == [0.6, 0.4]
    assert {item.kind for item in made.findings} == {FindingKind.GROWTH}


def test_nested_phases_do_not_tell_the_same_thing_twice() -> None:
    stacks, (keep,) = tree([KEEP])
    made = analysed(run("+outer", "+inner", "-inner", "-outer"), stacks, [lifetime(keep, 3)])
    assert summary(made) == [("inner", "keep", 10)]


def test_what_a_loop_keeps_in_every_round_is_one_finding() -> None:
    stacks, (keep, drop) = tree([KEEP], [DROP])
    steps = ["+load", *[f"round {number}" for number in range(4)], "-load"]
    lives = [lifetime(keep, born) for born in range(2, 6)] + [lifetime(drop, 3, bytes=15 * MB)]
    made = analysed(run(*steps), stacks, lives)
    assert summary(made) == [("load", "keep", 40), ("round 0 → round 1", "drop", 15)]


def test_what_a_loop_kept_for_a_while_is_not_charged_to_the_span() -> None:
    stacks, (keep,) = tree([KEEP])
    steps = ["+load", *[f"round {number}" for number in range(4)], "-load"]
    lives = [lifetime(keep, born, died=born + 2) for born in range(2, 5)]
    made = analysed(run(*steps), stacks, lives)
    assert [item for item in made.findings if item.kind is FindingKind.GROWTH] == []


def test_what_the_outer_phase_allocated_itself_is_its_own() -> None:
    stacks, (keep,) = tree([KEEP])
    lives = [lifetime(keep, 3), lifetime(keep, 4, bytes=5 * MB)]
    made = analysed(run("+outer", "+inner", "-inner", "-outer"), stacks, lives)
    assert summary(made) == [("inner", "keep", 10), ("outer", "keep", 5)]


def test_bytes_that_were_freed_within_their_phase_are_no_growth() -> None:
    stacks, (drop,) = tree([DROP])
    made = analysed(run("+outer", "half", "-outer"), stacks, [lifetime(drop, 2, 3)])
    assert all(item.kind is FindingKind.GROWTH for item in made.findings)
    assert summary(made) == [("begin of outer → half", "drop", 10)]


def test_small_change_is_no_finding() -> None:
    stacks, (keep, drop) = tree([KEEP], [DROP])
    assert not analysed(run("+a", "-a"), stacks, [lifetime(keep, 2, bytes=MB - 1)]).findings
    lives = [lifetime(keep, 2, bytes=100 * MB), lifetime(drop, 2, bytes=2 * MB)]
    assert summary(analysed(run("+a", "-a"), stacks, lives)) == [("a", "keep", 100)]


def test_what_memdeep_allocated_is_no_finding() -> None:
    stacks, (own,) = tree([frame("recording by memdeep", origin=Origin.MEMDEEP)])
    assert not analysed(run("+a", "-a"), stacks, [lifetime(own, 2)]).findings


def test_there_are_at_most_ten() -> None:
    stacks, nodes = tree(*([frame(lineno=line)] for line in range(1, 16)))
    made = analysed(run("+a", "-a"), stacks, [lifetime(node, 2) for node in nodes])
    assert len(made.findings) == MAX_FINDINGS == 10


def test_advice_comes_from_what_the_line_called() -> None:
    stacks, (node,) = tree([KEEP, stdlib("loads")])
    made = analysed(run("+a", "-a"), stacks, [lifetime(node, 2)])
    assert [item.advice for item in made.findings] == [Advice.WHOLE_PARSE]


def at_a_peak(
    *stacks_bytes: int, lives: Sequence[Lifetime] = (), start: int = 0, end: int = 0
) -> tuple[Finding, ...]:
    """The findings of one phase at whose peak the lines 1, 2, ... held so many bytes."""
    stacks, nodes = tree(*([frame(lineno=line)] for line in range(1, len(stacks_bytes) + 1)))
    height = sum(stacks_bytes)
    peak = Peak(
        height,
        0.5,
        AliveStacks(tuple(StackBytes(*held, 1) for held in zip(nodes, stacks_bytes, strict=True))),
    )
    one = phase(peak=peak, start_bytes=start, end_bytes=end, stretches=(Stretch(0, 1),))
    held = plain_heap(stacks, lives, 2, peak_bytes=height)
    return findings(held, [one], 2)


def test_bytes_that_were_there_only_at_the_peak_are_a_finding() -> None:
    item, other = at_a_peak(30 * MB, 70 * MB)
    assert item.kind is other.kind is FindingKind.PEAK
    assert (item.culprit.frame.lineno, item.bytes, item.share) == (2, 70 * MB, 0.7)
    # It held a fifth of the heap at the highest point of the run.
    assert (other.culprit.frame.lineno, other.bytes, other.share) == (1, 30 * MB, 0.3)


def test_no_more_was_in_use_at_a_peak_than_the_rss_ever_had() -> None:
    stacks, (node,) = tree([KEEP])
    peak = Peak(600 * MB, 0.5, AliveStacks((StackBytes(node, 600 * MB, 1),)))
    one = phase(peak=peak, stretches=(Stretch(0, 1),))
    held = plain_heap(stacks, (), 2, peak_bytes=600 * MB)
    (item,) = findings(held, [one], 2, Seen(highest_rss_bytes=250 * MB))
    assert (item.bytes, item.resident_bytes) == (600 * MB, 250 * MB)


@pytest.mark.parametrize(
    ("born", "died", "spans"),
    [(2, 2, False), (1, 2, False), (2, 3, True), (3, 6, True), (2, 7, False), (2, None, False)],
)
def test_what_a_repeat_keeps_for_a_later_one_is_not_freed_within_it(
    born: int, died: int | None, spans: bool
) -> None:
    """Repeats end at the checkpoints 2, 4 and 6."""
    stacks, (node,) = tree([KEEP])
    peak = Peak(60 * MB, 0.5, AliveStacks((StackBytes(node, 60 * MB, 1),)))
    repeats = tuple(Stretch(end - 2, end) for end in (2, 4, 6))
    one = phase(peak=peak, stretches=repeats)
    lives = [lifetime(node, born, died, bytes=60 * MB)]
    items = findings(plain_heap(stacks, lives, 8, peak_bytes=60 * MB), [one], 8)
    told = [item.spans_repeats for item in items if item.fate and item.kind is FindingKind.PEAK]
    kept = died is None or died > 6
    assert told == ([] if kept else [spans])


def test_what_is_still_alive_at_the_end_is_not_the_peaks() -> None:
    lives = [lifetime(1, 1, bytes=60 * MB)]
    items = at_a_peak(30 * MB, 70 * MB, lives=lives, end=60 * MB)
    peaks = [item for item in items if item.kind is FindingKind.PEAK]
    assert [(item.culprit.frame.lineno, item.bytes) for item in peaks] == [(1, 30 * MB)]


def test_a_peak_hardly_above_both_ends_is_told_as_the_highest_of_the_run_only() -> None:
    (item,) = at_a_peak(100 * MB, start=95 * MB, end=91 * MB)
    assert (item.kind, item.bytes, item.fate) == (FindingKind.PEAK, 100 * MB, None)


def test_a_peak_whose_stacks_were_not_read_is_no_finding() -> None:
    stacks, _ = tree([KEEP])
    held: Heap = plain_heap(stacks, peak_bytes=100 * MB)
    assert findings(held, [phase(peak=Peak(100 * MB, 0.5, None))], 2) == ()


def test_a_report_without_phases_has_no_findings() -> None:
    assert findings(report().heap, [], 2) == ()


@st.composite
def histories(draw: st.DrawFn) -> tuple[tuple[str, ...], StackTree, tuple[Lifetime, ...]]:
    steps = draw(nested_steps())
    stacks = draw(trees())
    return steps, stacks, draw(lifetimes_in(len(stacks.parents), len(program(*steps))))


@given(history=histories())
def test_findings_are_few_large_ordered_and_within_their_phase(
    history: tuple[tuple[str, ...], StackTree, tuple[Lifetime, ...]],
) -> None:
    steps, stacks, lives = history
    made = analysed(run(*steps), stacks, lives)
    assert len(made.findings) <= MAX_FINDINGS
    sizes = [item.bytes for item in made.findings if item.kind is FindingKind.GROWTH]
    assert sizes == sorted(sizes, reverse=True)
    for item in made.findings:
        if item.kind is not FindingKind.GROWTH:
            continue
        assert item.fate is not None
        assert item.fate.alive_bytes + sum(size for _, size in item.fate.freed) <= item.bytes
        summed = [made.phases[place] for place in item.phases]
        assert MB <= item.bytes <= sum(phase.heap.retained_bytes for phase in summed)
        assert item.bytes <= made.heap.at_checkpoints[max(phase.end for phase in summed)]
        assert 0 < item.share <= 1


def test_memory_beyond_the_heap_is_told_only_where_the_tracer_sees_malloc() -> None:
    grown = phase(rss_delta_bytes=90 * MB, parts=Parts(0, 0, unknown=90 * MB))
    held = plain_heap(tree([frame()])[0])
    assert [item.kind for item in findings(held, [grown], 2)] == [FindingKind.UNTRACKED]
    assert findings(held, [grown], 2, Seen(malloc=False)) == ()
