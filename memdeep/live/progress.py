"""Keeps the state of a run that goes on, from the files that it and its parent are writing.

Reads each of them on from where it left off and keeps sums, so that neither a long run nor ten
million checkpoints make it slow. Shows nothing.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from memdeep.live.growth import NOW, Growth, LivePhases
from memdeep.model import DETACHED
from memdeep.rundir import condensed, journal, labels, samples
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.journal import Event
from memdeep.rundir.meta import Meta, decode_meta
from memdeep.rundir.samples import ProcessSample
from memdeep.rundir.tail import Tail

CELLS = 60
FIRST_PERIOD_MS = 100

SILENCE_S = 2.0
MAX_PROBLEMS = 5
SAME_PROCESS_S = 60.0  # how far the clocks of a process's start and of its first line may differ


@dataclass(slots=True)
class Resident:
    """The memory of the process tree at ``time_ms``, its peak, and the RSS of the program alone.

    The memory of several processes is the sum of their PSS (``is_pss``), as last read; where the
    system does not tell it, of their RSS. So many ``processes`` were alive at ``time_ms``.
    """

    time_ms: int = 0
    bytes: int | None = None
    peak_bytes: int | None = None
    program_bytes: int | None = None
    processes: int = 0
    is_pss: bool = False


def is_alive(start: Event) -> bool:
    """Tell whether the process that wrote the line ``start`` still runs."""
    if start.pid is None:
        return False
    try:
        process = psutil.Process(start.pid)
        started_s = process.create_time()
        # A zombie has ended; and a number may have been given to another process since.
        is_zombie = process.status() == psutil.STATUS_ZOMBIE
    except (psutil.Error, OverflowError, ValueError):
        return False
    return not is_zombie and started_s <= start.epoch_ns / 1e9 + SAME_PROCESS_S


class RunProgress:
    """One run, brought up to date by `poll`. Use as a context manager: it keeps files open."""

    def __init__(
        self, run_dir: RunDirectory, phases: LivePhases | None = None, cells: int = CELLS
    ) -> None:
        """Give every event to ``phases``, its own if None; ``cells`` are those of its curve."""
        self.run_dir = run_dir
        self.meta: Meta | None = None
        self.start: Event | None = None
        self.last: Event | None = None
        self.problems: list[str] = []
        self.is_replaced = False  # by another run, in the same directory
        self.resident = Resident()
        self.curve = Curve(cells)
        self.phases = LivePhases() if phases is None else phases
        self._meta_version: tuple[int, int, int] | None = None
        left = condensed.newest(run_dir)
        self.checkpoints = left.checkpoints
        self._journal = Tail(run_dir.journal, left.journal)
        self._samples = Tail(run_dir.samples, left.samples_left)
        self._has_shares = False
        self._tick: list[ProcessSample] = []
        self._now_us = 0
        self._heard_s = self._sampled_s = time.monotonic()

    def __enter__(self) -> RunProgress:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._journal.close()
        self._samples.close()

    def poll(self, budget_s: float, on_checkpoint: Callable[[Event], None]) -> None:
        """Read what is new, for about ``budget_s`` at most; see `is_behind`.

        Raises CaptureError if `meta.json` is damaged.
        """
        give_up_s = time.monotonic() + budget_s
        # First, so that all of the journal has been read once the end is known.
        self._read_meta()
        while True:
            self._read_events(on_checkpoint)
            self._read_samples()
            if not self.is_behind or time.monotonic() >= give_up_s:
                return

    def growths(self) -> list[Growth]:
        """List all phases up to now."""
        until = labels.RUN_END if self.has_ended else NOW
        died = self.meta is None or self.meta.verdict not in ("completed", DETACHED)
        return self.phases.all(self.now_us, self.resident.program_bytes, until, died=died)

    @property
    def is_behind(self) -> bool:
        """Tell whether more has been written than was read."""
        return self._journal.is_behind or self._samples.is_behind

    @property
    def read_ratio(self) -> float:
        """The part of the journal that has been read, from 0 to 1."""
        return self._journal.read_bytes / max(1, self._journal.size_bytes())

    @property
    def has_ended(self) -> bool:
        """Tell whether the parent has given its verdict, or told that it cannot."""
        return self.meta is not None and self.meta.is_over

    @property
    def is_silent(self) -> bool:
        """Tell whether the program is gone and its parent has written nothing for a while."""
        return time.monotonic() - self._heard_s > SILENCE_S and not self.is_alive

    @property
    def is_unattended(self) -> bool:
        """Tell whether the program goes on though nobody reads its RSS any more."""
        return time.monotonic() - self._sampled_s > SILENCE_S and self.is_alive

    @property
    def is_alive(self) -> bool:
        """Tell whether the process that wrote the first line still runs."""
        return self.start is not None and is_alive(self.start)

    @property
    def now_us(self) -> int:
        """The time of the latest event or sample, in microseconds on the journal's clock."""
        sampled_us = self.resident.time_ms * 1000 - self._offset_us
        return max(sampled_us, self._now_us)

    @property
    def elapsed_s(self) -> float:
        """Seconds from the start of the program to the latest event or sample."""
        return self.elapsed_at_s(self.now_us)

    def elapsed_at_s(self, time_us: int) -> float:
        """Convert a time of the journal to seconds since the program was started."""
        return max(0, time_us + self._offset_us) / 1e6

    @property
    def _offset_us(self) -> int:
        """Microseconds from the parent's start of the program to the first line of the journal."""
        if self.start is None or self.meta is None:
            return 0
        return max(0, self.start.monotonic_ns - self.meta.spawned_ns) // 1000

    def _read_meta(self) -> None:
        try:
            status = self.run_dir.meta.stat()
            version = (status.st_ino, status.st_mtime_ns, status.st_size)
            if version == self._meta_version:
                return
            content = self.run_dir.meta.read_bytes()
        except OSError:
            return
        meta = decode_meta(content, self.run_dir.meta)
        self._meta_version = version
        if self.meta is not None and meta.spawned_ns != self.meta.spawned_ns:
            self.is_replaced = True
            return
        self.meta = meta
        self._heard_s = time.monotonic()

    def _read_events(self, on_checkpoint: Callable[[Event], None]) -> None:
        lines = self._journal.next_lines()
        if not lines:
            return
        self._heard_s = time.monotonic()
        for event in journal.decode(lines)[0]:
            self._now_us = max(self._now_us, event.time_us)
            if event.kind == journal.START and self.start is None:
                self.start = event
            self.phases.add(event)
            if event.kind in journal.CHECKPOINTS:
                self.checkpoints += 1
                self.last = event
                on_checkpoint(event)
            elif event.kind == journal.PROBLEM and len(self.problems) < MAX_PROBLEMS:
                self.problems.append(event.label)

    def _read_samples(self) -> None:
        lines = self._samples.next_lines()
        if not lines:
            return
        self._heard_s = self._sampled_s = time.monotonic()
        resident = self.resident
        pid = self.start.pid if self.start is not None else None
        read = samples.decode_samples(lines.decode("ascii", "replace"))
        for time_ms, group in itertools.groupby(read, lambda sample: sample.time_ms):
            same = self._tick if time_ms == resident.time_ms else []  # read up to its middle
            self._tick = tree = [*same, *group]
            for sample in tree:
                if sample.pid == pid:
                    resident.program_bytes = sample.rss_bytes
            self._has_shares |= tree[0].pss_bytes is not None
            size_bytes = samples.tree_bytes(tree)
            if size_bytes is None and not self._has_shares:
                size_bytes = sum(sample.rss_bytes for sample in tree)
            resident.time_ms = time_ms
            resident.processes = len(tree)
            if size_bytes is not None:
                resident.is_pss = len(tree) > 1 and self._has_shares
                resident.bytes = size_bytes
                resident.peak_bytes = max(resident.peak_bytes or 0, size_bytes)
                self.curve.add(time_ms, size_bytes)


class Curve:
    """The highest reading of each period; the period doubles whenever the cells run out."""

    def __init__(self, cells: int = CELLS, period_ms: int = FIRST_PERIOD_MS) -> None:
        self._cells = cells
        self.period_ms = period_ms
        self.values: list[int] = []

    def add(self, time_ms: int, value: int) -> None:
        """Note a reading; a period without one repeats the period before it."""
        while time_ms // self.period_ms >= self._cells:
            self.period_ms *= 2
            pairs = range(0, len(self.values), 2)
            self.values = [max(self.values[at : at + 2]) for at in pairs]
        place = time_ms // self.period_ms
        before = self.values[-1] if self.values else value
        self.values.extend([before] * (place - len(self.values)))
        if place == len(self.values):
            self.values.append(value)
        self.values[place] = max(self.values[place], value)
