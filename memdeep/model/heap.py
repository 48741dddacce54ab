"""The heap of a run: its stacks, the lifetimes of their bytes, its peaks.

Sizes are bytes, times are seconds since the program started. Knows no file format and no wording.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum, IntFlag
from typing import Any, NamedTuple, Protocol

from memdeep.frozen import field, frozen
from memdeep.model.holders import HeapSnapshot
from memdeep.model.statement import Problem

RawFrame = tuple[str, str, int]  # function, file and line, as they stand in a capture


class Origin(Enum):
    """The owner of a frame's code."""

    USER = "user"
    TOOL = "tool"  # the program itself, where it is installed among the libraries
    LIBRARY = "library"
    STDLIB = "stdlib"
    NATIVE = "native"
    MEMDEEP = "memdeep"
    THREAD = "thread"  # no code: the thread of a stack, its outermost frame

    __hash__ = object.__hash__  # each is there once; the one of Enum is slower


class Asked(IntFlag):
    """The families of allocators that a stack asked for its bytes."""

    MALLOC = 1
    MMAP = 2
    PYMALLOC = 4  # Python's own


@frozen
class Frame:
    """A call site: a function and the line in it that was executing."""

    function: str
    filename: str
    lineno: int
    origin: Origin


# Stands for all that was allocated before memdeep was attached, of which no line is known.
NO_STACK = "no Python stack"  # the function of the frame of stacks without any
EARLIER_FRAME = Frame("before the attach", "", 0, Origin.NATIVE)


@frozen
class StackTree:
    """All stacks of a run as a tree: stacks share the nodes of their common callers.

    Node ``i`` is the stack ``parents[i]`` with ``frames[frame_ids[i]]`` as its innermost frame. A
    parent has a smaller index than its children; the parent of an outermost frame is -1. If
    threads are known, the outermost frame of each stack is its thread (`Origin.THREAD`), and its
    line the index of the process: 0 is the program itself.

    ``asked`` has for each node the `Asked` of the bytes that the very stack allocated; 0 where that
    is not known, and nothing where it is not known of any.
    """

    frames: tuple[Frame, ...]
    parents: Sequence[int]
    frame_ids: Sequence[int]
    asked: bytes = b""

    def process(self, node: int) -> int:
        """Return the index of the process of ``node``; 0 is the program itself."""
        frame = self.outermost(node)
        return frame.lineno if frame.origin is Origin.THREAD else 0

    def all_but(self, nodes: Iterable[int]) -> bytes:
        """Mark with 1 each node that is not one of ``nodes``: see `Lifetimes.without`."""
        marks = bytearray(b"\1") * len(self.parents)
        for node in nodes:
            marks[node] = 0
        return bytes(marks)

    @property
    def processes(self) -> Sequence[int]:
        """The index of the process of each node."""
        own = [frame.lineno if frame.origin is Origin.THREAD else 0 for frame in self.frames]
        found: list[int] = []
        for parent, frame_id in zip(self.parents, self.frame_ids, strict=True):
            found.append(found[parent] if parent >= 0 else own[frame_id])
        return found

    def stack(self, node: int) -> tuple[Frame, ...]:
        """Return the frames of ``node``, outermost first, without the thread."""
        frames = []
        while node >= 0:
            frame = self.frames[self.frame_ids[node]]
            if frame.origin is not Origin.THREAD:
                frames.append(frame)
            node = self.parents[node]
        return tuple(reversed(frames))

    def outermost(self, node: int) -> Frame:
        """Return the outermost frame of ``node``: its thread, where threads are known."""
        while self.parents[node] >= 0:
            node = self.parents[node]
        return self.frames[self.frame_ids[node]]

    def nodes_through(self, is_wanted: Callable[[Frame], bool]) -> bytearray | None:
        """Mark each node whose stack passes through a wanted frame; None if there is none."""
        wanted = bytes(is_wanted(frame) for frame in self.frames)
        if not any(wanted):
            return None
        through = bytearray(len(self.parents))
        for node, parent in enumerate(self.parents):
            inherited = through[parent] if parent >= 0 else 0
            through[node] = inherited | wanted[self.frame_ids[node]]
        return through


class Lifetime(NamedTuple):
    """Bytes that one stack allocated in the segment ``born`` and that were freed in ``died``.

    Segments are named by the checkpoint that ends them: the bytes are alive at the checkpoints
    ``born <= c < died``. ``died`` is None for bytes that were never freed; it equals ``born`` for
    transient bytes. ``born`` is at least 1: checkpoint 0 is the start of the program.
    """

    node: int
    born: int
    died: int | None
    bytes: int
    allocations: int

    def is_alive_at(self, checkpoint: int) -> bool:
        """Tell if the bytes are alive at ``checkpoint``."""
        return self.born <= checkpoint and (self.died is None or self.died > checkpoint)


class LargeAllocation(NamedTuple):
    """One single allocation, made in the segment ``born`` and freed in ``died``, or None.

    Segments are named by the checkpoint that ends them.
    """

    node: int
    born: int
    died: int | None
    bytes: int


class StackBytes(NamedTuple):
    """The bytes of one stack, and the number of allocations they were made by."""

    node: int
    bytes: int
    allocations: int


@frozen
class FoldedStack:
    """A stack with the bytes of small stacks that it called; ``own_bytes`` are without them."""

    node: int
    bytes: int
    allocations: int
    own_bytes: int


class Alive(Protocol):
    """The stacks that hold bytes at one moment, each once; there may be very many."""

    def __iter__(self) -> Iterator[StackBytes]: ...

    def by_node(self) -> Mapping[int, int]:
        """Return the bytes of each stack."""

    def by_group(self, groups: Sequence[int]) -> tuple[StackBytes, ...]:
        """Return the sums of each group, at the node of the group that holds most.

        ``groups`` has the number of the group of each node. Of nodes that hold the same, the first
        in the tree is taken.
        """

    def folded(self, parents: Sequence[int], most: int) -> tuple[FoldedStack, ...]:
        """Return the stacks, folded into at most ``most`` nodes if there are more.

        The nodes with most bytes, those of the stacks they called included, are kept. The bytes of
        the others go to their nearest caller that is kept, or to the node -1. ``parents`` are the
        parents of the tree.
        """


@frozen
class Moved:
    """The bytes that one phase allocated and freed.

    ``retained`` were allocated in a stretch of the phase and alive at its end. ``freed`` were alive
    at the start of a stretch and not at its end. The difference is exactly the growth of the heap.
    ``kept``, in all ``kept_bytes``, was allocated in a stretch and alive at the end of the last
    one. All three are sums of groups of stacks, as `Alive.by_group` returns them. Churn was both
    allocated and freed within a stretch.
    """

    retained: tuple[StackBytes, ...]
    freed: tuple[StackBytes, ...]
    kept: tuple[StackBytes, ...]
    kept_bytes: int
    churn_bytes: int
    churn_allocations: int


class Lifetimes(Protocol):
    """Bytes by stack, by the segment they were allocated in and the one they were freed in.

    There may be millions.
    """

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Lifetime]: ...

    def charged_to(
        self, places: Sequence[int], coarse: Sequence[int] | None = None, small: int = -1
    ) -> Lifetimes:
        """Return the same bytes with ``places[node]`` for each node, equal entries added up.

        If ``coarse`` is given, entries of at most ``small`` bytes get ``coarse[node]``.
        """

    def without(self, is_out: bytes) -> Lifetimes:
        """Return the entries of all nodes but those that have a byte other than 0 in ``is_out``."""

    def by_node(self) -> Mapping[int, int]:
        """Return the bytes that each stack allocated, in the order in which they are met."""

    def columns_by_node(self) -> Sequence[Sequence[Any]]:
        """Return the columns of all entries, by node and then by birth.

        Those that are alike in both stay in their order.
        """

    def size_of_rank(self, rank: int) -> int:
        """Return the bytes of the entry of ``rank`` by size; the largest entry has rank 0."""

    def alive_at(self, checkpoint: int) -> Alive:
        """Return the bytes of each stack at ``checkpoint``."""

    def heap_at(self, checkpoints: int) -> Sequence[int]:
        """Return the bytes alive at each of the first ``checkpoints`` checkpoints."""

    def moved(self, phases: Sequence[Sequence[Stretch]], groups: Sequence[int]) -> Iterator[Moved]:
        """Yield the bytes that each phase allocated and freed; its stretches do not overlap.

        ``groups`` has the number of the group of each node.
        """

    def largest_shares(
        self, transients: Lifetimes | None, nodes: int, small: float
    ) -> Sequence[float]:
        """Return the largest share that each node has of the bytes allocated in one segment.

        ``nodes`` is the number of nodes. ``transients`` count, too. The share is taken of at least
        ``small`` times the bytes of the busiest segment.
        """


@frozen
class Peak:
    """The highest heap within a phase, and the stacks alive at that moment.

    ``stacks`` is None if they were not read: only the highest peaks of a run have them.
    ``checkpoint`` is that at which it was, or the next one; None where that is not known.
    """

    bytes: int
    time_s: float | None
    stacks: Alive | None
    checkpoint: int | None = None


@frozen
class Sample:
    """A reading of the RSS or of the heap.

    ``file_bytes`` is the part of the RSS that maps files or is shared.
    """

    time_s: float
    bytes: int
    file_bytes: int | None = None


@frozen
class Stretch:
    """The part of a run between two checkpoints (indices); incomplete if its end is missing."""

    start: int
    end: int
    complete: bool = True

    @property
    def segments(self) -> range:
        """The segments in it, each named by the checkpoint that ends it."""
        return range(self.start + 1, self.end + 1)


class MappedBytes(NamedTuple):
    """What one stack mapped of files, or of shared memory; ``bytes`` of it are resident."""

    node: int
    bytes: int
    mapped_bytes: int


@frozen
class Residency:
    """One reading of the kernel's mappings at a checkpoint, joined with what was alive there.

    ``heap_bytes`` are resident and belong to live allocations; ``untouched`` are alive, but not
    resident: reserved and never touched, given back, or swapped out. ``file`` and ``shared`` are
    live mappings of files and of shared memory (tmpfs, shared anonymous memory): the trace counts
    them as heap, the two figures before do not.

    All other figures are resident bytes of the whole process. ``file_bytes`` and ``shared_bytes``
    count mappings that nobody traced too. ``allocator_bytes`` are anonymous memory beyond the live
    bytes in mappings that hold, or held, traced allocations; ``unseen_bytes`` lie in mappings in
    which nothing traced was ever found. ``tracer_bytes`` are pages of the capture itself.
    ``allocated_blocks`` is Python's own count of its live small blocks.

    ``unsettled`` are bytes that may be resident by then, though they were read as untouched: they
    count as resident. ``risen`` tells by how much, from which checkpoint on, the RSS has risen
    beyond the heap since without another reading: what was untouched may be that. ``since`` has the
    growth of the RSS up to a checkpoint, what shrank again not taken off: of its part that maps
    files or is shared, and of all that is beyond the heap. It goes on to the next reading.
    """

    checkpoint: int
    heap_bytes: int
    untouched: tuple[StackBytes, ...]
    file: tuple[MappedBytes, ...]
    shared: tuple[MappedBytes, ...]
    file_bytes: int
    shared_bytes: int
    allocator_bytes: int
    unseen_bytes: int
    tracer_bytes: int
    allocated_blocks: int | None = None
    unsettled: tuple[StackBytes, ...] = ()
    risen: tuple[tuple[int, int], ...] = ()
    since: tuple[tuple[int, int, int], ...] = ()

    def doubted(self, checkpoint: int) -> frozenset[int]:
        """Return the untouched stacks of which much may be resident by ``checkpoint``."""
        risen = max((size for at, size in self.risen if at <= checkpoint), default=0)
        return frozenset(stack.node for stack in self.untouched if stack.bytes <= 2 * risen)

    @property
    def untouched_bytes(self) -> int:
        """All bytes that are alive and not resident."""
        return sum(stack.bytes for stack in self.untouched)

    @property
    def resident_bytes(self) -> int:
        """The RSS, as the mappings have it."""
        anonymous = self.heap_bytes + self.allocator_bytes + self.unseen_bytes
        return anonymous + self.file_bytes + self.shared_bytes + self.tracer_bytes


class ProcessHeap(NamedTuple):
    """The heap of one process (its index in the run) over time, and its highest.

    ``split_off`` is what stacks of its parent had allocated of the pages that it has of its own
    since it was forked; None where that is not known.
    """

    process: int
    peak_bytes: int
    curve: tuple[Sample, ...]
    split_off: tuple[StackBytes, ...] | None = None


@frozen
class Earlier:
    """What was allocated before memdeep was attached.

    ``blocks`` and ``bytes`` are what was alive then, None where it could not be listed.
    ``unknown_frees`` were of blocks of which nothing is known, None where they were not counted.
    """

    blocks: int | None = None
    bytes: int | None = None
    unknown_frees: int | None = None


@frozen
class Heap:
    """The heap as it was traced: its size at the checkpoints, lifetimes, peaks, and its curve.

    ``at_checkpoints`` has one figure for each checkpoint, ``peaks`` one for each phase; None where
    nothing was traced. ``traced`` are the stretches that were traced: each counts its heap from
    zero.

    ``lifetimes`` outlived the segment they were allocated in, ``transients`` did not; what passed
    while memdeep recorded a checkpoint is in neither. ``largest``
    are the largest single allocations of each segment, at most 20. ``transients`` and ``largest``
    are None if the reader cannot know them. ``problems`` are sentences on what could not be read.
    ``residency`` are the readings of the mappings, by checkpoint; there are few, or none.
    ``own_peaks`` is the highest heap of what a thread (its name) allocated in each segment in which
    that changed, for threads that set checkpoints and as far as the reader knows them.
    ``native_nodes`` is the size of the tracker's own tree of native stacks at the checkpoints, 0
    where it is not known; it is empty if it never is. ``snapshots`` are the objects at checkpoints,
    in order; there are few, or none. ``earlier`` is None unless the program ran before it was
    recorded for somebody else.

    Where the program's processes were recorded too, this is the heap of all of them: ``own`` is
    that of the program alone, and ``processes`` are the others. ``residency`` is the program's.
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
    problems: tuple[Problem, ...] = ()
    residency: tuple[Residency, ...] = ()
    own_peaks: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    native_nodes: tuple[int, ...] = ()
    snapshots: tuple[HeapSnapshot, ...] = ()
    own: Heap | None = None
    earlier: Earlier | None = None
    processes: tuple[ProcessHeap, ...] = ()

    @property
    def of_program(self) -> Heap:
        """The heap of the program's own process, whose RSS the checkpoints have."""
        return self if self.own is None else self.own

    def born_in(self, segments: Collection[int]) -> Iterator[Lifetime]:
        """Yield all bytes allocated in ``segments``, those that did not outlive them included."""
        for lifetimes in (self.lifetimes, self.transients or ()):
            yield from (life for life in lifetimes if life.born in segments)

    def is_traced(self, stretch: Stretch) -> bool:
        """Tell if all of ``stretch`` was traced without a break."""
        start, end = stretch.start, stretch.end
        for part in self.traced:  # noqa: SIM110 - `any` takes three times as long for one part
            if part.start <= start and end <= part.end:
                return True
        return False
