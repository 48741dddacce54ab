"""The merged stacks of two runs: each side keeps all of its bytes, whatever is folded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from comparisons import compared, job
from factories import (
    MB,
    analysed,
    frame,
    lifetime,
    lifetimes_in,
    nested_steps,
    run,
    thread_root,
    tree,
    trees,
)
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.analysis.compare import stacks
from memdeep.analysis.compare.lines import match_lines
from memdeep.analysis.compare.stacks import BothBytes, MergedStacks, merged
from memdeep.model import Report


def of(before: Report, after: Report) -> MergedStacks:
    return merged(compared(before, after), match_lines(before, after))


def stack_names(found: MergedStacks, node: int) -> tuple[str, ...]:
    names: list[str] = []
    while node >= 0:
        pair = found.frames[found.frame_ids[node]]
        called = pair.after or pair.before
        assert called is not None
        names.insert(0, called.function)
        node = found.parents[node]
    return tuple(names)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    """Any report: of one program if drawn twice, since the frames are those of `trees`."""
    steps = draw(nested_steps())
    recorded = run(*steps)
    stacks = draw(trees())
    lives = draw(lifetimes_in(len(stacks.parents), len(recorded.checkpoints)))
    return analysed(recorded, stacks, lives)


def test_shifted_lines_are_one_node_with_the_bytes_of_both_sides() -> None:
    found = of(job({"load": 10, "save": 4}), job({"load": 25, "save": 4}, shift=7))
    assert found.peak is not None
    told = {stack_names(found, one.node): one[1:] for one in found.peak}
    assert told == {
        ("main", "do_load", "grow"): (10 * MB, 25 * MB),
        ("main", "do_save", "grow"): (4 * MB, 4 * MB),
    }
    (load, save) = found.kept
    assert [one[1:] for one in load or ()] == [(10 * MB, 25 * MB)]
    assert [one[1:] for one in save or ()] == [(4 * MB, 4 * MB)]


def test_a_phase_of_one_side_has_nothing_on_the_other() -> None:
    found = of(job({"load": 10}), job({"load": 10, "extra": 5}))
    assert [[one[1:] for one in view or ()] for view in found.kept] == [
        [(10 * MB, 10 * MB)],
        [(0, 5 * MB)],
    ]


def test_what_a_side_does_not_know_is_not_shown() -> None:
    before, after = job({"load": 10}), job({"load": 12})
    phases = tuple(replace(phase, heap=None) for phase in after.phases)
    unknown = replace(after, phases=phases)
    assert of(before, after).peak is not None
    assert of(before, unknown).peak is None
    assert of(before, unknown).kept == (None,)


@given(reports(), reports())
@examples(60)
def test_each_side_keeps_all_of_its_bytes(before: Report, after: Report) -> None:
    comparison = compared(before, after)
    found = merged(comparison, match_lines(before, after))
    for row, view in zip(comparison.phases, found.kept, strict=True):
        for side, (report, place) in enumerate(((before, row.before), (after, row.after))):
            heap = None if place is None else report.phases[place].heap
            wished = 0 if heap is None else heap.retained_bytes
            if view is not None:
                assert sum(one[1 + side] for one in view) == wished


@given(reports(), reports())
@examples(60)
def test_each_node_holds_its_own_bytes_and_those_of_its_children(
    before: Report, after: Report
) -> None:
    found = of(before, after)
    for view in filter(None, (found.peak, *found.kept)):
        own = {one.node: one for one in view}
        assert len(own) == len(view)
        for side, total in enumerate(found.totals(view)):
            for node, size in enumerate(total):
                children = [n for n, parent in enumerate(found.parents) if parent == node]
                held = own.get(node, BothBytes(node, 0, 0))[1 + side]
                assert size == held + sum(total[child] for child in children)
            tops = [node for node, parent in enumerate(found.parents) if parent < 0]
            assert sum(total[top] for top in tops) == sum(one[1 + side] for one in view)


@pytest.mark.parametrize(("nodes", "entries"), [(3, 40_000), (6_000, 12), (5, 8)])
def test_folding_moves_bytes_to_callers_and_loses_none(
    monkeypatch: pytest.MonkeyPatch, nodes: int, entries: int
) -> None:
    sizes = {f"phase {n}": 1 + n for n in range(8)}
    before, after = job(sizes), job({name: size + 2 for name, size in sizes.items()})
    whole = of(before, after)
    monkeypatch.setattr(stacks, "MAX_NODES", nodes)
    monkeypatch.setattr(stacks, "MAX_ENTRIES", entries)
    small = of(before, after)
    assert len(small.parents) <= nodes + 1
    assert len(small.parents) < len(whole.parents)
    for view, other in zip(small.kept, whole.kept, strict=True):
        for side in (1, 2):
            assert sum(one[side] for one in view or ()) == sum(one[side] for one in other or ())
    assert small.share > whole.share == 0
    for node, parent in enumerate(small.parents):
        assert parent < node


def test_the_same_stacks_in_other_threads_are_one() -> None:
    def made(name: str) -> Report:
        stacks, (node,) = tree([thread_root(name), frame("work")])
        return analysed(run("+load", "-load"), stacks, [lifetime(node, 2)])

    (view,) = of(made("worker-1"), made("worker-9")).kept
    assert [one[1:] for one in view or ()] == [(10 * MB, 10 * MB)]
