"""The heap of a run: stacks, lifetimes of bytes, peaks.

Sizes are bytes, times are seconds since the program started. Knows no file format and no wording.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

RawFrame = tuple[str, str, int]  # function, file, line, as a capture has them


class Origin(Enum):
    """Whose code a frame belongs to."""

    USER = "user"
    LIBRARY = "library"
    STDLIB = "stdlib"
    NATIVE = "native"
    MEMDEEP = "memdeep"
    THREAD = "thread"  # not code: the thread a stack ran in, outermost in it

    __hash__ = object.__hash__  # there is one of each; that of Enum is Python's and takes longer


@dataclass(frozen=True, slots=True)
class Frame:
    """One call site: a function and the line of it that was executing."""

    function: str
    filename: str
    lineno: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class StackTree:
    """All stacks of a run, shared by their outer ends.

    Node ``i`` is the stack of ``parents[i]`` plus ``frames[frame_ids[i]]`` innermost. A parent
    has a smaller index than its children; an outermost frame has the parent -1. Where threads
    are known, the outermost frame of a stack is its thread (`Origin.THREAD`).
    """

    frames: tuple[Frame, ...]
    parents: Sequence[int]
    frame_ids: Sequence[int]

    def stack(self, node: int) -> tuple[Frame, ...]:
        """The frames of ``node``, outermost first, without the thread."""
        frames = []
        while node >= 0:
            frame = self.frames[self.frame_ids[node]]
            if frame.origin is not Origin.THREAD:
                frames.append(frame)
            node = self.parents[node]
        return tuple(reversed(frames))


class Lifetime(NamedTuple):
    """Bytes one stack allocated in one segment, and the segment in which they were freed.

    Segments are named by the checkpoint that ends them. Alive at the checkpoints ``born <= c <
    died``; ``died`` is None for bytes that were never freed, and ``born`` for transient ones.
    ``born`` is at least 1: checkpoint 0 is the start of the program.
    """

    node: int
    born: int
    died: int | None
    bytes: int
    allocations: int

    def is_alive_at(self, checkpoint: int) -> bool:
        """Whether the bytes are there at ``checkpoint``."""
        return self.born <= checkpoint and (self.died is None or self.died > checkpoint)


class LargeAllocation(NamedTuple):
    """One single allocation: its size, and the segment it was made in and freed in, if it was.

    Segments are named by the checkpoint that ends them.
    """

    node: int
    born: int
    died: int | None
    bytes: int


class StackBytes(NamedTuple):
    """What one stack holds or did: bytes, and the number of allocations they came in."""

    node: int
    bytes: int
    allocations: int


@dataclass(frozen=True, slots=True)
class FoldedStack:
    """A stack with what small ones that it called held; ``own_bytes`` are those it had before."""

    node: int
    bytes: int
    allocations: int
    own_bytes: int


class Alive(Protocol):
    """The stacks alive at one moment, each once: there may be very many."""

    def __iter__(self) -> Iterator[StackBytes]: ...

    def by_group(self, groups: Sequence[int]) -> tuple[StackBytes, ...]:
        """One entry for each group of nodes: its sums, at the node that holds the most of them.

        Among nodes that hold the same, that is the first in the tree.
        ``groups`` has a number for each node of the tree.
        """

    def folded(self, parents: Sequence[int], most: int) -> tuple[FoldedStack, ...]:
        """The stacks, or if they are more than ``most``, what they hold over so many nodes.

        Those are the nodes of most bytes with all they called; what the others hold goes to the
        nearest of them around it, or to the node -1. ``parents`` are those of the tree.
        """


@dataclass(frozen=True, slots=True)
class Moved:
    """What one phase did: ``retained`` was allocated in a stretch of it and alive at its end.

    ``freed`` was alive at the start of a stretch and not at its end; their difference is the growth
    of the heap, exactly. What churned was allocated and freed within a stretch.
    """

    retained: Alive
    freed: Alive
    churn_bytes: int
    churn_allocations: int


class Lifetimes(Protocol):
    """Bytes by stack and by the segments in which they came and went: there may be millions."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Lifetime]: ...

    def charged_to(
        self, places: Sequence[int], coarse: Sequence[int] | None = None, small: int = -1
    ) -> Lifetimes:
        """The same bytes by ``places[node]`` for each node, added up where all else is alike.

        Where ``coarse`` is given, entries of at most ``small`` bytes go by ``coarse[node]``.
        """

    def size_of_rank(self, rank: int) -> int:
        """The bytes of the entry of that rank by size; the largest is of rank 0."""

    def alive_at(self, checkpoint: int) -> Alive:
        """What each stack holds at ``checkpoint``."""

    def heap_at(self, checkpoints: int) -> Sequence[int]:
        """The bytes alive at each of so many checkpoints, from the first."""

    def moved(self, phases: Sequence[Sequence[Stretch]]) -> list[Moved]:
        """What each phase did in its stretches, which do not overlap."""

    def largest_shares(
        self, transients: Lifetimes | None, nodes: int, small: float
    ) -> Sequence[float]:
        """For each of so many nodes its largest share of what was allocated in one segment.

        Transients count, too. A segment in which less was allocated than ``small`` of the most is
        taken to have allocated that.
        """


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest heap within a phase and the stacks alive at that moment.

    ``stacks`` is None where they were not read: only the highest peaks of a run keep theirs.
    """

    bytes: int
    time_s: float | None
    stacks: Alive | None


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of a memory figure; of an RSS also its part that maps files or is shared."""

    time_s: float
    bytes: int
    file_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of the run between two checkpoints (indices); incomplete if the end is missing."""

    start: int
    end: int
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Heap:
    """What the trace says: heap at the checkpoints, lifetimes, peaks, and the curve in between.

    ``at_checkpoints`` has one figure for each checkpoint, ``peaks`` one for each group of
    stretches that was asked for; None where nothing was traced. ``traced`` are the stretches of
    the run that were: each counts its heap from zero.

    ``lifetimes`` outlived the segment they began in; ``transients``, which did not, and ``largest``
    (the largest single allocations of each segment, at most 20) are None where the reader cannot
    know them. ``problems`` are sentences on what could not be read.
    """

    tree: StackTree
    traced: tuple[Stretch, ...]
    at_checkpoints: tuple[int | None, ...]
    lifetimes: Lifetimes
    peaks: tuple[Peak | None, ...]
    curve: tuple[Sample, ...]
    peak_bytes: int | None
    transients: Lifetimes | None = None
    largest: tuple[LargeAllocation, ...] | None = None
    problems: tuple[str, ...] = ()

    def is_traced(self, stretch: Stretch) -> bool:
        """Whether all of ``stretch`` was traced without a break."""
        return any(part.start <= stretch.start and stretch.end <= part.end for part in self.traced)
