"""Births and ends of processes come back whatever their words, and whatever a crash left."""

from __future__ import annotations

from factories import ANY_TEXT, COUNTS
from hypothesis import given
from hypothesis import strategies as st

from memdeep.rundir import births
from memdeep.rundir.births import Asked, Birth, Ended, Origin, Started
from memdeep.rundir.journal import readable

FRAMES = st.lists(st.tuples(ANY_TEXT, COUNTS, ANY_TEXT), max_size=4)
ANCESTORS = st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=births.MAX_ANCESTORS)


@given(pid=COUNTS, number=COUNTS, thread=COUNTS, frames=FRAMES)
def test_an_origin_comes_back(
    pid: int, number: int, thread: int, frames: list[tuple[str, int, str]]
) -> None:
    (origin,), damaged = births.decode(births.encode_origin(pid, number, thread, frames))
    assert isinstance(origin, Origin) and not damaged
    assert (origin.pid, origin.number, origin.thread_id) == (pid, number, thread)
    assert origin.frames == tuple(
        (readable(function), readable(file), line) for file, line, function in frames
    )


@given(
    how=st.sampled_from([births.FORK, births.EXEC]),
    ancestors=ANCESTORS,
    origin=st.none() | COUNTS,
    directory=st.none() | st.just("12-2"),
    command=st.lists(ANY_TEXT, max_size=3),
    time_ns=COUNTS,
)
def test_a_birth_comes_back(
    how: str,
    ancestors: list[tuple[int, int]],
    origin: int | None,
    directory: str | None,
    command: list[str],
    time_ns: int,
) -> None:
    line = births.encode_born(how, ancestors, origin, directory, command, "3.11.7", time_ns)
    (birth,), damaged = births.decode(line)
    assert isinstance(birth, Birth) and not damaged
    assert (birth.how, birth.ancestors) == (how, tuple(ancestors))
    assert (birth.pid, birth.origin, birth.directory) == (ancestors[0][0], origin, directory)
    assert birth.command == tuple(map(readable, command))
    assert (birth.python, birth.monotonic_ns) == ("3.11.7", time_ns)


@given(pid=COUNTS, by=COUNTS, origin=COUNTS, status=st.integers(-64, 255), time_ns=COUNTS)
def test_a_start_and_an_end_come_back(
    pid: int, by: int, origin: int, status: int, time_ns: int
) -> None:
    content = births.encode_started(pid, by, origin, time_ns)
    content += births.encode_asked(pid, by, time_ns)
    content += births.encode_ended(pid, status, time_ns)
    (started, asked, ended), damaged = births.decode(content)
    assert isinstance(asked, Asked)
    assert (asked.pid, asked.by, asked.monotonic_ns) == (pid, by, time_ns)
    assert isinstance(started, Started) and isinstance(ended, Ended) and not damaged
    assert (started.pid, started.by, started.origin) == (pid, by, origin)
    assert (ended.pid, ended.status, ended.monotonic_ns) == (pid, status, time_ns)


@given(cut=st.integers(0, 400))
def test_a_torn_last_line_costs_no_other(cut: int) -> None:
    lines = [births.encode_ended(pid, 0, 1) for pid in range(9)]
    content = b"".join(lines)[:cut]
    found, damaged = births.decode(content)
    whole = content.count(b"\n") + content.endswith(b"}")  # all but its newline was written
    assert len(found) == whole
    assert [line.pid for line in found] == list(range(len(found)))
    assert damaged == 0


def test_a_damaged_line_is_counted_and_leads_nowhere() -> None:
    good = births.encode_ended(7, 0, 1)
    foreign = births.encode_born(births.FORK, [(1, 2)], None, "../../etc", [], "3", 1)
    found, damaged = births.decode(b"{nonsense\n" + foreign + b'{"k":"other","pid":1}\n' + good)
    assert [line.pid for line in found] == [7]
    assert damaged == 3
