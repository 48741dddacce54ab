"""The stretches of a run that were traced, and the heap of the run as the sum of their heaps.

A run that is traced from its start to its end has one part; one that is traced only in some phases
has a part, with a capture of its own, for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeVar

from memdeep.frozen import field, frozen, replace
from memdeep.heap.replay.lifetimes import joined, seen_to
from memdeep.heap.stacks import Owner
from memdeep.model import (
    Alive,
    Earlier,
    Heap,
    LargeAllocation,
    Lifetimes,
    Peak,
    Residency,
    Sample,
    StackTree,
    Stretch,
)
from memdeep.model.graph import Graph
from memdeep.model.holders import HeapSnapshot
from memdeep.model.statement import Problem

# Finding the symbols of a native stack is dear. Stacks that never hold this share of the largest
# heap, nor allocate it of all bytes, keep their Python frames only.
NATIVE_SHARE = 1 / 2000

# The stacks of so many peaks are kept, of the highest: each costs an entry a stack.
MAX_PEAKS = 200

# The number of a moment at which a capture is only cut. Those below are of forks: what was alive
# there may be asked for once it is known what for.
MARK = -1

Item = TypeVar("Item")


class TimeCut(NamedTuple):
    """A checkpoint of another program, at a time since the start of the capture.

    ``after`` is the number of the capture's own checkpoints, among those whose markers are in it,
    that come before it; ``before`` is the sequence number of the first that was set later, where
    that is known and its marker was not replaced. If it has the number of a ``moment`` it is no
    checkpoint: then it is asked only what was alive there.
    """

    time_ms: int
    after: int
    moment: int | None = None
    before: int | None = None


@frozen
class Asked:
    """Ranges of addresses, from start to end and in order, to look at when a moment comes.

    ``by_stack`` asks for the stacks of what is alive in them, too.
    """

    ranges: tuple[tuple[int, int], ...]
    by_stack: bool


class InRange(NamedTuple):
    """What a stack (its node) held in one range (its index)."""

    range: int
    node: int
    bytes: int
    allocations: int


@frozen
class InRanges:
    """The live bytes in each of the ranges asked for, and of each stack by range, if asked for."""

    alive: Sequence[int]
    rows: Sequence[InRange] = ()


class Walked(NamedTuple):
    """A checkpoint (its sequence number) at which all objects were walked.

    ``load`` reads them. It raises CaptureError.
    """

    sequence: int
    load: Callable[[], Graph]


@frozen
class Part:
    """One capture: it covers the checkpoints ``first`` to ``last`` of the run.

    ``markers`` is the number of markers in it, and of ``cuts``. ``first`` is 0
    only if the capture begins with the program, ``last`` is the run's last only if it ends with it.
    ``sequences`` are the numbers of the checkpoints whose markers are in the capture. ``early_end``
    is the sentence on a trace that ended too early. ``threads`` has the name of the thread that set
    each checkpoint of the run: the one given by the program, with a number after it where others
    have the same; None for cuts. ``cuts`` are in the order in which they are made, so that their
    ``after`` never falls. ``owner`` is the process that wrote it, None for the program itself. At
    the moments in ``asked``, by their numbers, only these ranges are looked at. ``walked`` are the
    checkpoints at which there are objects to join with what was alive. ``earlier`` lists what was
    there before the capture, of a program that ran already.
    """

    capture: Path
    first: int
    last: int
    markers: int
    sequences: frozenset[int] = frozenset()
    early_end: str | None = None
    threads: Sequence[str | None] = ()
    cuts: tuple[TimeCut, ...] = ()
    owner: Owner | None = None
    asked: Mapping[int, Asked] = field(default_factory=dict)
    walked: Mapping[int, Walked] = field(default_factory=dict)
    earlier: bytes = b""

    @property
    def moments(self) -> dict[int, int]:
        """The numbers of the moments, by their places among markers and cuts, in order."""
        return {
            place + cut.after: cut.moment
            for place, cut in enumerate(self.cuts)
            if cut.moment is not None
        }

    @property
    def places(self) -> list[int]:
        """By checkpoint, the place of its marker among markers and cuts, from 1; else 0."""
        moments = self.moments
        own = [place + 1 for place in range(self.markers) if place not in moments]
        return [0] * max(1, self.first) + own

    def without_moments(self) -> Part:
        """Return the part for a reader that only knows checkpoints."""
        cuts = tuple(cut for cut in self.cuts if cut.moment is None)
        return replace(self, cuts=cuts, markers=self.markers - len(self.cuts) + len(cuts))

    def holds(self, stretch: Stretch) -> bool:
        """Tell whether all of ``stretch`` lies within this part."""
        return self.first <= stretch.start and stretch.end <= self.last

    def up_to(self, markers: int) -> Part:
        """Return the part as far as its first ``markers`` checkpoints."""
        moments = sum(1 for place in self.moments if place < markers)
        return replace(self, last=max(1, self.first) + markers - moments - 1, markers=markers)


@frozen
class LostLines:
    """Bytes that a thread allocated without a Python frame, after it had had one.

    The first were allocated before the checkpoint ``before``; ``most_bytes`` were alive at one
    time. ``thread`` is its name, or None for the main thread.
    """

    thread: str | None
    before: int
    bytes: int
    most_bytes: int


@frozen
class UnseenFrees:
    """Blocks that were freed in a way that the tracer does not see."""

    blocks: int
    bytes: int


@frozen
class HeapPart:
    """The heap of one part; ``at_checkpoints`` are those it covers, ``peaks`` by group.

    ``transients`` and ``largest`` are None where the reader cannot know them. ``damage`` describes
    the damage of the capture, if there is any: then ``part`` ends before it. ``lost_lines`` and
    ``unseen_frees`` are what the tracer missed, as far as the reader can tell. ``own_peaks`` is as
    in `Heap`; ``native_nodes`` are by checkpoint as well, or empty.
    ``sub_interpreter_bytes`` were allocated by sub-interpreters, without Python frames.
    ``highest`` is, for a process that the program started, the peak of all of it, and the
    checkpoint at the end of its segment; None where its stacks cannot be known. ``residency`` is
    empty where the mappings were not read. ``at_moments`` is what was alive at those moments that
    lie in the part, ``in_ranges`` what of it was in the ranges asked for. ``earlier`` is what was
    there before the capture, as far as it is known, and the frees of what nobody knows.
    """

    part: Part
    at_checkpoints: tuple[int, ...]
    lifetimes: Lifetimes
    peaks: Mapping[int, Peak]
    curve: tuple[Sample, ...]
    peak_bytes: int
    transients: Lifetimes | None = None
    largest: tuple[LargeAllocation, ...] | None = None
    damage: str | None = None
    lost_lines: tuple[LostLines, ...] = ()
    unseen_frees: UnseenFrees | None = None
    own_peaks: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    native_nodes: tuple[int, ...] = ()
    sub_interpreter_bytes: int = 0
    highest: tuple[int, Peak] | None = None
    residency: tuple[Residency, ...] = ()
    at_moments: Mapping[int, Alive] = field(default_factory=dict)
    in_ranges: Mapping[int, InRanges] = field(default_factory=dict)
    snapshots: tuple[HeapSnapshot, ...] = ()
    unread: tuple[str, ...] = ()
    earlier: Earlier = Earlier()


def raised_to_checkpoints(heap: HeapPart, groups: Sequence[Sequence[Stretch]]) -> HeapPart:
    """Raise each peak of ``heap`` to the highest heap at a checkpoint of its group.

    memray opens no window after its last memory record; what was allocated from there on is known
    at the next checkpoint only.
    """
    peaks = dict(heap.peaks)
    first, last = heap.part.first, heap.part.last
    for place, stretches in enumerate(groups):
        known = peaks.get(place)
        size, highest = -1 if known is None else known.bytes, None
        for stretch in stretches:
            if first <= stretch.start and stretch.end <= last:
                start, end = stretch.start - first, stretch.end - first + 1
                height = max(heap.at_checkpoints[start:end])
                if height > size:
                    size, highest = height, heap.at_checkpoints.index(height, start, end)
        if highest is not None:
            stacks = heap.lifetimes.alive_at(first + highest)
            peaks[place] = Peak(size, None, stacks, first + highest)
    return replace(heap, peaks=peaks)


def damage_of(heap: HeapPart) -> tuple[str, ...]:
    """Return sentences on a capture that is damaged or ends early, and on snapshots not read."""
    early_end = heap.part.early_end
    if heap.damage is None:
        return (*([] if early_end is None else [early_end]), *heap.unread)
    name = heap.part.capture.name
    return (f"{name} is damaged: {heap.damage}.", *heap.unread)


def join(
    parts: Sequence[HeapPart],
    tree: StackTree,
    checkpoints: int,
    groups: Sequence[Sequence[Stretch]],
    problems: Sequence[Problem] = (),
) -> Heap:
    """Join the heaps of all parts; ``problems`` tell what could not be read.

    A group whose stretches lie in several parts has the highest peak. What became of bytes behind
    the end of their part is not known: they count as gone in the segment behind it, in which
    nothing was traced, if another part follows.
    """
    at_checkpoints: list[int | None] = [None] * checkpoints
    for heap in parts:
        at_checkpoints[heap.part.first : heap.part.last + 1] = heap.at_checkpoints
    native_nodes = [0] * checkpoints
    for heap in parts:
        if heap.native_nodes:
            native_nodes[heap.part.first : heap.part.last + 1] = heap.native_nodes
    transients = _known([heap.transients for heap in parts])
    largest = _known([heap.largest for heap in parts])
    return Heap(
        tree=tree,
        traced=tuple(Stretch(heap.part.first, heap.part.last) for heap in parts),
        at_checkpoints=tuple(at_checkpoints),
        lifetimes=joined(
            [
                *(seen_to(heap.lifetimes, heap.part.last + 1) for heap in parts[:-1]),
                *(heap.lifetimes for heap in parts[-1:]),
            ]
        ),
        peaks=tuple(_peak(parts, place, stretches) for place, stretches in enumerate(groups)),
        curve=tuple(sample for heap in parts for sample in heap.curve),
        peak_bytes=max((heap.peak_bytes for heap in parts), default=None),
        transients=None if transients is None else joined(transients),
        largest=None if largest is None else tuple(chain.from_iterable(largest)),
        problems=tuple(problems),
        own_peaks=_own_peaks(parts),
        native_nodes=tuple(native_nodes),
        residency=tuple(chain.from_iterable(heap.residency for heap in parts)),
        snapshots=tuple(chain.from_iterable(heap.snapshots for heap in parts)),
    )


def _own_peaks(parts: Sequence[HeapPart]) -> dict[str, dict[int, int]]:
    found: dict[str, dict[int, int]] = {}
    for name, peaks in chain.from_iterable(heap.own_peaks.items() for heap in parts):
        found.setdefault(name, {}).update(peaks)
    return found


def _known(figures: Sequence[Item | None]) -> list[Item] | None:
    """Return all of them, or None where one is not known."""
    known = [figure for figure in figures if figure is not None]
    return known if known and len(known) == len(figures) else None


def _peak(parts: Sequence[HeapPart], place: int, stretches: Sequence[Stretch]) -> Peak | None:
    if len(parts) == 1:
        (heap,) = parts
        return heap.peaks.get(place) if all(map(heap.part.holds, stretches)) else None
    for stretch in stretches:
        if not any(heap.part.holds(stretch) for heap in parts):
            return None
    peaks = [heap.peaks[place] for heap in parts if place in heap.peaks]
    return max(peaks, key=lambda peak: peak.bytes, default=None)
