"""Reads captures that may be damaged without harm, and tells whether one is.

Knows what of a capture's reader can be seen from outside, not the reader.
"""

from __future__ import annotations

from memdeep.errors import CaptureError
from memdeep.heap.parts import Part

HOLED = "there are zeros in place of a part of it"


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
