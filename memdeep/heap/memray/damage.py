"""Lets memray's reader loose on captures that may be damaged, and tells what is wrong with them."""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from memdeep.errors import CaptureError
from memdeep.heap.damage import HOLED, lacks, shortened, up_to_there
from memdeep.heap.header import HOLE, read_header
from memdeep.heap.memray import confined
from memdeep.heap.memray.confined import Confinement
from memdeep.heap.parts import Part

# What reading a capture may use, by its size: far more than any sound one was seen to need.
LEAST_MEMORY_BYTES = 2 << 30
MEMORY_PER_BYTE = 64
LEAST_CPU_S = 300
BYTES_PER_CPU_S = 1_000_000
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


def _has_hole(capture: Path) -> bool:
    """Whether there are zeros in the midst of a capture: its records never have so many."""
    with open(capture, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        first = data.find(HOLE)
        return first >= 0 and SOMETHING.search(data, first) is not None
