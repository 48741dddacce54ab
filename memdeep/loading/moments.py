"""Chooses the moments at which the heap of all processes is added up.

Those at which the processes held most, as seen from outside. Their PSS is read now and then, their
RSS at each look: what rose and fell between two readings of the PSS shows in the RSS alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from memdeep.heap.family import Moment
from memdeep.model import Process
from memdeep.rundir.samples import ProcessSample

MORE_BYTES = 4 << 20  # of RSS, than at the highest PSS: the processes may well have held more then
LIKE_BYTES = 1 << 20
Group = int | None  # None are all groups
_Sums = dict[Group, Counter[float]]  # by time
_Place = tuple[int, Group]  # a segment, by the checkpoint that ends it


def moments(
    processes: Sequence[Process],
    times_s: Sequence[float],
    most: int,
    samples: Sequence[ProcessSample] = (),
    offset_s: float = 0.0,
) -> list[Moment]:
    """Return when the processes that were started held most, in each segment in which they did.

    So for all of them and for each group. ``times_s`` are those of the checkpoints; ``offset_s`` is
    the start of the program by the clock of ``samples``. Of more than ``most`` moments the heaviest
    are returned.
    """
    pss, rss = _pss(processes), _rss(processes, samples, offset_s)
    highest, of_rss = _highest(pss, times_s), _highest(rss, times_s, LIKE_BYTES)
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
    sums: _Sums, times_s: Sequence[float], within_bytes: int = 0
) -> dict[_Place, tuple[int, float]]:
    """Return the highest sum in each segment, and when it was.

    Of all sums that are lower by no more than ``within_bytes`` it is the middle one: a moment is
    found to some milliseconds in the captures, and at the edge of a height it may be missed.
    """
    found: dict[_Place, list[tuple[float, int]]] = {}
    for group, by_time in sums.items():
        for time_s, size in sorted(by_time.items()):
            segment = bisect_left(times_s, time_s)
            if 0 < segment < len(times_s):
                found.setdefault((segment, group), []).append((time_s, size))
    chosen = {}
    for key, read in found.items():
        least = max(size for _, size in read) - within_bytes
        high = [(size, time_s) for time_s, size in read if size >= least]
        chosen[key] = high[len(high) // 2]
    return chosen
