"""Processes of a run from any births, ends and samples: each once, in order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from factories import MB, event, meta, process
from hypothesis import given
from hypothesis import strategies as st

from memdeep.heap.origins import Origins
from memdeep.loading.children import _lived
from memdeep.loading.moments import moments
from memdeep.loading.processes import Outside, highest_sum, read_processes
from memdeep.model import Process, Sample
from memdeep.rundir import births, journal
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.journal import Event
from memdeep.rundir.meta import SeenProcess
from memdeep.rundir.samples import ProcessSample

ROOT = 100
START_NS = 10**12
OFFSET_S = 0.25
END_S = 10.0
PIDS = st.integers(ROOT, ROOT + 5)  # few, so that they are given out again
TIMES_NS = st.integers(0, int(END_S * 1e9) + 10**9).map(lambda ns: START_NS + ns)


def start() -> Event:
    begun = event(journal.START, 0, 1000)
    begun.pid, begun.monotonic_ns, begun.epoch_ns = ROOT, START_NS, 10**18
    return begun


@st.composite
def lines(draw: st.DrawFn) -> list[bytes]:
    """Lines of the file of births, in any order, which may contradict one another."""
    found = []
    directory = 0
    for _ in range(draw(st.integers(0, 12))):
        kind = draw(st.sampled_from(["origin", "started", "fork", "exec", "exec", "ended"]))
        pid, time_ns = draw(PIDS), draw(TIMES_NS)
        if kind == "origin":
            stack = [("program.py", draw(st.integers(1, 3)), "main")]
            found.append(births.encode_origin(pid, draw(st.integers(1, 2)), 0, stack))
        elif kind == "started":
            found.append(births.encode_started(pid, draw(PIDS), draw(st.integers(1, 2)), time_ns))
        elif kind == "ended":
            found.append(births.encode_ended(pid, draw(st.sampled_from([0, 1, -9])), time_ns))
        else:
            directory += 1
            up = [(pid, draw(st.integers(1, 2)))]
            up += [(one, 1) for one in draw(st.lists(PIDS, max_size=3))]
            place = draw(st.none() | st.just(f"{pid}-{directory}"))
            origin = draw(st.none() | st.integers(1, 2)) if kind == births.FORK else None
            found.append(
                births.encode_born(kind, up, origin, place, ["python", "x.py"], "3.12", time_ns)
            )
    return draw(st.permutations(found))


samples = st.lists(
    st.builds(
        ProcessSample,
        time_ms=st.integers(0, int(END_S * 1000)),
        pid=PIDS,
        rss_bytes=st.integers(1, 1000),
        rss_file_bytes=st.just(0),
        pss_bytes=st.none() | st.integers(1, 1000),
    ),
    max_size=20,
).map(lambda found: sorted(found, key=lambda one: one.time_ms))

seen = st.lists(
    st.builds(
        SeenProcess,
        pid=PIDS,
        parent_pid=st.none() | PIDS,
        command=st.none() | st.just("python"),
        peak_rss_bytes=st.integers(1, 1000),
        start_s=st.none() | st.floats(0, END_S),
        signal=st.none() | st.just("SIGKILL"),
        verdict=st.none() | st.just("oom-killed"),
    ),
    max_size=4,
)


def processes_of(
    content: list[bytes], read: list[ProcessSample], told: list[SeenProcess]
) -> tuple[Process, ...]:
    with TemporaryDirectory() as directory:
        run_dir = RunDirectory(Path(directory))
        run_dir.births.write_bytes(b"".join(content))
        outside = Outside(meta(processes=tuple(told)), read, OFFSET_S, END_S)
        found, problems = read_processes(run_dir, [start()], outside, Origins())
    assert problems == []
    return found


@given(content=lines(), read=samples, told=seen)
def test_each_process_is_told_once_and_without_contradiction(
    content: list[bytes], read: list[ProcessSample], told: list[SeenProcess]
) -> None:
    found = processes_of(content, read, told)
    program, *others = found
    assert (program.pid, program.how, program.start_s, program.parent) == (ROOT, "run", 0.0, None)
    directories = [one.directory for one in others if one.directory is not None]
    assert len({*directories}) == len(directories)
    decoded, damaged = births.decode(b"".join(content))
    assert damaged == 0
    born = {
        one.directory
        for one in decoded
        if isinstance(one, births.Birth) and one.monotonic_ns <= START_NS + END_S * 1e9
    }
    assert {f"children/{name}" for name in born if name is not None} >= {*directories}
    for place, one in enumerate(found):
        assert one.parent is None or 0 <= one.parent < place
        assert one.group is not None
        assert one.group <= place
        assert found[one.group].group == one.group
        if one.start_s is not None and one.end_s is not None and one.how is not None:
            assert 0 <= one.start_s <= one.end_s
        if one.signal is not None:
            assert one.exit is None
            assert one.verdict in ("killed", "oom-killed", None)
        if one.exit is not None and one.how != "run":
            assert one.verdict in (
                ("completed" if one.exit == 0 else "failed"),
                "oom-killed",
            )
        if one.verdict == "detached":
            assert one.exit is None
            assert one.signal is None
        assert all(sample.time_s >= 0 for sample in one.curve)
        peaks = (one.peak_pss_bytes, max([sample.bytes for sample in one.curve], default=None))
        assert None in peaks or one.how == "run" or peaks[0] == peaks[1]


times = st.lists(st.floats(0, END_S), min_size=0, max_size=6).map(
    lambda found: (0.0, *sorted(found), END_S)
)
lives = st.builds(
    Process,
    pid=st.just(7),
    start_s=st.none() | st.floats(0, END_S + 1),
    end_s=st.none() | st.floats(0, END_S + 1),
    verdict=st.none() | st.just("detached"),
)


@given(one=lives, times_s=times)
def test_a_life_lies_within_the_checkpoints(one: Process, times_s: tuple[float, ...]) -> None:
    first, last, ended = _lived(one, times_s)
    born_s = one.start_s or 0.0
    assert 1 <= first <= last < len(times_s)
    assert ended in (None, last)
    assert times_s[first - 1] <= born_s or first == len(times_s) - 1 or first == 1
    assert born_s <= times_s[first] or first == len(times_s) - 1
    if one.verdict == "detached":
        assert (last, ended) == (len(times_s) - 1, None)
    elif ended is not None:
        end_s = born_s if one.end_s is None else one.end_s
        assert end_s <= times_s[ended]
    else:
        assert last == len(times_s) - 1


curves = st.lists(
    st.builds(Sample, st.integers(0, 11).map(float), st.integers(1, 99)), max_size=6
).map(lambda found: tuple(sorted(found, key=lambda one: one.time_s)))


@given(
    held=st.lists(st.tuples(curves, st.integers(1, 2)), max_size=4),
    times_s=times,
    most=st.integers(1, 50),
)
def test_moments_are_those_at_which_most_was_held(
    held: list[tuple[tuple[Sample, ...], int]], times_s: tuple[float, ...], most: int
) -> None:
    processes = [Process(1)] + [Process(2, curve=curve, group=group) for curve, group in held]
    found = moments(processes, times_s, most)
    assert len(found) <= most
    assert [moment.number for moment in found] == [*range(len(found))]
    assert found == sorted(found, key=lambda one: (one.segment, one.time_s))
    sums: dict[float, int] = {}
    for curve, _ in held:
        for sample in curve:
            sums[sample.time_s] = sums.get(sample.time_s, 0) + sample.bytes
    for moment in found:
        assert times_s[moment.segment - 1] < moment.time_s <= times_s[moment.segment]
        assert moment.time_s in sums
    inner = {time_s: size for time_s, size in sums.items() if 0 < time_s <= times_s[-1]}
    if inner:
        assert max(inner.values()) in [sums[moment.time_s] for moment in found]


def test_what_shows_in_the_rss_alone_is_a_moment_too() -> None:
    """The PSS was read before the workers held most, the RSS at each look."""
    curves = (Sample(1.0, 20 * MB), Sample(2.0, 30 * MB))
    workers = [replace(process(pid), group=1, curve=curves, directory="x") for pid in (2, 3)]
    read = [
        ProcessSample(1000 * second, worker.pid, rss)
        for second, rss in ((1, 20 * MB), (2, 30 * MB), (3, 80 * MB), (4, 82 * MB))
        for worker in workers
    ]
    times_s = (0.0, 2.5, 5.0)
    found = moments([process(1), *workers], times_s, 50, read, 0.0)
    assert [(one.segment, one.time_s) for one in found] == [(1, 2.0), (2, 4.0)]
    later = moments([process(1), *workers], (0.0, 5.0), 50, read, 0.0)
    assert [one.time_s for one in later] == [2.0, 4.0]
    assert [one.time_s for one in moments([process(1), *workers], (0.0, 5.0), 1, read)] == [4.0]
    level = [replace(one, rss_bytes=80 * MB) if one.time_ms > 2000 else one for one in read]
    level += [ProcessSample(5000, worker.pid, 80 * MB) for worker in workers]
    (_, middle) = moments([process(1), *workers], (0.0, 6.0), 50, level)
    assert middle.time_s == 4.0  # of the looks at 3, 4 and 5 s


def test_readings_before_the_start_are_not_added_up() -> None:
    """They have the time 0, all of them: of each process the last one counts."""
    program = replace(process(1), curve=(Sample(0.0, 10 * MB), Sample(0.0, 20 * MB)))
    child = replace(process(2), curve=(Sample(0.0, 5 * MB), Sample(1.0, 6 * MB)))
    assert highest_sum([program, child]) == 25 * MB
