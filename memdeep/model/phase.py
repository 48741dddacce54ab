"""The phases of a run with their figures, and the lines that hold their bytes.

Sizes are bytes, times are seconds since the program started. Knows no file format and no wording.
"""

from __future__ import annotations

from enum import Enum
from operator import attrgetter

from memdeep.frozen import frozen
from memdeep.model.heap import Frame, Origin, Peak, Stretch
from memdeep.model.holders import Holders

_complete = attrgetter("complete")
_MOST = 0.5  # of what a phase kept: what has no line is named as its culprit for no less


class PhaseKind(Enum):
    """A span that the program named, or the segment between two adjacent checkpoints."""

    SPAN = "span"
    SEGMENT = "segment"

    __hash__ = object.__hash__  # each is there once; the one of Enum is slower


@frozen
class PhaseOutline:
    """The place of a phase in the run, without any figure.

    ``stretches`` are its repeats in order: all stretches of this name within the same parent.
    ``parent`` is an index into the sequence of outlines, or None. ``threads`` has for each stretch
    the name of the thread that was in it, or None for a stretch of the run that no span covers;
    there are none if no thread is known. ``overlaps`` is True where others of its threads' phases
    were open at the same time and neither lay in the other, so that what they allocated cannot be
    told apart: tasks of one thread, or threads where allocations were traced without theirs.
    """

    name: str
    kind: PhaseKind
    depth: int
    parent: int | None
    stretches: tuple[Stretch, ...]
    threads: tuple[str | None, ...] = ()
    overlaps: bool = False

    @property
    def thread(self) -> str | None:
        """The one thread that was in the phase; None if there were several or none is known."""
        threads = self.threads
        return threads[0] if threads and threads.count(threads[0]) == len(threads) else None

    @property
    def segments(self) -> frozenset[int]:
        """The segments in it, each named by the checkpoint that ends it."""
        return frozenset(segment for stretch in self.stretches for segment in stretch.segments)


@frozen
class Culprit:
    """A line of the program and the bytes that it, or code it called, allocated.

    ``node`` is a stack of the branch that holds most of them; ``share`` is their part of the
    phase's total. ``branch_bytes`` are those that went through each of the innermost frames of that
    stack, from ``frame`` on; there are none if the stacks of the line were not told apart, or if it
    has only one. ``resident_bytes`` are those of its bytes that were resident; None where that was
    not measured. ``holders`` are the types and holders of what the line held at a checkpoint at
    which objects were walked; None where none were. Of what a phase of several stretches kept,
    ``retained_bytes`` were alive at the end of the stretch that allocated them.
    """

    frame: Frame
    node: int
    bytes: int
    allocations: int
    share: float
    branch_bytes: tuple[int, ...] = ()
    resident_bytes: int | None = None
    holders: Holders | None = None
    retained_bytes: int | None = None

    @property
    def line(self) -> tuple[str, int]:
        """The file and the number of the line."""
        return self.frame.filename, self.frame.lineno

    @property
    def bytes_in_use(self) -> int:
        """The resident bytes, or all where it is not known which were."""
        return self.bytes if self.resident_bytes is None else self.resident_bytes


@frozen
class Parts:
    """The parts of the growth of the RSS in a phase, as sums over its stretches.

    They add up to it: ``unknown`` is the rest, None where the growth itself is not known.
    ``heap`` is the growth of the live allocations, without mappings of files and shared memory.
    ``untouched`` is what of it did not become resident, 0 or less: what a phase touches of an
    earlier reservation is in ``heap``. ``allocator`` is free memory that allocators hold,
    ``unseen`` is in mappings in which nothing traced was ever found, ``tracer`` are pages of the
    capture.

    Without a reading of the mappings at both ends of each stretch, all but ``heap``, ``file`` (that
    includes shared memory then) and ``unknown`` are None; so are these where they are not known.
    """

    heap: int | None
    file: int | None
    shared: int | None = None
    allocator: int | None = None
    untouched: int | None = None
    unseen: int | None = None
    tracer: int | None = None
    unknown: int | None = None

    @property
    def is_measured(self) -> bool:
        """Tell whether the mappings were read at both ends."""
        return self.untouched is not None

    @property
    def resident_heap(self) -> int | None:
        """The growth of the live allocations that is in the RSS; all of it if not measured."""
        return None if self.heap is None else self.heap + (self.untouched or 0)

    @property
    def mapped(self) -> int | None:
        """Pages of files, of shared memory and of the capture; None if the system did not tell."""
        if not self.is_measured:
            return self.file
        return sum(filter(None, (self.file, self.shared, self.tracer)))

    @property
    def slack(self) -> int:
        """Anonymous memory beyond the heap: free in an allocator, or from one nobody traced."""
        return max(0, (self.allocator or 0) + (self.unseen or 0) + (self.unknown or 0))

    @property
    def not_resident(self) -> int:
        """The heap that did not become resident; all that is missing in the RSS if not measured."""
        return max(0, -(self.untouched if self.untouched is not None else self.unknown or 0))


@frozen
class Trend:
    """The growth of a phase from repeat to repeat: of its heap, or of its RSS if not traced.

    ``slope_bytes`` is the median growth of a repeat after the warm-up. ``warm_up_bytes`` is the
    growth of the warm-up's repeats beyond that. ``growing`` counts the repeats that grew at all.
    """

    repeats: int
    growing: int
    slope_bytes: int
    warm_up_repeats: int
    warm_up_bytes: int


@frozen
class PhaseHeap:
    """The heap of a phase: deltas are sums over its stretches, the peak is their highest.

    ``retained_bytes`` were allocated in a stretch and alive at its end; ``kept_bytes`` are those of
    them that were alive at the end of the last stretch. ``freed_bytes`` were alive at the start of
    a stretch and freed in it. ``delta_bytes`` is what was retained less what was freed.
    ``churn_bytes`` were both allocated and freed in a stretch. ``allocations`` counts all
    allocations, ``largest`` are the lines with the largest single ones. These three are None if the
    reader cannot know them.

    A phase of a thread beside those of others has its own thread's heap only. If the others moved
    memory, its start, end and peak are of that heap too; ``process_peak`` is the highest heap of
    the process then, and else None.

    ``program_peak`` is the highest heap of the program alone, where its processes were recorded
    too: what they all held may have been highest at another moment.

    ``culprits`` are the lines that kept most. ``main_line`` is the one that made the heap grow
    most, by what it retained less what went of what it had allocated before; None where that is the
    first of them. ``every_line`` are all lines by what they retained: there are none where nobody
    sums them up.
    """

    start_bytes: int
    end_bytes: int
    delta_bytes: int
    deltas_bytes: tuple[int, ...]
    retained_bytes: int
    kept_bytes: int
    freed_bytes: int
    peak: Peak
    culprits: tuple[Culprit, ...]
    peak_culprits: tuple[Culprit, ...]
    freed_culprits: tuple[Culprit, ...]
    churn_bytes: int | None = None
    allocations: int | None = None
    largest: tuple[Culprit, ...] | None = None
    process_peak: Peak | None = None
    main_line: tuple[str, int] | None = None
    every_line: tuple[Culprit, ...] = ()
    program_peak: Peak | None = None

    @property
    def allocated_bytes(self) -> int | None:
        """All bytes that were allocated, retained or not."""
        return None if self.churn_bytes is None else self.retained_bytes + self.churn_bytes

    @property
    def gross_freed_bytes(self) -> int | None:
        """All bytes that were freed, those allocated in the phase included."""
        return None if self.churn_bytes is None else self.freed_bytes + self.churn_bytes


@frozen
class GroupShare:
    """The part of processes that one line started in the heap of a phase.

    ``group`` is the first process of that line, ``processes`` are those that moved memory; both are
    indices. ``kept_bytes`` were allocated in a stretch and alive at its end, ``delta_bytes`` are
    these less what was freed. ``peak_bytes`` is what they held at the phase's peak.
    """

    group: int
    processes: tuple[int, ...]
    delta_bytes: int
    kept_bytes: int
    peak_bytes: int


@frozen
class Phase:
    """A phase with its figures; deltas are sums over its stretches.

    ``rss_deltas_bytes`` holds the growth of the RSS in each stretch, in order. ``heap`` is None
    unless all of the phase was traced. The RSS is that of the process: where phases of other
    threads moved memory at the same time, its growth is theirs too, and ``explained_ratio`` and
    ``parts`` are None.

    The heap is that of all recorded processes: ``workers`` has the parts of those that the program
    started, largest first. The RSS and its parts are the program's own; ``workers_pss_delta_bytes``
    is the growth of the PSS of all others, None where that was not read; ``workers_added_bytes`` is
    that without pages that the program had before and shares with them: the growth of the memory of
    all beyond that of the program's RSS.
    """

    outline: PhaseOutline
    duration_s: float
    rss_start_bytes: int | None
    rss_end_bytes: int | None
    rss_delta_bytes: int | None
    rss_deltas_bytes: tuple[int | None, ...]
    heap: PhaseHeap | None
    explained_ratio: float | None
    trend: Trend | None = None
    parts: Parts | None = None
    workers: tuple[GroupShare, ...] = ()
    workers_pss_delta_bytes: int | None = None
    workers_added_bytes: int | None = None

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
        return all(map(_complete, self.outline.stretches))

    @property
    def heap_delta_bytes(self) -> int | None:
        return None if self.heap is None else self.heap.delta_bytes

    @property
    def program_delta_bytes(self) -> int | None:
        """The growth of the heap of the program's own process."""
        of_workers = sum(share.delta_bytes for share in self.workers)
        return None if self.heap is None else self.heap.delta_bytes - of_workers

    @property
    def peak(self) -> Peak | None:
        return None if self.heap is None else self.heap.peak

    @property
    def peak_bytes(self) -> int | None:
        return None if self.heap is None else self.heap.peak.bytes

    @property
    def peak_stretch(self) -> Stretch:
        """The stretch that had the peak; the last one where that is not known."""
        stretches, at = self.outline.stretches, None if self.peak is None else self.peak.checkpoint
        of_peak = (one for one in stretches if at is not None and one.start <= at <= one.end)
        return next(of_peak, stretches[-1])

    @property
    def shares_rss(self) -> bool:
        """Tell whether other threads moved memory meanwhile, so that its RSS Δ is theirs too."""
        return self.heap is not None and self.heap.process_peak is not None

    @property
    def highest_bytes(self) -> int | None:
        """The highest heap of the whole process in the phase."""
        if self.heap is None or self.heap.process_peak is None:
            return self.peak_bytes
        return self.heap.process_peak.bytes

    @property
    def main_culprit(self) -> Culprit | None:
        """The line that made the heap grow most; None if it is not known, or none did.

        What has no code on its stack, as a thread of memdeep's own, is named only for most of it.
        """
        if self.heap is None or not self.heap.culprits:
            return None
        if self.heap.main_line is None and self.heap.delta_bytes < 0:
            return None
        of_line = (one for one in self.heap.culprits if one.line == self.heap.main_line)
        main = next(of_line, self.heap.culprits[0])
        return main if main.frame.origin is not Origin.NATIVE or main.share >= _MOST else None

    @property
    def moved_bytes(self) -> int:
        """The largest change in the phase: of its RSS, of its heap, or up to its peak."""
        rss, heap = abs(self.rss_delta_bytes or 0), self.heap
        if heap is None:
            return rss
        return max(rss, abs(heap.delta_bytes), heap.peak.bytes - heap.start_bytes)


@frozen
class Pattern:
    """Phases of like names as one row; the name of ``phase`` is their pattern, with ``*``.

    ``members`` are indices of phases, in order. The figures of ``phase`` are those of all their
    stretches, where these overlap counted once; its peak is the highest of theirs. The members have
    one parent, which is that of ``phase``, or they are inside the members of another pattern:
    ``within`` is the index of that one.
    """

    phase: Phase
    members: tuple[int, ...]
    within: int | None = None
