"""Phases of like names are one row each, whose figures are those of all its phases."""

from __future__ import annotations

from factories import MB, analysed, frame, lifetime, lifetimes_in, nested_steps, program, run, tree
from hypothesis import given
from hypothesis import strategies as st

from memdeep.analysis.table import rows
from memdeep.model import Pattern, PhaseKind, Report
from memdeep.rundir import labels

NAMES = ("epoch 1", "epoch 2", "epoch 3", "epoch 4", "epoch 5", "a")


def within_each(*names: str, inside: tuple[str, ...] = ()) -> list[str]:
    """The steps of spans one after the other, each with ``inside``."""
    steps: list[str] = []
    for name in names:
        steps += [f"+{name}", *inside, f"-{name}"]
    return steps


def made_of(*steps: str) -> Report:
    """A run in which each segment keeps 2 MB, so that no phase is quiet."""
    stacks, (node,) = tree([frame("keep")])
    count = len(program(*steps))
    lives = [lifetime(node, born, bytes=2 * MB) for born in range(1, count)]
    return analysed(run(*steps), stacks, lives)


def named(made: Report) -> list[tuple[str, int, int]]:
    """Name, depth and number of phases of each row."""
    return [
        (row.phase.name, row.depth, row.phases)
        for row in rows(made.phases, made.patterns)
        if row.phase.outline.kind is PhaseKind.SPAN
    ]


def test_phases_whose_names_differ_in_a_number_are_one_row() -> None:
    made = made_of("+load", "-load", *within_each(*(f"第{day}天" for day in range(1, 8))))
    assert named(made) == [("load", 0, 1), ("第*天", 0, 7)]


def test_a_number_that_all_names_share_stays() -> None:
    made = made_of(*within_each(*(f"2024 week {week}" for week in range(9))))
    assert named(made) == [("2024 week *", 0, 9)]


def test_three_are_told_one_by_one_and_a_few_steps_of_like_names_too() -> None:
    steps = ["process_orders", "process_trades", "process_users", "process_items"]
    made = made_of(*within_each("day 1", "day 2", "day 3", *steps))
    assert [name for name, _, _ in named(made)] == ["day 1", "day 2", "day 3", *steps]


def test_a_few_stages_that_do_different_things_are_told_one_by_one() -> None:
    steps: list[str] = []
    for stage, inside in enumerate(("load", "screen", "optimise", "check"), 1):
        steps += [f"+Phase{stage}", f"+{inside}", f"-{inside}", f"-Phase{stage}"]
    made = made_of(*steps)
    assert not made.patterns


def test_the_cells_of_a_notebook_are_told_one_by_one() -> None:
    made = made_of(*within_each(*(labels.cell(number) for number in range(12))))
    kinds = {pattern.phase.outline.kind for pattern in made.patterns}
    assert kinds == {PhaseKind.SEGMENT}  # what lies between two cells


def test_many_names_with_a_common_end_are_one_row() -> None:
    symbols = ["BTC", "ETH", "SOL", "XRP", "ADA", "DOT", "UNI", "LTC"]
    made = made_of(*within_each(*(f"{symbol}USDT" for symbol in symbols)))
    assert named(made) == [("*USDT", 0, 8)]


def test_like_phases_fold_at_each_level() -> None:
    epochs = tuple(within_each(*(f"epoch {epoch}" for epoch in range(6))))
    inside = ("+load", "-load", *epochs)
    made = made_of(*within_each(*(f"fold {fold}" for fold in range(5)), inside=inside))
    assert named(made) == [("fold *", 0, 5), ("load", 1, 5), ("epoch *", 1, 30)]
    within_folds = [item for item in made.patterns if item.phase.outline.parent is not None]
    assert [len(item.members) for item in within_folds] == [6] * 5


def test_stretches_between_numbered_checkpoints_are_one_row() -> None:
    made = made_of(*(f"every 0.1 s #{number}" for number in range(1, 9)))
    folded = [row for row in rows(made.phases, made.patterns) if row.is_pattern]
    assert [(row.phase.name, row.phases) for row in folded] == [
        ("every 0.1 s #* → every 0.1 s #*", 7)
    ]


def test_steps_with_names_of_their_own_are_not_folded() -> None:
    made = made_of("loaded", "cleaned", "merged", "trained", "saved")
    assert not made.patterns


@given(st.data())
def test_every_phase_is_in_one_row_and_a_pattern_has_the_figures_of_its_phases(
    data: st.DataObject,
) -> None:
    steps = data.draw(nested_steps(NAMES, most=30))  # type: ignore[arg-type]
    stacks, nodes = tree([frame("keep")], [frame("other")])
    count = len(program(*steps))
    lives = data.draw(lifetimes_in(len(nodes), count))
    made = analysed(run(*steps), stacks, lives)
    table = rows(made.phases, made.patterns)
    single = [row.place for row in table if not row.is_pattern]
    patterns = [made.patterns[row.place] for row in table if row.is_pattern]
    folded = [place for pattern in patterns for place in pattern.members]
    assert sorted(single + folded) == list(range(len(made.phases)))
    for pattern in made.patterns:
        check_sums(made, pattern)


def check_sums(made: Report, pattern: Pattern) -> None:
    members = [made.phases[place] for place in pattern.members]
    heaps = [member.heap for member in members]
    assert len(members) >= 4
    assert pattern.phase.heap is not None
    assert pattern.phase.heap_delta_bytes == sum(heap.delta_bytes for heap in heaps if heap)
    assert pattern.phase.heap.retained_bytes == sum(heap.retained_bytes for heap in heaps if heap)
    assert pattern.phase.heap.kept_bytes <= pattern.phase.heap.retained_bytes
    assert pattern.phase.peak_bytes == max(heap.peak.bytes for heap in heaps if heap)
