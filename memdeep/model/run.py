"""A recorded run without its heap: its command, its checkpoints, its RSS, its end.

Sizes are bytes, times are seconds since the program started. Knows no file format and no wording.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from memdeep.frozen import frozen

if TYPE_CHECKING:  # what runs a program needs no heap
    from memdeep.model.heap import Frame, Sample
    from memdeep.model.statement import Problem, Statement

MAIN_THREAD = "MainThread"
DETACHED = "detached"  # the verdict on a process that outlived its run, and on that run
RUNNING = "running"  # on a program whose report is made while it runs


class CheckpointKind(Enum):
    """The kind of a checkpoint: a point, or one end of a span."""

    POINT = "point"
    BEGIN = "begin"
    END = "end"

    __hash__ = object.__hash__  # each is there once; the one of Enum is slower


@frozen
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


@frozen
class Mode:
    """The way the run was recorded; ``focus`` are the phases it was limited to, if any.

    With ``others_only`` the program itself was not traced, and processes of its run were.
    """

    backend: str
    native: bool
    python_allocators: bool
    focus: tuple[str, ...] = ()
    others_only: bool = False


@frozen
class Identity:
    """The program that was run, its revision, and the machine. Unknown or hidden facts are None.

    ``cwd`` is the directory it was started in, ``root`` that of its ``main`` file. ``commit`` was
    checked out there, ``is_dirty`` is True if tracked files differed from it. ``hash_seed`` is the
    number that PYTHONHASHSEED set, or "random".
    """

    cwd: str | None = None
    root: str | None = None
    main: str | None = None
    commit: str | None = None
    is_dirty: bool | None = None
    platform: str | None = None
    libc: str | None = None
    hash_seed: int | str | None = None


@frozen
class Exit:
    """The end of the program: the verdict on it, and the evidence for that."""

    code: int | None
    signal: str | None
    verdict: str
    evidence: tuple[Statement, ...] = ()


@frozen
class Worker:
    """The part that a process plays in a cluster; ``limit_bytes`` is None without a limit.

    ``ended_bytes`` is the RSS at which the process that looks after it has ended it, None unless
    that has; ``for_others`` tells that its node was full, whoever filled it.
    """

    name: str
    address: str
    threads: int
    limit_bytes: int | None = None
    ended_bytes: int | None = None
    for_others: bool = False


@frozen
class Process:
    """A process of the program's tree; in the list of a run, the program itself comes first.

    ``parent`` is the index of the process that started it, past those that are not in the list.
    ``how`` is one of "run", "fork", "spawn", "forkserver", "subprocess", and "exec" for a program
    that took the place of an earlier one. ``started_by`` is the stack that started it, outermost
    first, in the thread ``thread`` of its parent; ``group`` is the index of the first process that
    the same line started. ``asked_s`` is when its parent asked for it, where it is another program
    that began later, at ``start_s``. ``end_s`` is when it ended or was last seen, ``verdict`` is
    `DETACHED` if it outlived the run. ``ended_by_program`` is True if another process of the tree,
    as its pool, had sent it the signal that it ended by; ``was_replaced`` if it put another program
    in its place (exec), whose end is that one's. ``directory`` is that of its own recording, below
    the run's; a process without one is told from outside only. ``worker`` is None unless it is one
    of a cluster.

    ``curve`` is its proportional set size (PSS) over time where it was read, and the RSS of the
    program while that was alone. ``own_curve`` is what is in pages that no other process maps
    (USS), of one that was forked and not recorded. Figures that were not measured are None.
    """

    pid: int
    parent: int | None = None
    command: str | None = None
    peak_rss_bytes: int | None = None
    exit: int | None = None
    signal: str | None = None
    verdict: str | None = None
    ended_by_program: bool = False
    was_replaced: bool = False
    how: str | None = None
    asked_s: float | None = None
    start_s: float | None = None
    end_s: float | None = None
    started_by: tuple[Frame, ...] = ()
    thread: str | None = None
    group: int | None = None
    directory: str | None = None
    peak_pss_bytes: int | None = None
    peak_uss_bytes: int | None = None
    curve: tuple[Sample, ...] = ()
    own_curve: tuple[Sample, ...] = ()
    worker: Worker | None = None

    @property
    def started_at(self) -> Frame | None:
        """The frame to name for its start: the program's innermost own one, if there is one."""
        from memdeep.model.heap import Origin  # only here, as above

        own = [frame for frame in self.started_by if frame.origin in (Origin.USER, Origin.TOOL)]
        return next(reversed(own or self.started_by), None)

    @property
    def is_forked(self) -> bool:
        """Tell if it began with the memory of the process that it was forked from."""
        return self.how in ("fork", "forkserver")

    @property
    def is_traced(self) -> bool:
        """Tell if its allocations were recorded in a run directory of its own."""
        return self.directory is not None


@frozen
class CaptureFile:
    """A file of allocations that the run left; its path is the one given to memdeep.

    One that is not ``is_whole`` was given back in part: its state lies beside it.
    """

    path: str
    bytes: int
    is_whole: bool = True


@frozen
class MemoryLimit:
    """The tightest limit on memory when the program started; ``source`` states where it is set.

    ``of_address_space`` is True for a limit on mapped memory, which leads to a MemoryError, and
    False for a limit on resident memory, which leads to a kill.
    """

    bytes: int
    source: Statement
    of_address_space: bool = False


@frozen
class ThreadStack:
    """The stack of one thread, ``frames`` outermost first; ``name`` is the one in the dump.

    ``is_current`` marks the thread that held the interpreter.
    """

    name: str
    is_current: bool
    frames: tuple[Frame, ...]


@frozen
class StackDump:
    """The Python stacks of all threads at the moment when RSS exceeded a limit.

    ``reason`` is the option that set the limit (``--kill-at``, ``--critical-mb``). ``time_s`` and
    ``rss_bytes``, which is the memory of the whole tree, are of the reading that exceeded it.
    """

    reason: str
    time_s: float
    rss_bytes: int
    threads: tuple[ThreadStack, ...]


@frozen
class Merged:
    """The old part of a run, up to ``until_s``, of which only the last minutes' detail was kept.

    So many ``checkpoints`` in it, and so many moments at which its memory was read, are left out.
    """

    until_s: float
    checkpoints: int
    readings: int


@frozen
class Run:
    """A recorded run without its heap.

    ``rss_curve`` is the memory of the whole process tree, sampled from outside: the RSS of a lone
    process, of several the sum of their PSS, or of their RSS where PSS is not known.
    ``peak_rss_bytes`` is the highest sum of RSS at one moment or at a checkpoint, which counts a
    shared page once for each process; ``peak_pss_bytes`` is the highest sum of PSS, None if it was
    never read. ``max_rss_bytes`` is what no process of the program ever had more of, as the kernel
    has counted. ``earlier_s`` is how long the process had run before it began to record itself,
    None for a program that was run to be recorded.
    ``lent_curve`` is what of the program's RSS lies in pages that its processes map as well, at the
    readings of the PSS, which counts a part of them for each.
    ``problems`` are sentences on what could not be recorded or read. ``identity`` is None for a run
    that was recorded without it. ``merged`` is None where the detail of all of it is known.
    ``leaves_out`` is the option that kept processes from being recorded, None without one.
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
    peak_pss_bytes: int | None = None
    max_rss_bytes: int | None = None
    processes: tuple[Process, ...] = ()
    warning_bytes: int | None = None
    critical_bytes: int | None = None
    problems: tuple[Problem, ...] = ()
    limit: MemoryLimit | None = None
    stack_dumps: tuple[StackDump, ...] = ()
    captures: tuple[CaptureFile, ...] = ()
    identity: Identity | None = None
    earlier_s: float | None = None
    attached: bool = False
    merged: Merged | None = None
    lent_curve: tuple[Sample, ...] = ()
    leaves_out: str | None = None

    def is_program(self, process: int) -> bool:
        """Tell if a process (its index) is the program, or what that has put in its place."""
        known = self.processes
        return process < len(known) and known[process].pid == known[0].pid

    @property
    def was_replaced(self) -> bool:
        """Tell if the program has put another one in its place, which took its memory along."""
        return self.exit is not None and any(said.key == "exit.exec" for said in self.exit.evidence)

    @property
    def peak_bytes(self) -> int | None:
        """The most memory at one moment, each shared page once where that is known."""
        if self.peak_pss_bytes is None:
            return self.peak_rss_bytes
        return max([self.peak_pss_bytes, *(sample.bytes for sample in self.rss_curve)])
