"""Chooses the moments at which the heap of all processes is added up.

Those at which the processes held most, as seen from outside. Their PSS is read now and then, their
RSS at each look: what rose and fell between two readings of the PSS shows in the RSS alone.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence

from memdeep.errors import CaptureError
from memdeep.frozen import frozen
from memdeep.heap.family import Moment
from memdeep.heap.parts import MARK
from memdeep.loading.processes import Outside
from memdeep.model import Process
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.moments import Moments, read_moments
from memdeep.rundir.samples import ProcessSample

MAX_MOMENTS = 50  # at which the heap of all processes is added up: each keeps its stacks
MORE_BYTES = 4 << 20  # of RSS, than at the highest PSS: the processes may well have held more then
LIKE_BYTES = 1 << 20
Group = int | None  # None are all groups
_Sums = dict[Group, Counter[float]]  # by time
_Place = tuple[int, Group]  # a segment, by the checkpoint that ends it


@frozen
class Chosen:
    """The moments of a run: those that are ``asked`` for, and others at which captures are cut.

    Of these ``marks`` were asked for once, and those in ``forks`` may be, in the capture of the
    program: what they tell is in the states of captures that were given back in part. ``known``
    says which these are.
    """

    asked: tuple[Moment, ...] = ()
    marks: tuple[Moment, ...] = ()
    forks: tuple[Moment, ...] = ()
    known: Moments = Moments()
    problem: str | None = None

    @property
    def of_all(self) -> tuple[Moment, ...]:
        """Those at which the captures of all processes are cut."""
        return (*self.asked, *self.marks)


def choose(
    run_dir: RunDirectory,
    processes: Sequence[Process],
    times_s: Sequence[float],
    outside: Outside,
    until_ms: int | None = None,
) -> Chosen:
    """Choose the moments of the run in ``run_dir``, if its processes were recorded.

    If captures are to be given back, ``until_ms`` is the time of the samples up to which they may
    be.
    """
    if not any(process.is_traced for process in processes):
        return Chosen(known=Moments().up_to(-1 if until_ms is None else until_ms))
    known, problem = Moments(), None
    try:
        known = read_moments(run_dir)
    except CaptureError as error:
        problem = f"{error.message} The heap of all processes is known at fewer moments."
    offset_s = outside.offset_s

    def time_ms(time_s: float) -> int:
        return round(1000 * (time_s + offset_s))

    asked = moments(
        processes,
        times_s,
        MAX_MOMENTS,
        outside.samples,
        offset_s,
        lambda time_s: known.may_be_asked(time_ms(time_s)),
    )
    if until_ms is not None:
        known = known.up_to(until_ms, [time_ms(one.time_s) for one in asked])
    left = known.times_ms.difference(time_ms(one.time_s) for one in asked)
    marks = [
        Moment(MARK, segment, time_s)
        for time_s in (one / 1000 - offset_s for one in sorted(left))
        if 0 < (segment := bisect_left(times_s, time_s)) < len(times_s)
    ]
    born_s = {
        place: process.start_s or 0.0
        for place, process in enumerate(processes)
        if process.is_forked and process.is_traced and process.parent == 0
    }
    forks = [
        Moment(fork_mark(place), segment_at(times_s, time_s), time_s)
        for place, time_s in born_s.items()
        if time_ms(time_s) <= known.until_ms
    ]
    return Chosen(tuple(asked), tuple(marks), tuple(forks), known, problem)


def fork_mark(process: int) -> int:
    """Return the number of the moment at which a process (its index) was forked."""
    return MARK - 1 - process


def segment_at(times_s: Sequence[float], time_s: float) -> int:
    """Return the segment that begins at ``time_s`` or lasts on, by the checkpoint that ends it."""
    return min(max(1, bisect_right(times_s, time_s)), len(times_s) - 1)


def moments(
    processes: Sequence[Process],
    times_s: Sequence[float],
    most: int,
    samples: Sequence[ProcessSample] = (),
    offset_s: float = 0.0,
    may_be_asked: Callable[[float], bool] = lambda _time_s: True,
) -> list[Moment]:
    """Return when the processes that were started held most, in each segment in which they did.

    So for all of them and for each group. ``times_s`` are those of the checkpoints; ``offset_s`` is
    the start of the program by the clock of ``samples``. Of more than ``most`` moments the heaviest
    are returned; none that ``may_be_asked`` denies.
    """
    pss, rss = _pss(processes), _rss(processes, samples, offset_s)
    highest = _highest(pss, times_s, may_be_asked)
    of_rss = _highest(rss, times_s, may_be_asked, LIKE_BYTES)
    found = [(size, segment, time_s) for (segment, _), (size, time_s) in highest.items()]
    for (segment, group), (size, time_s) in of_rss.items():
        _, told_s = highest.get((segment, group), (0, None))
        if told_s is None or size > rss[group][told_s] + MORE_BYTES:
            found.append((size, segment, time_s))
    heaviest = sorted(found, reverse=True)
    chosen = dict.fromkeys((segment, time_s) for _, segment, time_s in heaviest)
    in_order = sorted(list(chosen)[:most])
    return [Moment(number, *moment) for number, moment in enumerate(in_order)]


def _pss(processes: Sequence[Process]) -> _Sums:
    sums: _Sums = {None: Counter()}
    for process in processes[1:]:
        of_group = sums.setdefault(process.group or 0, Counter())
        for sample in process.curve:
            of_group[sample.time_s] += sample.bytes
            sums[None][sample.time_s] += sample.bytes
    return sums


def _rss(processes: Sequence[Process], samples: Sequence[ProcessSample], offset_s: float) -> _Sums:
    """Add up the RSS of each group; of a number that was given out again the last process counts.

    A page that several processes share counts for each: the sum tells when, not how much.
    """
    groups = {process.pid: process.group or 0 for process in processes[1:] if process.is_traced}
    sums: _Sums = {None: Counter()}
    for sample in samples:
        group = groups.get(sample.pid)
        if group is not None:
            time_s = max(0.0, sample.time_ms / 1000 - offset_s)
            sums.setdefault(group, Counter())[time_s] += sample.rss_bytes
            sums[None][time_s] += sample.rss_bytes
    return sums


def _highest(
    sums: _Sums,
    times_s: Sequence[float],
    may_be_asked: Callable[[float], bool],
    within_bytes: int = 0,
) -> dict[_Place, tuple[int, float]]:
    """Return the highest sum in each segment, and when it was.

    Of all sums that are lower by no more than ``within_bytes`` it is the middle one: a moment is
    found to some milliseconds in the captures, and at the edge of a height it may be missed.
    """
    found: dict[_Place, list[tuple[float, int]]] = {}
    for group, by_time in sums.items():
        for time_s, size in sorted(by_time.items()):
            segment = bisect_left(times_s, time_s)
            if 0 < segment < len(times_s) and may_be_asked(time_s):
                found.setdefault((segment, group), []).append((time_s, size))
    chosen = {}
    for key, read in found.items():
        least = max(size for _, size in read) - within_bytes
        high = [(size, time_s) for time_s, size in read if size >= least]
        chosen[key] = high[len(high) // 2]
    return chosen
