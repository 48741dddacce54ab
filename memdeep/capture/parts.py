"""The stretches of a run that were traced, and how their heaps make up the heap of the run.

A run that is traced from its start to its end has one part; one that is traced only in some phases
has a part, with a capture of its own, for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from memdeep.model import Heap, Lifetime, Peak, Sample, StackTree, Stretch


@dataclass(frozen=True, slots=True)
class Part:
    """One capture: it covers the checkpoints ``first`` to ``last`` of the run.

    ``markers`` is the number of checkpoints that lie inside it. ``first`` is 0 only if the capture
    begins with the program, ``last`` is the run's last only if it ends with it.
    """

    capture: Path
    first: int
    last: int
    markers: int

    def holds(self, stretch: Stretch) -> bool:
        """Whether all of ``stretch`` lies within this part."""
        return self.first <= stretch.start and stretch.end <= self.last


@dataclass(frozen=True, slots=True)
class HeapPart:
    """What one part says; ``at_checkpoints`` are those it covers, ``peaks`` by group."""

    part: Part
    at_checkpoints: tuple[int, ...]
    lifetimes: tuple[Lifetime, ...]
    peaks: Mapping[int, Peak]
    curve: tuple[Sample, ...]
    peak_bytes: int


def join(
    parts: Sequence[HeapPart],
    tree: StackTree,
    checkpoints: int,
    groups: Sequence[Sequence[Stretch]],
) -> Heap:
    """The heap of the run. A group whose stretches lie in several parts has the highest peak."""
    at_checkpoints: list[int | None] = [None] * checkpoints
    for heap in parts:
        at_checkpoints[heap.part.first : heap.part.last + 1] = heap.at_checkpoints
    return Heap(
        tree=tree,
        traced=tuple(Stretch(heap.part.first, heap.part.last) for heap in parts),
        at_checkpoints=tuple(at_checkpoints),
        lifetimes=tuple(life for heap in parts for life in heap.lifetimes),
        peaks=tuple(_peak(parts, place, stretches) for place, stretches in enumerate(groups)),
        curve=tuple(sample for heap in parts for sample in heap.curve),
        peak_bytes=max((heap.peak_bytes for heap in parts), default=None),
    )


def _peak(parts: Sequence[HeapPart], place: int, stretches: Sequence[Stretch]) -> Peak | None:
    if not all(any(heap.part.holds(stretch) for heap in parts) for stretch in stretches):
        return None
    peaks = [heap.peaks[place] for heap in parts if place in heap.peaks]
    return max(peaks, key=lambda peak: peak.bytes, default=None)
