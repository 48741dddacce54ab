"""Reads captures that may be damaged without harm, and tells whether one is.

Knows what of a capture's reader can be seen from outside, not the reader.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from memdeep.errors import CaptureError
from memdeep.heap.header import HOLE, read_header
from memdeep.heap.memray import confined
from memdeep.heap.memray.confined import Confinement
from memdeep.heap.parts import Part

# What reading a capture may use, by its size: far more than any sound one was seen to need.
LEAST_MEMORY_BYTES = 2 << 30
MEMORY_PER_BYTE = 64
LEAST_CPU_S = 300
BYTES_PER_CPU_S = 1_000_000

HOLED = "there are zeros in place of a part of it"
SOMETHING = re.compile(rb"[^\x00]")

Result = TypeVar("Result")


def read_confined(
    capture: Path, read: Callable[[Confinement], Result], on_step: Callable[[str], None]
) -> Result:
    """Let memray's reader loose on ``capture`` where it can do no harm. Raises CaptureError."""
    size = capture.stat().st_size
    limits = confined.Limits(
        memory_bytes=LEAST_MEMORY_BYTES + MEMORY_PER_BYTE * size,
        cpu_s=LEAST_CPU_S + size // BYTES_PER_CPU_S,
    )
    try:
        return confined.run(read, limits, on_step)
    except confined.ConfinedError as error:
        raise CaptureError(
            f"{capture} cannot be read: {error}.",
            "The file is damaged beyond what memray's reader can skip; "
            "record again, or copy it again from where it was made.",
        ) from error


def damage_in(part: Part, seen: int, allocations: int, said: str) -> str | None:
    """What is wrong with the capture, as far as memray's reader lets it be seen.

    The reader takes whatever it does not understand for the end. It read ``allocations``, saw
    ``seen`` checkpoints, and ``said`` the first word on what it did not understand. The end of a
    capture that was never closed may be torn, which is no damage.
    """
    header = read_header(part.capture)
    if header.allocations is not None and lacks(part, allocations, header.allocations):
        return shortened(allocations, header.allocations)
    if header.allocations is None and said and seen < len(part.sequences):
        return up_to_there(f"its reader said “{said.removeprefix('Memray ERROR: ')}”")
    if not header.compressed and _has_hole(part.content):
        return up_to_there(HOLED)
    return None


def lacks(part: Part, allocations: int, of: int) -> bool:
    """Whether allocations that were written are no longer there.

    memray has counted the one that it could not write.
    """
    return allocations < of - (part.early_end is not None)


def shortened(allocations: int, of: int) -> str:
    """What to say of a capture with fewer allocations than its head tells of."""
    return up_to_there(f"only {allocations:,} of its {of:,} allocations can be read")


def up_to_there(what: str) -> str:
    """What to say of a damage that has something after it."""
    return f"{what}; the heap is exact up to there, and not known after"


def check_marked(part: Part, seen: int, damage: str | None) -> None:
    """Raises CaptureError if the markers in the capture are not those that ``part`` knows of.

    A reader has ``seen`` so many of them.
    """
    if part.markers and seen > len(part.sequences):
        raise CaptureError(
            f"{part.capture} is aligned to other checkpoints than those of the journal.",
            "The file that says where they lie is lost, or of another run; restore it.",
        )
    if damage is not None and part.first > 0 and seen == 0:
        raise CaptureError(
            f"{part.capture} is damaged before its first checkpoint: {damage}.",
            "Copy it again from where it was made, or record again.",
        )


def _has_hole(capture: Path) -> bool:
    """Whether there are zeros in the midst of a capture: its records never have so many."""
    with open(capture, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        first = data.find(HOLE)
        return first >= 0 and SOMETHING.search(data, first) is not None
