"""Findings are ranked by what is in use; a reservation, file pages and shared memory are named."""

from __future__ import annotations

from dataclasses import replace

from factories import MB, frame, heap, lifetime, native, phase, run, tree
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.analysis.findings import findings
from memdeep.analysis.reserved import reserved_at_peak
from memdeep.analysis.resident import ResidentHeap, settled
from memdeep.model import (
    Advice,
    Finding,
    FindingKind,
    Lifetime,
    MappedBytes,
    Origin,
    Parts,
    Peak,
    Phase,
    PhaseKind,
    Residency,
    StackBytes,
)
from memdeep.model.alive import AliveStacks
from memdeep.model.heap import Stretch

TREE, (ONE, TWO) = tree([frame("one", lineno=1)], [frame("two", lineno=2)])
ALL_OF_IT = AliveStacks((StackBytes(ONE, 100 * MB, 1),))
NOTHING = Residency(0, 0, (), (), (), 0, 0, 0, 0, 0)


def reading(checkpoint: int, **parts: object) -> Residency:
    return replace(NOTHING, checkpoint=checkpoint, **parts)


def steps(*names: str) -> list[Phase]:
    """Phases one after the other; the RSS of each grew by 300 MB."""
    return [
        phase(
            name,
            kind=PhaseKind.SPAN,
            stretches=(Stretch(n, n + 1),),
            rss_delta_bytes=300 * MB,
        )
        for n, name in enumerate(names)
    ]


def found(
    phases: list[Phase], lives: list[Lifetime], *readings: Residency
) -> list[tuple[FindingKind, str, int]]:
    """Each finding as (kind, function, MB)."""
    return [
        (item.kind, function(item), item.bytes // MB) for item in all_of(phases, lives, readings)
    ]


def all_of(
    phases: list[Phase], lives: list[Lifetime], readings: tuple[Residency, ...]
) -> tuple[Finding, ...]:
    held = replace(
        heap(TREE, lives, len(phases) + 1, peak_bytes=sum(life.bytes for life in lives)),
        residency=readings,
    )
    return findings(held, phases, len(phases) + 1)


def function(item: Finding) -> str:
    assert item.culprit is not None
    return item.culprit.frame.function


def test_a_reservation_comes_last_whatever_its_size() -> None:
    lives = [lifetime(ONE, 1, bytes=1024 * MB), lifetime(TWO, 2, bytes=200 * MB)]
    untouched = (StackBytes(ONE, 1022 * MB, 1),)
    got = found(steps("配置", "load"), lives, reading(1, untouched=untouched))
    assert got == [(FindingKind.GROWTH, "two", 200), (FindingKind.RESERVED, "one", 1024)]


def test_what_is_used_of_a_reservation_decides_its_place() -> None:
    lives = [lifetime(ONE, 1, bytes=500 * MB), lifetime(TWO, 1, bytes=200 * MB)]
    untouched = (StackBytes(ONE, 400 * MB, 1),)
    first, second = all_of(steps("load"), lives, (reading(1, untouched=untouched),))
    assert (function(first), first.resident_bytes) == ("two", 200 * MB)
    assert (function(second), second.bytes, second.resident_bytes) == ("one", 500 * MB, 100 * MB)


def test_what_is_used_for_the_most_part_is_no_reservation_however_small() -> None:
    lives = [lifetime(ONE, 1, bytes=30 * MB), lifetime(TWO, 1, bytes=1000 * MB)]
    for idle, kind in ((15, FindingKind.GROWTH), (28, FindingKind.RESERVED)):
        items = all_of(
            steps("load"), lives, (reading(1, untouched=(StackBytes(ONE, idle * MB, 1),)),)
        )
        assert [one.kind for one in items if function(one) == "one"] == [kind]


def test_what_a_line_reserved_is_told_apart_from_what_it_has_in_use() -> None:
    """As a library does that reserves a pool of its own when it is first called."""
    pool = frame("mi_arena_reserve", lineno=0, origin=Origin.NATIVE, filename="libarrow.so")
    of_line, (own, reserving) = tree([frame("load", lineno=1)], [frame("load", lineno=1), pool])
    lives = [lifetime(own, 1, bytes=80 * MB), lifetime(reserving, 1, bytes=1024 * MB)]
    taken = reading(1, untouched=(StackBytes(reserving, 1023 * MB, 1),))
    held = replace(heap(of_line, lives, 2, peak_bytes=1104 * MB), residency=(taken,))
    first, second = findings(held, steps("load"), 2)
    assert (first.kind, first.bytes, first.resident_bytes) == (
        FindingKind.GROWTH,
        80 * MB,
        80 * MB,
    )
    assert (second.kind, second.bytes, second.resident_bytes) == (
        FindingKind.RESERVED,
        1024 * MB,
        MB,
    )
    assert first.culprit.line == second.culprit.line


def test_an_arena_that_is_hardly_in_use_is_no_reservation_beside_its_line() -> None:
    of_line, (own, last) = tree([frame("rows", lineno=1)], [frame("rows", lineno=1), native()])
    lives = [lifetime(own, 1, bytes=30 * MB), lifetime(last, 1, bytes=MB)]
    taken = reading(1, untouched=(StackBytes(last, MB - 1, 1),))
    held = replace(heap(of_line, lives, 2, peak_bytes=31 * MB), residency=(taken,))
    (item,) = findings(held, steps("load"), 2)
    assert (item.kind, item.bytes) == (FindingKind.GROWTH, 31 * MB)


def test_a_reservation_that_is_filled_later_is_found_where_it_is_filled() -> None:
    lives = [lifetime(ONE, 1, bytes=400 * MB)]
    readings = (reading(1, untouched=(StackBytes(ONE, 400 * MB, 1),)), reading(2))
    got = found(steps("load", "fill"), lives, *readings)
    assert got == [(FindingKind.TOUCHED, "one", 400)]
    (first,) = all_of(steps("load", "fill"), lives, readings)
    assert first.phase == 1


def test_the_line_that_reserved_a_pool_is_not_the_one_that_uses_it() -> None:
    """A library reserves its pool at the first call of any line, and hands it out itself."""
    pool = frame("mi_arena_reserve", lineno=0, origin=Origin.NATIVE, filename="libarrow.so")
    of_line, (node,) = tree([frame("first", lineno=1), pool])
    lives = [lifetime(node, 1, bytes=1024 * MB)]
    readings = tuple(
        reading(at, untouched=(StackBytes(node, idle * MB, 1),))
        for at, idle in ((1, 1023), (2, 955))
    )
    held = replace(heap(of_line, lives, 3, peak_bytes=1024 * MB), residency=readings)
    used, reserved = findings(held, steps("load", "strings"), 3)
    assert (used.kind, used.advice) == (FindingKind.UNTRACKED, Advice.IN_ARROW_POOL)
    assert (used.phase, used.bytes, used.culprit) == (1, 68 * MB, None)
    assert used.evidence == {"mapped_bytes": 1024 * MB, "slack_bytes": 68 * MB}
    assert (reserved.kind, reserved.phase) == (FindingKind.RESERVED, 0)


def test_what_replaces_a_reservation_was_not_reserved_before() -> None:
    lives = [lifetime(ONE, 1, 2, bytes=100 * MB), lifetime(ONE, 2, bytes=100 * MB)]
    readings = (reading(1, untouched=(StackBytes(ONE, 100 * MB, 1),)), reading(2))
    got = found(steps("load", "again"), lives, *readings)
    assert got == [(FindingKind.GROWTH, "one", 100), (FindingKind.RESERVED, "one", 100)]


def test_pages_that_an_allocator_gave_back_are_not_alive_at_the_end() -> None:
    lives = [lifetime(ONE, 1, bytes=320 * MB)]
    readings = (reading(1), reading(2, untouched=(StackBytes(ONE, 280 * MB, 1),)))
    (item,) = all_of(steps("加工", "释放"), lives, readings)
    assert item.kind is FindingKind.GROWTH
    assert (item.fate.alive_bytes, item.fate.given_back_bytes) == (40 * MB, 280 * MB)


def test_what_never_held_memory_is_told_apart_at_the_end() -> None:
    lives = [lifetime(ONE, 1, bytes=320 * MB)]
    readings = (
        reading(1, untouched=(StackBytes(ONE, 60 * MB, 1),)),
        reading(2, untouched=(StackBytes(ONE, 300 * MB, 1),)),
    )
    (item,) = all_of(steps("加工", "释放"), lives, readings)
    fate = item.fate
    assert (fate.alive_bytes, fate.unused_bytes, fate.given_back_bytes) == (
        80 * MB,
        60 * MB,
        240 * MB,
    )


def test_pages_of_a_file_are_found_where_they_were_read() -> None:
    lives = [lifetime(ONE, 1, bytes=300 * MB)]
    readings = (
        reading(1, file=(MappedBytes(ONE, 0, 300 * MB),)),
        reading(2, file=(MappedBytes(ONE, 300 * MB, 300 * MB),), file_bytes=300 * MB),
    )
    (item,) = all_of(steps("打开", "扫描"), lives, readings)
    assert (item.kind, item.phase, item.bytes) == (FindingKind.FILE, 1, 300 * MB)
    assert (function(item), item.share) == ("one", 1.0)


def test_shared_memory_is_summed_over_like_phases() -> None:
    lives = [lifetime(ONE, n, bytes=30 * MB) for n in range(1, 5)]
    readings = [
        reading(n, shared=(MappedBytes(ONE, n * 30 * MB, n * 30 * MB),)) for n in range(1, 5)
    ]
    (item,) = all_of(steps(*(f"part {n}" for n in range(4))), lives, tuple(readings))
    assert (item.kind, item.phases, item.bytes) == (FindingKind.SHARED, (0, 1, 2, 3), 120 * MB)
    assert item.pattern == "part *"


def test_of_what_was_there_at_a_peak_no_more_was_idle_than_was_found_idle() -> None:
    """The last arena of objects that are gone is not resident for the most part."""
    (step,) = steps("sum")
    peak = Peak(33 * MB, 0.5, AliveStacks((StackBytes(ONE, 33 * MB, 33),)))
    of_step = replace(step, heap=replace(step.heap, peak=peak, end_bytes=2 * MB))
    lives = [lifetime(ONE, 1, bytes=2 * MB)]
    taken = reading(1, untouched=(StackBytes(ONE, MB, 1),))
    held = replace(heap(TREE, lives, 2, peak_bytes=33 * MB), residency=(taken,))
    assert [(item.kind, item.bytes) for item in findings(held, [of_step], 2)] == [
        (FindingKind.PEAK, 30 * MB),
        (FindingKind.GROWTH, 2 * MB),
    ]


SIZES = st.integers(0, 64).map(lambda size: size * MB)


@given(st.lists(st.tuples(SIZES, SIZES), min_size=2, max_size=2), SIZES)
@examples(100)
def test_no_line_comes_before_one_with_more_in_use(
    sizes: list[tuple[int, int]], mapped: int
) -> None:
    lives = [lifetime(node, 1, bytes=MB + used + idle) for node, (used, idle) in enumerate(sizes)]
    untouched = tuple(StackBytes(node, idle, 1) for node, (_, idle) in enumerate(sizes) if idle)
    taken = reading(1, untouched=untouched, file=(MappedBytes(ONE, 0, mapped),) if mapped else ())
    items = all_of(steps("load"), lives, (taken,))
    grown = [item for item in items if item.kind is FindingKind.GROWTH]
    in_use = [item.bytes_in_use for item in grown]
    assert in_use == sorted(in_use, reverse=True)
    for item in items:
        used, idle = sizes[item.culprit.node]
        assert item.bytes_in_use <= item.bytes
        if item.kind is FindingKind.GROWTH:
            of_file = mapped if item.culprit.node == ONE else 0
            assert item.resident_bytes == max(0, MB + used - of_file)
    assert [item for item in items if item.kind is FindingKind.RESERVED] == list(
        items[len(grown) :]
    )


THREADS = tree(
    [frame("MainThread", origin=Origin.THREAD), frame("one", lineno=1)],
    [frame("worker", origin=Origin.THREAD), frame("two", lineno=2)],
)
LIVES = st.lists(
    st.builds(
        lambda node, born, lasts, size: lifetime(
            THREADS[1][node], born, None if lasts is None else born + lasts, bytes=size
        ),
        st.integers(0, 1),
        st.integers(1, 5),
        st.none() | st.integers(1, 4),
        st.integers(1, 99),
    ),
    max_size=12,
)


@given(LIVES, st.lists(st.integers(0, 5).map(float), min_size=6, max_size=6), st.integers(0, 6))
@examples(150)
def test_a_reading_says_nothing_of_what_others_allocated_since(
    lives: list[Lifetime], times: list[float], at: int
) -> None:
    """A checkpoint in the trace before it that is later by the clock was set since it was read."""
    points = run(*(f"p{n}" for n in range(5)))
    points = replace(
        points,
        checkpoints=tuple(
            replace(one, time_s=time, thread="MainThread")
            for one, time in zip(points.checkpoints, [0.0, *times], strict=True)
        ),
    )
    stacks, (main, other) = THREADS
    alive = {node: [one for one in lives if one.node == node] for node in (main, other)}
    size = {node: sum(one.bytes for one in alive[node] if one.is_alive_at(at)) for node in alive}
    untouched = tuple(StackBytes(node, bytes_, 1) for node, bytes_ in size.items() if bytes_)
    held = replace(heap(stacks, lives, 7), residency=(reading(at, untouched=untouched),))
    (taken,) = settled(held, points).residency
    since = [n for n in range(1, at + 1) if times[n - 1] >= times[at - 1]] if at else []
    newer = sum(
        one.bytes for one in alive[other] if since and one.born >= since[0] and one.is_alive_at(at)
    )
    left = {stack.node: stack.bytes for stack in taken.untouched}
    assert left.get(main, 0) == size[main]
    assert left.get(other, 0) == size[other] - newer
    assert taken.heap_bytes + taken.untouched_bytes == sum(size.values())


@given(LIVES, st.integers(0, 5), st.integers(1, 5), st.integers(0, 2))
@examples(150)
def test_what_others_are_about_to_write_is_not_called_untouched(
    lives: list[Lifetime], at: int, after: int, part: int
) -> None:
    """Of other threads' bytes those count that are untouched at the next reading as well."""
    points = run(*(f"p{n}" for n in range(10)))
    points = replace(
        points,
        checkpoints=tuple(
            replace(one, time_s=float(one.index), thread="MainThread") for one in points.checkpoints
        ),
    )
    stacks, (main, other) = THREADS

    def untouched(checkpoint: int, part: int) -> tuple[StackBytes, ...]:
        size = {main: 0, other: 0}
        for one in lives:
            size[one.node] += one.bytes if one.is_alive_at(checkpoint) else 0
        return tuple(StackBytes(node, n // part, 1) for node, n in size.items() if n // part)

    readings = [reading(at, untouched=untouched(at, 1))]
    if part:
        readings.append(reading(at + after, untouched=untouched(at + after, part)))
    held = replace(heap(stacks, lives, 12), residency=tuple(readings))
    first = settled(held, points).residency[0]
    left = {stack.node: stack.bytes for stack in first.untouched}
    size, *later = [{s.node: s.bytes for s in one.untouched} for one in held.residency]
    assert left.get(main, 0) == size.get(main, 0)
    there = [one for one in lives if one.node == other and one.is_alive_at(at) and one.born < at]
    stays = [one for one in there if not later or one.is_alive_at(at + after)]
    most = sum(one.bytes for one in stays)
    if later:
        most = min(most, later[0].get(other, 0))
    assert left.get(other, 0) == most
    assert first.heap_bytes + first.untouched_bytes == sum(size.values())


def test_what_threads_touch_at_once_is_told_of_the_phase_around_them_and_once() -> None:
    lives = [lifetime(ONE, 1, bytes=100 * MB)]
    around = replace(steps("work")[0], outline=phase("work", stretches=(Stretch(1, 6),)).outline)
    fills = [
        phase(
            f"fill {n}", parent=1, depth=1, threads=(f"t{n}",), stretches=(Stretch(2 + n, 4 + n),)
        )
        for n in range(2)
    ]
    left = ((1, 100), (3, 90), (4, 60), (5, 40))
    readings = [reading(at, untouched=(StackBytes(ONE, size * MB, 1),)) for at, size in left]
    phases = [*steps("load"), around, *fills]
    held = replace(heap(TREE, lives, 7, peak_bytes=100 * MB), residency=tuple(readings))
    told = [one for one in findings(held, phases, 7) if one.kind is FindingKind.TOUCHED]
    assert [(one.phase, one.bytes // MB) for one in told] == [(1, 60)]


def test_what_may_be_about_to_be_written_is_not_called_used() -> None:
    """A thread reads, and finds what the main thread has; nobody reads again before it is freed."""
    stacks, (main,) = tree([frame("fill")])
    points = run("+load", "-load", "+fill", "-fill", "+drop", "-drop")
    points = replace(
        points,
        checkpoints=tuple(
            replace(one, time_s=float(one.index), thread="t" if one.index == 4 else "MainThread")
            for one in points.checkpoints
        ),
    )
    readings = [
        reading(2, untouched=(StackBytes(main, 100 * MB, 1),)),
        reading(4, untouched=(StackBytes(main, 80 * MB, 1),)),
        reading(6),
    ]
    lives = [lifetime(main, 2, 6, bytes=100 * MB)]
    held = replace(heap(stacks, lives, 8, peak_bytes=100 * MB), residency=tuple(readings))
    known = settled(held, points)
    assert not known.residency[1].untouched  # it may all have been written before it was freed
    phases = [
        replace(one, outline=phase(one.name, stretches=(Stretch(2 * n + 1, 2 * n + 2),)).outline)
        for n, one in enumerate(steps("load", "fill", "drop"))
    ]
    told = [one for one in findings(known, phases, 8) if one.kind is FindingKind.TOUCHED]
    assert [(one.phase, one.bytes // MB) for one in told] == [(1, 20)]


def test_what_may_have_come_into_use_since_the_last_reading_is_not_called_reserved() -> None:
    """The RSS has risen by most of it, and there was no time to read the mappings."""
    stacks, (one,) = tree([frame("reserve")])
    points = run("+load", "-load", "+fill", "-fill")
    rss = [20, 20, 20, 20, 90, 90]
    points = replace(
        points,
        checkpoints=tuple(
            replace(point, rss_bytes=size * MB)
            for point, size in zip(points.checkpoints, rss, strict=True)
        ),
    )
    readings = (reading(2, untouched=(StackBytes(one, 100 * MB, 1),)),)
    held = heap(stacks, [lifetime(one, 2, bytes=100 * MB)], 6, peak_bytes=100 * MB)
    known = settled(replace(held, residency=readings), points)
    resident = ResidentHeap(known)
    peak = [StackBytes(one, 100 * MB, 1)]
    assert [part.bytes for at in (3, 4) for part in resident.in_use(peak, at)] == [0, 100 * MB]
    first = resident.last(4)
    assert first is not None
    assert first.most_idle == {one: 100 * MB}  # nor is it said to be used
    phases = [
        replace(step, outline=phase(step.name, stretches=(Stretch(2 * n + 1, 2 * n + 2),)).outline)
        for n, step in enumerate(steps("load", "fill"))
    ]
    (found_,) = findings(known, phases, 6)
    assert (found_.kind, found_.advice) == (FindingKind.RESERVED, None)
    assert found_.fate is not None
    assert found_.fate.unused_bytes == 0


def test_a_heap_that_is_as_high_for_long_has_in_use_what_came_into_use_meanwhile() -> None:
    lives = [lifetime(ONE, 1, 4, bytes=100 * MB)]
    phases = [
        replace(step, heap=replace(step.heap, peak=Peak(size, n + 0.5, ALL_OF_IT, n + 1)))
        for n, (step, size) in enumerate(
            zip(steps("load", "fill", "drop"), (100 * MB, 100 * MB - 9, 100 * MB - 9), strict=True)
        )
        if step.heap is not None
    ]
    idle = reading(1, untouched=(StackBytes(ONE, 100 * MB, 1),))
    held = heap(TREE, lives, 4, peak_bytes=100 * MB)
    filled = replace(held, residency=(idle, reading(2), reading(3)))
    assert reserved_at_peak(filled, phases) == 0
    freed = replace(held, lifetimes=heap(TREE, [lifetime(ONE, 1, 3, bytes=100 * MB)], 4).lifetimes)
    never = replace(freed, residency=(idle, reading(3)))
    assert reserved_at_peak(never, phases) == 100 * MB


def test_what_was_touched_later_is_not_said_to_be_never_touched() -> None:
    lives = [lifetime(ONE, 1, bytes=400 * MB)]
    readings = tuple(
        reading(at, untouched=(StackBytes(ONE, size * MB, 1),)) for at, size in ((1, 400), (2, 300))
    )
    held = replace(heap(TREE, lives, 4, peak_bytes=400 * MB), residency=readings)
    load, *others = steps("load", "fill", "rest")
    measured = replace(load, rss_start_bytes=0, parts=Parts(400 * MB, 0, untouched=-400 * MB))
    (found_,) = [
        one for one in findings(held, [measured, *others], 4) if one.kind is FindingKind.RESERVED
    ]
    assert found_.advice is Advice.UNTOUCHED
    assert found_.evidence["untouched_bytes"] == 300 * MB


def test_between_readings_shared_memory_became_resident_where_the_rss_grew() -> None:
    """There was no time for a reading at each part; the copy grew by its own heap alone."""
    stacks, (shared, copy) = tree([frame("create", lineno=1)], [frame("copy", lineno=2)])
    points = run("+part 1", "-part 1", "+part 2", "-part 2", "+copy", "-copy")
    sizes = [(10, 0), (10, 0), (22, 12), (22, 12), (34, 24), (34, 24), (54, 24), (54, 24)]
    points = replace(
        points,
        checkpoints=tuple(
            replace(point, rss_bytes=rss * MB, rss_file_bytes=mapped * MB)
            for point, (rss, mapped) in zip(points.checkpoints, sizes, strict=True)
        ),
    )
    readings = [
        reading(at, shared=(MappedBytes(shared, size * MB, 60 * MB),))
        for at, size in ((1, 0), (6, 24))
    ]
    lives = [lifetime(shared, 1, bytes=60 * MB), lifetime(copy, 6, bytes=20 * MB)]
    held = replace(heap(stacks, lives, 8, peak_bytes=80 * MB), residency=tuple(readings))
    phases = [
        replace(one, outline=phase(one.name, stretches=(Stretch(2 * n + 1, 2 * n + 2),)).outline)
        for n, one in enumerate(steps("part 1", "part 2", "copy"))
    ]
    told = findings(settled(held, points), phases, 8)
    of_shared = [one for one in told if one.kind is FindingKind.SHARED]
    assert [(one.phases, one.bytes // MB) for one in of_shared] in (
        [((0, 1), 24)],
        [((0,), 12), ((1,), 12)],
    )


def test_copies_of_pages_of_a_file_are_told_though_most_of_it_is_only_mapped() -> None:
    lives = [lifetime(ONE, 1, bytes=200 * MB), lifetime(TWO, 2, bytes=200 * MB)]
    mapped = (MappedBytes(ONE, 0, 200 * MB), MappedBytes(TWO, 0, 170 * MB))
    held = replace(
        heap(TREE, lives, 3, peak_bytes=400 * MB),
        residency=(reading(1, file=mapped[:1]), reading(2, file=mapped)),
    )
    (told,) = findings(held, steps("open", "write"), 3)
    assert (told.kind, function(told), told.bytes_in_use) == (FindingKind.GROWTH, "two", 30 * MB)
    later = (MappedBytes(ONE, 0, 160 * MB),)
    held = replace(
        heap(TREE, lives[:1], 3, peak_bytes=200 * MB),
        residency=(reading(1, file=mapped[:1]), reading(2, file=later)),
    )
    (told,) = findings(held, steps("open", "write"), 3)
    assert (told.kind, told.phase, told.bytes) == (FindingKind.TOUCHED, 1, 40 * MB)
