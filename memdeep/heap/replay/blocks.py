"""Asks for all that is alive at a moment, by address."""

from __future__ import annotations

from collections.abc import Iterator

from memdeep.frozen import frozen
from memdeep.heap.parts import Part
from memdeep.heap.replay.columns import Column


@frozen
class BlockLook:
    """The moment to list what is alive: when the replay comes to the marker of ``checkpoint``.

    ``place`` counts the markers of checkpoints, from 1, or is a sequence number if ``is_name``.
    """

    checkpoint: int
    place: int
    is_name: bool


@frozen
class Blocks:
    """Live allocations by address, each with its stack (a node); mappings are marked."""

    address: Column
    size: Column
    node: Column
    is_mapping: bytes

    @property
    def bytes(self) -> int:
        """All their bytes."""
        return sum(self.size)


def block_looks(part: Part) -> Iterator[BlockLook]:
    """Return the looks at the checkpoints of ``part`` at which objects were walked.

    The start of the program has no marker: nothing was traced there.
    """
    places = part.places
    for checkpoint, walked in sorted(part.walked.items()):
        if part.first <= checkpoint <= part.last and checkpoint:
            is_marker = checkpoint < len(places)
            place = places[checkpoint] if is_marker else walked.sequence
            yield BlockLook(checkpoint, place, not is_marker)
