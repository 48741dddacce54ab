"""Checkpoints follow the program's own order, between the run's start and its end."""

from __future__ import annotations

from memdeep.loading import checkpoints
from memdeep.model import Checkpoint, CheckpointKind, Sample
from memdeep.rundir import journal
from memdeep.rundir.journal import Event


def event(sequence: int = 1, kind: str = journal.POINT, **fields: object) -> Event:
    return Event({"n": sequence, "k": kind, "t": 1000 * sequence, **fields})


def start(**fields: object) -> Event:
    return event(0, journal.START, **{"pid": 42, "rss": 7, **fields})


def joined(
    *events: Event, started: Event | None = None, end: Event | None = None, end_s: float = 0.0
) -> tuple[Checkpoint, ...]:
    last_seen = Sample(0.25, 99, 9)
    return checkpoints.join(started, events, end, end_s=end_s, last_seen=last_seen)


def test_a_run_without_checkpoints_has_a_start_and_an_end() -> None:
    points = joined(started=start(), end=event(1, journal.EXIT, rss=8))
    assert [(point.label, point.rss_bytes) for point in points] == [("(start)", 7), ("(end)", 8)]
    assert [point.time_s for point in points] == [0.0, 0.001]


def test_an_event_becomes_a_checkpoint_with_all_it_knows() -> None:
    begin = event(5, journal.BEGIN, l="load", o="a note", s=3, th="worker", rss=11, rf=4)
    point = joined(begin, started=start())[1]
    assert point == Checkpoint(
        index=1,
        label="load",
        kind=CheckpointKind.BEGIN,
        time_s=0.005,
        rss_bytes=11,
        note="a note",
        thread="worker",
        pid=42,
        span=3,
        rss_file_bytes=4,
    )


def test_indices_count_in_program_order() -> None:
    points = joined(event(3), event(1), event(2), started=start())
    assert [point.index for point in points] == [0, 1, 2, 3, 4]
    assert [point.time_s for point in points[1:4]] == [0.003, 0.001, 0.002]


def test_the_newest_reading_stands_for_a_place_in_the_trace() -> None:
    """A thread may have read, and set its marker behind one of a thread that has read later."""
    points = joined(event(3, rss=30, rf=3), event(1, rss=10, rf=1), event(4, rss=40, rf=4))
    assert [point.rss_bytes for point in points[1:4]] == [30, 30, 40]
    assert [point.rss_file_bytes for point in points[1:4]] == [3, 3, 4]


def test_a_killed_program_ends_where_it_was_last_seen() -> None:
    last = joined(event(1), started=start(), end_s=4.5)[-1]
    assert (last.time_s, last.rss_bytes, last.rss_file_bytes) == (4.5, 99, 9)


def test_an_older_reading_does_not_stand_for_the_end() -> None:
    last = joined(event(251, rss=11, rf=4), started=start(), end_s=0.3)[-1]
    assert (last.time_s, last.rss_bytes, last.rss_file_bytes) == (0.3, 11, 4)
    assert joined(event(251), started=start(), end_s=0.3)[-1].rss_bytes == 99


def test_the_end_is_never_before_the_last_checkpoint() -> None:
    assert joined(event(2000), event(1), started=start(), end_s=0.5)[-1].time_s == 2.0


def test_without_a_start_nothing_is_made_up() -> None:
    points = joined(event(1))
    assert points[0].rss_bytes is None
    assert {point.pid for point in points} == {None}
