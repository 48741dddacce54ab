"""Follows the captures of one run, turn by turn, and keeps what they take of the disk bounded.

What a state on the disk covers is given back. Once a process that the program started records its
memory, the states are saved a little later: see `memdeep.follow.states`. What they cannot stand for
is compressed as it grows.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from memdeep.errors import CaptureError, OutputError
from memdeep.follow.capture import FollowedCapture
from memdeep.follow.condense import Condenser
from memdeep.follow.known import Known
from memdeep.follow.lines import LiveLines
from memdeep.follow.reserve import Reserves
from memdeep.follow.shrink import Shrinker
from memdeep.follow.states import States, reason_of, tell
from memdeep.heap import packed
from memdeep.rundir import live, runs
from memdeep.rundir.condensed import NOTHING
from memdeep.rundir.directory import RunDirectory

TURN_BYTES = 64 << 20  # that are replayed before anything else is looked at
EVERY_S = 0.95  # between two times that `live.json` is written
PAUSE_S = 0.05
MOST_PAUSE_S = 0.5
# The program that it has just started may be one that records itself, and takes so long to begin.
JOINING_S = 5.0
# Of the room on the disk, the part at which blocks are given back: what is reserved for the capture
# to grow, and the next state beside the one before, take of it too.
FULL = 0.7
FULL_IN_FAMILY = 0.35  # a state is there some seconds later
CROWDED_S = 1.0  # between two looks at what all captures take
LOOK_S = 1.0  # and at the disk
SHARE_SAVED = 0.25  # of that room, at least so much was replayed since the last state


class Follower:
    """Follows the captures of the run in ``run_dir``.

    Of one below ``least_bytes`` no state is left at its end: it is soon read. They shall take
    ``disk_bytes`` at most. None stands for no bound: then nothing is given back. Each second
    `live.json` is written anew, with source lines if ``with_source``. With ``last_s`` the detail of
    the last seconds stays, and what is older is merged. ``is_late`` is True while the captures take
    more than that of the disk.
    """

    def __init__(
        self,
        run_dir: RunDirectory,
        least_bytes: int,
        disk_bytes: int | None,
        *,
        with_source: bool = True,
        last_s: float | None = None,
    ) -> None:
        self._run_dir = run_dir
        self._condenser = None if last_s is None else Condenser(run_dir, last_s)
        self._with_source = with_source
        self._lines: LiveLines | None = None  # of the capture that is followed
        self._told_s = float("-inf")
        self._least_bytes = least_bytes
        self._disk_bytes = disk_bytes
        left = NOTHING if self._condenser is None else self._condenser.condensed
        self._known = Known(run_dir, left)
        self._followed: FollowedCapture | None = None
        self._number = 0
        self._pause_s = PAUSE_S
        self._births = (0, float("-inf"))  # bytes of their file, and when they were more
        self._shrinker = Shrinker()
        self._states = None if disk_bytes is None else States(run_dir, disk_bytes)
        self._crowded_s = float("-inf")  # when that was looked at last, and nothing was to do
        self._reserves, self._looked_s = Reserves(), float("-inf")
        self._has_ended = False
        self.is_late = False

    def turn(self) -> float:
        """Replay what was written since the last turn; return the seconds to wait for more.

        Raises CaptureError for what cannot be: it may have been read before it was all there.
        """
        self._look_for_next()
        self._look_at_disk()
        if self._followed is None:  # of the program itself, nothing is traced
            self._known.look()
            return 0.0 if self._is_crowded() and self._relieve() else MOST_PAUSE_S
        moved = self._followed.advance(TURN_BYTES)
        if self._followed.damage:
            raise CaptureError(self._followed.damage, "")
        self._tell_lines(self._followed, EVERY_S)
        if self._is_due():
            self._save()
        if self._is_crowded() and self._relieve():
            return 0.0
        if moved >= TURN_BYTES:
            return 0.0
        self._pause_s = PAUSE_S if moved else min(MOST_PAUSE_S, 2 * self._pause_s)
        return self._pause_s

    def end(self) -> None:
        """Replay all that is left, and leave the state of it: the program has ended."""
        self._has_ended = True
        if self._states is not None:
            self._states.end()
        self._look_for_next()
        if self._followed is not None:
            self._leave(self._followed)
        self._known.close()

    def leave_alone(self) -> None:
        """Leave the captures as somebody needs them who runs on without anybody beside."""
        self._reserves.restore()

    def _look_at_disk(self) -> None:
        """Give back what is reserved for the captures to grow, and see if they take too much."""
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        if self._disk_bytes is None:
            self.is_late = False
            return
        try:
            for capture in (*self._run_dir.captures(), *self._run_dir.captures_of_children()):
                with suppress(FileNotFoundError):  # it was removed just now
                    self._reserves.step(capture)
        except (OSError, CaptureError) as error:
            self._keep_whole(error)
        else:
            self.is_late = self._is_over(self._disk_bytes)

    def _is_over(self, disk_bytes: int) -> bool:
        """Tell if the captures take more, without what is reserved for them to grow."""
        taken = self._taken_bytes()
        for capture in (*self._run_dir.captures(), *self._run_dir.captures_of_children()):
            if taken <= disk_bytes:
                break
            with suppress(OSError, CaptureError):
                taken -= self._reserves.reserved_bytes(capture)
        return taken > disk_bytes

    def _look_for_next(self) -> None:
        """Go on with the next capture once it is there; the one before has ended."""
        numbers = sorted(map(_number, self._run_dir.captures()))
        for number in numbers:
            if number <= self._number:
                continue
            if self._followed is not None:
                self._leave(self._followed)
                self._followed = None
            is_last = number == numbers[-1]
            try:
                if is_last:
                    self._followed = FollowedCapture(self._run_dir, number, self._known)
                    self._number = number
            except (CaptureError, OSError):
                return

    def _leave(self, followed: FollowedCapture) -> None:
        followed.complete()
        self._tell_lines(followed, 0.0)
        if self._lines is not None:
            self._lines.close()
            self._lines = None
        is_worth_it = followed.position >= self._least_bytes or followed.engine.merges()
        if is_worth_it and self._may_save(followed):
            self._save()
        followed.close()

    def _tell_lines(self, followed: FollowedCapture, every_s: float) -> None:
        """Write the figures by line, if so long has passed since the last time.

        Nothing depends on them: where they cannot be written, they stay as old as they say.
        """
        now_s = time.monotonic()
        if now_s - self._told_s < every_s:
            return
        self._told_s = now_s
        if self._lines is None:
            self._lines = LiveLines(self._run_dir, with_source=self._with_source)
        with suppress(OutputError, CaptureError):
            behind_bytes = followed.behind_bytes()
            found = self._lines.update(followed.engine, time.time(), followed.begun(), behind_bytes)
            live.write(self._run_dir.live, found)

    def _may_save(self, followed: FollowedCapture) -> bool:
        """Tell if all that was replayed is sound, and will be asked for nothing more.

        A process is told of before it is there: what was replayed until then came before it.
        """
        self._known.look()
        if self._known.births_bytes != self._births[0]:
            self._births = self._known.births_bytes, time.monotonic()
        if followed.damage:
            return False
        if self._condenser is not None:  # then nothing that it starts is recorded
            return not self._known.has_family
        is_joining = time.monotonic() - self._births[1] < JOINING_S
        return not (self._known.has_family or is_joining or self._known.is_too_long)

    def _is_due(self) -> bool:
        followed = self._followed
        if followed is None or self._disk_bytes is None:
            return False
        if self._is_merge_due(followed):
            return self._may_save(followed)
        taken = followed.blocks_bytes + followed.state_bytes
        new = followed.position - followed.saved_at
        is_worth_it = new >= max(SHARE_SAVED * self._disk_bytes, followed.state_bytes)
        return taken > FULL * self._disk_bytes and is_worth_it and self._may_save(followed)

    def _is_crowded(self) -> bool:
        """Tell if all captures take much of the disk, and no state may stand for them at once."""
        now_s = time.monotonic()
        if self._disk_bytes is None or now_s - self._crowded_s < CROWDED_S:
            return False
        if not (self._known.has_family or self._known.is_too_long):
            return False
        self._crowded_s = now_s
        return self._taken_bytes() > FULL_IN_FAMILY * self._disk_bytes

    def _taken_bytes(self) -> int:
        taken = 0
        for path in self._run_dir.growing():
            with suppress(OSError):
                taken += path.stat().st_blocks * 512
        return taken

    def _relieve(self) -> bool:
        """Do what is next so that the captures take less; return False if there is nothing now."""
        assert self._disk_bytes is not None
        states, followed = self._states, self._followed
        stops = {} if followed is None else {followed.path: followed.position}
        if states is not None and not self._known.is_too_long:
            try:
                if states.step(stops):
                    stops |= states.stops
                    # Until they are there, what is too much is compressed.
                    return self._taken_bytes() > self._disk_bytes and self._shrink(stops)
            except (OSError, CaptureError) as error:
                self._keep_whole(error)
                return False
        return self._shrink(stops)

    def _shrink(self, stops: Mapping[Path, int]) -> bool:
        """Compress a little of each capture; return False if there was nothing to do.

        Of those in ``stops`` up to there. Not while somebody reads them.
        """
        if not packed.is_installed():
            return False
        is_more = False
        try:
            with runs.changing(self._run_dir) as is_alone:
                if not is_alone:
                    return False
                own = self._run_dir.captures()
                for capture in (*own, *self._run_dir.captures_of_children()):
                    is_more |= self._shrinker.step(capture, stops.get(capture))
        except (OSError, CaptureError) as error:
            self._keep_whole(error)
        if is_more:
            self._crowded_s = float("-inf")  # look again at once
        return is_more

    def _is_merge_due(self, followed: FollowedCapture) -> bool:
        """Tell if old detail is to be merged: of a trace that never paused.

        Not once the program has ended: the last minutes are those before its end, not before now.
        """
        return (
            self._condenser is not None
            and not self._has_ended
            and self._number == 1
            and self._condenser.is_due(self._known)
            and self._disk_bytes is not None
        )

    def _save(self) -> None:
        """Save the state, and give back what it covers if that is wanted.

        Not while somebody makes a report of the captures as they are.
        """
        followed = self._followed
        assert followed is not None
        try:
            with runs.changing(self._run_dir) as is_alone:
                if not is_alone:
                    return
                condenser = self._condenser
                if condenser is not None:
                    is_due = self._is_merge_due(followed)
                    is_merged = is_due and condenser.merge(followed, self._known)
                    if is_merged and self._lines is not None:
                        self._lines.forget_segments()
                    condenser.write(followed.engine.merges())
                followed.save()
                if condenser is not None:
                    condenser.is_saved(followed.engine.merges())
                if self._disk_bytes is not None and followed.blocks_bytes > FULL * self._disk_bytes:
                    followed.give_back()
        except (OSError, OutputError, CaptureError) as error:
            self._keep_whole(error)

    def _keep_whole(self, error: OSError | OutputError | CaptureError) -> None:
        tell(f"The capture is kept whole, whatever its size: {reason_of(error)}.")
        self._disk_bytes = None


def _number(capture: Path) -> int:
    """Return the number of a capture of a run: `capture.bin` is the first."""
    return int(capture.stem.rpartition("-")[2]) if "-" in capture.stem else 1
