"""Merges what is old of a run that is followed, so that it can go on for weeks: a flight recorder.

The detail of the last minutes stays: each checkpoint, phase and reading. Of what came before, the
segments of the replay become one (`native/merge.cpp`), and of the files of the run a few lines
stay. What is still open keeps its beginning: a phase, and a checkpoint that begins a span; so does
a checkpoint at which somebody looked at who holds the objects. The figures stay exact.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from memdeep.follow.capture import FollowedCapture
from memdeep.follow.known import Known
from memdeep.frozen import frozen
from memdeep.heap.replay import saved
from memdeep.heap.replay.saved import punch_out, to_disk
from memdeep.rundir import condensed, journal, labels, mappings
from memdeep.rundir.condensed import Condensed
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import open_regular
from memdeep.rundir.journal import Event
from memdeep.rundir.long_file import Left
from memdeep.rundir.meta import read_meta
from memdeep.rundir.samples import ProcessSample, decode_samples, encode_sample, tree_bytes

CHUNK_BYTES = 1 << 20
SHARE_MORE = 0.25  # of the time whose detail stays: so much more may gather before it is merged
SHARE_AGAIN = 0.125  # of it, until it is tried once more
# A report shows no more events than `loading.journal` reads: of more, fewer minutes stay.
MOST_EVENTS = 60_000
MOST_OPEN = 256  # of what is open: programs forget to close phases
MOST_TOLD = 100  # of what the program told that could not be recorded
MOST_PIDS = 1000  # whose first and last readings stay
MOST_PERIODS = 1000
LEAST_PERIOD_MS = 1000
KEPT_BYTES = 4096  # at the beginning of a file, for its first line
WORTH_BYTES = 1 << 16  # to be given back
LONGEST_HEAD = 64  # of a reading
_READING = re.compile(rb"^R ([0-9]+) [0-9]+ ([0-9]+)\n", re.MULTILINE)


@frozen
class _Line:
    """A line of the journal: where it begins in the file, -1 for one that was left of it."""

    event: Event
    content: bytes
    offset: int


class Condenser:
    """Keeps the detail of the last ``last_s`` of the run in ``run_dir``.

    ``condensed`` is what stands for the old part: it goes with the replay as it is merged. Raises
    CaptureError if what was merged before cannot be read.
    """

    def __init__(self, run_dir: RunDirectory, last_s: float) -> None:
        self._run_dir = run_dir
        self._last_us = int(last_s * 1e6)
        self._number = saved.merges_of(run_dir.capture())  # that is on the disk
        self.condensed = condensed.read(run_dir, self._number)
        self._next_us = self._after(self.condensed.until_us)
        self._old_lines = 0

    def is_due(self, known: Known) -> bool:
        """Tell if there is so much more detail than wanted that it is worth merging."""
        return known.start is not None and (
            _now_us(known.start) >= self._next_us or known.lines - self._old_lines > 2 * MOST_EVENTS
        )

    def merge(self, followed: FollowedCapture, known: Known) -> bool:
        """Merge what is older than wanted; return False if there is nothing.

        Raises OSError or CaptureError if the files of the run cannot be read: nothing is merged.
        """
        start = known.start
        assert start is not None
        cutoff_us = _now_us(start) - self._last_us
        begun = followed.begun()
        segments = {sequence: segment for segment, sequence in enumerate(begun) if sequence >= 0}
        lines = list(self._old(cutoff_us, known.lines - self._old_lines))
        place = _last_of(lines, begun, segments)
        if place is None:
            self._next_us = _now_us(start) + int(SHARE_AGAIN * self._last_us)
            self._old_lines = known.lines - MOST_EVENTS  # not at once again
            return False
        first = lines[place].event
        until = segments[first.sequence]
        stay = _staying(
            [line.event for line in lines[:place]],
            lambda event: (
                segments.get(event.sequence, until) > until
                or (event.sequence not in segments and event.time_us > cutoff_us - self._last_us)
                or self._run_dir.graph(event.sequence).exists()
            ),
        )
        kept = [line for line in lines[:place] if line.event.sequence in stay]
        gone = [line.event for line in lines[:place] if line.event.sequence not in stay]
        starts = sorted(
            segment
            for line in kept
            if 0 < (segment := segments.get(line.event.sequence, 0)) < until
        )
        period_ms = LEAST_PERIOD_MS
        while first.time_us > MOST_PERIODS * 1000 * period_ms:
            period_ms *= 2
        before = self.condensed
        samples, fewer = self._samples(start, first.time_us, period_ms)
        readings = self._mappings(first.sequence, {line.event.sequence for line in kept})
        followed.merge(until, starts, period_ms)
        known.forget(event.sequence for event in gone)
        self._old_lines += sum(1 for line in lines[:place] if line.offset >= 0)
        self._next_us = self._after(first.time_us)
        self.condensed = Condensed(
            until_us=first.time_us,
            checkpoints=before.checkpoints + sum(one.kind in journal.CHECKPOINTS for one in gone),
            events=before.events + len(gone),
            samples=before.samples + fewer,
            period_ms=period_ms,
            journal=Left(b"".join(line.content for line in kept), lines[place].offset),
            mappings=readings,
            samples_left=samples,
        )
        return True

    def write(self, number: int) -> None:
        """Write what goes with the state that was merged ``number`` times, before that is saved.

        Raises OSError or OutputError.
        """
        if number != self._number:
            condensed.write(self._run_dir, number, self.condensed)
            to_disk(self._run_dir.condensed(number))

    def is_saved(self, number: int) -> None:
        """Give back what stands in ``condensed`` now: the state that it goes with is on the disk.

        Raises OSError.
        """
        if number == self._number:
            return
        self._number = number
        for one in self._run_dir.condensed_numbers():
            if one != number:
                self._run_dir.condensed(one).unlink(missing_ok=True)
        left = self.condensed
        _give_back(self._run_dir.journal, left.journal)
        _give_back(self._run_dir.mappings, left.mappings)
        _give_back(self._run_dir.samples, left.samples_left)

    def _after(self, until_us: int) -> int:
        return until_us + int((1 + SHARE_MORE) * self._last_us)

    def _old(self, cutoff_us: int, count: int) -> Iterator[_Line]:
        """Yield the lines of the journal, of which there are ``count``, that may be merged."""
        left = self.condensed.journal
        for content in left.content.splitlines(keepends=True):
            for event in journal.decode(content)[0]:
                yield _Line(event, content, -1)
        offset = left.offset
        for place, content in enumerate(_lines(self._run_dir.journal, offset)):
            for event in journal.decode(content)[0]:
                if event.time_us > cutoff_us and count - place <= MOST_EVENTS:
                    return
                yield _Line(event, content, offset)
            offset += len(content)

    def _samples(self, start: Event, until_us: int, period_ms: int) -> tuple[Left, int]:
        """Return what is left of the readings of memory, and how many moments fewer it is."""
        left = self.condensed.samples_left
        spawned_ns = read_meta(self._run_dir).spawned_ns
        until_ms = (start.monotonic_ns - spawned_ns + 1000 * until_us) // 1_000_000
        old, offset = [left.content], left.offset
        for content in _lines(self._run_dir.samples, offset):
            found = decode_samples(content.decode("ascii", "replace"))
            if found and found[0].time_ms >= until_ms:
                break
            old.append(content)
            offset += len(content)
        samples = decode_samples(b"".join(old).decode("ascii", "replace"))
        moments = [list(group) for _, group in groupby(samples, lambda one: one.time_ms)]
        kept = _thinned(moments, period_ms)
        text = "".join(encode_sample(sample) for moment in kept for sample in moment)
        return Left(text.encode("ascii"), offset), len(moments) - len(kept)

    def _mappings(self, until: int, stay: set[int]) -> Left:
        """Return what is left of the readings of the mappings: those at events that ``stay``."""
        left = self.condensed.mappings
        if not self._run_dir.mappings.exists():  # as where the system tells none
            return left
        file, _ = open_regular(self._run_dir.mappings)
        with file:
            file.seek(left.offset)
            content, end = _up_to(file, left.content, until)
        if end is None:
            return left
        return Left(mappings.kept(content[:end], stay), left.offset + end - len(left.content))


def _now_us(start: Event) -> int:
    return (time.monotonic_ns() - start.monotonic_ns) // 1000


def _last_of(
    lines: Sequence[_Line], begun: Sequence[int], segments: Mapping[int, int]
) -> int | None:
    """Return the place of the line at which the detail may begin: as late as can be.

    It is that of a checkpoint, and all before it come before it in the capture too: threads may
    have set them in another order than they are written. None if there is none.
    """
    places = {line.event.sequence: place for place, line in enumerate(lines)}
    newest = max(places, default=-1)
    latest = [-1]  # by segment, the last place of those before it
    for sequence in begun[1:]:
        unknown = len(lines) if sequence > newest else -1
        latest.append(max(latest[-1], places.get(sequence, unknown)))
    for place in range(len(lines) - 1, 0, -1):
        event = lines[place].event
        if lines[place].offset < 0:
            break
        segment = segments.get(event.sequence, 0)
        if event.kind in journal.CHECKPOINTS and segment and latest[segment - 1] < place:
            return place
    return None


def _staying(events: Iterable[Event], stays: Callable[[Event], bool]) -> set[int]:
    """Return which of the old events stay: those that ``stays`` says, and what is still open.

    With the beginning of a phase its end stays, and the other way round.
    """
    found: set[int] = set()
    told = 0
    opened: dict[object, int] = {}
    with_end: set[object] = set()
    for event in events:
        if event.kind not in journal.CHECKPOINTS:
            told += event.kind == journal.PROBLEM
            if event.kind != journal.PROBLEM or told <= MOST_TOLD:
                found.add(event.sequence)
            continue
        opens, closes = _ends(event)
        is_wanted = stays(event)
        if opens is not None:
            opened[opens] = event.sequence
        if is_wanted or closes in with_end:
            found.add(event.sequence)
            if opens is not None:
                with_end.add(opens)
            if closes is not None and closes in opened:
                found.add(opened[closes])
        if closes is not None:
            opened.pop(closes, None)
            with_end.discard(closes)
    return found | set(sorted(opened.values())[-MOST_OPEN:])


def _ends(event: Event) -> tuple[object, object]:
    """Return what ``event`` opens and what it closes; None for nothing."""
    if event.kind != journal.POINT:
        is_begin = event.kind == journal.BEGIN
        return (event.span, None) if is_begin else (None, event.span)
    name, suffix = labels.split(event.label)
    strand = event.thread_id, event.task, name
    if suffix in labels.PAIRS:
        return (*strand, suffix), None
    return None, (*strand, labels.OPENED_BY[suffix]) if suffix else None


def _thinned(
    moments: Sequence[Sequence[ProcessSample]], period_ms: int
) -> list[Sequence[ProcessSample]]:
    """Return the highest moments of each period, and the first and the last of each process."""
    highest: dict[tuple[int, int], tuple[int, int]] = {}
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for place, moment in enumerate(moments):
        period = moment[0].time_ms // period_ms
        sums = tree_bytes(moment) or 0, sum(sample.rss_bytes for sample in moment)
        for kind, size in enumerate(sums):
            highest[kind, period] = max((size, -place), highest.get((kind, period), (-1, 0)))
        for sample in moment:
            if sample.pid in first or len(first) < MOST_PIDS:
                first.setdefault(sample.pid, place)
                last[sample.pid] = place
    chosen = {-place for _, place in highest.values()} | {*first.values(), *last.values()}
    return [moments[place] for place in sorted(chosen)]


def _up_to(file: BinaryIO, content: bytes, until: int) -> tuple[bytes, int | None]:
    """Read on behind ``content``, to the first reading of the mappings at ``until`` or later.

    Return all of it, and where in it the last series before that begins: what stays in the file
    refers to nothing before it. None where there is no such reading, or no series.
    """
    end = None
    size = len(content)
    while chunk := file.read(CHUNK_BYTES):
        at = max(size, len(content) - LONGEST_HEAD)
        content += chunk
        for one in _READING.finditer(content, at):
            if int(one[2]) == 0:
                end = one.start()
            if int(one[1]) >= until:
                return content, end
    return content, None


def _lines(path: Path, offset: int) -> Iterator[bytes]:
    """Yield the whole lines of a file from ``offset`` on. Raises CaptureError or OSError."""
    file, _ = open_regular(path)
    with file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            yield line


def _give_back(path: Path, left: Left) -> None:
    """Give back what stands in ``left`` of a file, but for its first line."""
    end = left.offset // KEPT_BYTES * KEPT_BYTES
    if end < KEPT_BYTES + WORTH_BYTES:
        return
    punch_out(path, KEPT_BYTES, end)
