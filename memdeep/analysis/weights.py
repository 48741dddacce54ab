"""Facts about a finding that decide how it is told: weight, arenas, thread, repeats.

Model to model; knows no sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from memdeep.analysis.advice.patterns import FRAME_CHUNK_MAKERS
from memdeep.frozen import frozen
from memdeep.model import (
    EARLIER_FRAME,
    MAIN_THREAD,
    Culprit,
    Finding,
    FindingKind,
    Frame,
    Lifetime,
    Origin,
    Report,
    StackTree,
)

SMALL = 0.05  # of the run's largest heap, or of the first finding: less is folded
MIN_PASSED_BYTES = 1 << 20
MIN_PASSED_SHARE = 0.2  # of what was kept
MUCH_RESERVED = 0.1  # of the highest heap: where so much costs no memory, that is said beside it
ALL_ARENAS = 0.95  # of what stayed: the rest is not told apart

# The functions of CPython that ask the system for an arena (Objects/obmalloc.c, 3.9 to 3.14).
# mimalloc, the allocator of builds without the GIL, keeps no such arenas.
_ARENA_MAKERS = frozenset(
    ("_PyObject_ArenaMmap", "_PyObject_ArenaMalloc", "_PyMem_ArenaAlloc", "new_arena")
)
_ARENA_SIZES = (1 << 20, 1 << 18)  # since 3.10, and before
_WITHOUT_NAME = "thread 0x"  # what stands for the name of a thread, before its identifier
_NAMELESS = re.compile(r"<unknown in (lib)?python3[^>]*>")


@frozen
class Passed:
    """Bytes of a line that repeats of a phase retained, and the part that later repeats freed."""

    repeats: int
    retained_bytes: int
    freed_bytes: int


def small(report: Report) -> tuple[bool, ...]:
    """Tell for each finding whether it is too small to be told on its own."""
    if not report.findings:
        return ()
    peaks = [report.heap.peak_bytes, report.run.peak_rss_bytes]  # much may be reserved only
    highest = min((peak for peak in peaks if peak is not None), default=0)
    least = SMALL * max(report.findings[0].bytes_in_use, highest)
    return (False, *(item.bytes < least for item in report.findings[1:]))


def in_arenas(report: Report, item: Finding) -> bool:
    """Tell if most bytes of a finding are arenas, which may outlive the objects that were in them.

    With Python's allocators traced, the objects themselves are counted.
    """
    return not report.run.mode.python_allocators and 2 * item.arena_bytes > item.bytes


def much_reserved(report: Report) -> int | None:
    """Return what of the highest heap was only reserved; None if that is little, or not known."""
    reserved, heap_bytes = report.peak_reserved_bytes or 0, report.heap.peak_bytes or 0
    return reserved if reserved > MUCH_RESERVED * heap_bytes else None


def stayed_in(report: Report, item: Finding) -> str:
    """Tell how bytes that stayed are told: as "growth", as "arenas", or as "arenas_partly"."""
    if not in_arenas(report, item):
        return "growth"
    return "arenas" if item.arena_bytes >= ALL_ARENAS * item.bytes else "arenas_partly"


def arena_bytes(tree: StackTree, lifetimes: Iterable[Lifetime]) -> int:
    """Add up the bytes that Python's allocator asked for as arenas; they need native stacks."""
    return sum(life.bytes for life in lifetimes if _is_arena(tree, life))


def through(culprit: Culprit, stack: Sequence[Frame]) -> list[int]:
    """Return for each frame of the culprit's stack how many of its bytes went through it.

    None went elsewhere before the line was called.
    """
    branch = culprit.branch_bytes
    return [*[culprit.bytes] * (len(stack) - len(branch)), *branch]


def in_other_thread(tree: StackTree, node: int) -> bool:
    """Tell if the stack of ``node`` is known to begin in another thread than the main one."""
    if tree.frames[tree.frame_ids[node]] == EARLIER_FRAME:  # it has the thread that freed it
        return False
    frame = tree.outermost(node)
    if frame.function.startswith(_WITHOUT_NAME) and not _knows_main(tree):
        return False  # where memdeep was attached, and the main thread has set no checkpoint
    main = MAIN_THREAD if frame.lineno == 0 else f" {MAIN_THREAD}"  # behind the process
    return frame.origin is Origin.THREAD and not frame.function.endswith(main)


def _knows_main(tree: StackTree) -> bool:
    threads = (frame for frame in tree.frames if frame.origin is Origin.THREAD)
    return any(frame.function.endswith(MAIN_THREAD) for frame in threads)


def passed_through(report: Report, item: Finding) -> Passed | None:
    """Return what repeats of the finding's phases retained of its line and later ones freed.

    None if that is too little to be told, or not known: tasks that overlap see what others retain.
    """
    phases = [report.phases[place] for place in item.phases]
    if any(phase.outline.overlaps for phase in phases):
        return None
    repeats = sum(phase.repeats for phase in phases)
    if item.kind is not FindingKind.GROWTH or item.culprit is None or repeats < 2:
        return None
    line = item.culprit.line
    retained = sum(
        culprit.bytes if culprit.retained_bytes is None else culprit.retained_bytes
        for phase in phases
        if phase.heap is not None
        for culprit in phase.heap.culprits
        if culprit.line == line
    )
    freed = retained - item.bytes
    if freed < max(MIN_PASSED_BYTES, MIN_PASSED_SHARE * item.bytes):
        return None
    return Passed(repeats, retained, freed)


def is_nameless_interpreter(frame: Frame) -> bool:
    """Tell if ``frame`` is code of CPython whose function is unknown, as in a stripped one."""
    return frame.origin is Origin.NATIVE and bool(_NAMELESS.fullmatch(frame.function))


def _is_arena(tree: StackTree, life: Lifetime) -> bool:
    node = life.node
    innermost = tree.frames[tree.frame_ids[node]]
    if is_nameless_interpreter(innermost):
        # An object of CPython's has a header: it is hardly ever as large as an arena to the byte.
        return any(life.bytes == size * life.allocations for size in _ARENA_SIZES)
    is_arena = False
    while node >= 0:
        frame = tree.frames[tree.frame_ids[node]]
        if frame.origin is not Origin.NATIVE:
            return is_arena
        if frame.function in FRAME_CHUNK_MAKERS:  # they ask in the same way, and use it all
            return False
        is_arena = is_arena or frame.function in _ARENA_MAKERS
        node = tree.parents[node]
    return is_arena
