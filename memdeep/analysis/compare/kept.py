"""The bytes of all lines in the phases of one side, by the keys that both sides share."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

from memdeep.analysis.blame import counted_at
from memdeep.analysis.charging import Charging
from memdeep.analysis.culprits import ChargedLines
from memdeep.analysis.own_heap import OwnHeap, own_heaps
from memdeep.model import Frame, Origin, Report, StackBytes

OURS = -1  # the key of memdeep's own frames, of which nothing is told

ByLine = Mapping[int, int]


class Lines:
    """The bytes by line in the phases of a report; ``key`` has the key of each frame."""

    def __init__(self, report: Report, key: Callable[[Frame], int]) -> None:
        self._report = report
        tree = report.heap.tree
        keys = [OURS if frame.origin is Origin.MEMDEEP else key(frame) for frame in tree.frames]
        charged = ChargedLines(tree).frame_ids
        self._keys: Sequence[int] = [keys[frame] for frame in charged]
        # Compiled code takes numbers from 0 on.
        self._groups = array("I", [one + 1 for one in self._keys])

    def kept(self, phases: Sequence[int]) -> Sequence[ByLine]:
        """Return what each of ``phases`` (indices) kept, by line."""
        known = self._report.phases
        stretches = [known[place].outline.stretches for place in phases]
        all_moved = self._report.heap.lifetimes.moved(stretches, self._groups)
        found = []
        for place, moved in zip(phases, all_moved, strict=True):
            own = self._own.get(place)
            here = moved if own is None else own.moved(self._groups)
            found.append(self._by_line(here.retained))
        return found

    def risen(self, phase: int) -> ByLine | None:
        """Return by line how much more was held at the peak of a phase than at its start.

        None where the stacks of the peak are not known, or the phase has a heap of its own.
        """
        told = self._report.phases[phase]
        peak = told.peak
        if peak is None or peak.stacks is None or phase in self._own:
            return None
        at_start = counted_at(self._report.heap, told.start)
        found = dict(self._by_line(peak.stacks.by_group(self._groups)))
        for key, size in self._by_line(at_start.by_group(self._groups)).items():
            found[key] = found.get(key, 0) - size
        return found

    def at_peak(self) -> ByLine | None:
        """Return what held the heap at the peak of the run, by line; None if it is not known.

        That may lie in a stretch beside the phases, too short to be told.
        """
        heap = self._report.heap
        for peak in (*heap.peaks, *(phase.peak for phase in self._report.phases)):
            if peak is not None and peak.bytes == heap.peak_bytes and peak.stacks is not None:
                return self._by_line(peak.stacks.by_group(self._groups))
        return None

    @cached_property
    def _own(self) -> Mapping[int, OwnHeap]:
        heap, phases = self._report.heap, self._report.phases
        outlines = [phase.outline for phase in phases]
        charging = Charging(heap.tree, outlines, len(self._report.run.checkpoints))
        return own_heaps(heap, outlines, charging)

    def _by_line(self, stacks: Iterable[StackBytes]) -> ByLine:
        found: dict[int, int] = {}
        for stack in stacks:
            key = self._keys[stack.node]
            if key != OURS:
                found[key] = found.get(key, 0) + stack.bytes
        return found
