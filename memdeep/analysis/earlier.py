"""Tells growth from what took the place of memory that was there before memdeep was attached.

A buffer that is filled anew grows by nothing, though all that is in it is new: as much of what was
there before was freed. Where that could not be listed, the RSS alone tells what grew.
"""

from __future__ import annotations

from collections.abc import Sequence

from memdeep.analysis.charges import Charge
from memdeep.analysis.charging import Charging
from memdeep.model import EARLIER_FRAME, Heap, Phase, StackTree

TOLERANCE = 1.1


def earlier_nodes(tree: StackTree) -> frozenset[int]:
    """Return the nodes that stand for what was there before."""
    if EARLIER_FRAME not in tree.frames:
        return frozenset()
    number = tree.frames.index(EARLIER_FRAME)
    return frozenset(node for node, frame in enumerate(tree.frame_ids) if frame == number)


class Replaced:
    """What phases freed of what was there before; of a program that was not attached to, nothing.

    ``phases`` and ``charging`` are those of the run.
    """

    def __init__(self, heap: Heap, phases: Sequence[Phase], charging: Charging) -> None:
        self._phases = phases
        self._is_attached = heap.earlier is not None
        self._is_known = heap.earlier is not None and heap.earlier.bytes is not None
        self._freed: dict[int, int] = {}
        nodes = earlier_nodes(heap.tree)
        for life in heap.lifetimes if nodes else ():
            if life.node in nodes and life.died is not None:
                for place, _, _ in charging.around(life.node, life.died):
                    self._freed[place] = self._freed.get(place, 0) + life.bytes

    def may_be_growth(self, charge: Charge, size_bytes: int, least_bytes: int) -> bool:
        """Tell if a line that kept so much of a charge can have grown by it: all grew by as much.

        Or it has grown by what is more than all that was freed of what was there before. Sizes from
        before are known to a few bytes a block only; ``least_bytes`` is what matters.
        """
        grown = self._grown(charge)
        if self._is_known and size_bytes - self._freed_in(charge) >= least_bytes:
            return True
        return grown is None or size_bytes <= TOLERANCE * grown + least_bytes / 2

    def at_most(self, charge: Charge, size_bytes: int, least_bytes: int) -> int:
        """Return how much of what a line kept may have taken the place of what was there before.

        Which line has done so is not known. Less than ``least_bytes`` is 0.
        """
        freed = self._freed_in(charge)
        return min(size_bytes, freed) if freed >= least_bytes else 0

    def _grown(self, charge: Charge) -> int | None:
        """Return what the phases of a charge grew by; None if all that they kept is growth."""
        if not self._is_attached:
            return None
        if self._is_known:
            kept = sum(life.bytes for life in charge.lifetimes)
            return kept - self._freed_in(charge)
        deltas = [self._phases[place].rss_delta_bytes for place in charge.places]
        known = [delta for delta in deltas if delta is not None]
        return sum(known) if len(known) == len(deltas) else None

    def _freed_in(self, charge: Charge) -> int:
        """Return what the phases of a charge freed of what was there before."""
        return sum(self._freed.get(place, 0) for place in charge.places)
