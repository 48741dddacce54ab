"""What analysis makes of a run: phases, culprits, findings, a death, and the report of them all.

Sizes are bytes, times are seconds since the program started. Knows no file format and no wording.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from memdeep.model.heap import Frame, Heap, Peak, Sample, Stretch
from memdeep.model.run import Run


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
    def peak_bytes(self) -> int | None:
        return None if self.heap is None else self.heap.peak.bytes

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
