"""The results of the analysis: findings, a death, and the report of them and the phases.

Sizes are bytes, times are seconds since the program started. Knows no file format and no wording.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from memdeep.frozen import field, frozen
from memdeep.model.across import Across
from memdeep.model.heap import Frame, Heap, Sample, Stretch
from memdeep.model.holders import SnapshotView
from memdeep.model.phase import Culprit, Pattern, Phase
from memdeep.model.run import Run


class FindingKind(Enum):
    """The kind of a finding.

    GROWTH: bytes that stayed. PEAK: bytes that were alive only at the peak. FILE and SHARED: pages
    of a mapped file and of shared memory that became resident. RESERVED: bytes that stayed but of
    which hardly any were ever touched. TOUCHED: bytes allocated before the phase and used in it for
    the first time. COPIED: bytes of a line whose pages were copied for forked processes.
    UNRECORDED: what processes had in use (PSS) whose allocations were not recorded. UNTRACKED: the
    RSS grew and the heap did not. HELD: the heap shrank and the RSS did not.
    """

    GROWTH = "growth"
    PEAK = "peak"
    FILE = "file"
    SHARED = "shared"
    RESERVED = "reserved"
    TOUCHED = "touched"
    COPIED = "copied"
    UNRECORDED = "unrecorded"
    UNTRACKED = "untracked"
    HELD = "held"


class Advice(Enum):
    """The cause that the evidence points to, each with an advice of its own."""

    DEEP_COPY = "deep copy"
    WHOLE_PARSE = "whole-file parse"
    WHOLE_FILE = "whole file"
    MAPPED_FILE = "mapped file"
    WHOLE_TEXT = "whole text"
    WHOLE_PICKLE = "whole pickle"
    UNPICKLE = "unpickle"
    WORKBOOK = "workbook"
    ALL_ROWS = "all rows"
    MERGE = "merge"
    FIGURES = "figures"
    IMPORT = "import"
    BLAS_BUFFERS = "BLAS buffers"
    CACHED_RESULTS = "cached results"
    BOUNDED_RESULTS = "results of a cache with a bound"
    MADE_ANEW = "made anew"
    MADE_ANEW_TRACED = "made anew while it is traced"
    REPEATED_GROWTH = "repeated growth"
    GROWING_CONTAINER = "growing container"
    RECURSION = "recursion"
    ARROW_POOL = "Arrow pool"
    POLARS_POOL = "Polars pool"
    UNTOUCHED = "untouched"
    UNTRACKED = "untracked"
    IN_ARROW_POOL = "in Arrow's pool"
    IN_POLARS_POOL = "in Polars' pool"
    HELD = "held"
    HELD_BY_THREADS = "held by threads"
    HELD_BY_PYTHON = "held by Python"
    COPY_ON_WRITE = "copy on write"
    WRITTEN_AFTER_FORK = "written after fork"
    CACHED_ON_METHOD = "cached on a method"
    UNBOUNDED_CACHE = "cache without a bound"
    BOUNDED_CACHE = "cache"
    TRACEBACKS = "tracebacks"
    SUSPENDED = "suspended"
    LOG_RECORDS = "log records"
    GARBAGE = "garbage"
    GARBAGE_GC_OFF = "garbage, gc off"


@frozen
class Fate:
    """The later history of a finding's bytes.

    ``alive_bytes`` were alive at the end of the trace. ``freed`` has pairs of a phase and the bytes
    freed in it, most first; the phase is the index of the innermost one, or None outside of all.
    ``given_back_bytes`` were not freed, but an allocator gave their pages back to the system.
    ``unused_bytes`` are those of the alive ones that held no memory, then as at the end.
    ``moved_bytes`` of the freed ones, at most, moved to another block of a container.
    """

    alive_bytes: int
    freed: tuple[tuple[int | None, int], ...]
    given_back_bytes: int = 0
    unused_bytes: int = 0
    moved_bytes: int = 0


@frozen
class Finding:
    """A cause of memory growth: a line, a phase (its index), the bytes.

    ``share`` is the part of the phase's kept bytes (GROWTH, RESERVED), of its peak (PEAK), of the
    bytes it freed (HELD), of the highest PSS of all processes (UNRECORDED), or of its RSS growth
    (all others). UNRECORDED, UNTRACKED and HELD have no culprit.
    ``resident_bytes`` are those of the bytes that were resident, of a peak at most; None where that
    was not measured. ``evidence`` holds, by name, the figures and words that ``advice`` rests on.

    ``phases`` are all that the bytes are summed over, ``phase`` is the one of them with the most;
    ``pattern`` is that of their names, "" for segments, which have none, and for a single phase.
    ``arena_bytes`` are those that Python's allocator asked for as arenas, which may outlive the
    objects in them. ``called_by`` are the lines of the main thread that called into the library in
    the phase, where the bytes are those of a thread without code of the user's. ``processes`` are
    those that hold the bytes (indices); none if it is the program alone. ``row`` is the path of the
    phases in which these allocated them, as `Report.across` has it; () where it has none. So much
    of what was there before an attachment was freed meanwhile: of the bytes ``replaced_bytes`` may
    have taken its place. ``moved_bytes``, at most, were in a container before that was resized.
    Bytes of a peak may have outlived the repeat of the phase that allocated them
    (``spans_repeats``), though not the last one.
    """

    kind: FindingKind
    phase: int
    phases: tuple[int, ...]
    bytes: int
    share: float
    culprit: Culprit | None
    advice: Advice | None
    evidence: Mapping[str, int | float | str] = field(default_factory=dict)
    fate: Fate | None = None
    pattern: str = ""
    arena_bytes: int = 0
    called_by: tuple[Frame, ...] = ()
    resident_bytes: int | None = None
    processes: tuple[int, ...] = ()
    row: tuple[str, ...] = ()
    replaced_bytes: int = 0
    moved_bytes: int = 0
    spans_repeats: bool = False

    @property
    def is_of_workers(self) -> bool:
        """Tell if only processes that the program started hold the bytes."""
        return bool(self.processes) and 0 not in self.processes

    @property
    def bytes_in_use(self) -> int:
        """The resident bytes, or all where it is not known which were."""
        return self.bytes if self.resident_bytes is None else self.resident_bytes


@frozen
class SplitOff:
    """The pages that a forked process (its index) has of its own, by the lines of its ancestors.

    ``bytes`` are what these had allocated in them, alive at the fork; ``culprits`` are the lines.
    """

    process: int
    bytes: int
    culprits: tuple[Culprit, ...]


@frozen
class LastGrowth:
    """The last segment before a program's death in which its memory grew noticeably.

    ``stretch`` is that segment, ``phase`` the innermost phase (its index) that contains it.
    ``heap_bytes`` and ``rss_bytes`` are its growth. ``culprits`` are the lines by bytes allocated
    in it and alive at the death; there are none if the segment was not traced.
    """

    stretch: Stretch
    phase: int | None
    heap_bytes: int | None
    rss_bytes: int | None
    culprits: tuple[Culprit, ...]


@frozen
class Death:
    """The death of a program that did not complete: its phases, its memory, the last growth.

    ``phases`` are the innermost phases (indices) at the death, one for each thread that was in one.
    ``last_checkpoint`` is the index of the last checkpoint that the program set, without the ends
    of spans that an exception left. ``since_s`` counts from it, or from the start if there is none.
    ``heap_bytes`` were alive at the checkpoint ``known_at``: the end of the run, or the last
    checkpoint that was traced, or None if there is none. ``culprits`` are the lines by these bytes,
    largest first.
    """

    phases: tuple[int, ...]
    last_checkpoint: int | None
    since_s: float
    rss_bytes: int | None
    heap_bytes: int | None
    culprits: tuple[Culprit, ...]
    last_growth: LastGrowth | None
    known_at: int | None = None


@frozen
class LeftOut:
    """The numbers of what a process's own report has that is not kept.

    ``load`` makes it again, or returns None if its files are gone.
    """

    phases: int
    checkpoints: int
    load: Callable[[], Report | None]


@frozen
class Report:
    """The results for one run, all that an output may show.

    ``heap_curve`` is the heap over time, the checkpoints included. ``sources`` holds the text of
    source lines, with their indentation, by file name and line number; lines that cannot be read,
    or whose file has changed since the run, are missing. ``private_files`` were left out because
    they may hold secrets. ``death`` is None for a program that completed. ``own_reports`` are those
    of the processes (indices) that set checkpoints themselves, each by its own time;
    ``own_left_out`` are those of too many to keep.
    ``snapshots`` are the objects and their holders at some checkpoints. ``across`` sums up the
    phases of one name in all of those processes. Of the highest heap ``peak_reserved_bytes`` were
    only reserved, as far as that is known.
    """

    run: Run
    heap: Heap
    phases: tuple[Phase, ...]
    findings: tuple[Finding, ...]
    heap_curve: tuple[Sample, ...]
    sources: Mapping[tuple[str, int], str]
    private_files: tuple[str, ...] = ()
    death: Death | None = None
    patterns: tuple[Pattern, ...] = ()
    own_reports: Mapping[int, Report] = field(default_factory=dict)
    own_left_out: Mapping[int, LeftOut] = field(default_factory=dict)
    split_off: tuple[SplitOff, ...] = ()
    snapshots: tuple[SnapshotView, ...] = ()
    across: tuple[Across, ...] = ()
    peak_reserved_bytes: int | None = None

    def is_traced_to(self, item: Finding, checkpoint: int) -> bool:
        """Tell if all was traced from where the phases of a finding begin to ``checkpoint``.

        A program that was attached to, and whose end nobody has seen, may have gone on after that.
        """
        if self.run.attached and self.run.exit is None:
            return False
        start = min(self.phases[place].start for place in item.phases)
        return self.heap.is_traced(Stretch(start, checkpoint))

    def source(self, frame: Frame) -> str | None:
        """Return the source line of ``frame``, stripped, or None if it is unknown or blank."""
        return self.sources.get((frame.filename, frame.lineno), "").strip() or None

    def around(self, frame: Frame, lines: int) -> tuple[tuple[int, str], ...]:
        """Return numbers and texts of the lines around ``frame``, up to the first unknown one."""
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
