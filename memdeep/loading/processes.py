"""Makes the processes of a run from their births and ends, and from what was seen from outside.

Of the births and ends each process wrote its own; from outside there are the samples, and what the
parent says in its facts of the run. A process that only one of the two knows is listed too.
"""

from __future__ import annotations

import math
import os
import signal
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from memdeep.errors import CaptureError
from memdeep.frozen import frozen, replace
from memdeep.heap import origins as owners
from memdeep.heap.stacks import without_own
from memdeep.loading import ends
from memdeep.model import DETACHED, MAIN_THREAD, Frame, Process, Sample
from memdeep.rundir import births
from memdeep.rundir.births import Asked, Birth, Ended, Origin, Started
from memdeep.rundir.directory import CHILDREN, RunDirectory
from memdeep.rundir.journal import Event
from memdeep.rundir.long_file import read_lines
from memdeep.rundir.meta import ENDING_S, Meta, SeenProcess
from memdeep.rundir.samples import ProcessSample

MAX_LINES = 500_000
Identity = tuple[int, int]  # a pid and the time of its start by the kernel: an exec keeps both

FORKED_ONLY_S = 0.2  # a fork that became another program so soon did nothing else
# The start of another program is seen from outside: so much too early, or too late, at most.
EARLY_S, LATE_S = 0.1, 1.0

# Words on the command line of a Python that `multiprocessing`, or joblib's loky, starts by itself.
_SPAWNED = ("multiprocessing.spawn", "loky.backend.popen_loky")
_SERVER = "multiprocessing.forkserver"


@frozen
class Outside:
    """What was seen of the processes from outside.

    ``offset_s`` is the time of the program's start by the clock of ``samples``. ``end_s`` is
    when the run ended, infinite where the parent did not see it.
    """

    meta: Meta
    samples: Sequence[ProcessSample]
    offset_s: float
    end_s: float = math.inf


@dataclass(slots=True)
class _Lines:
    """The lines of the file of births, by what they are about."""

    births: list[Birth] = field(default_factory=list)
    origins: dict[tuple[int, int], Origin] = field(default_factory=dict)
    started: dict[int, list[Started]] = field(default_factory=lambda: defaultdict(list))
    asked: dict[int, list[Asked]] = field(default_factory=lambda: defaultdict(list))
    ended: dict[int, list[Ended]] = field(default_factory=lambda: defaultdict(list))
    after: dict[int, Ended] = field(default_factory=dict)  # the first of each pid after the run
    directories: set[str | None] = field(default_factory=set)


def read_processes(
    run_dir: RunDirectory, events: Sequence[Event], outside: Outside, origins: owners.Origins
) -> tuple[tuple[Process, ...], list[str]]:
    """Return the processes of a run, the program first, then by their births; and the problems.

    ``events`` are those of the program's journal, of which the first is its start.
    """
    lines, problems = _read(run_dir, events[0].monotonic_ns + outside.end_s * 1e9)
    family = _Family(run_dir, lines, events, outside, origins)
    return family.processes(), problems + _unborn(run_dir, lines)


def read_births(run_dir: RunDirectory) -> Sequence[Birth]:
    """Return the births of a run, as far as they can be read."""
    return _read(run_dir, math.inf)[0].births


def _read(run_dir: RunDirectory, until_ns: float) -> tuple[_Lines, list[str]]:
    """Read the lines written up to ``until_ns``: what outlived the run goes on writing."""
    found = _Lines()
    if not os.path.lexists(run_dir.births):
        return found, []
    try:
        read = read_lines(run_dir.births, MAX_LINES)
    except CaptureError as error:
        return found, [f"{error.message} Where processes came from is not known."]
    lines, damaged = births.decode(read.content)
    twice = 0
    for line in lines:
        if isinstance(line, Birth):
            if line.directory in found.directories:
                twice += 1  # each has a directory of its own
                continue
            found.directories |= {line.directory} - {None}
        if not isinstance(line, Origin) and line.monotonic_ns > until_ns:
            if isinstance(line, Ended):
                found.after.setdefault(line.pid, line)
            continue
        if isinstance(line, Birth) and line.ancestors:
            found.births.append(line)
        elif isinstance(line, Origin):
            found.origins[line.pid, line.number] = line
        elif isinstance(line, Started) and line.by != line.pid:  # an exec starts no process
            found.started[line.pid].append(line)
        elif isinstance(line, Asked):
            found.asked[line.pid].append(line)
        elif isinstance(line, Ended):
            found.ended[line.pid].append(line)
    found.births.sort(key=lambda birth: birth.monotonic_ns)
    missing = damaged + read.left_out + twice
    are = "line on the births and ends of processes is damaged or was"
    if missing != 1:
        are = "lines on the births and ends of processes are damaged or were"
    return found, [f"{missing:,} {are} left out."] if missing else []


def _unborn(run_dir: RunDirectory, lines: _Lines) -> list[str]:
    """Return the sentence on recordings of processes whose births are lost, if there are any."""
    unborn = [one for one in run_dir.children() if one.path.name not in lines.directories]
    if not unborn:
        return []
    return [
        f"{run_dir.births.name} does not tell the birth of {len(unborn):,} of the processes that "
        f"were recorded ({unborn[0].path.name}): their heap is not known."
    ]


class _Family:
    """The processes of one run, found one after the other in the order of their births."""

    def __init__(
        self,
        run_dir: RunDirectory,
        lines: _Lines,
        events: Sequence[Event],
        outside: Outside,
        origins: owners.Origins,
    ) -> None:
        self._run_dir = run_dir
        self._lines = lines
        self._start = events[0]
        self._origins = origins
        self._outside = outside
        self._threads = {event.thread_id or 0: event.thread for event in events if event.thread}
        self._by_pid: defaultdict[int, list[ProcessSample]] = defaultdict(list)
        at_times: defaultdict[int, int] = defaultdict(int)
        for sample in outside.samples:
            self._by_pid[sample.pid].append(sample)
            at_times[sample.time_ms] += 1
        self._alone = {time_ms for time_ms, count in at_times.items() if count == 1}
        self._seen = {seen.pid: seen for seen in outside.meta.processes}
        self._places: dict[Identity, int] = {}

    def processes(self) -> tuple[Process, ...]:
        found = [self._program()]
        kept = self._without_mere_forks()
        later: dict[int, Birth] = {}
        nexts: list[Birth | None] = []
        for birth in reversed(kept):
            nexts.append(later.get(birth.pid))
            later[birth.pid] = birth
        for birth, following in zip(kept, reversed(nexts), strict=True):
            found.append(self._of_birth(birth, following, found))
            self._places[birth.ancestors[0]] = len(found) - 1
        known = {process.pid for process in found}
        for seen in self._outside.meta.processes:
            if seen.pid not in known:
                found.append(self._seen_only(seen, found))
        return _grouped(found)

    def _program(self) -> Process:
        pid = self._start.pid or 0
        replaced = next((one for one in self._lines.births if one.pid == pid), None)
        until_s = None if replaced is None else self._time_s(replaced.monotonic_ns)
        seen = self._seen.get(pid)
        return self._with_memory(
            Process(
                pid=pid,
                command=None if seen is None else seen.command,
                exit=None if seen is None else seen.exit,
                how="run",
                start_s=0.0,
                group=0,
            ),
            until_s,
        )

    def _without_mere_forks(self) -> list[Birth]:
        """Return the births without forks that only became another program."""
        last: dict[Identity, Birth] = {}
        mere = set()
        for birth in self._lines.births:
            before = last.get(birth.ancestors[0])
            if before is not None and (before.how, birth.how) == (births.FORK, births.EXEC):
                lived_s = (birth.monotonic_ns - before.monotonic_ns) / 1e9
                if lived_s < FORKED_ONLY_S:
                    mere.add(before)
                    birth.origin = before.origin if birth.origin is None else birth.origin
            last[birth.ancestors[0]] = birth
        return [birth for birth in self._lines.births if birth not in mere]

    def _of_birth(self, birth: Birth, later: Birth | None, found: Sequence[Process]) -> Process:
        start_s = self._time_s(birth.monotonic_ns)
        before = self._place(birth, found)
        parent = self._parent(birth, found) if before is None else found[before].parent or 0
        how = self._how(birth, None if before is None else found[before], found[parent])
        asked_s = None
        if before is not None:
            frames, thread = found[before].started_by, found[before].thread
        else:
            asked_s = self._asked_s(birth)
            origin = self._origin(birth, how)
            frames = () if origin is None else self._frames(origin)
            thread = None if origin is None else self._thread(origin)
        status = self._status(birth, later)
        until_s = None if later is None else self._time_s(later.monotonic_ns)
        process = Process(
            pid=birth.pid,
            parent=parent,
            command=" ".join(birth.command) or None,
            how=how,
            asked_s=asked_s,
            start_s=start_s,
            started_by=frames,
            thread=thread,
            directory=None if birth.directory is None else f"{CHILDREN}/{birth.directory}",
            was_replaced=status is None
            and later is not None
            and later.ancestors[0] == birth.ancestors[0],
        )
        if status is not None:
            process = self._ended(process, status)
        elif later is None and birth.pid == found[0].pid:
            process = ends.as_program(process, self._outside.meta, self._outside.end_s)
        elif later is None:
            left_s = ends.left_s(self._own(process), process.pid, self._start)
            if left_s is not None and left_s <= self._outside.end_s:
                process = replace(process, end_s=left_s)
        is_told = process.end_s is not None or until_s is not None
        process = self._with_memory(process, until_s)
        return process if is_told or process.verdict is not None else self._unseen(process)

    def _ended(self, process: Process, end: Ended) -> Process:
        is_asked = end.status == -signal.SIGTERM and self._is_asked(process, end)
        process = replace(process, end_s=self._time_s(end.monotonic_ns), ended_by_program=is_asked)
        return ends.with_status(process, end.status)

    def _is_asked(self, process: Process, end: Ended) -> bool:
        """Tell if a process had been asked to end by another of the run."""
        return any(
            one.by != process.pid
            and one.monotonic_ns <= end.monotonic_ns
            and self._time_s(one.monotonic_ns) >= (process.start_s or 0.0)
            for one in self._lines.asked.get(process.pid, ())
        )

    def _unseen(self, process: Process) -> Process:
        """Add how long a process lived whose end nobody saw, as far as anything tells.

        It lived at the last look at it from outside, and may have done so long after.
        """
        run_end_s, end = self._outside.end_s, self._lines.after.get(process.pid)
        if end is not None and self._time_s(end.monotonic_ns) <= run_end_s + ENDING_S:
            return self._ended(process, end)
        if end is not None:
            return replace(process, end_s=run_end_s, verdict=DETACHED)
        found = ends.by_itself(process, self._own(process), self._start, run_end_s)
        if found.verdict == DETACHED and process.end_s is not None:  # seen, and not after the run
            found = replace(found, verdict=None)
        return found

    def _own(self, process: Process) -> RunDirectory | None:
        name = process.directory
        return None if name is None else RunDirectory(self._run_dir.path / name)

    def _seen_only(self, seen: SeenProcess, found: Sequence[Process]) -> Process:
        places = {process.pid: place for place, process in enumerate(found)}
        offset_s = self._outside.offset_s
        start_s = None if seen.start_s is None else max(0.0, seen.start_s - offset_s)
        started = self._start_of_seen(seen.pid, start_s)
        process = Process(
            pid=seen.pid,
            parent=places.get(seen.parent_pid or -1),
            command=seen.command,
            exit=seen.exit,
            signal=seen.signal,
            verdict=seen.verdict,
            peak_rss_bytes=seen.peak_rss_bytes,
            start_s=start_s,
        )
        if started is not None:
            origin = self._lines.origins.get((started.by, started.origin))
            process = replace(
                process,
                how="subprocess",
                start_s=self._time_s(started.monotonic_ns),
                started_by=() if origin is None else self._frames(origin),
                thread=None if origin is None else self._thread(origin),
            )
        told = [
            end
            for end in self._lines.ended.get(seen.pid, ())
            if self._time_s(end.monotonic_ns) >= (process.start_s or 0.0)
        ]
        process = self._with_memory(self._ended(process, told[-1]) if told else process, None)
        looks, of_program = self._by_pid[seen.pid], self._by_pid[found[0].pid]
        if told or not looks or not of_program or looks[-1].time_ms < of_program[-1].time_ms:
            return process
        # It was there at the last look at the program, which no look shows the end of.
        run_end_s = self._outside.end_s
        return replace(process, end_s=run_end_s) if math.isfinite(run_end_s) else process

    def _start_of_seen(self, pid: int, start_s: float | None) -> Started | None:
        """Find the start of another program by its parent; None if that is not known.

        The number may have been another process's long before.
        """
        starts = [
            one
            for one in self._lines.started.get(pid, ())
            if start_s is not None
            and start_s - LATE_S <= self._time_s(one.monotonic_ns) <= start_s + EARLY_S
        ]
        return starts[-1] if starts else None

    def _with_memory(self, process: Process, until_s: float | None) -> Process:
        """Add what was seen of a process from outside while it lived, up to ``until_s``."""
        offset_s = self._outside.offset_s
        after_s = process.start_s or 0.0
        before_s = until_s if until_s is not None else process.end_s
        seen_at = [
            (time_s, sample)
            for sample in self._by_pid.get(process.pid, ())
            if (time_s := sample.time_ms / 1000 - offset_s) >= after_s - 1
            and (before_s is None or time_s <= before_s)
        ]
        curve, own_curve = [], []
        for at_s, sample in seen_at:
            time_s, size = max(0.0, at_s), sample.pss_bytes
            if size is None and process.how == "run" and sample.time_ms in self._alone:
                size = sample.rss_bytes
            if size is not None:
                curve.append(Sample(time_s, size))
            if sample.uss_bytes is not None and process.is_forked and not process.is_traced:
                own_curve.append(Sample(time_s, sample.uss_bytes))
        last_s = max(after_s, seen_at[-1][0]) if seen_at else None
        end_s = until_s if process.end_s is None and until_s is not None else process.end_s
        verdict, seen = process.verdict, self._seen.get(process.pid)
        is_open = end_s is None and process.exit is None and process.signal is None
        is_last = until_s is None and process.how != "run" and process.exit is None
        killed_by = process.signal
        if is_last and seen is not None and seen.verdict is not None and _may_be(seen, after_s):
            has_ended = seen.verdict == DETACHED and not is_open  # its number was given out again
            if not has_ended:
                verdict, killed_by = seen.verdict, killed_by or seen.signal
        pss = [sample.pss_bytes for _, sample in seen_at if sample.pss_bytes is not None]
        uss = [sample.uss_bytes for _, sample in seen_at if sample.uss_bytes is not None]
        rss = [sample.rss_bytes for _, sample in seen_at]
        return replace(
            process,
            verdict=verdict,
            signal=killed_by,
            end_s=last_s if end_s is None else end_s,
            peak_rss_bytes=max(rss, default=process.peak_rss_bytes),
            peak_pss_bytes=max(pss, default=None),
            peak_uss_bytes=max(uss, default=None),
            curve=tuple(curve),
            own_curve=tuple(own_curve),
        )

    def _time_s(self, monotonic_ns: int) -> float:
        return max(0.0, (monotonic_ns - self._start.monotonic_ns) / 1e9)

    def _place(self, birth: Birth, found: Sequence[Process]) -> int | None:
        """Find the process that became another program with this birth; None if none did."""
        place = self._places.get(birth.ancestors[0])
        return 0 if place is None and birth.pid == found[0].pid else place

    def _parent(self, birth: Birth, found: Sequence[Process]) -> int:
        """Find the nearest ancestor that is known; the program if none is."""
        for ancestor in birth.ancestors[1:]:
            if ancestor in self._places:
                return self._places[ancestor]
            if ancestor[0] == found[0].pid:
                break
        return 0

    def _how(self, birth: Birth, before: Process | None, parent: Process) -> str:
        command = " ".join(birth.command)
        if birth.how == births.FORK:
            return "forkserver" if _SERVER in (parent.command or "") else "fork"
        if before is not None:
            return "exec"
        return "spawn" if any(word in command for word in _SPAWNED) else "subprocess"

    def _origin(self, birth: Birth, how: str) -> Origin | None:
        """Find the place that a process was started from; None if that is not known.

        A server forks where another process has asked it to, which knows the number of the child.
        """
        if birth.origin is not None and how != "forkserver":
            return self._lines.origins.get((birth.parent_pid, birth.origin))
        for ancestor in birth.ancestors:
            pid = ancestor[0]
            is_known = ancestor in self._places or pid == self._start.pid
            if is_known:  # so what it started in between is a shell whose number it was not told
                starts = [
                    one
                    for one in self._lines.started.get(births.UNKNOWN, ())
                    if one.by == pid and one.monotonic_ns <= birth.monotonic_ns
                ]
            else:
                starts = self._lines.started.get(pid, [])
            if starts:
                # A number may have been given to several processes, one after the other.
                one = min(starts, key=lambda one: abs(one.monotonic_ns - birth.monotonic_ns))
                return self._lines.origins.get((one.by, one.origin))
            if is_known:
                break
        return None

    def _asked_s(self, birth: Birth) -> float | None:
        """Find when its parent asked for the program that a birth is; None if that is not known.

        Python needs a while to begin. A fork began when it was asked for.
        """
        starts = self._lines.started.get(birth.pid, []) if birth.how != births.FORK else []
        asked = [one for one in starts if one.monotonic_ns <= birth.monotonic_ns]
        return self._time_s(asked[-1].monotonic_ns) if asked else None

    def _frames(self, origin: Origin) -> tuple[Frame, ...]:
        frames = [
            self._origins.frame((function, filename, line))
            for function, filename, line in reversed(origin.frames)
        ]
        return tuple(without_own(frames))

    def _thread(self, origin: Origin) -> str | None:
        if origin.pid != self._start.pid:
            return None
        return self._threads.get(origin.thread_id, None if origin.thread_id else MAIN_THREAD)

    def _status(self, birth: Birth, later: Birth | None) -> Ended | None:
        """Find the end of a process: what the one that waited for it saw counts most."""
        until_ns = float("inf") if later is None else later.monotonic_ns
        found = [
            end
            for end in self._lines.ended.get(birth.pid, ())
            if birth.monotonic_ns <= end.monotonic_ns <= until_ns
        ]
        return found[-1] if found else None


def _may_be(seen: SeenProcess, start_s: float) -> bool:
    """Tell if what was seen may be a process born at ``start_s``: numbers are given out again."""
    return seen.end_s is None or seen.end_s >= start_s


def _grouped(processes: Sequence[Process]) -> tuple[Process, ...]:
    """Number the groups: processes that one line started in one way."""
    firsts: dict[tuple[str, int, str | None], int] = {}
    found = []
    for place, process in enumerate(processes):
        at, group = process.started_at, place
        if at is not None and process.how != "exec":
            group = firsts.setdefault((at.filename, at.lineno, process.how), place)
        found.append(replace(process, group=group))
    return tuple(found)


def highest_sum(processes: Sequence[Process]) -> int | None:
    """Return the highest sum of the processes' curves at one moment; None without any reading."""
    sums: defaultdict[float, int] = defaultdict(int)
    for process in processes:
        # Those before the program's start have the time 0, and the last of them counts.
        for time_s, size in {sample.time_s: sample.bytes for sample in process.curve}.items():
            sums[time_s] += size
    return max(sums.values(), default=None)
