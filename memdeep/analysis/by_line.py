"""Charges all bytes of a heap to source lines, those of stacks that a page folds as well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memdeep.analysis.culprits import ChargedLines
from memdeep.model import Frame, Heap, Lifetimes, Peak, StackBytes
from memdeep.model.sums import Tally, stacks_of


@dataclass(frozen=True, slots=True)
class LineBytes:
    """The bytes of a heap by line: ``node`` of every item is an index into ``frames``.

    Each line (file and number) appears once; where its code belongs to several functions, the first
    in the tree stands for it. ``peaks`` are as they were given, None where no stacks were kept.
    """

    frames: tuple[Frame, ...]
    lifetimes: Lifetimes
    transients: Lifetimes | None
    peaks: tuple[tuple[StackBytes, ...] | None, ...]

    def place(self, frame: Frame) -> int:
        """Return the index of the line of ``frame``, or -1 if nothing was charged to it."""
        line = (frame.filename, frame.lineno)
        places = (n for n, own in enumerate(self.frames) if (own.filename, own.lineno) == line)
        return next(places, -1)


def by_line(heap: Heap, peaks: Sequence[Peak | None]) -> LineBytes:
    """Charge the lifetimes and transients of ``heap``, and the stacks at ``peaks``, to lines."""
    charged = ChargedLines(heap.tree)
    groups = charged.groups
    lifetimes = heap.lifetimes.charged_to(groups)
    transients = None if heap.transients is None else heap.transients.charged_to(groups)
    at_peaks = [
        None if peak is None or peak.stacks is None else peak.stacks.by_group(groups)
        for peak in peaks
    ]
    met = dict.fromkeys(life.node for lives in (lifetimes, transients or ()) for life in lives)
    met.update((groups[stack.node], None) for stacks in at_peaks for stack in stacks or ())
    frames: dict[tuple[str, int], Frame] = {}
    for group in met:
        frame = charged.lines[group]
        frames.setdefault((frame.filename, frame.lineno), frame)
    numbers = {line: number for number, line in enumerate(frames)}
    places = [numbers.get((frame.filename, frame.lineno), 0) for frame in charged.lines]
    return LineBytes(
        frames=tuple(frames.values()),
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
