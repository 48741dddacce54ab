"""Tells whether a capture is damaged, by the figures of any reader, and puts it into words."""

from __future__ import annotations

from typing import Protocol

from memdeep.errors import CaptureError
from memdeep.heap.parts import Part

HOLED = "there are zeros in place of a part of it"


def lacks(part: Part, allocations: int, of: int) -> bool:
    """Tell whether fewer ``allocations`` were read than the head counts.

    In a trace that ended early, memray has counted the one that it could not write.
    """
    return allocations < of - (part.early_end is not None)


def shortened(allocations: int, of: int) -> str:
    """Describe a capture with fewer allocations than its head counts."""
    return up_to_there(f"only {allocations:,} of its {of:,} allocations can be read")


def up_to_there(what: str) -> str:
    """Describe a damage after which nothing is known."""
    return f"{what}; the heap is exact up to there, and not known after"


class Axis(Protocol):
    """The checkpoints that a reader met in a capture.

    ``marked`` is the number of markers, ``seen`` that of markers and cuts.
    """

    marked: int
    seen: int


def check_marked(part: Part, axis: Axis, damage: str | None) -> None:
    """Raise CaptureError if the markers in the capture are not those of ``part``."""
    if part.markers and axis.marked > len(part.sequences):
        raise CaptureError(
            f"{part.capture} is aligned to other checkpoints than those of the journal.",
            "The file that says where they lie is lost, or of another run; restore it.",
        )
    if damage is not None and part.first > 0 and axis.seen == 0:
        raise CaptureError(
            f"{part.capture} is damaged before its first checkpoint: {damage}.",
            "Copy it again from where it was made, or record again.",
        )
