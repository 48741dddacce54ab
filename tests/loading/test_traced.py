"""Which stretches of a run were traced, and the program's order of its checkpoints."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from memdeep.heap.header import MAGIC
from memdeep.heap.parts import Part
from memdeep.loading.traced import align_parts
from memdeep.rundir import journal, marker
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.journal import Event

HEADER = MAGIC + struct.pack("<iiBBQQQQ", 13, 0x030B00F0, 0, 0, 0, 0, 1_000, 0) + bytes(64)


START = Event({"n": 0, "k": journal.START, "t": 0, "pid": 0, "epoch": 2_000_000_000})


def event(sequence: int, kind: str = journal.POINT, note: str | None = None) -> Event:
    return Event({"n": sequence, "k": kind, "t": 1000 * sequence, "rss": 4096, "o": note})


def trace(sequence: int, *, from_start: bool = False) -> Event:
    return event(sequence, journal.TRACE, journal.FROM_START if from_start else None)


def untrace(sequence: int) -> Event:
    return event(sequence, journal.UNTRACE)


def write_capture(directory: Path, name: str, sequences: Sequence[int]) -> None:
    markers = [f"\n{marker.name(n)}\0".encode() for n in sequences]
    (directory / name).write_bytes(HEADER + b"\x01\x02".join([b"", *markers, b""]))


def found(directory: Path, events: Sequence[Event]) -> tuple[list[int], list[tuple[int, int]]]:
    """The sequence numbers in program order, and the first and last checkpoint of each part."""
    traced = align_parts(RunDirectory(directory), events, START)
    assert traced.problems == ()
    return [one.sequence for one in traced.ordered], [(p.first, p.last) for p in traced.parts]


def test_markers_give_the_order_and_one_trace_covers_the_run(tmp_path: Path) -> None:
    write_capture(tmp_path, "capture.bin", [4, 2, 3])
    events = [trace(1, from_start=True), event(2), event(3), event(4)]
    assert found(tmp_path, events) == ([4, 2, 3], [(0, 4)])


def test_a_checkpoint_without_a_marker_comes_after_the_others(tmp_path: Path) -> None:
    write_capture(tmp_path, "capture.bin", [3, 4])
    events = [trace(1, from_start=True), event(2), event(3), event(4), event(5)]
    assert found(tmp_path, events) == ([3, 4, 2, 5], [(0, 5)])


@pytest.mark.parametrize(
    ("markers", "later", "count"),
    [
        ([3, 4], [event(6, journal.EXIT)], 1),  # 5 was begun before, by another thread
        ([3, 5, 4, 6], [event(6, journal.EXIT)], 0),  # its line was there
        ([3, 4], [event(20, journal.EXIT)], 0),  # more than there are threads
        ([3, 4], [event(6)], 0),  # killed
    ],
)
def test_a_thread_may_owe_an_event_at_the_end_of_the_recording(
    tmp_path: Path, markers: list[int], later: list[Event], count: int
) -> None:
    write_capture(tmp_path, "capture.bin", markers)
    events = [trace(1, from_start=True), event(2), event(3), event(4), *later]
    assert align_parts(RunDirectory(tmp_path), events, START).in_flight == count


@pytest.mark.parametrize(
    "later",
    [[event(5), event(6)], [event(5), event(6, journal.EXIT)], [event(5), untrace(6), event(7)]],
    ids=["killed", "ended", "stopped"],
)
def test_a_trace_that_ended_by_itself_is_known_up_to_its_last_marker(
    tmp_path: Path, later: list[Event]
) -> None:
    write_capture(tmp_path, "capture.bin", [3, 4])
    events = [trace(1, from_start=True), event(2), event(3), event(4), *later]
    points = [one.sequence for one in later if one.kind == journal.POINT]
    traced = align_parts(RunDirectory(tmp_path), events, START)
    assert [one.sequence for one in traced.ordered] == [3, 4, 2, *points]
    (part,) = traced.parts
    assert (part.first, part.last, part.markers) == (0, 2, 2)
    assert part.early_end is not None
    assert "after the checkpoint" in part.early_end


def test_each_traced_stretch_is_a_part_with_its_own_capture(tmp_path: Path) -> None:
    write_capture(tmp_path, "capture.bin", [3, 4, 5])
    write_capture(tmp_path, "capture-2.bin", [9, 8, 10])
    events = [event(1), trace(2), event(3), event(4), untrace(5), event(6)]
    events += [trace(7), event(8), event(9), untrace(10), event(11)]
    traced = align_parts(RunDirectory(tmp_path), events, START)
    assert [one.sequence for one in traced.ordered] == [1, 3, 4, 6, 9, 8, 11]
    assert traced.parts == (
        Part(tmp_path / "capture.bin", 2, 3, markers=2, sequences=frozenset({3, 4})),
        Part(tmp_path / "capture-2.bin", 5, 6, markers=2, sequences=frozenset({8, 9})),
    )


def test_a_trace_that_was_running_at_the_end_reaches_to_it(tmp_path: Path) -> None:
    write_capture(tmp_path, "capture.bin", [3])
    assert found(tmp_path, [event(1), trace(2), event(3)]) == ([1, 3], [(2, 3)])


def test_a_trace_that_did_not_start_is_no_part(tmp_path: Path) -> None:
    events = [trace(1, from_start=True), untrace(2), event(3)]
    assert found(tmp_path, events) == ([3], [])


def test_a_trace_without_a_checkpoint_inside_is_no_part(tmp_path: Path) -> None:
    write_capture(tmp_path, "capture.bin", [4])
    events = [event(1), trace(2), event(3, journal.PROBLEM), untrace(4), event(5)]
    assert found(tmp_path, events) == ([1, 5], [])


def test_a_lost_line_of_the_trace_is_made_up_for(tmp_path: Path) -> None:
    write_capture(tmp_path, "capture.bin", [2, 3])
    assert found(tmp_path, [event(2), event(3)]) == ([2, 3], [(0, 3)])


def test_a_capture_that_is_missing_costs_its_stretch_the_heap(tmp_path: Path) -> None:
    write_capture(tmp_path, "capture-2.bin", [6, 7])
    events = [trace(1), event(2), untrace(3), event(4), trace(5), event(6), untrace(7)]
    traced = align_parts(RunDirectory(tmp_path), events, START)
    assert [one.sequence for one in traced.ordered] == [2, 4, 6]
    assert [(part.first, part.last) for part in traced.parts] == [(3, 3)]
    (problem,) = traced.problems
    assert "capture.bin" in problem


@pytest.mark.parametrize(
    ("pid", "start_ms", "is_of_run"),
    [(0, 2_000, True), (0, 61_900, True), (1, 2_000, False), (0, 62_100, False)],
)
def test_a_capture_of_another_run_is_left_out(
    tmp_path: Path, pid: int, start_ms: int, is_of_run: bool
) -> None:
    head = struct.pack("<iiBBQQQQ", 13, 0x030B00F0, 0, 0, 0, 0, start_ms, 0)
    content = MAGIC + head + b"python\0" + struct.pack("<i", pid) + bytes(64)
    (tmp_path / "capture.bin").write_bytes(content)
    events = [trace(1, from_start=True), event(2)]
    traced = align_parts(RunDirectory(tmp_path), events, START)
    assert [one.sequence for one in traced.ordered] == [2]
    assert bool(traced.parts) == is_of_run
    assert [("another run" in problem) for problem in traced.problems] == [True] * (not is_of_run)


def test_nothing_traced_keeps_the_order_of_the_journal(tmp_path: Path) -> None:
    assert found(tmp_path, [event(2), event(1)]) == ([1, 2], [])
