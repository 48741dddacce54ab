"""Files that a program had loaded, and the one that an address lies in. Opens none of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from memdeep.frozen import frozen

# The lowest part of every program of macOS is a segment that is kept empty.
_PAGE_ZERO = (0, 1 << 32)


@frozen
class Image:
    """A file that the program had loaded: its path, and its segments.

    A segment is an address, as the file counts it, and a size in memory.
    """

    filename: str
    segments: tuple[tuple[int, int], ...]


class AddressSpace:
    """Address space of a program; ``loaded`` are its files with their load addresses."""

    def __init__(self, loaded: Sequence[tuple[Image, int]]) -> None:
        ranges = sorted(
            (load + start, load + start + size, load, image)
            for image, load in loaded
            for start, size in image.segments
            if (start, size) != _PAGE_ZERO
        )
        self._starts = [start for start, *_ in ranges]
        self._ranges = ranges

    def find(self, address: int) -> tuple[Image, int] | None:
        """Return the file at ``address`` and the address as the file counts it, or None."""
        place = bisect_right(self._starts, address) - 1
        if place < 0:
            return None
        _, end, load, image = self._ranges[place]
        return (image, address - load) if address < end else None
