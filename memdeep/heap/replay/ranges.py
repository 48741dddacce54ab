"""Looks at ranges of addresses at a moment: what was alive in them, and which stacks held it."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

from memdeep.frozen import frozen
from memdeep.heap.parts import InRange, InRanges, Part
from memdeep.heap.replay.blocks import BlockLook
from memdeep.heap.replay.residency import Found, Look


@frozen
class RangeLook:
    """The ranges to look at when the replay comes to the cut of the moment ``moment``.

    ``place`` counts the markers of checkpoints and the cuts, from 1.
    """

    moment: int
    place: int
    ranges: Sequence[tuple[int, int]]
    by_stack: bool
    is_name: bool = False

    def columns(self) -> tuple[bytes, bytes, bytes]:
        """Return starts, ends, and whether stacks are of interest."""
        return (
            array("Q", [start for start, _ in self.ranges]).tobytes(),
            array("Q", [end for _, end in self.ranges]).tobytes(),
            bytes([self.by_stack]) * len(self.ranges),
        )


Question = Look | RangeLook | BlockLook


def range_looks(part: Part) -> Iterator[RangeLook]:
    """Return the looks at the ranges that are asked for in ``part``."""
    for place, moment in part.moments.items():
        if moment in part.asked:
            asked = part.asked[moment]
            yield RangeLook(moment, place + 1, asked.ranges, asked.by_stack)


def in_ranges(
    joined: Iterable[tuple[RangeLook, Found | None]], nodes: Sequence[int]
) -> dict[int, InRanges]:
    """Return what was found at each moment, by the ``nodes`` of the sites."""
    return {
        look.moment: InRanges(
            found.alive,
            [InRange(place, nodes[site], size, count) for place, site, size, count in found.rows],
        )
        for look, found in joined
        if found is not None
    }
