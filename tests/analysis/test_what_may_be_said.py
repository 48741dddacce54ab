"""The laws of what a finding may say: never more than was there, and the peak is explained."""

from __future__ import annotations

from collections.abc import Callable
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
from memdeep.model import (
    Finding,
    FindingKind,
    Parts,
    Peak,
    Phase,
    PhaseKind,
    Report,
    StackBytes,
    Stretch,
)
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
    (day,) = [one for one in made.phases if one.name == "day"]
    assert day.main_culprit is not None
    assert day.main_culprit.frame == LEAK


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


def folds(inside: Callable[[int], list[str]]) -> list[str]:
    """Three folds, each around what ``inside`` makes of its number."""
    return [step for n in range(3) for step in (f"+fold {n}", *inside(n), f"-fold {n}")]


def test_a_line_is_summed_over_like_phases_within_like_phases() -> None:
    stacks, (keep,) = tree([KEEP])
    epochs = [f"epoch {n}" for n in range(4)]
    steps = folds(lambda _: rounds(*epochs))
    ends = [place for place, step in enumerate(steps, 1) if step.startswith("-epoch")]
    made = analysed(run(*steps), stacks, [lifetime(keep, end, bytes=MB // 3) for end in ends])
    assert [(function, size) for _, function, size in grown(made)] == [("keep", 3)]
    assert made.findings[0].pattern == "fold * › epoch *"
    names = {made.phases[place].name for place in made.findings[0].phases}
    assert (len(made.findings[0].phases), names) == (12, set(epochs))


def test_a_line_is_summed_over_like_phases_with_points_in_them() -> None:
    stacks, (keep,) = tree([KEEP])
    steps = [step for n in range(9) for step in (f"+day {n}", "loaded", f"-day {n}")]
    ends = [place for place, step in enumerate(steps, 1) if step == "loaded"]
    made = analysed(run(*steps), stacks, [lifetime(keep, end, bytes=MB // 2) for end in ends])
    assert grown(made) == [([f"day {n}" for n in range(9)], "keep", 4)]
    assert made.findings[0].pattern == "day *"


def test_a_line_that_grew_in_one_of_like_phases_is_summed_within_it() -> None:
    stacks, (keep,) = tree([KEEP])
    steps = folds(lambda n: rounds(*(f"epoch {k}" for k in range(4))) if n == 1 else [])
    ends = [place for place, step in enumerate(steps, 1) if step.startswith("-epoch")]
    made = analysed(run(*steps), stacks, [lifetime(keep, end) for end in ends])
    assert grown(made) == [([f"epoch {k}" for k in range(4)], "keep", 40)]
    assert made.findings[0].pattern == "epoch *"


def test_phases_with_nothing_in_common_stay_apart() -> None:
    stacks, (keep,) = tree([KEEP])
    lives = [lifetime(keep, 2 * k) for k in range(1, 4)]
    made = analysed(run(*rounds("load", "train", "save")), stacks, lives)
    assert grown(made) == [([name], "keep", 10) for name in ("load", "train", "save")]


def test_a_line_is_summed_over_several_patterns_of_which_none_leads() -> None:
    stacks, (keep,) = tree([KEEP])
    names = [f"{symbol} day {day}" for day in range(4) for symbol in ("BTC", "ETH", "SOL")]
    lives = [lifetime(keep, 2 * k, bytes=MB // 2) for k in range(1, 13)]
    made = analysed(run(*rounds(*names)), stacks, lives)
    assert grown(made) == [(names, "keep", 6)]
    assert made.findings[0].pattern == "* day *"


def test_a_line_is_summed_over_phases_of_any_names_with_like_phases_inside() -> None:
    stacks, (keep,) = tree([KEEP])
    days = [f"day {day}" for day in range(3)]
    steps = [s for name in ("BTC", "ETH", "SOL") for s in (f"+{name}", *rounds(*days), f"-{name}")]
    ends = [place for place, step in enumerate(steps, 1) if step.startswith("-day")]
    made = analysed(run(*steps), stacks, [lifetime(keep, end, bytes=MB // 3) for end in ends])
    assert [(function, size) for _, function, size in grown(made)] == [("keep", 2)]
    assert made.findings[0].pattern == "BTC, ETH, SOL › day *"


def test_a_line_is_summed_over_many_phases_of_any_names() -> None:
    stacks, (keep,) = tree([KEEP])
    names = ["apple", "pear", "fig", "lemon", "grape", "kiwi", "date", "lime"]
    lives = [lifetime(keep, 2 * k, bytes=MB // 2) for k in range(1, 9)]
    made = analysed(run(*rounds(*names)), stacks, lives)
    assert grown(made) == [(names, "keep", 4)]
    assert made.findings[0].pattern == "apple, pear, fig, …"


def test_of_many_phases_of_any_names_the_one_that_leads_is_told_alone() -> None:
    stacks, (keep,) = tree([KEEP])
    names = ["apple", "pear", "fig", "lemon", "grape", "kiwi", "date", "lime", "plum"]
    sizes = [MB // 2] * 8 + [3 * MB]
    lives = [lifetime(keep, 2 * k, bytes=size) for k, size in enumerate(sizes, 1)]
    made = analysed(run(*rounds(*names)), stacks, lives)
    assert grown(made) == [(names[:8], "keep", 4), (["plum"], "keep", 3)]


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


def phase_of_sizes(name: str, node: int, sizes: tuple[int, ...], at: int) -> Phase:
    """A phase at whose peak a line held bytes, beside RSS that no line explains."""
    top, freed, slack = sizes
    peak = Peak(top, at + 0.5, AliveStacks((StackBytes(node, top, 1),)))
    return phase(
        name,
        stretches=(Stretch(at, at + 1),),
        peak=peak,
        start_bytes=freed,
        rss_delta_bytes=slack,
        parts=Parts(0, 0, unknown=slack),
    )


SIZES = st.integers(0, 20).map(lambda tens: 10 * MB * tens)


@given(st.lists(st.tuples(SIZES, SIZES, SIZES), min_size=1, max_size=4))
@examples(150)
def test_no_headline_lacks_a_line_while_a_line_explains_more(
    sizes: list[tuple[int, int, int]],
) -> None:
    stacks, nodes = tree(*([frame(lineno=line)] for line in range(1, len(sizes) + 1)))
    parts = [
        phase_of_sizes(f"step {'abcd'[n]}", node, each, n)
        for n, (node, each) in enumerate(zip(nodes, sizes, strict=True))
    ]
    held = heap(stacks, (), len(sizes) + 1, peak_bytes=max(top for top, *_ in sizes))
    found = findings(held, parts, len(sizes) + 1)
    if found and found[0].culprit is None:
        assert all(item.culprit is None or item.bytes <= found[0].bytes for item in found)


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
