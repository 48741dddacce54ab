"""The join of live allocations with mappings: compiled and in plain Python, and what follows."""

from __future__ import annotations

from pathlib import Path

import pytest
from captures import CaptureWriter
from hypothesis import given
from hypothesis import strategies as st

from memdeep.heap.parts import Part
from memdeep.heap.replay.residency import Found, Known, Look, Piece, looks, pieces, residency
from memdeep.heap.replay.trace import Trace
from memdeep.model import Residency
from memdeep.rundir import mappings
from memdeep.rundir.mappings import Mapping

_replay = pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")

PAGE = 4096
KINDS = (mappings.ANONYMOUS, mappings.HEAP, mappings.FILE, mappings.SHARED, mappings.TRACER)


@st.composite
def layouts(draw: st.DrawFn) -> list[Mapping]:
    """Mappings in order, some touching, some sampled."""
    found, at = [], 16
    for _ in range(draw(st.integers(0, 6))):
        at += draw(st.sampled_from([0, 0, 1, 700]))
        pages = draw(st.integers(1, 600))
        kind = draw(st.sampled_from(KINDS))
        rss = draw(st.integers(0, pages)) * PAGE
        own = rss if kind in KINDS[:2] else draw(st.integers(0, rss // PAGE)) * PAGE
        own = own if kind in (*KINDS[:2], mappings.FILE) else 0
        mapping = Mapping((at * PAGE, (at + pages) * PAGE), kind, "", (rss, own))
        if kind in KINDS[:2]:
            runs = draw(st.lists(st.tuples(st.booleans(), st.sampled_from([1, 1, 2, 20]))))
            samples = [is_there for is_there, length in runs for _ in range(length)]
            mapping = mapping.sampled(tuple(samples[:pages]))
        found.append(mapping)
        at += pages
    return found


@st.composite
def allocations(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Live allocations (address, size, site), none within another one."""
    found, at = [], 8
    for _ in range(draw(st.integers(0, 12))):
        at += draw(st.sampled_from([0, 1, 40, PAGE, 90 * PAGE])) * 8
        size = draw(st.sampled_from([1, 8, 100, PAGE, 3 * PAGE + 5, 300 * PAGE]))
        found.append((at, size, draw(st.integers(1, 3))))
        at += -(-size // 8) * 8
    return found


def pieces_of(look: Look) -> list[Piece]:
    return [piece for group in look.groups for piece in group.pieces]


def join(look: Look, live: list[tuple[int, int, int]]) -> Found:
    """What `native/ranges.hpp` does, in plain Python."""
    split = pieces_of(look)
    alive = [0] * len(split)
    rows: dict[tuple[int, int], list[int]] = {}
    for start, size, site in live:
        is_counted = False
        for place, piece in enumerate(split):
            inside = min(start + size, piece.end) - max(start, piece.start)
            if inside > 0:
                alive[place] += inside
                if piece.by_stack:
                    row = rows.setdefault((place, site), [0, 0])
                    row[0] += inside
                    row[1] += not is_counted
                    is_counted = True
    return Found(alive, [(*key, *row) for key, row in sorted(rows.items())])


def at(checkpoint: int, layout: list[Mapping]) -> Look:
    return Look(checkpoint, checkpoint, False, pieces(grouped(layout)), None)


def grouped(layout: list[Mapping], size: int = 3) -> list[tuple[Mapping, ...]]:
    """Give the mappings in groups, as they are read."""
    return [tuple(layout[at : at + size]) for at in range(0, len(layout), size)]


@given(layout=layouts())
def test_pieces_cover_all_addresses_and_all_resident_bytes(layout: list[Mapping]) -> None:
    split = pieces_of(at(1, layout))
    assert [one.end for one in split[:-1]] == [one.start for one in split[1:]]
    assert split[0].start == 0
    assert all(one.start < one.end for one in split)
    assert sum(one.anonymous_bytes for one in split) == sum(m.anonymous_bytes for m in layout)
    assert sum(one.mapped_bytes for one in split) == sum(m.mapped_bytes for m in layout)
    assert all(one.anonymous_bytes <= one.end - one.start for one in split)


@given(first=layouts(), second=layouts(), live=allocations(), size=st.integers(1, 7))
def test_it_does_not_matter_how_the_mappings_were_grouped(
    first: list[Mapping], second: list[Mapping], live: list[tuple[int, int, int]], size: int
) -> None:
    """Nor whether groups are shared with another reading."""

    def found(sizes: tuple[int, int, int]) -> tuple[Residency, ...]:
        known = Known()
        joined = []
        for checkpoint, layout in enumerate([first, second, first]):
            split = pieces(grouped(layout, sizes[checkpoint]), known)
            look = Look(checkpoint, checkpoint, False, split, None)
            joined.append((look, join(look, live)))
        return residency(joined, [-1, 0, 1, 1])

    assert found((size, 2, size)) == found((100, 100, 3))


@given(layout=layouts(), live=allocations())
def test_the_figures_add_up(layout: list[Mapping], live: list[tuple[int, int, int]]) -> None:
    look = at(1, layout)
    found = join(look, live)
    assert sum(found.alive) == sum(size for _, size, _ in live)
    (one,) = residency([(look, found)], [-1, 0, 1, 1])
    assert one.resident_bytes == sum(mapping.rss_bytes for mapping in layout)
    assert {stack.node for stack in one.untouched} <= {0, 1}
    mapped = sum(stack.mapped_bytes for stack in (*one.file, *one.shared))
    assert one.heap_bytes + one.untouched_bytes + mapped <= sum(found.alive)
    if all(
        piece.by_stack or not size for piece, size in zip(pieces_of(look), found.alive, strict=True)
    ):
        assert one.heap_bytes + one.untouched_bytes + mapped == sum(found.alive)


def test_what_is_resident_in_part_takes_nothing_of_what_is_so_wholly() -> None:
    """Blocks of which the first pages were written, and others that were filled."""
    in_part = (True, True, False, True, True, False, False) * 6
    size, filled = 84 * PAGE, 70 * PAGE
    mapping = Mapping((PAGE, PAGE + size), mappings.HEAP, "", (filled, filled))
    split = pieces([(mapping.sampled((*in_part, *[True] * 42)),)])
    by_place: dict[bool, int] = {False: 0, True: 0}
    for group in split:
        for piece in group.pieces:
            by_place[piece.start >= PAGE + size // 2] += piece.anonymous_bytes
    assert by_place == {False: 28 * PAGE, True: 42 * PAGE}


def test_many_mappings_that_each_lack_a_little_are_told_by_stack() -> None:
    """As a library does that maps a megabyte for each of its caches and fills most of it."""
    size, filled, count = 1 << 20, 800 << 10, 120
    starts = [(place + 1) * 2 * size for place in range(count)]
    layout = [
        Mapping((start, start + size), mappings.ANONYMOUS, "", (filled, filled)) for start in starts
    ]
    look = at(1, layout)
    (one,) = residency([(look, join(look, [(start, size, 1) for start in starts]))], [-1, 0])
    assert one.heap_bytes == count * filled
    assert one.untouched_bytes == count * (size - filled)


@given(layout=layouts(), live=allocations(), by_name=st.booleans())
def test_the_compiled_join_is_the_same(
    layout: list[Mapping], live: list[tuple[int, int, int]], by_name: bool
) -> None:
    capture = CaptureWriter()
    for start, size, site in [*live, (1 << 40, 8, 1)]:
        capture.push(f"f{site}")
        if size % PAGE == 0:
            capture.mmap(start, size)
        else:
            capture.allocate(start, size)
        capture.pop()
    capture.free(1 << 40)
    if by_name:
        capture.marker(1)
    else:
        capture.aligned_marker()
    capture.push("f1")
    capture.allocate(1 << 41, 8)  # after the marker
    capture.trailer()
    look = Look(1, 1, by_name, pieces(grouped(layout)), None)
    engine = _replay.Replay()
    engine.look(look.place, look.is_name, *look.columns())
    engine.feed(capture.content)
    engine.finish()
    trace = Trace(engine)
    theirs, mine = trace.found_at(look), join(look, live)
    assert theirs is not None
    assert list(theirs.alive) == list(mine.alive)

    def named(row: tuple[int, int, int, int]) -> tuple[int, int, int]:
        (call,) = trace.python_stack(trace.sites.node[row[1]])
        return row[0], int(call.raw[0][1:]), row[2]

    assert sorted(map(named, theirs.rows)) == sorted(row[:3] for row in mine.rows)
    assert sum(row[3] for row in theirs.rows) == sum(row[3] for row in mine.rows)


def test_a_program_without_checkpoints_has_nothing_to_look_at_when_it_starts() -> None:
    part = Part(Path("capture.bin"), 0, 1, 0)
    (look,) = looks(part, {0: mappings.Reading(0, 0, (), 0)})
    assert (look.checkpoint, look.place, look.is_name) == (0, 0, False)
