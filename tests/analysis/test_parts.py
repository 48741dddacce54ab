"""The parts of the growth of the RSS add up to it, whatever was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from factories import MB, frame, heap, lifetime, run, tree, with_peaks
from hypothesis import given
from hypothesis import strategies as st

from memdeep.analysis.outline import outline
from memdeep.analysis.phases import Figures, phases
from memdeep.model import (
    Checkpoint,
    Lifetime,
    MappedBytes,
    Parts,
    Phase,
    Residency,
    Run,
    StackBytes,
)

LINES, (ONE, OTHER) = tree([frame(lineno=1)], [frame(lineno=2)])
NAMES = ("heap", "file", "shared", "allocator", "untouched", "unseen", "tracer", "unknown")


def reading(checkpoint: int, **figures: int | tuple[StackBytes | MappedBytes, ...]) -> Residency:
    """A reading in which nothing is but ``figures``."""
    sizes = ("heap", "file", "shared", "allocator", "unseen", "tracer")
    empty = {f"{name}_bytes": 0 for name in sizes}
    lists = {"untouched": (), "file": (), "shared": ()}
    return Residency(**{"checkpoint": checkpoint, **empty, **lists, **figures})  # type: ignore[arg-type]


def load(
    rss: Sequence[int | None],
    file: Sequence[int | None],
    lifetimes: Sequence[Lifetime] = (),
    readings: Sequence[Residency] = (),
) -> Phase:
    """The phase `load` between the checkpoints 1 and 2 of four."""
    recorded = run("+load", "-load")
    points = tuple(
        replace(point, rss_bytes=size, rss_file_bytes=mapped)
        for point, size, mapped in zip(recorded.checkpoints, rss, file, strict=True)
    )
    return measured(replace(recorded, checkpoints=points), points, lifetimes, readings)


def measured(
    recorded: Run,
    points: Sequence[Checkpoint],
    lifetimes: Sequence[Lifetime],
    readings: Sequence[Residency],
) -> Phase:
    outlines = outline(points, died=False).phases
    whole = heap(LINES, lifetimes, len(points), residency=tuple(readings))
    found = phases(Figures(recorded, with_peaks(whole, outlines)), outlines)
    (phase,) = (phase for phase in found if phase.name == "load")
    return phase


def test_a_reservation_is_in_the_heap_and_not_resident() -> None:
    phase = load(
        (0, 10 * MB, 14 * MB, 14 * MB),
        (0, 0, 0, 0),
        [lifetime(node=ONE, born=2, bytes=1024 * MB)],
        [
            reading(1, allocator_bytes=10 * MB),
            reading(
                2,
                heap_bytes=4 * MB,
                allocator_bytes=10 * MB,
                untouched=(StackBytes(ONE, 1020 * MB, 1),),
            ),
        ],
    )
    assert phase.parts == Parts(1024 * MB, 0, 0, 0, -1020 * MB, 0, 0, 0)
    assert phase.explained_ratio == 1.0
    assert phase.heap is not None
    assert phase.heap.culprits[0].resident_bytes == 4 * MB


def test_touching_what_was_reserved_before_is_growth_of_the_heap() -> None:
    held = [lifetime(node=ONE, born=1, bytes=100 * MB)]
    rest = reading(1, untouched=(StackBytes(ONE, 100 * MB, 1),))
    phase = load((0, 0, 100 * MB, 0), (0, 0, 0, 0), held, [rest, reading(2, heap_bytes=100 * MB)])
    assert phase.parts == Parts(100 * MB, 0, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("kind", ["file", "shared"])
def test_mapped_files_and_shared_memory_are_no_heap(kind: str) -> None:
    mapped = (MappedBytes(OTHER, 30 * MB, 40 * MB),)
    phase = load(
        (0, 0, 30 * MB, 0),
        (0, 0, 30 * MB, 0),
        [lifetime(node=OTHER, born=2, bytes=40 * MB)],
        [reading(1), reading(2, **{kind: mapped, f"{kind}_bytes": 30 * MB})],
    )
    assert phase.parts is not None
    assert (phase.parts.heap, getattr(phase.parts, kind), phase.parts.unknown) == (0, 30 * MB, 0)
    assert phase.heap is not None
    assert phase.heap.culprits[0].resident_bytes == 30 * MB


def test_a_reading_stands_for_a_checkpoint_to_which_little_moved() -> None:
    lives = [lifetime(node=ONE, born=1, bytes=3 * MB), lifetime(node=ONE, born=2, bytes=90 * MB)]
    last = reading(2, heap_bytes=93 * MB)
    near = load((0, 3 * MB, 93 * MB, 93 * MB), (0, 0, 0, 0), lives, [reading(0), last])
    assert near.parts == Parts(90 * MB, 0, 0, 0, 0, 0, 0, 0)
    far = load((0, 30 * MB, 120 * MB, 0), (0, 0, 0, 0), lives, [reading(0), last])
    assert far.parts == Parts(90 * MB, 0, unknown=0)
    assert far.heap is not None and far.heap.culprits[0].resident_bytes == 90 * MB


def test_without_readings_what_the_journal_has_is_told() -> None:
    phase = load((0, 0, 30 * MB, 0), (0, 0, 5 * MB, 0), [lifetime(born=2, bytes=10 * MB)])
    assert phase.parts == Parts(10 * MB, 5 * MB, unknown=15 * MB)
    assert not phase.parts.is_measured
    assert load((0, None, 30 * MB, 0), (0, 0, 0, 0)).parts is None
    assert load((0, 0, 7 * MB, 0), (0, 0, None, 0)).parts == Parts(0, None, unknown=7 * MB)


def test_a_file_that_was_mapped_and_is_not_any_more_was_no_heap() -> None:
    """Nobody reads the mappings after it: the journal has what the file pages shrank by."""
    lives = [lifetime(node=OTHER, born=1, died=2, bytes=40 * MB)]
    lives.append(lifetime(node=ONE, born=1, died=2, bytes=20 * MB))
    mapped = (MappedBytes(OTHER, 30 * MB, 40 * MB),)
    before = reading(1, heap_bytes=20 * MB, file=mapped, file_bytes=30 * MB)
    phase = load((0, 50 * MB, 20 * MB, 20 * MB), (0, 30 * MB, 0, 0), lives, [before])
    assert phase.parts == Parts(-20 * MB, -30 * MB, unknown=20 * MB)


SIZES = st.integers(0, 200).map(lambda size: size * MB)


@st.composite
def readings(draw: st.DrawFn, checkpoint: int) -> Residency:
    figures = {
        f"{name}_bytes": draw(SIZES)
        for name in ("heap", "file", "shared", "allocator", "unseen", "tracer")
    }
    nodes = st.sampled_from([ONE, OTHER])
    untouched = draw(st.lists(st.builds(StackBytes, nodes, SIZES, st.just(1)), max_size=2))
    resident, mapped = st.lists(SIZES, min_size=2, max_size=2).map(sorted), []
    for _ in range(draw(st.integers(0, 2))):
        mapped.append(MappedBytes(draw(nodes), *draw(resident)))
    return reading(checkpoint, **figures, untouched=tuple(untouched), file=tuple(mapped))


@given(
    rss=st.tuples(SIZES, SIZES, SIZES, SIZES),
    file=st.tuples(*[SIZES | st.none()] * 4),
    lives=st.lists(
        st.builds(lifetime, node=st.sampled_from([ONE, OTHER]), born=st.integers(1, 3), bytes=SIZES)
    ),
    read=st.tuples(*[readings(place) | st.none() for place in range(4)]),
)
def test_the_parts_add_up_to_the_growth(
    rss: tuple[int, ...],
    file: tuple[int | None, ...],
    lives: list[Lifetime],
    read: tuple[Residency | None, ...],
) -> None:
    phase = load(rss, file, lives, [one for one in read if one is not None])
    assert phase.parts is not None
    parts = [getattr(phase.parts, name) for name in NAMES]
    assert sum(part for part in parts if part is not None) == phase.rss_delta_bytes
    assert (phase.parts.untouched or 0) <= 0
    if phase.parts.is_measured:
        assert None not in parts
        assert phase.explained_ratio is None or 0 <= phase.explained_ratio <= 1
    if read[1] is not None and read[2] is not None:
        assert phase.parts.is_measured or None in file[1:3]
    assert phase.heap is not None
    for culprit in phase.heap.culprits:
        assert culprit.resident_bytes is None or 0 <= culprit.resident_bytes <= culprit.bytes
