"""Gives back captures of a run whose processes record their memory, once states stand for them.

A report asks such captures for moments of which only a later time knows that they matter: when all
processes together held most, and when one was forked that copied pages. So no state is saved of
what was replayed as it was written. A place in each capture is noted; a little later all is known
of the time before it. What a report would ask of it by then is asked, in a process of its own, and
what it chose is kept: see `memdeep.rundir.moments`. What a state answers then, a replay of the
whole would answer alike, to the byte.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from memdeep.errors import CaptureError, OutputError
from memdeep.follow.capture import GIVEN_BACK_BYTES
from memdeep.frozen import frozen, replace
from memdeep.heap.front import KEPT_BYTES, Front
from memdeep.heap.header import read_header
from memdeep.heap.parts import Part
from memdeep.heap.reader import CaptureReader
from memdeep.heap.replay import saved
from memdeep.heap.replay.reader import ReplayReader
from memdeep.heap.replay.resume import Stop
from memdeep.heap.replay.saved import punch_out, to_disk
from memdeep.loading.children import NEAREST_MS, Child
from memdeep.loading.journal import read_journal
from memdeep.loading.mapped import read_mappings
from memdeep.loading.moments import fork_mark
from memdeep.loading.processes import read_births
from memdeep.loading.run import Recording, load_run, places_of, start_of
from memdeep.loading.traced import Traced, align_parts, find_walked
from memdeep.model import DETACHED
from memdeep.rundir import births, journal, marker, runs
from memdeep.rundir.births import Birth
from memdeep.rundir.directory import RunDirectory, front_of, state_of
from memdeep.rundir.files import write_atomically
from memdeep.rundir.journal import Event
from memdeep.rundir.long_file import ALL
from memdeep.rundir.meta import read_meta
from memdeep.rundir.samples import decode_samples

SETTLED_S = 5.0  # after that nothing is written any more of what happened before
MOST_SETTLED_S = 30.0  # nor after that, though nobody may have looked at the processes since
MARGIN_MS = 50  # by which clocks may differ, and records of the time be off
TAIL_BYTES = 4096
SHARE_SAVED = 0.25  # of the room on the disk, at least so much was written since the last time
MOST_MOMENTS = 10_000
MOST_KILLED = 3  # times that it is tried again, as where memory runs short
LOOK_S = 0.05
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


@frozen
class Noted:
    """How far captures were written (bytes), at a time by the clock of the samples.

    ``new_bytes`` of them are in no state, and ``states_bytes`` is what the states take.
    """

    until_ms: int
    sizes: Mapping[Path, int]
    new_bytes: int = 0
    states_bytes: int = 0


def givable(run_dir: RunDirectory) -> list[RunDirectory]:
    """Return the processes whose captures states can stand for: the program, and its own children.

    What a process asks that has recorded children itself is known to nobody but its own report.
    """
    recorded: dict[tuple[int, int], list[Birth]] = {}
    for birth in read_births(run_dir):
        if birth.directory is not None and birth.pid < births.HOSTS:
            recorded.setdefault(birth.ancestors[0], []).append(birth)
    has_recorded: set[tuple[int, int]] = set()
    within = set()
    for one in recorded:
        for ancestor in recorded[one][-1].ancestors[1:]:
            if ancestor in recorded:
                within.add(one)
                has_recorded.add(ancestor)
    found = [run_dir]
    for one, born in recorded.items():
        if one not in within | has_recorded and len(born) == 1:
            found.append(run_dir.child(born[0].directory or ""))
    return [one for one in found if len(one.captures()) == 1]


def note(run_dir: RunDirectory, replayed: Mapping[Path, int]) -> Noted:
    """Note how far the captures are written now, or were ``replayed`` as they grow.

    Raises CaptureError or OSError.
    """
    spawned_ns = read_meta(run_dir).spawned_ns
    sizes = {}
    new = states = 0
    for own in givable(run_dir):
        capture = own.capture()
        covered = saved.covered_bytes(capture)
        sizes[capture] = replayed[capture] if capture in replayed else saved.written_end(capture)
        new += max(0, sizes[capture] - max(KEPT_BYTES, covered))
        states += sum(path.stat().st_size for path in own.states())
    # All of that was written before now. A moment just after it may be cut by a record before it.
    now_ms = (time.monotonic_ns() - spawned_ns) // 1_000_000
    return Noted(now_ms + MARGIN_MS, sizes, new, states)


class States:
    """Saves states of the captures of ``run_dir`` and gives these back, when `step` is called.

    They shall take ``disk_bytes`` at most. ``has_failed`` is True once that cannot be.
    """

    def __init__(self, run_dir: RunDirectory, disk_bytes: int) -> None:
        self._run_dir = run_dir
        self._disk_bytes = disk_bytes
        self._noted: Noted | None = None
        self._noted_s = 0.0
        self._process: int | None = None
        self._killed = 0
        self.has_failed = False

    @property
    def stops(self) -> Mapping[Path, int]:
        """How far captures may be compressed of which states are to be saved."""
        return {} if self._noted is None else self._noted.sizes

    def step(self, replayed: Mapping[Path, int]) -> bool:
        """Do what is to be done next, or wait for it; return False if there is nothing to do.

        ``replayed`` says how far captures were replayed that somebody follows.
        """
        if self.has_failed:
            return False
        if self._process is not None:
            ended, status = os.waitpid(self._process, os.WNOHANG)
            if ended:
                self._process, self._noted = None, None
                self._killed += os.WIFSIGNALED(status)
                self.has_failed = os.WEXITSTATUS(status) != 0 or self._killed > MOST_KILLED
            return not self.has_failed
        if self._noted is None:
            found = note(self._run_dir, replayed)
            least_bytes = max(SHARE_SAVED * self._disk_bytes, found.states_bytes)
            if found.new_bytes < least_bytes:
                return False
            self._noted, self._noted_s = found, time.monotonic()
            return True
        waited_s = time.monotonic() - self._noted_s
        is_sampled = _sampled_ms(self._run_dir) >= self._noted.until_ms
        if waited_s >= (SETTLED_S if is_sampled else MOST_SETTLED_S):
            self._process = _started(self._run_dir, self._noted)
        return True

    def end(self) -> None:
        """Let nothing be changed any more: somebody reads what is there."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
            self._process = None
            with suppress(OSError):
                forget(self._run_dir)


def _sampled_ms(run_dir: RunDirectory) -> int:
    """Return the time of the last sample that was written; 0 without any."""
    with suppress(OSError), open(run_dir.samples, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
        found = decode_samples(file.read().decode("ascii", "replace"))
        return found[-1].time_ms if found else 0
    return 0


def _started(run_dir: RunDirectory, noted: Noted) -> int:
    """Give back what was ``noted`` in a forked process, and return its number."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() == parent:
            give_back(run_dir, noted)
            status = 0
    except (OSError, OutputError, CaptureError) as error:
        tell(f"What processes record is compressed, but not given back: {reason_of(error)}.")
    finally:
        os._exit(status)


@frozen
class _Made:
    """A new state of a capture, up to ``position`` of it."""

    capture: Path
    in_family: bool
    path: Path
    position: int

    @property
    def state(self) -> Path:
        return state_of(self.capture, in_family=self.in_family)


def give_back(run_dir: RunDirectory, noted: Noted) -> None:
    """Save states that stand for what was ``noted``, and give that back to the disk.

    A capture that cannot be read stays as it is. Raises CaptureError, OutputError or OSError; then
    nothing was given back that no state has.
    """
    made: list[_Made] = []
    try:
        with runs.steady(run_dir):
            recording = load_run(run_dir, noted.until_ms)
            known = recording.moments.known
            if len(known.times_ms) > MOST_MOMENTS:
                raise CaptureError("the processes held most at too many moments", "")
            for work in _works(run_dir, recording, noted):
                with suppress(CaptureError):
                    made += work()
        while True:
            with runs.changing(run_dir) as is_alone:
                if is_alone:
                    write_atomically(run_dir.moments, known.encode())
                    to_disk(run_dir.moments)
                    _adopt(made)
                    return
            time.sleep(LOOK_S)
    finally:
        forget(run_dir)


def forget(run_dir: RunDirectory) -> None:
    """Remove what was begun of new states. Raises OSError."""
    for own in (run_dir, *run_dir.children()):
        for path in own.begun_states():
            path.unlink(missing_ok=True)


def _works(
    run_dir: RunDirectory, recording: Recording, noted: Noted
) -> Iterator[Callable[[], Sequence[_Made]]]:
    """Yield, for each capture that is due, what saves its states beside those that are there."""
    start = runs.first_event(run_dir)
    assert start is not None, "it was loaded"
    since_s = noted.until_ms / 1000 - (start.monotonic_ns - read_meta(run_dir).spawned_ns) / 1e9

    def stop(capture: Path, start_ms: int, *forks: Collection[int]) -> Stop:
        began_ms = read_header(capture).start_ms
        since_ms = 0 if began_ms is None else start_ms - began_ms
        until_ms = round(since_ms + 1000 * since_s) - NEAREST_MS
        return Stop(noted.sizes[capture], until_ms, *forks)

    for part in recording.parts:
        if _is_due(part.capture, noted):
            reader = recording.readers[part.capture]
            of_program = stop(part.capture, recording.start_ms, *_forks(recording))
            yield partial(_of_program, run_dir, reader, part, of_program)
    for child in recording.children:
        if _is_due(child.part.capture, noted):
            yield partial(_of_child, child, stop(child.part.capture, child.start_ms))


def _of_program(
    run_dir: RunDirectory, reader: CaptureReader, part: Part, stop: Stop
) -> Sequence[_Made]:
    """Save the state of a capture of the program. Raises CaptureError, OutputError or OSError."""
    _aligned(run_dir)
    return [_saved(reader, part, stop)]


def _of_child(child: Child, stop: Stop) -> Sequence[_Made]:
    """Save those of a capture that is read in two ways: none of them alone is of use.

    Raises CaptureError, OutputError or OSError.
    """
    own = RunDirectory(child.part.capture.parent)
    return [_saved(child.reader, child.part, stop), _saved(*_as_own_run(own), stop)]


def _aligned(run_dir: RunDirectory) -> tuple[Sequence[Event], Traced]:
    """Read the events of a run and align its captures; where the markers lie is written down.

    They may be given back. Raises CaptureError, OutputError or OSError.
    """
    events = read_journal(run_dir.journal).events
    traced = align_parts(run_dir, events, start_of(run_dir, events))
    for number, one in traced.alignments.items():
        write_atomically(run_dir.markers(number), marker.encode_places(list(one.markers)))
        to_disk(run_dir.markers(number))
    return events, traced


def _is_due(capture: Path, noted: Noted) -> bool:
    """Tell if enough of a capture was written since its last state to give any of it back."""
    size = noted.sizes.get(capture, 0) // GIVEN_BACK_BYTES
    return size > max(KEPT_BYTES, saved.covered_bytes(capture)) // GIVEN_BACK_BYTES


def _saved(reader: CaptureReader, part: Part, stop: Stop) -> _Made:
    """Save the state of one reading of a capture. Raises CaptureError or OSError."""
    assert isinstance(reader, ReplayReader), "no other engine follows"
    in_family = part.owner is not None
    state = state_of(part.capture, in_family=in_family)
    path = state.with_name(f".{state.name}.{os.getpid()}.new")
    return _Made(part.capture, in_family, path, reader.save(part, stop, path))


def _forks(recording: Recording) -> tuple[Collection[int], Collection[int]]:
    """Return the numbers of the moments of forks: of processes that run, and of those that ended.

    What a process has split off is known at its end.
    """
    keeping: set[int] = set()
    over: set[int] = set()
    asked = {fork.process: fork.born[0] for fork in recording.forks}
    for place, process in enumerate(recording.run.processes):
        numbers = {fork_mark(place), *([asked[place]] if place in asked else [])}
        has_ended = process.exit is not None or process.signal is not None
        has_ended |= process.verdict not in (None, DETACHED)
        (over if has_ended else keeping).update(numbers)
    return keeping, over


def _as_own_run(run_dir: RunDirectory) -> tuple[ReplayReader, Part]:
    """Return how the capture of a process is read for a report of it alone.

    Raises CaptureError, OutputError or OSError.
    """
    events, traced = _aligned(run_dir)
    if len(traced.parts) != 1:
        raise CaptureError("the captures cannot be read", "")
    end = next((event for event in events if event.kind == journal.EXIT), None)
    places = places_of(traced.ordered, end)
    readings, _ = read_mappings(run_dir, places, ALL)
    changes = traced.alignments[1].changes
    part = replace(traced.parts[0], walked=find_walked(run_dir, places))
    return ReplayReader(run_dir.capture(), changes, readings=readings), part


def _adopt(made: Sequence[_Made]) -> None:
    """Put new states in the place of those there, and give back what they stand for."""
    for one in made:
        if one.position >= saved.covered_bytes(one.capture, in_family=one.in_family):
            one.path.replace(one.state)
    for capture in dict.fromkeys(one.capture for one in made):
        to_disk(capture.parent)
        ways = {one.in_family for one in made if one.capture == capture}
        covered = min(saved.covered_bytes(capture, in_family=way) for way in ways)
        end = covered // GIVEN_BACK_BYTES * GIVEN_BACK_BYTES
        front = Front(capture)
        if front.end > end:  # it was compressed beyond; then the rest is, too
            continue
        if front.end:
            front_of(capture).unlink()
        punch_out(capture, KEPT_BYTES, end)


def tell(sentence: str) -> None:
    """Tell it to whoever started this, who puts it into the report."""
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


def reason_of(error: OSError | OutputError | CaptureError) -> str:
    """Return what is behind an error, to end a sentence with."""
    return str(getattr(error, "strerror", None) or getattr(error, "message", str(error)))
