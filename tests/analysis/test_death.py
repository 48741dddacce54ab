"""What a dead program leaves: where it was, what was alive, and what had grown last."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from factories import MB, analysed, checkpoint, frame, lifetime, program, run, tree, with_rss

from memdeep.analysis.death import death
from memdeep.model import CheckpointKind, Death, Exit, Report, Run, Stretch

KILLED = Exit(None, "SIGKILL", "killed")
FAILED = Exit(1, None, "failed")

LOADED, PARSED = frame("load"), frame("parse")
STACKS, (LOAD, PARSE) = tree([frame("main"), LOADED], [frame("main"), PARSED])


def dead(recorded: Run, *lifetimes: Any, ended: Exit | None = KILLED) -> Report:
    return analysed(replace(recorded, exit=ended), STACKS, lifetimes)


def death_of(report: Report) -> Death:
    assert report.death is not None
    return report.death


def names(report: Report) -> list[str]:
    return [report.phases[place].name for place in death_of(report).phases]


def raised(recorded: Run, *places: int) -> Run:
    """``recorded`` with the ends at ``places`` brought about by an exception."""
    points = list(recorded.checkpoints)
    for place in places:
        points[place] = replace(points[place], note="ValueError")
    return replace(recorded, checkpoints=tuple(points))


def test_a_program_that_completed_did_not_die() -> None:
    assert dead(run("a"), ended=Exit(0, None, "completed")).death is None


def test_every_other_end_is_a_death() -> None:
    for ended in (KILLED, FAILED, Exit(None, "SIGKILL", "oom-killed"), None):
        assert dead(run("a"), ended=ended).death is not None


def test_the_phase_of_death_is_the_innermost_one_that_was_open() -> None:
    assert names(dead(run("+a", "-a", "+b", "+c"))) == ["c"]
    assert names(dead(run("+b", "+c", "-c"))) == ["b"]
    assert names(dead(run("LOAD_START"))) == ["LOAD"]


def test_each_thread_may_have_been_in_a_phase() -> None:
    points = list(program("+a", "+b", "-a"))
    points.insert(4, checkpoint(4, "c", kind=CheckpointKind.BEGIN, span=9))
    points[-1] = replace(points[-1], index=5)
    report = dead(replace(run(), checkpoints=tuple(points)), lifetime(LOAD, 5))
    assert names(report) == ["c"]


def test_without_phases_it_is_the_segment_after_the_last_checkpoint() -> None:
    assert names(dead(run("x"), lifetime(LOAD, 2))) == ["x → (end)"]
    assert names(dead(run())) == ["(start) → (end)"]


def test_phases_that_the_exception_closed_are_those_it_died_in() -> None:
    steps = ("+a", "-a", "+b", "+c", "-c", "-b")
    assert names(dead(raised(run(*steps), 5, 6), ended=FAILED)) == ["c"]
    assert names(dead(raised(run(*steps), 6), ended=FAILED)) == ["b"]


def test_an_exception_that_was_survived_is_no_death() -> None:
    assert names(dead(raised(run("+a", "-a", "x"), 2), lifetime(LOAD, 4))) == ["x → (end)"]


def test_the_last_checkpoint_and_the_time_since() -> None:
    found = death_of(dead(run("a", "b")))
    assert (found.last_checkpoint, found.since_s) == (2, 1.0)
    found = death_of(dead(run()))
    assert (found.last_checkpoint, found.since_s) == (None, 1.0)


def test_alive_is_what_was_there_at_the_end() -> None:
    report = dead(
        run("a", "b"),
        lifetime(LOAD, 1, bytes=30 * MB),
        lifetime(LOAD, 1, 2, bytes=500 * MB),
        lifetime(PARSE, 3, bytes=70 * MB),
    )
    found = death_of(report)
    assert found.heap_bytes == 100 * MB
    assert [(item.frame, item.bytes, item.share) for item in found.culprits] == [
        (PARSED, 70 * MB, 0.7),
        (LOADED, 30 * MB, 0.3),
    ]


def test_what_is_not_known_at_the_end_is_told_as_of_the_last_checkpoint_where_it_is() -> None:
    """As with tracemalloc, which has a snapshot at checkpoints only."""
    report = dead(run("a", "b"), lifetime(LOAD, 1, bytes=30 * MB))
    assert death_of(report).known_at == 3
    heap = replace(report.heap, at_checkpoints=(0, 30 * MB, 30 * MB, None))
    found = death(report.run, heap, report.phases)
    assert found is not None
    assert (found.known_at, found.heap_bytes) == (2, 30 * MB)
    assert [item.bytes for item in found.culprits] == [30 * MB]


def test_the_last_growth_is_the_last_segment_that_grew_noticeably() -> None:
    report = dead(
        run("+a", "-a", "+b", "c"),
        lifetime(LOAD, 2, bytes=200 * MB),
        lifetime(PARSE, 2, 4, bytes=1 * MB),
        lifetime(PARSE, 5, bytes=3 * MB),
    )
    growth = death_of(report).last_growth
    assert growth is not None
    assert growth.stretch == Stretch(1, 2)
    assert growth.heap_bytes == 201 * MB
    assert growth.phase is not None
    assert report.phases[growth.phase].name == "a"
    assert [(item.frame, item.bytes) for item in growth.culprits] == [(LOADED, 200 * MB)]


def test_what_the_traceback_takes_is_no_growth_before_the_death() -> None:
    recorded = raised(run("+a", "-a"), 2)
    report = dead(
        recorded, lifetime(LOAD, 2, bytes=9 * MB), lifetime(PARSE, 3, bytes=3 * MB), ended=FAILED
    )
    growth = death_of(report).last_growth
    assert growth is not None
    assert (growth.stretch, growth.heap_bytes) == (Stretch(1, 2), 9 * MB)


def test_growth_in_the_segment_of_death_is_incomplete() -> None:
    growth = death_of(dead(run("a"), lifetime(LOAD, 2))).last_growth
    assert growth is not None
    assert growth.stretch == Stretch(1, 2, complete=False)


def test_nothing_grew_before_the_death() -> None:
    assert death_of(dead(run("a", "b"), lifetime(LOAD, 2, bytes=MB - 1))).last_growth is None


def test_where_nothing_was_traced_the_rss_tells_what_grew() -> None:
    recorded = run("a", "b", exit=KILLED)
    points = with_rss(recorded.checkpoints, 10 * MB, 10 * MB, 90 * MB, 90 * MB)
    report = analysed(replace(recorded, checkpoints=points), STACKS, ())
    untraced = replace(report.heap, traced=(), at_checkpoints=(None,) * 4, peak_bytes=None)
    found = death(report.run, untraced, report.phases)
    assert found is not None
    assert (found.heap_bytes, found.culprits, found.rss_bytes) == (None, (), 90 * MB)
    growth = found.last_growth
    assert growth is not None
    assert (growth.stretch, growth.heap_bytes, growth.rss_bytes) == (Stretch(1, 2), None, 80 * MB)
    assert growth.culprits == ()
