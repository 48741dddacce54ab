"""Charges all bytes of a heap to source lines, those of stacks that a page folds as well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memdeep.analysis.culprits import ChargedLines
from memdeep.frozen import frozen
from memdeep.model import Frame, Heap, Lifetimes, Peak, StackBytes
from memdeep.model.sums import Tally, stacks_of


@frozen
class LineBytes:
    """The bytes of a heap by line: ``node`` of every item is an index into ``frames``.

    A line whose code belongs to several functions is in it once for each: a comprehension, a
    generator expression, a lambda and the function around them may share their line. ``peaks`` are
    as they were given, None where no stacks were kept.
    """

    frames: tuple[Frame, ...]
    lifetimes: Lifetimes
    transients: Lifetimes | None
    peaks: tuple[tuple[StackBytes, ...] | None, ...]

    def place(self, frame: Frame) -> int:
        """Return the index of ``frame``, or -1 if nothing was charged to it."""
        return self.frames.index(frame) if frame in self.frames else -1


def by_line(heap: Heap, peaks: Sequence[Peak | None]) -> LineBytes:
    """Charge the lifetimes and transients of ``heap``, and the stacks at ``peaks``, to lines."""
    groups = ChargedLines(heap.tree).frame_ids
    lifetimes = heap.lifetimes.charged_to(groups)
    transients = None if heap.transients is None else heap.transients.charged_to(groups)
    at_peaks = [
        None if peak is None or peak.stacks is None else peak.stacks.by_group(groups)
        for peak in peaks
    ]
    both = filter(None, (lifetimes, transients))
    met = dict.fromkeys(node for lives in both for node in lives.by_node())
    met.update((groups[stack.node], None) for stacks in at_peaks for stack in stacks or ())
    frames = heap.tree.frames
    numbers = {frame: number for number, frame in enumerate(dict.fromkeys(frames[n] for n in met))}
    places = [numbers.get(frame, 0) for frame in frames]
    return LineBytes(
        frames=tuple(numbers),
        lifetimes=lifetimes.charged_to(places),
        transients=None if transients is None else transients.charged_to(places),
        peaks=tuple(
            None if stacks is None else _by_place(stacks, groups, places) for stacks in at_peaks
        ),
    )


def _by_place(
    stacks: Iterable[StackBytes], groups: Sequence[int], places: Sequence[int]
) -> tuple[StackBytes, ...]:
    tally: Tally[int] = Tally()
    for stack in stacks:
        tally.add(places[groups[stack.node]], stack.bytes, stack.allocations)
    return stacks_of(tally)
