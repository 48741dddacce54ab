"""A recorded run without its heap: its command, its checkpoints, its RSS, its end.

Sizes are bytes, times are seconds since the program started. Knows no file format and no wording.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from memdeep.model.heap import Frame, Sample
from memdeep.model.statement import Problem, Statement

MAIN_THREAD = "MainThread"


class CheckpointKind(Enum):
    """The kind of a checkpoint: a point, or one end of a span."""

    POINT = "point"
    BEGIN = "begin"
    END = "end"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A named point in the run; ``index`` is its place in the order of the program.

    ``span`` is the number that the BEGIN and the END of a span have in common; it is None for a
    POINT. The ``note`` of an END is the name of the exception that left the span.
    ``rss_file_bytes`` is the part of the RSS that maps files or is shared. Figures that were not
    measured are None. ``thread`` is the name of its thread, which no two threads of a run share;
    ``task`` is the number of the task of an event loop that set it, ``task_span`` the number of the
    innermost span in which that task was made.
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
    task: int | None = None
    task_span: int | None = None


@dataclass(frozen=True, slots=True)
class Mode:
    """The way the run was recorded; ``focus`` are the phases it was limited to, if any."""

    backend: str
    native: bool
    python_allocators: bool
    focus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of the program: the verdict on it, and the evidence for that."""

    code: int | None
    signal: str | None
    verdict: str
    evidence: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class Process:
    """A process of the program's tree, as it was seen from outside."""

    pid: int
    parent_pid: int | None
    command: str | None
    peak_rss_bytes: int | None
    exit: int | None


@dataclass(frozen=True, slots=True)
class CaptureFile:
    """A file of allocations that the run left; its path is the one given to memdeep."""

    path: str
    bytes: int


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """The tightest limit on memory when the program started; ``source`` states where it is set.

    ``of_address_space`` is True for a limit on mapped memory, which leads to a MemoryError, and
    False for a limit on resident memory, which leads to a kill.
    """

    bytes: int
    source: Statement
    of_address_space: bool = False


@dataclass(frozen=True, slots=True)
class ThreadStack:
    """The stack of one thread, ``frames`` outermost first; ``name`` is the one in the dump.

    ``is_current`` marks the thread that held the interpreter.
    """

    name: str
    is_current: bool
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class StackDump:
    """The Python stacks of all threads at the moment when RSS exceeded a limit.

    ``reason`` is the option that set the limit (``--kill-at``, ``--critical-mb``). ``time_s`` and
    ``rss_bytes``, which is the memory of the whole tree, are of the reading that exceeded it.
    """

    reason: str
    time_s: float
    rss_bytes: int
    threads: tuple[ThreadStack, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """A recorded run without its heap.

    ``rss_curve`` is the memory of the whole process tree, sampled from outside: the RSS of a lone
    process, of several the sum of their PSS, or of their RSS where PSS is not known.
    ``peak_rss_bytes`` is the highest sum of RSS at one moment or at a checkpoint, which counts a
    shared page once for each process; ``peak_pss_bytes`` is the highest sum of PSS, None if it was
    never read.
    ``problems`` are sentences on what could not be recorded or read.
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
    problems: tuple[Problem, ...] = ()
    limit: MemoryLimit | None = None
    stack_dumps: tuple[StackDump, ...] = ()
    captures: tuple[CaptureFile, ...] = ()
    peak_pss_bytes: int | None = None

    @property
    def peak_bytes(self) -> int | None:
        """The most memory at one moment, each shared page once where that is known."""
        if self.peak_pss_bytes is None:
            return self.peak_rss_bytes
        return max([self.peak_pss_bytes, *(sample.bytes for sample in self.rss_curve)])
