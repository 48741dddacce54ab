"""Compresses captures while they grow, and gives back what is compressed: see `heap.front`.

So it is done where no state may stand for a capture. Nothing is lost, and a capture is a fifth to a
ninth of its size; but it is not bounded.
"""

from __future__ import annotations

import os
from pathlib import Path

from memdeep.heap import packed
from memdeep.heap.front import KEPT_BYTES, Front
from memdeep.heap.replay import saved
from memdeep.heap.replay._replay import punch
from memdeep.heap.replay.saved import to_disk
from memdeep.rundir.directory import front_of


class Shrinker:
    """Compresses captures from their beginning on; call `step` for each, again and again."""

    def __init__(self) -> None:
        self._fronts: dict[Path, Front] = {}

    def step(self, capture: Path, stop: int | None = None) -> bool:
        """Compress the next of what is written of ``capture``; return False if there is nothing.

        Up to ``stop`` of it, if that is given. Raises OSError, or CaptureError where what was
        compressed before cannot be read.
        """
        descriptor = os.open(capture, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "r+b") as file:
            if packed.is_packed(file):
                return False
            front = self._fronts.get(capture)
            if front is not None and not front_of(capture).exists():  # a state stands for it now
                front = None
            done = 0 if front is None else front.end  # before this, all was given back
            front = front or _front_of(capture)
            pieces = front.next_pieces(file, os.fstat(descriptor).st_size if stop is None else stop)
            if not pieces:
                return False
            front.add(pieces)
            if not done:
                to_disk(capture.parent)
            punch(descriptor, max(done, front.start), front.end)
            self._fronts[capture] = front
            return True


def _front_of(capture: Path) -> Front:
    """Return the front of ``capture``, begun where nothing was given back. Raises CaptureError."""
    front = Front(capture)
    if not front.end:
        covered = saved.covered_bytes(capture) if saved.is_holed(capture) else 0
        front.start = max(KEPT_BYTES, covered // KEPT_BYTES * KEPT_BYTES)
    return front
