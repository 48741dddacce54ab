"""Ranges of addresses are looked at when their moment comes."""

from __future__ import annotations

from pathlib import Path

import pytest
from captures import START_MS, CaptureWriter

from memdeep.heap.origins import Origins
from memdeep.heap.parts import Asked, HeapPart, Part, TimeCut
from memdeep.heap.stacks import StackTreeBuilder

pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")
from memdeep.heap.replay.reader import ReplayReader  # noqa: E402

PAGE = 4096
RANGES = ((PAGE, 2 * PAGE), (9 * PAGE, 20 * PAGE))
MOMENT, OTHER = 5, 6


def read(capture: Path, cuts: tuple[TimeCut, ...], *, by_stack: bool) -> HeapPart:
    asked = {MOMENT: Asked(RANGES, by_stack)}
    part = Part(capture, 0, 2, 1 + len(cuts), frozenset([0]), cuts=cuts, asked=asked)
    return ReplayReader(capture).read_part(
        part, [], StackTreeBuilder(Origins()), START_MS, lambda step: None
    )


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A capture: 100 bytes in a range and 3 pages across the end of another, freed later."""
    writer = CaptureWriter()
    writer.push("one")
    writer.allocate(PAGE, 100)
    writer.allocate(18 * PAGE, 3 * PAGE)
    writer.memory(PAGE, 10)
    writer.aligned_marker(PAGE, 20)
    writer.free(18 * PAGE)
    writer.memory(PAGE, 30)
    writer.trailer()
    path = tmp_path / "capture.bin"
    path.write_bytes(writer.content)
    return path


@pytest.mark.parametrize(
    ("cut", "alive"),
    [
        (TimeCut(10, 0, MOMENT), [100, 2 * PAGE]),
        (TimeCut(15, 0, MOMENT), [100, 2 * PAGE]),
        (TimeCut(25, 1, MOMENT), [100, 0]),
        (TimeCut(0, 1, MOMENT), [100, 0]),
        (TimeCut(99, 1, MOMENT), [100, 0]),
    ],
)
def test_what_was_alive_at_the_moment_is_told(
    capture: Path, cut: TimeCut, alive: list[int]
) -> None:
    others = [TimeCut(10, 0, OTHER)] if cut.after else []
    heap = read(capture, (*others, cut), by_stack=True)
    found = heap.in_ranges[MOMENT]
    assert list(found.alive) == alive
    assert [(row.range, row.bytes, row.allocations) for row in found.rows] == [
        (place, size, 1) for place, size in enumerate(alive) if size
    ]
    assert set(heap.at_moments) == ({OTHER} if others else set())


def test_stacks_are_told_only_if_asked_for(capture: Path) -> None:
    heap = read(capture, (TimeCut(10, 0, MOMENT),), by_stack=False)
    assert list(heap.in_ranges[MOMENT].alive) == [100, 2 * PAGE]
    assert heap.in_ranges[MOMENT].rows == []


def test_a_moment_behind_damage_is_not_known(capture: Path) -> None:
    content = capture.read_bytes()
    capture.write_bytes(content[:-1] + b"\x03" * 99)
    heap = read(capture, (TimeCut(10, 0, OTHER), TimeCut(99, 1, MOMENT)), by_stack=True)
    assert heap.damage is not None
    assert heap.in_ranges == {}
