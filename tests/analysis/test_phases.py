"""A phase's figures follow from its ends; what stayed less what went is the heap's growth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from factories import (
    MB,
    frame,
    heap,
    lifetime,
    lifetimes_in,
    nested_steps,
    program,
    run,
    transient,
    tree,
    trees,
    with_peaks,
    with_rss,
)
from hypothesis import given
from hypothesis import strategies as st

from memdeep.analysis.charging import phases_around
from memdeep.analysis.outline import outline
from memdeep.analysis.phases import Figures, heap_curve, phases
from memdeep.heap.lists import LifetimeList
from memdeep.model import (
    Checkpoint,
    Culprit,
    LargeAllocation,
    Lifetime,
    Parts,
    Phase,
    PhaseKind,
    Run,
    Sample,
    StackTree,
    Stretch,
    Trend,
)

ONE_FRAME, _ = tree([frame()])


def found(
    recorded: Run, lifetimes: Sequence[Lifetime] = (), stacks: StackTree = ONE_FRAME
) -> tuple[Phase, ...]:
    outlines = outline(recorded.checkpoints, died=False).phases
    held = with_peaks(heap(stacks, lifetimes, len(recorded.checkpoints)), outlines)
    return phases(Figures(recorded, held), outlines)


def span(name: str, among: Sequence[Phase]) -> Phase:
    (phase,) = (phase for phase in among if phase.name == name)
    return phase


def load(lifetimes: Sequence[Lifetime] = (), *rss_bytes: int | None) -> Phase:
    """The phase `load` between the checkpoints 1 and 2 of four."""
    points = program("+load", "-load")
    points = with_rss(points, *rss_bytes) if rss_bytes else points
    return span("load", found(run(checkpoints=points), lifetimes))


def test_bytes_allocated_inside_and_alive_at_the_end_are_retained() -> None:
    phase = load([lifetime(born=2, died=None), lifetime(born=2, died=3, bytes=MB)])
    assert phase.heap.retained_bytes == 11 * MB
    assert phase.heap.freed_bytes == 0


def test_bytes_alive_at_the_start_and_gone_at_the_end_are_freed() -> None:
    phase = load([lifetime(born=1, died=2)])
    assert (phase.heap.retained_bytes, phase.heap.freed_bytes) == (0, 10 * MB)
    assert phase.heap_delta_bytes == -10 * MB


@pytest.mark.parametrize("life", [lifetime(born=1), lifetime(born=1, died=3), lifetime(born=3)])
def test_bytes_that_only_pass_by_are_neither(life: Lifetime) -> None:
    phase = load([life])
    assert (phase.heap.retained_bytes, phase.heap.freed_bytes) == (0, 0)


def test_what_a_phase_frees_again_is_not_retained() -> None:
    recorded = run("+a", "half", "-a")
    phase = span("a", found(recorded, [lifetime(born=2, died=3)]))
    assert (phase.heap.retained_bytes, phase.heap.freed_bytes) == (0, 0)
    half = span("begin of a → half", found(recorded, [lifetime(born=2, died=3)]))
    assert half.heap.retained_bytes


def test_heap_and_rss_at_both_ends() -> None:
    phase = load([lifetime(born=1, bytes=MB), lifetime(born=2)], 5 * MB, 6 * MB, 26 * MB, 27 * MB)
    assert (phase.heap.start_bytes, phase.heap.end_bytes) == (MB, 11 * MB)
    assert (phase.rss_start_bytes, phase.rss_end_bytes) == (6 * MB, 26 * MB)
    assert phase.rss_delta_bytes == 20 * MB
    assert phase.explained_ratio == 0.5


@pytest.mark.parametrize("missing", [1, 2])
def test_an_rss_that_was_not_read_leaves_the_growth_unknown(missing: int) -> None:
    figures: list[int | None] = [0, 0, 50 * MB, 0]
    figures[missing] = None
    phase = load([lifetime(born=2)], *figures)
    assert phase.rss_delta_bytes is None
    assert phase.explained_ratio is None


@pytest.mark.parametrize(("growth", "is_known"), [(MB - 1, False), (MB, True), (-9 * MB, False)])
def test_explained_is_known_from_one_mib_of_growth_on(growth: int, is_known: bool) -> None:
    phase = load([lifetime(born=2, bytes=MB)], 0, 10 * MB, 10 * MB + growth, 0)
    assert (phase.explained_ratio is not None) is is_known


def test_repeats_add_up_and_keep_the_figures_of_each() -> None:
    points = with_rss(program("+a", "-a", "+a", "-a"), 0, 0, 3 * MB, 3 * MB, 8 * MB, 8 * MB)
    lifetimes = [lifetime(born=2, bytes=MB), lifetime(born=4, bytes=2 * MB)]
    phase = span("a", found(run(checkpoints=points), lifetimes))
    assert phase.repeats == 2
    assert (phase.start, phase.end) == (1, 4)
    assert phase.duration_s == 2.0
    assert phase.rss_deltas_bytes == (3 * MB, 5 * MB)
    assert phase.heap.deltas_bytes == (MB, 2 * MB)
    assert phase.rss_delta_bytes == 8 * MB
    assert phase.heap.retained_bytes == 3 * MB


def test_one_unknown_repeat_leaves_the_sum_unknown() -> None:
    points = with_rss(program("+a", "-a", "+a", "-a"), 0, 0, 3 * MB, None, 8 * MB, 8 * MB)
    phase = span("a", found(run(checkpoints=points), [lifetime(born=2)]))
    assert phase.rss_deltas_bytes == (3 * MB, None)
    assert phase.rss_delta_bytes is None


def test_culprits_are_the_lines_of_what_stayed_and_of_what_went() -> None:
    stacks, (keep, drop) = tree([frame("keep")], [frame("drop")])
    lifetimes = [lifetime(keep, born=2), lifetime(drop, born=1, died=2)]
    phase = span("load", found(run("+load", "-load"), lifetimes, stacks))
    assert [culprit.frame.function for culprit in phase.heap.culprits] == ["keep"]
    assert [culprit.frame.function for culprit in phase.heap.freed_culprits] == ["drop"]
    assert phase.heap.culprits[0].share == phase.heap.freed_culprits[0].share == 1.0


def test_beside_the_first_a_line_holds_a_ten_thousandth_of_the_peak() -> None:
    names = ["large", "just", "tiny"]
    stacks, (large, just, tiny) = tree(*[[frame(name)] for name in names])
    lifetimes = [
        lifetime(large, born=2, died=3, bytes=100 * MB - 20_000),
        lifetime(just, born=2, died=3, bytes=10_486),
        lifetime(tiny, born=2, died=3, bytes=10_400),
        lifetime(tiny, born=4, bytes=100),
    ]
    loading, freeing, small = found(run("one", "two", "three"), lifetimes, stacks)[1:]

    def told(culprits: Sequence[Culprit]) -> list[str]:
        return [culprit.frame.function for culprit in culprits]

    assert told(loading.heap.culprits) == names[:2]
    assert told(loading.heap.peak_culprits) == names[:2]
    assert told(freeing.heap.freed_culprits) == names[:2]
    assert told(small.heap.culprits) == ["tiny"]  # the first is told, however small
    assert loading.heap.retained_bytes == sum(life.bytes for life in lifetimes[:3])


def with_gross(
    lifetimes: Sequence[Lifetime], transients: Sequence[Lifetime], *large: LargeAllocation
) -> Phase:
    """`load` in a run whose reader knows what came and went within a segment."""
    recorded = run(checkpoints=program("+load", "point", "-load"))
    outlines = outline(recorded.checkpoints, died=False).phases
    held = with_peaks(heap(ONE_FRAME, lifetimes, len(recorded.checkpoints)), outlines)
    held = replace(held, transients=LifetimeList(tuple(transients)), largest=large)
    return span("load", phases(Figures(recorded, held), outlines))


def test_gross_figures_count_what_stayed_and_what_came_and_went() -> None:
    inside = with_gross(
        [
            lifetime(born=2, died=3, allocations=2),  # across a point, within the phase
            lifetime(born=3, died=4, allocations=3),
            lifetime(born=1, died=3),
        ],
        [transient(0, 3, MB, 5), transient(0, 1, 99 * MB, 9)],
    )
    assert inside.heap.churn_bytes == 11 * MB
    assert inside.heap.allocated_bytes == 21 * MB
    assert inside.heap.allocations == 10
    assert inside.heap.freed_bytes == 10 * MB


def test_gross_figures_are_unknown_where_the_reader_cannot_know_them() -> None:
    inside = load([lifetime(born=2)])
    assert inside.heap.allocated_bytes is None
    assert inside.heap.churn_bytes is None
    assert inside.heap.allocations is None
    assert inside.heap.largest is None


def test_of_each_line_the_largest_single_allocation_in_the_phase_is_kept() -> None:
    inside = with_gross(
        [],
        [transient(0, 2, 9 * MB, 2)],
        LargeAllocation(0, 1, None, 50 * MB),
        LargeAllocation(0, 2, 2, MB),
        LargeAllocation(0, 3, 3, 8 * MB),
    )
    assert [(item.bytes, item.allocations) for item in inside.heap.largest] == [(8 * MB, 1)]
    assert inside.heap.largest[0].share == pytest.approx(8 / 9)


@pytest.mark.parametrize(
    ("rss", "file", "parts"),
    [
        ((0, 0, 30 * MB, 0), (0, 0, 5 * MB, 0), Parts(10 * MB, 5 * MB, unknown=15 * MB)),
        ((0, 0, 4 * MB, 0), (0, 0, MB, 0), Parts(10 * MB, MB, unknown=-7 * MB)),
        ((0, 0, 10 * MB, 0), (0, 0, None, 0), Parts(10 * MB, None, unknown=0)),
    ],
)
def test_growth_of_the_rss_has_parts(
    rss: Sequence[int], file: Sequence[int | None], parts: Parts
) -> None:
    points = [
        replace(point, rss_file_bytes=size)
        for point, size in zip(with_rss(program("+load", "-load"), *rss), file, strict=True)
    ]
    grown = span("load", found(run(checkpoints=tuple(points)), [lifetime(born=2)]))
    assert grown.parts == parts


def test_a_phase_without_rss_has_no_parts() -> None:
    assert load([lifetime(born=2)]).parts is None


def test_repeats_have_a_trend_of_the_heap() -> None:
    steps = ["+load", "-load"] * 4
    lives = [lifetime(born=2 * place + 2, bytes=MB) for place in range(4)]
    repeated = span("load", found(run(*steps), lives))
    assert repeated.trend == Trend(4, 4, MB, 0, 0)


def test_a_clock_that_went_back_gives_no_negative_time() -> None:
    points = list(program("a"))
    points[1] = Checkpoint(1, "a", points[1].kind, time_s=-1.0, rss_bytes=None)
    first, last = found(run(checkpoints=tuple(points)))
    assert first.duration_s == 0.0
    assert last.duration_s == 3.0


def test_a_quiet_gap_beside_a_span_is_left_out() -> None:
    assert [phase.name for phase in found(run("+a", "-a"))] == ["a"]


def test_a_gap_in_which_memory_moved_is_kept() -> None:
    found_phases = found(run("+a", "-a"), [lifetime(born=1)])
    assert [phase.name for phase in found_phases] == ["(start) → begin of a", "a"]


def test_a_quiet_segment_between_points_is_kept() -> None:
    names = [phase.name for phase in found(run("one", "two", "+a", "-a"))]
    assert names == ["(start) → one", "one → two", "a"]


def test_a_run_in_which_nothing_happened_has_a_phase_still() -> None:
    assert [phase.name for phase in found(run())] == ["(start) → (end)"]


def test_cover_names_the_stretches_around_each_segment() -> None:
    outlines = outline(program("+a", "+b", "-b", "-a"), died=False).phases
    places = {item.name: place for place, item in enumerate(outlines)}
    covering = phases_around(outlines, 6)
    assert covering[0] == []
    assert covering[3] == [(places["a"], 1, 4), (places["b"], 2, 3)]


@st.composite
def histories(draw: st.DrawFn) -> tuple[Run, StackTree, tuple[Lifetime, ...]]:
    points = program(*draw(nested_steps()))
    sizes = st.none() | st.integers(0, 1000 * MB)
    points = with_rss(points, *(draw(sizes) for _ in points))
    stacks = draw(trees())
    return run(checkpoints=points), stacks, draw(lifetimes_in(len(stacks.parents), len(points)))


@given(history=histories())
def test_retained_less_freed_is_the_growth_of_the_heap(
    history: tuple[Run, StackTree, tuple[Lifetime, ...]],
) -> None:
    recorded, stacks, lifetimes = history
    sizes = heap(stacks, lifetimes, len(recorded.checkpoints)).at_checkpoints
    for phase in found(recorded, lifetimes, stacks):
        growth = sum(sizes[s.end] - sizes[s.start] for s in phase.outline.stretches)
        known = phase.heap
        assert known.retained_bytes - known.freed_bytes == known.delta_bytes == growth
        assert sum(phase.heap.deltas_bytes) == growth


@given(history=histories())
def test_retained_and_freed_are_what_their_definitions_say(
    history: tuple[Run, StackTree, tuple[Lifetime, ...]],
) -> None:
    recorded, stacks, lifetimes = history

    def alive(life: Lifetime, place: int) -> bool:
        return life.born <= place and (life.died is None or place < life.died)

    def moved(life: Lifetime, stretches: Sequence[Stretch], *, kept: bool) -> int:
        times = sum(
            alive(life, s.end) is kept and alive(life, s.start) is not kept for s in stretches
        )
        return life.bytes * times

    for phase in found(recorded, lifetimes, stacks):
        stretches = phase.outline.stretches
        known = phase.heap
        assert known.retained_bytes == sum(moved(life, stretches, kept=True) for life in lifetimes)
        assert known.freed_bytes == sum(moved(life, stretches, kept=False) for life in lifetimes)


@given(history=histories())
def test_leaving_out_quiet_gaps_keeps_parents_right(
    history: tuple[Run, StackTree, tuple[Lifetime, ...]],
) -> None:
    recorded, stacks, lifetimes = history
    outlines = outline(recorded.checkpoints, died=False).phases
    kept = found(recorded, lifetimes, stacks)
    assert kept
    spans = [item for item in outlines if item.kind is PhaseKind.SPAN]
    assert [item.name for item in spans] == [
        phase.name for phase in kept if phase.outline.kind is PhaseKind.SPAN
    ]
    for place, phase in enumerate(kept):
        parent = phase.outline.parent
        if parent is None:
            assert phase.outline.depth == 0
        else:
            assert parent < place
            outer = kept[parent].outline.stretches
            for inner in phase.outline.stretches:
                assert any(o.start <= inner.start and inner.end <= o.end for o in outer)


def test_checkpoints_and_readings_are_one_curve_in_time() -> None:
    stacks, (node,) = tree([frame()])
    readings = (Sample(0.5, 3), Sample(1.5, 4))
    held = heap(stacks, [lifetime(node, 1, bytes=MB)], 3, curve=readings)
    assert heap_curve(run("loaded"), held) == (
        Sample(0.0, 0),
        Sample(0.5, 3),
        Sample(1.0, MB),
        Sample(1.5, 4),
        Sample(2.0, MB),
    )
