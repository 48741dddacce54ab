"""The heap of all processes is the sum of theirs, and what has ended holds nothing."""

from __future__ import annotations

from pathlib import Path

from factories import lifetime
from hypothesis import given
from hypothesis import strategies as st

from memdeep.heap.family import ChildHeap, Moment, join_family, summed
from memdeep.heap.lists import LifetimeList
from memdeep.heap.parts import HeapPart, Part, join
from memdeep.model import Heap, Peak, Sample, StackBytes, StackTree, Stretch
from memdeep.model.alive import AliveStacks

LAST = 6  # of the checkpoints
NODES = 4
GROUPS = ((Stretch(0, LAST),), (Stretch(1, 3),), (Stretch(0, 2), Stretch(4, LAST)))


@st.composite
def parts(draw: st.DrawFn, first: int, last: int) -> HeapPart:
    """The heap of one capture between two checkpoints."""
    rows = []
    for _ in range(draw(st.integers(0, 8))):
        born = draw(st.integers(max(1, first), last))
        died = draw(st.none() | st.integers(born + 1, LAST + 1))
        died = None if died is None or died > last else died
        size = draw(st.integers(1, 1000))
        rows.append(
            lifetime(draw(st.integers(0, NODES - 1)), born, died, bytes=size, allocations=1)
        )
    lifetimes = LifetimeList(tuple(rows))
    standing = tuple(lifetimes.heap_at(LAST + 2)[first : last + 1])
    height = max(standing, default=0) + draw(st.integers(0, 100))
    return HeapPart(
        part=Part(Path("capture.bin"), first, last, 0),
        at_checkpoints=standing,
        lifetimes=lifetimes,
        peaks={
            place: Peak(height, 0.5, None)
            for place in range(len(GROUPS))
            if (first, last) == (0, LAST)
        },
        curve=tuple(Sample(float(first + n), size) for n, size in enumerate(standing)),
        peak_bytes=height,
        transients=LifetimeList(),
        largest=(),
        highest=(draw(st.integers(max(1, first), last)), Peak(height, None, None)),
    )


@st.composite
def children(draw: st.DrawFn) -> ChildHeap:
    first = draw(st.integers(1, LAST))
    ended = draw(st.none() | st.integers(first, LAST))
    part = draw(parts(first, LAST if ended is None else ended))
    return ChildHeap(part, draw(st.integers(1, 9)), ended, None if ended is None else float(ended))


@st.composite
def families(draw: st.DrawFn) -> tuple[Heap, list[ChildHeap], list[Moment], Heap]:
    own = join([draw(parts(0, LAST))], StackTree((), (), ()), LAST + 1, GROUPS)
    others = draw(st.lists(children(), min_size=1, max_size=4))
    moments = [Moment(0, draw(st.integers(1, LAST)), 0.5)]
    at_moments = {0: AliveStacks((StackBytes(0, draw(st.integers(0, 3000)), 1),))}
    return own, others, moments, join_family(own, at_moments, others, GROUPS, moments)


@given(family=families())
def test_the_heap_at_a_checkpoint_is_the_sum_of_those_alive(
    family: tuple[Heap, list[ChildHeap], list[Moment], Heap],
) -> None:
    own, others, _, whole = family
    assert whole.own is own
    for checkpoint in range(LAST + 1):
        expected = own.at_checkpoints[checkpoint] or 0
        for child in others:
            if child.ended is None or checkpoint < child.ended:
                expected += child.part.lifetimes.heap_at(LAST + 2)[checkpoint]
        assert whole.at_checkpoints[checkpoint] == expected
        assert whole.lifetimes.heap_at(LAST + 2)[checkpoint] == expected
        assert (whole.peak_bytes or 0) >= expected


@given(family=families())
def test_no_byte_is_lost_or_made_up(
    family: tuple[Heap, list[ChildHeap], list[Moment], Heap],
) -> None:
    own, others, _, whole = family

    def total(heaps: list[Heap] | list[HeapPart]) -> int:
        return sum(
            life.bytes
            for heap in heaps
            for rows in (heap.lifetimes, heap.transients)
            for life in rows or ()
        )

    assert total([whole]) == total([own]) + total([child.part for child in others])


@given(family=families())
def test_nothing_outlives_its_process(
    family: tuple[Heap, list[ChildHeap], list[Moment], Heap],
) -> None:
    own, others, _, whole = family
    alive_of_own = {node.node: node.bytes for node in own.lifetimes.alive_at(LAST)}
    expected = dict(alive_of_own)
    for child in others:
        if child.ended is None:
            for stack in child.part.lifetimes.alive_at(LAST):
                expected[stack.node] = expected.get(stack.node, 0) + stack.bytes
    assert {stack.node: stack.bytes for stack in whole.lifetimes.alive_at(LAST)} == expected
    for process in whole.processes:
        (child, *_) = [one for one in others if one.process == process.process]
        if len({one.process for one in others}) == len(others) and child.ended is not None:
            assert not process.curve or process.curve[-1].bytes == 0


@given(family=families())
def test_a_peak_is_at_least_the_own_one_and_the_heap_at_every_checkpoint_of_its_phase(
    family: tuple[Heap, list[ChildHeap], list[Moment], Heap],
) -> None:
    own, others, _, whole = family
    for child in others:
        assert child.part.highest is not None
        segment, alone = child.part.highest
        assert alone.bytes <= (whole.peak_bytes or 0)
        for peak, stretches in zip(whole.peaks, GROUPS, strict=True):
            if any(segment in stretch.segments for stretch in stretches):
                assert peak is not None
                assert alone.bytes <= peak.bytes
    for before, peak, stretches in zip(own.peaks, whole.peaks, GROUPS, strict=True):
        assert before is not None
        assert peak is not None
        assert before.bytes <= peak.bytes <= (whole.peak_bytes or 0)
        for stretch in stretches:
            for checkpoint in range(stretch.start, stretch.end + 1):
                assert peak.bytes >= (whole.at_checkpoints[checkpoint] or 0)


curves = st.lists(
    st.builds(Sample, st.integers(0, 9).map(float), st.integers(0, 99)), max_size=5
).map(lambda found: sorted(found, key=lambda one: one.time_s))


@given(found=st.lists(curves, max_size=4))
def test_curves_are_summed_at_every_time(found: list[list[Sample]]) -> None:
    def at(curve: list[Sample] | tuple[Sample, ...], time_s: float) -> int:
        return next((one.bytes for one in reversed(curve) if one.time_s <= time_s), 0)

    whole = summed(found)
    for time_s in range(11):
        assert at(whole, time_s) == sum(at(curve, time_s) for curve in found)


@given(family=families(), replaced_s=st.floats(LAST - 1, LAST))
def test_a_program_that_was_replaced_holds_nothing_any_more(
    family: tuple[Heap, list[ChildHeap], list[Moment], Heap], replaced_s: float
) -> None:
    own, others, moments, before = family
    whole = join_family(own, {}, others, GROUPS, moments, replaced_s)
    assert whole.own is own
    gone = own.at_checkpoints[LAST] or 0
    assert whole.at_checkpoints[:LAST] == before.at_checkpoints[:LAST]
    assert whole.at_checkpoints[LAST] == (before.at_checkpoints[LAST] or 0) - gone
    assert whole.lifetimes.heap_at(LAST + 2)[LAST] == whole.at_checkpoints[LAST]
