"""The laws of what a finding may say: never more than was there, and the peak is explained."""

from __future__ import annotations

from dataclasses import replace

from factories import (
    MB,
    analysed,
    frame,
    heap,
    lifetime,
    lifetimes_in,
    nested_steps,
    phase,
    run,
    tree,
    trees,
)
from hypothesis import assume, given
from hypothesis import strategies as st
from properties import examples

from memdeep.analysis.culprits import ChargedLines
from memdeep.analysis.findings import findings
from memdeep.model import Finding, FindingKind, Peak, PhaseKind, Report, StackBytes, Stretch
from memdeep.model.alive import AliveStacks

KEEP, DROP, LEAK = frame("keep"), frame("drop"), frame("leak")


def grown(made: Report) -> list[tuple[list[str], str, int]]:
    """Each growth finding as (phases, function, MB)."""
    return [
        (
            [made.phases[place].name for place in item.phases],
            item.culprit.frame.function,
            item.bytes // MB,
        )
        for item in made.findings
        if item.kind is FindingKind.GROWTH and item.culprit is not None
    ]


def moment(made: Report, item: Finding) -> int:
    """The checkpoint that the title of a growth finding speaks of."""
    return max(made.phases[place].end for place in item.phases)


def rounds(*names: str) -> list[str]:
    return [step for name in names for step in (f"+{name}", f"-{name}")]


def test_a_variable_that_is_rebound_in_each_repeat_is_kept_once() -> None:
    stacks, (keep,) = tree([KEEP])
    # Round k is segment 2k; what it made is freed in the next round.
    lives = [lifetime(keep, 2 * k, None if k == 5 else 2 * k + 2) for k in range(1, 6)]
    made = analysed(run(*rounds(*["day"] * 5)), stacks, lives)
    assert grown(made) == [(["day"], "keep", 10)]
    assert made.findings[0].share == 1.0


def test_a_leak_is_found_beside_what_is_replaced_in_each_repeat() -> None:
    stacks, (keep, leak) = tree([KEEP], [LEAK])
    lives = [lifetime(keep, 2 * k, None if k == 9 else 2 * k + 2) for k in range(1, 10)]
    lives += [lifetime(leak, 2 * k, bytes=3 * MB) for k in range(1, 10)]
    made = analysed(run(*rounds(*["day"] * 9)), stacks, lives)
    assert grown(made) == [(["day"], "leak", 27), (["day"], "keep", 10)]


def test_a_line_under_many_labels_is_one_finding_with_their_pattern() -> None:
    stacks, (keep,) = tree([KEEP])
    names = [f"第{day}天" for day in range(1, 13)]
    lives = [lifetime(keep, 2 * k, bytes=MB // 2) for k in range(1, 13)]
    made = analysed(run(*rounds(*names)), stacks, lives)
    assert grown(made) == [(names, "keep", 6)]
    assert made.findings[0].pattern == "第*天"


def test_labels_alike_but_for_a_name_are_one_pattern() -> None:
    stacks, (keep,) = tree([KEEP])
    names = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"]
    lives = [lifetime(keep, 2 * k) for k in range(1, 5)]
    made = analysed(run(*rounds(*names)), stacks, lives)
    assert grown(made) == [(names, "keep", 40)]
    assert made.findings[0].pattern == "*USDT"


def test_phases_with_nothing_in_common_stay_apart() -> None:
    stacks, (keep,) = tree([KEEP])
    lives = [lifetime(keep, 2 * k) for k in range(1, 4)]
    made = analysed(run(*rounds("load", "train", "save")), stacks, lives)
    assert grown(made) == [([name], "keep", 10) for name in ("load", "train", "save")]


def test_a_line_in_one_of_many_like_phases_is_charged_to_that_one() -> None:
    stacks, (keep,) = tree([KEEP])
    sizes = [1, 1, 30, 1]
    lives = [lifetime(keep, 2 * k, bytes=size * MB) for k, size in enumerate(sizes, 1)]
    made = analysed(run(*rounds("day 1", "day 2", "day 3", "day 4")), stacks, lives)
    assert grown(made)[0] == (["day 3"], "keep", 30)
    assert made.findings[0].pattern == ""


def test_stretches_without_a_name_are_summed() -> None:
    stacks, (keep,) = tree([KEEP])
    lives = [lifetime(keep, born, bytes=MB // 2) for born in range(1, 9)]
    made = analysed(run(*[f"mark {n} at {7 * n} s" for n in range(9)]), stacks, lives)
    assert [(function, size) for _, function, size in grown(made)] == [("keep", 4)]


def test_what_made_the_highest_heap_is_found_in_a_span_with_spans_in_it() -> None:
    stacks, (keep, drop) = tree([KEEP], [DROP])
    lives = [lifetime(keep, 3, bytes=30 * MB), lifetime(drop, 2, 3, bytes=60 * MB)]
    steps = ("+outer", "+inner", "-inner", "-outer")
    made = analysed(run(*steps), stacks, lives)
    assert "drop" in {item.culprit.frame.function for item in made.findings if item.culprit}


def test_a_span_that_was_traced_in_part_is_charged_all_the_same() -> None:
    stacks, (keep,) = tree([KEEP])
    rounds_of_it = [
        phase(f"a {n} → b {n}", kind=PhaseKind.SEGMENT, parent=0, stretches=(Stretch(n, n + 1),))
        for n in range(3)
    ]
    span = replace(phase("load", stretches=(Stretch(0, 4),)), heap=None)
    held = heap(stacks, [lifetime(keep, n) for n in range(1, 4)], 5, peak_bytes=30 * MB)
    (found,) = findings(held, [span, *rounds_of_it], 5)
    assert (found.phase, found.bytes, found.share) == (0, 30 * MB, 1.0)


def test_a_line_that_peaks_in_every_round_is_told_once_at_its_highest() -> None:
    stacks, (drop,) = tree([DROP])
    sizes = [10 * MB, 30 * MB, 20 * MB, 29 * MB]
    rounds_of_it = [
        phase(
            f"round {number}",
            peak=Peak(size, number + 0.5, AliveStacks((StackBytes(drop, size, 1),))),
            stretches=(Stretch(number, number + 1),),
        )
        for number, size in enumerate(sizes)
    ]
    held = heap(stacks, (), 5, peak_bytes=max(sizes))
    found = findings(held, rounds_of_it, 5)
    assert [(item.kind, item.phase, item.bytes) for item in found] == [
        (FindingKind.PEAK, 1, 30 * MB)
    ]


@given(trees(), nested_steps(), st.data())
@examples(150)
def test_no_growth_is_said_of_more_than_was_alive_and_no_byte_twice(
    stacks: object, steps: tuple[str, ...], data: st.DataObject
) -> None:
    timeline = run(*steps)
    lives = data.draw(lifetimes_in(len(stacks.parents), len(timeline.checkpoints)))
    made = analysed(timeline, stacks, lives)
    by_moment: dict[int, int] = {}
    for item in made.findings:
        assert item.bytes <= (made.heap.peak_bytes or 0)
        if item.kind is FindingKind.GROWTH:
            at = moment(made, item)
            by_moment[at] = by_moment.get(at, 0) + item.bytes
    for at, said in by_moment.items():
        assert said <= made.heap.at_checkpoints[at]


@given(trees(), nested_steps(), st.data())
@examples(150)
def test_each_line_with_a_fifth_of_the_highest_heap_is_in_a_finding(
    stacks: object, steps: tuple[str, ...], data: st.DataObject
) -> None:
    timeline = run(*steps)
    lives = data.draw(lifetimes_in(len(stacks.parents), len(timeline.checkpoints)))
    made = analysed(timeline, stacks, lives)
    highest = max(
        (phase for phase in made.phases if phase.peak is not None and phase.peak.stacks),
        key=lambda phase: phase.peak.bytes,
        default=None,
    )
    assume(highest is not None and highest.peak.bytes == made.heap.peak_bytes)
    assume(highest.peak.bytes >= 10 * MB)
    lines = ChargedLines(stacks)
    found = {
        (item.culprit.frame.filename, item.culprit.frame.lineno)
        for item in made.findings
        if item.culprit is not None
    }
    for culprit in lines.culprits_alive(highest.peak.stacks, highest.peak.bytes):
        if culprit.share >= 0.2:
            assert (culprit.frame.filename, culprit.frame.lineno) in found
