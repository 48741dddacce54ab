"""Reads the memory of a run that was seen from outside, over time."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path

from memdeep.errors import CaptureError
from memdeep.loading import consistency
from memdeep.loading.processes import Outside
from memdeep.model import Checkpoint, Sample
from memdeep.model.sums import sum_of_known
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.journal import Event
from memdeep.rundir.long_file import ALL, Left, read_lines
from memdeep.rundir.meta import Meta
from memdeep.rundir.samples import (
    ProcessSample,
    by_moment,
    damaged_lines,
    decode_samples,
    tree_bytes,
)

MAX_SAMPLES = 2_000_000  # a day of one process
UNSEEN_BYTES = 4 << 20  # more in memory than was read: between two readings it may well be so much


def seen_outside(
    run_dir: RunDirectory, meta: Meta, start: Event, left: Left = ALL
) -> tuple[Outside, list[str]]:
    """Read what the parent saw of the run that began with ``start``, and what is wrong with it.

    Of the old readings those are read that were ``left``.
    """
    samples, problems = _read_samples(run_dir.samples, start, left)
    if not consistency.is_of_run(meta, start):
        problems.append(
            "meta.json is of another run than the journal: how the program was started and how "
            "it ended need not be true of what is shown."
        )
        return Outside(meta, samples, 0.0), problems
    offset_s = (start.monotonic_ns - meta.spawned_ns) / 1e9
    end_s = math.inf if meta.duration_s is None else max(0.0, meta.duration_s - offset_s)
    return Outside(meta, samples, offset_s, end_s), problems


def _read_samples(
    path: Path, start: Event, left: Left
) -> tuple[Sequence[ProcessSample], list[str]]:
    """Read the samples of the run, and return sentences on those that are missing."""
    try:
        lines = read_lines(path, MAX_SAMPLES, left=left)
    except CaptureError as error:
        return (), [f"{error.message} The RSS is known at the checkpoints only."]
    content = lines.content.decode("ascii", "replace")
    samples = decode_samples(content)
    if not consistency.are_of_run(samples, start):
        return (), [
            f"{path} is of another run than the journal. The RSS is known at the checkpoints only."
        ]
    problems = []
    if lines.left_out:
        problems.append(f"{lines.left_out:,} samples of the RSS in the middle were left out.")
    damaged = damaged_lines(content, len(samples))
    if damaged == 1:
        problems.append("1 line of the RSS samples is damaged and was left out.")
    elif damaged:
        problems.append(f"{damaged:,} lines of the RSS samples are damaged and were left out.")
    return samples, problems


def end_s(meta: Meta, samples: Sequence[ProcessSample]) -> float:
    """Return the seconds from starting Python to the program's end, or to its last sample."""
    if meta.duration_s is not None:
        return meta.duration_s
    return max((sample.time_ms for sample in samples), default=0) / 1000


def last_seen(samples: Sequence[ProcessSample], pid: int | None, offset_s: float) -> Sample | None:
    """Return the last reading of the program itself."""
    seen = next((sample for sample in reversed(samples) if sample.pid == pid), None)
    if seen is None:
        return None
    return Sample(seen.time_ms / 1000 - offset_s, seen.rss_bytes, seen.rss_file_bytes)


def memory_curve(
    samples: Sequence[ProcessSample], points: Sequence[Checkpoint], offset_s: float
) -> tuple[Sample, ...]:
    """Return the memory of all processes over time: of one its RSS, of several the sum of PSS.

    Moments at which the PSS of several was not read are left out, unless it never was. A lone
    process adds its checkpoints' values.
    """
    if _are_of_one(samples):
        curve = [
            Sample(time_s, one.rss_bytes, one.rss_file_bytes)
            for one in samples
            if (time_s := one.time_ms / 1000 - offset_s) >= 0
        ]
        curve += [
            Sample(point.time_s, point.rss_bytes, point.rss_file_bytes)
            for point in points
            if point.rss_bytes is not None
        ]
        return tuple(sorted(curve, key=attrgetter("time_s")))
    has_shares = any(sample.pss_bytes is not None for sample in samples)
    curve = []
    for time_ms, tree in by_moment(samples).items():
        time_s = time_ms / 1000 - offset_s
        if time_s < 0:
            continue
        if len(tree) == 1:
            curve.append(Sample(time_s, tree[0].rss_bytes, tree[0].rss_file_bytes))
        elif not has_shares or tree_bytes(tree) is not None:
            curve.append(_sum(tree, time_s))
    return tuple(sorted(curve, key=attrgetter("time_s")))


def lent_curve(
    samples: Sequence[ProcessSample], pid: int | None, offset_s: float
) -> tuple[Sample, ...]:
    """Return what the program shares with its processes, at each reading of the PSS.

    That is what its PSS, of those pages, counts for others: at most what others map that is not
    theirs alone. ``pid`` is the program's. Empty where it never shared anything.
    """
    curve = []
    for time_ms, tree in by_moment(samples).items():
        own = next((one for one in tree if one.pid == pid), None)
        if own is None or (len(tree) > 1 and own.pss_bytes is None):
            continue
        others = [
            one.pss_bytes - one.uss_bytes
            for one in tree
            if one is not own and one.pss_bytes is not None and one.uss_bytes is not None
        ]
        lent = 0 if own.pss_bytes is None else own.rss_bytes - own.pss_bytes
        curve.append(Sample(time_ms / 1000 - offset_s, max(0, min(lent, sum(others)))))
    return tuple(curve) if any(sample.bytes for sample in curve) else ()


def highest_rss(
    samples: Sequence[ProcessSample], points: Sequence[Checkpoint], offset_s: float
) -> int | None:
    """Return the highest sum of RSS at one moment, or the highest RSS at a checkpoint."""
    later = [sample for sample in samples if sample.time_ms / 1000 >= offset_s]
    if _are_of_one(later):
        sums = [sample.rss_bytes for sample in later]
    else:
        at_moments: defaultdict[int, int] = defaultdict(int)
        for sample in later:
            at_moments[sample.time_ms] += sample.rss_bytes
        sums = list(at_moments.values())
    at_points = [point.rss_bytes for point in points if point.rss_bytes is not None]
    return max([*sums, *at_points], default=None)


def _are_of_one(samples: Sequence[ProcessSample]) -> bool:
    """Tell whether no two processes were read: those are very many samples of a long run."""
    return len({sample.pid for sample in samples}) <= 1


def is_end_unseen(meta: Meta, highest_bytes: int | None) -> bool:
    """Tell if no reading shows what a program had in memory at its end.

    It may have put another in its place, whose RSS is not to be mixed with its own. Or, being
    alone, it had clearly more than the ``highest_bytes`` of all readings: so one that was killed
    within milliseconds of the last of them.
    """
    if meta.was_replaced:
        return True
    known = None if len(meta.processes) > 1 else meta.max_rss_bytes
    return known is not None and known > (highest_bytes or 0) + UNSEEN_BYTES


def _sum(tree: Sequence[ProcessSample], time_s: float) -> Sample:
    """Add up the readings of several processes at one moment."""
    size_bytes = tree_bytes(tree)
    if size_bytes is None:
        return Sample(
            time_s,
            sum(sample.rss_bytes for sample in tree),
            sum_of_known([sample.rss_file_bytes for sample in tree]),
        )
    anonymous = sum_of_known([sample.pss_anon_bytes for sample in tree])
    return Sample(time_s, size_bytes, None if anonymous is None else size_bytes - anonymous)
