"""Holds a finding before it is judged: its line, its stacks, what the line called in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile

from memdeep.analysis.advice.patterns import TellingCalls
from memdeep.analysis.culprits import ChargedLines
from memdeep.frozen import frozen
from memdeep.model import Advice, Culprit, Frame, Heap, Lifetime, Origin, Phase, StackBytes
from memdeep.model.holders import Holders

MOST = 0.5  # of a finding's bytes: advice rests on more than this share of them

Evidence = Mapping[str, int | float | str]


@frozen
class Suggestion:
    """Advice, and the figures and names it rests on, by name."""

    advice: Advice
    evidence: Evidence


@frozen
class Case:
    """A finding before it is judged.

    ``stacks`` are exactly those of its bytes, all charged to the line of ``culprit``. ``lifetimes``
    are the same bytes, for a finding of bytes that stayed; there are none for a peak. ``phases``
    are all that the bytes are summed over, in order. ``holders`` are those of the line then, or at
    the next moment at which they were recorded; None if they were not.
    """

    heap: Heap
    lines: ChargedLines
    telling: TellingCalls
    phases: Sequence[Phase]
    culprit: Culprit
    stacks: Sequence[StackBytes]
    lifetimes: Sequence[Lifetime] = ()
    holders: Holders | None = None

    def is_most(self, size: int) -> bool:
        """Tell if ``size`` bytes are more than half of the finding's, and not more than those."""
        return MOST * self.culprit.bytes < size <= self.culprit.bytes

    def surely_held(self, size: int) -> int:
        """Return how many of the finding's bytes at least are among ``size`` of the line's.

        Of other phases the line may hold bytes, too.
        """
        if self.holders is None:
            return 0
        at = self.holders.checkpoint
        alive = sum(life.bytes for life in self.lifetimes if life.is_alive_at(at))
        return max(0, min(alive, alive - self.holders.bytes + size))

    def called(self, node: int) -> Sequence[Frame]:
        """Return the frames that the line called, outermost first, down to the allocation."""
        tree, charged = self.heap.tree, self.lines.frame_ids[node]
        frames = []
        while tree.frame_ids[node] != charged:
            frames.append(tree.frames[tree.frame_ids[node]])
            node = tree.parents[node]
        return frames[::-1]

    def own(self, node: int) -> Sequence[Frame]:
        """Return the native frames below the innermost code that was called, innermost first."""
        return list(takewhile(_is_native, reversed(self.called(node))))


def _is_native(frame: Frame) -> bool:
    return frame.origin is Origin.NATIVE
