"""`moments`: at which moments the heap of all processes is known of what was given back.

A state stands for the beginning of each capture then, and knows it at its own cuts only. The first
line has the milliseconds, by the clock of `samples`, up to which captures were replayed at most;
each of the others those of one of the moments before. It is written anew before the states are.
"""

from __future__ import annotations

from collections.abc import Iterable

from memdeep.errors import CaptureError
from memdeep.frozen import frozen
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import read_if_there

MAX_BYTES = 1 << 22
MAX_DIGITS = 15


@frozen
class Moments:
    """Those known up to ``until_ms``, -1 for none; after it any moment can be asked for."""

    until_ms: int = -1
    times_ms: frozenset[int] = frozenset()

    def may_be_asked(self, time_ms: int) -> bool:
        """Tell if what was alive at ``time_ms`` can still be found out."""
        return time_ms > self.until_ms or time_ms in self.times_ms

    def up_to(self, until_ms: int, times_ms: Iterable[int] = ()) -> Moments:
        """Return these and those of ``times_ms`` that come up to ``until_ms``."""
        return Moments(until_ms, self.times_ms | {one for one in times_ms if one <= until_ms})

    def encode(self) -> bytes:
        """Encode them as the content of the file."""
        return "".join(f"{one}\n" for one in [self.until_ms, *sorted(self.times_ms)]).encode(
            "ascii"
        )


def read_moments(run_dir: RunDirectory) -> Moments:
    """Read them; nothing is known of a run without the file. Raises CaptureError."""
    content = read_if_there(run_dir.moments, MAX_BYTES)
    if content is None:
        return Moments()
    lines = content.splitlines()
    if not lines or not all(line.isdigit() and len(line) <= MAX_DIGITS for line in lines):
        raise CaptureError(
            f"{run_dir.moments} is damaged.",
            "It says at which moments the processes can be compared; restore it from a copy.",
        )
    until_ms, *times_ms = map(int, lines)
    return Moments(until_ms, frozenset(times_ms))
