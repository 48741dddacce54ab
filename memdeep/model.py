"""The nouns of memdeep: what one recorded run is made of, and what analysis makes of it.

Everything here is a frozen value that passes between the stages. This module knows no file
format, no memray and no wording. Sizes are bytes, times are seconds since the program started.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol

from memdeep.statement import Statement


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


class CheckpointKind(Enum):
    """A plain point, or one end of a span."""

    POINT = "point"
    BEGIN = "begin"
    END = "end"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A named point of the program. ``index`` counts in the program's own order of allocation.

    ``span`` joins the BEGIN and the END of one span and is None for a POINT; the ``note`` of an END
    is the name of the exception that left the span. ``rss_file_bytes`` is the part of the RSS that
    maps files or is shared. Figures that were not measured are None.
    """

    index: int
    label: str
    kind: CheckpointKind
    time_s: float
    rss_bytes: int | None
    note: str | None = None
    thread: str | None = None
    pid: int | None = None
    span: int | None = None
    rss_file_bytes: int | None = None


# Of what there may be hundreds of thousands, tuples are made in a third of the time.


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


@dataclass(frozen=True, slots=True)
class Mode:
    """How the run was recorded; ``focus`` are the phases it was limited to, if any."""

    backend: str
    native: bool
    python_allocators: bool
    focus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exit:
    """How the program ended, and what that is concluded from."""

    code: int | None
    signal: str | None
    verdict: str
    evidence: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the program's tree, as seen from outside."""

    pid: int
    parent_pid: int | None
    command: str | None
    peak_rss_bytes: int | None
    exit: int | None


@dataclass(frozen=True, slots=True)
class CaptureFile:
    """A file of allocations that the run left; its path is as it was given to memdeep."""

    path: str
    bytes: int


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """The limit on memory that was the tightest when the program started, and whose it is.

    ``of_address_space`` tells a limit on what is mapped (a MemoryError) from one on what is
    resident (a kill).
    """

    bytes: int
    source: Statement
    of_address_space: bool = False


@dataclass(frozen=True, slots=True)
class ThreadStack:
    """Where one thread stood: ``frames`` outermost first; ``name`` as the dump has it.

    ``is_current`` marks the thread that held the interpreter.
    """

    name: str
    is_current: bool
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class StackDump:
    """The Python stacks of all threads at the moment RSS went over a limit.

    ``reason`` is the option that asked for it (``--kill-at``, ``--critical-mb``); ``time_s`` and
    ``rss_bytes`` (of the whole tree) are those of the reading that did.
    """

    reason: str
    time_s: float
    rss_bytes: int
    threads: tuple[ThreadStack, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One recorded run without its heap: what was started, how it ended, what was seen of it.

    ``rss_curve`` is the resident size of the whole process tree, sampled from outside.
    """

    command: tuple[str, ...]
    name: str
    mode: Mode
    python: str | None
    memray: str | None
    started: str | None
    duration_s: float | None
    exit: Exit | None
    checkpoints: tuple[Checkpoint, ...]
    rss_curve: tuple[Sample, ...]
    peak_rss_bytes: int | None
    processes: tuple[Process, ...] = ()
    warning_bytes: int | None = None
    critical_bytes: int | None = None
    problems: tuple[str, ...] = ()
    limit: MemoryLimit | None = None
    stack_dumps: tuple[StackDump, ...] = ()
    captures: tuple[CaptureFile, ...] = ()


class PhaseKind(Enum):
    """A span the program named, or the segment between two consecutive checkpoints."""

    SPAN = "span"
    SEGMENT = "segment"


@dataclass(frozen=True, slots=True)
class PhaseOutline:
    """A phase by its place in the run, before any byte is known.

    ``stretches`` are all pieces of the run under this name within the same parent, in order.
    ``parent`` is an index into the sequence of outlines, or None.
    """

    name: str
    kind: PhaseKind
    depth: int
    parent: int | None
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class Culprit:
    """A line of the program and what was allocated through it.

    ``node`` is the stack that holds the most of it; ``share`` is the part of the phase's total.
    """

    frame: Frame
    node: int
    bytes: int
    allocations: int
    share: float


@dataclass(frozen=True, slots=True)
class Gap:
    """What lies between the growth of the RSS and the growth of the heap, by name.

    RSS Δ = heap Δ + file + slack - untouched, where ``slack_bytes`` is anonymous memory beyond the
    heap (freed memory the allocator keeps, the tracker's tables, allocators nobody traces) and
    ``untouched_bytes`` is heap that was reserved and not touched, or swapped out; one of the two
    is 0. ``file_bytes`` is None where the system does not tell it: then it is in the other two.
    """

    file_bytes: int | None
    slack_bytes: int
    untouched_bytes: int


@dataclass(frozen=True, slots=True)
class Trend:
    """How a phase grew from repeat to repeat: the heap, or the RSS where it was not traced.

    ``slope_bytes`` is the median growth of a repeat after the warm-up, ``warm_up_bytes`` what the
    repeats of the warm-up grew beyond that. ``growing`` counts the repeats that grew at all.
    """

    repeats: int
    growing: int
    slope_bytes: int
    warm_up_repeats: int
    warm_up_bytes: int


@dataclass(frozen=True, slots=True)
class PhaseHeap:
    """What the trace says of a phase; deltas are sums over the stretches, the peak is the highest.

    ``retained_bytes`` were allocated in a stretch and alive at its end, ``freed_bytes`` alive at
    its start and freed in it; the difference is ``delta_bytes``. ``churn_bytes`` were allocated and
    freed within a stretch. ``allocations`` is the number of all allocations, ``largest`` are the
    lines with the largest single ones. None where the reader cannot know them.
    """

    start_bytes: int
    end_bytes: int
    delta_bytes: int
    deltas_bytes: tuple[int, ...]
    retained_bytes: int
    freed_bytes: int
    peak: Peak
    culprits: tuple[Culprit, ...]
    peak_culprits: tuple[Culprit, ...]
    freed_culprits: tuple[Culprit, ...]
    churn_bytes: int | None = None
    allocations: int | None = None
    largest: tuple[Culprit, ...] | None = None

    @property
    def allocated_bytes(self) -> int | None:
        """All that was allocated, whether or not it stayed."""
        return None if self.churn_bytes is None else self.retained_bytes + self.churn_bytes

    @property
    def gross_freed_bytes(self) -> int | None:
        """All that was freed, whenever it was allocated."""
        return None if self.churn_bytes is None else self.freed_bytes + self.churn_bytes

    @property
    def transient_bytes(self) -> int:
        """How far the peak rose above both ends of the phase."""
        return self.peak.bytes - max(self.start_bytes, self.end_bytes)


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase with its figures; deltas are sums over the stretches.

    ``rss_deltas_bytes`` holds the RSS growth of each stretch, in order (the trend of a repeated
    phase). ``heap`` is None unless all of the phase was traced.
    """

    outline: PhaseOutline
    duration_s: float
    rss_start_bytes: int | None
    rss_end_bytes: int | None
    rss_delta_bytes: int | None
    rss_deltas_bytes: tuple[int | None, ...]
    heap: PhaseHeap | None
    explained_ratio: float | None
    gap: Gap | None = None
    trend: Trend | None = None

    @property
    def name(self) -> str:
        return self.outline.name

    @property
    def start(self) -> int:
        return self.outline.stretches[0].start

    @property
    def end(self) -> int:
        return self.outline.stretches[-1].end

    @property
    def repeats(self) -> int:
        return len(self.outline.stretches)

    @property
    def complete(self) -> bool:
        return all(stretch.complete for stretch in self.outline.stretches)

    @property
    def heap_delta_bytes(self) -> int | None:
        return None if self.heap is None else self.heap.delta_bytes

    @property
    def peak(self) -> Peak | None:
        return None if self.heap is None else self.heap.peak

    @property
    def main_culprit(self) -> Culprit | None:
        """The line that retained the most."""
        return self.heap.culprits[0] if self.heap is not None and self.heap.culprits else None

    @property
    def moved_bytes(self) -> int:
        """The largest change the phase made, up or down, for good or in passing."""
        moves = [abs(self.rss_delta_bytes or 0), abs(self.heap_delta_bytes or 0)]
        if self.heap is not None:
            moves.append(self.heap.peak.bytes - self.heap.start_bytes)
        return max(moves)


class FindingKind(Enum):
    """What is wrong.

    GROWTH: bytes that stayed. PEAK: bytes that were there only at the peak. UNTRACKED: the RSS
    grew and the heap did not. HELD: the heap shrank and the RSS did not.
    """

    GROWTH = "growth"
    PEAK = "peak"
    UNTRACKED = "untracked"
    HELD = "held"


class Advice(Enum):
    """What the evidence suggests to do about a finding."""

    DEEP_COPY = "deep copy"
    WHOLE_PARSE = "whole-file parse"
    UNPICKLE = "unpickle"
    IMPORT = "import"
    REPEATED_GROWTH = "repeated growth"
    GROWING_CONTAINER = "growing container"
    UNTOUCHED = "untouched"
    UNTRACKED = "untracked"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a finding's bytes.

    ``alive_bytes`` were there at the end of the trace; ``freed`` says how many were freed in which
    phase (the innermost one; its index, or None outside of all), most first.
    """

    alive_bytes: int
    freed: tuple[tuple[int | None, int], ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer to "what made the memory grow": a line, a phase (its index), the bytes.

    ``share`` is the part of the phase's retained bytes (GROWTH), of its peak (PEAK), of its RSS
    growth (UNTRACKED), or of what it freed (HELD); the last two have no line to show.
    ``evidence`` holds, by name, the figures and words that ``advice`` rests on.
    """

    kind: FindingKind
    phase: int
    bytes: int
    share: float
    culprit: Culprit | None
    advice: Advice | None
    evidence: Mapping[str, int | float | str] = field(default_factory=dict)
    fate: Fate | None = None


@dataclass(frozen=True, slots=True)
class LastGrowth:
    """The last segment before a program's death in which its memory grew noticeably.

    ``stretch`` is that segment, ``phase`` the innermost phase (its index) that contains it.
    ``heap_bytes`` and ``rss_bytes`` are what it added. ``culprits`` allocated in it what was still
    alive at the death; they are empty where the segment was not traced.
    """

    stretch: Stretch
    phase: int | None
    heap_bytes: int | None
    rss_bytes: int | None
    culprits: tuple[Culprit, ...]


@dataclass(frozen=True, slots=True)
class Death:
    """What a program left that did not complete: where it was, what it held, what grew last.

    ``phases`` are the innermost phases (indices) it died in, one for each thread that was in one.
    ``last_checkpoint`` is the index of the last checkpoint the program set, not counting the ends
    that an exception brought about on its way out; ``since_s`` counts from it, or from the start
    where there is none. ``heap_bytes`` was alive at the checkpoint
    ``known_at``, ``culprits`` are its lines, largest first. That is the end of the run, or the last
    checkpoint that was traced; None if there is none.
    """

    phases: tuple[int, ...]
    last_checkpoint: int | None
    since_s: float
    rss_bytes: int | None
    heap_bytes: int | None
    culprits: tuple[Culprit, ...]
    last_growth: LastGrowth | None
    known_at: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything there is to show of one run.

    ``heap_curve`` is the heap over time, the checkpoints included. ``sources`` holds the text of
    source lines by file name and line number, with their indentation; a line that cannot be read,
    or whose file has changed since the run, is not there. ``private_files`` were left out because
    they look as if they held secrets. ``death`` is None for a program that completed.
    """

    run: Run
    heap: Heap
    phases: tuple[Phase, ...]
    findings: tuple[Finding, ...]
    heap_curve: tuple[Sample, ...]
    sources: Mapping[tuple[str, int], str]
    private_files: tuple[str, ...] = ()
    death: Death | None = None

    def source(self, frame: Frame) -> str | None:
        """The line of ``frame``, stripped, if it is known and not blank."""
        return self.sources.get((frame.filename, frame.lineno), "").strip() or None

    def around(self, frame: Frame, lines: int) -> tuple[tuple[int, str], ...]:
        """The known lines around that of ``frame``: numbers and texts, without a gap."""
        if (frame.filename, frame.lineno) not in self.sources:
            return ()
        found = [(frame.lineno, self.sources[frame.filename, frame.lineno])]
        for step in (-1, 1):
            for distance in range(1, lines + 1):
                lineno = frame.lineno + step * distance
                if (frame.filename, lineno) not in self.sources:
                    break
                found.append((lineno, self.sources[frame.filename, lineno]))
        return tuple(sorted(found))
