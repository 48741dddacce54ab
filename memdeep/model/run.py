"""One recorded run without its heap: what was started, how it ended, what was seen of it.

Sizes are bytes, times are seconds since the program started. Knows no file format and no wording.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from memdeep.model.heap import Frame, Sample
from memdeep.model.statement import Statement


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
