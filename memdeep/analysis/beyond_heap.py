"""Finds RSS that the heap does not explain: memory nobody traced, and memory that was not returned.

Such a finding has no line to blame; it says what was seen and how much of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath

from memdeep.analysis.advice import patterns
from memdeep.frozen import frozen, replace
from memdeep.model import (
    Advice,
    Asked,
    Finding,
    FindingKind,
    Frame,
    Heap,
    Origin,
    Phase,
    StackBytes,
)

MIN_BYTES = 16 << 20  # the tracer itself may add some of them
# The tracer keeps the native stacks that it met in a tree: 69 to 71 bytes a node were measured, at
# 70,000 and at 640,000 nodes.
NATIVE_NODE_BYTES = 72
MIN_SHARE = 0.5
MAX_LIBRARIES = 4
MANY_THREADS = 4

# glibc maps a block of this size by itself, and unmaps it when it is freed
# (DEFAULT_MMAP_THRESHOLD_MAX of malloc.c).
MAPPED_BYTES = 32 << 20
# An object of at most this size lies in an arena of Python's (SMALL_REQUEST_THRESHOLD of
# obmalloc.c).
SMALL_OBJECT_BYTES = 512

# Libraries that bring an allocator of their own, which hooks on malloc do not see, and those that
# call functions by pointer.
_OWN_ALLOCATORS = ("polars", "pyarrow", "duckdb", "torch", "jaxlib", "tensorflow")
_BY_POINTER = ("ctypes", "cffi")
_POOLS = {Advice.ARROW_POOL: "pyarrow", Advice.POLARS_POOL: "polars"}
_IN_POOLS = {
    Advice.ARROW_POOL: Advice.IN_ARROW_POOL,
    Advice.POLARS_POOL: Advice.IN_POLARS_POOL,
}


@frozen
class _Freed:
    """Bytes that were alive in a phase and not at its end, by who may still keep them.

    ``python_bytes`` were small objects; ``threads`` is the number of threads that had made them.
    Blocks that were given back to the system are in neither.
    """

    bytes: int
    python_bytes: int
    threads: int


def beyond_heap(
    heap: Heap, phases: Sequence[Phase], *, python_allocators: bool = False
) -> list[Finding]:
    """Find the UNTRACKED and HELD findings of the innermost phases, largest first.

    With ``python_allocators`` the heap is made of objects, and not of Python's arenas.
    """
    parents = {phase.outline.parent for phase in phases}
    found = []
    for place, whole in enumerate(phases):
        if place in parents or whole.parts is None or whole.parts.slack < MIN_BYTES:
            continue
        phase = _once(heap, _without_tables(heap, whole))
        if phase.parts is None or phase.parts.slack < MIN_BYTES:
            continue
        freed = _freed(heap, phase, python_allocators)
        finding = _in_pool(place, phase, heap)
        finding = finding or _held(place, phase, freed) or _untracked(place, phase, heap)
        if finding is not None and finding.bytes >= MIN_BYTES:
            found.append(finding)
    return sorted(found, key=lambda finding: finding.bytes, reverse=True)


def _once(heap: Heap, phase: Phase) -> Phase:
    """Count what the repeats of a phase left to an allocator once.

    What one leaves, the next takes again, or another phase between them: no more is there at the
    end of the last one than the RSS has then beyond the heap, since the first began.
    """
    at = heap.of_program.at_checkpoints
    start, end = at[phase.start], at[phase.end]
    rss_start, rss_end = phase.rss_start_bytes, phase.rss_end_bytes
    if phase.parts is None or phase.repeats == 1 or None in (start, end, rss_start, rss_end):
        return phase
    most = (rss_end or 0) - (rss_start or 0) - ((end or 0) - (start or 0))
    twice = max(0, phase.parts.slack - most)
    unknown = (phase.parts.unknown or 0) - twice
    return replace(phase, parts=replace(phase.parts, unknown=unknown))


def _without_tables(heap: Heap, phase: Phase) -> Phase:
    """Take what the tracer's own tables grew by off the slack of a phase."""
    tables_bytes = _tables_bytes(heap, phase)
    if phase.parts is None or not tables_bytes:
        return phase
    unknown = (phase.parts.unknown or 0) - tables_bytes
    return replace(phase, parts=replace(phase.parts, unknown=unknown))


def _tables_bytes(heap: Heap, phase: Phase) -> int:
    """Return what the tracker's tree of native stacks grew by in ``phase``."""
    nodes = heap.native_nodes
    if not nodes:
        return 0
    grown = sum(nodes[one.end] - nodes[one.start] for one in phase.outline.stretches)
    return NATIVE_NODE_BYTES * max(0, grown)


def _freed(heap: Heap, phase: Phase, python_allocators: bool) -> _Freed:
    """Find the bytes that the program freed and that an allocator may have kept."""
    if phase.heap is None:
        return _Freed(0, 0, 0)
    heap, peak, end_bytes = heap.of_program, phase.heap.peak, phase.heap.end_bytes
    if phase.heap.program_peak is not None:
        peak, end_bytes = phase.heap.program_peak, heap.at_checkpoints[phase.end] or 0
    stacks: Iterable[StackBytes] = peak.stacks or heap.lifetimes.alive_at(phase.start)
    left = {stack.node: stack for stack in heap.lifetimes.alive_at(phase.end)}
    freed = max(peak.bytes - end_bytes, -(phase.program_delta_bytes or 0))
    given_back = python = 0
    threads = set()
    for stack in stacks:
        still = left.get(stack.node, StackBytes(stack.node, 0, 0))
        gone = stack.bytes - still.bytes
        if gone <= 0:
            continue
        block = gone / max(1, stack.allocations - still.allocations)
        if block >= MAPPED_BYTES or _is_mapped(heap, stack.node):
            given_back += gone
            continue
        threads.add(heap.tree.outermost(stack.node))
        if python_allocators and block <= SMALL_OBJECT_BYTES:
            python += gone
    return _Freed(max(0, freed - given_back), python, len(threads))


def _is_mapped(heap: Heap, node: int) -> bool:
    """Tell whether the stack of ``node`` mapped its bytes: it, an arena of Python, or a pool.

    They are unmapped where they are freed.
    """
    if heap.tree.asked and heap.tree.asked[node] == Asked.MMAP:
        return True
    own = _native_end(heap, node)
    is_arena = any(frame.function.startswith("_PyObject_Arena") for frame in own)
    return is_arena or pool_of(heap, node) is not None


def _in_pool(place: int, phase: Phase, heap: Heap) -> Finding | None:
    """Find growth that may be in a library's pool, which had mapped it before the phase.

    Where the mappings were read, what a pool has in use is heap, and none of the slack.
    """
    if phase.heap is None or phase.parts is None or phase.parts.is_measured:
        return None
    mapped = _mapped_by_pools(heap, phase)
    advice = max(mapped, key=lambda one: mapped[one], default=None)
    grown = phase.rss_delta_bytes or 0
    slack = min(phase.parts.slack, max(0, grown))
    if advice is None or mapped[advice] < slack or slack < MIN_SHARE * grown:
        return None
    return in_pool(place, phase, heap, advice, slack) if _ran(heap, phase, _POOLS[advice]) else None


def in_pool(place: int, phase: Phase, heap: Heap, pool: Advice, size_bytes: int) -> Finding | None:
    """Return what came into use in a phase of a pool; None if the RSS has not grown by it.

    The pool hands it out itself, so that nobody knows to which line.
    """
    grown = phase.rss_delta_bytes or 0
    if grown <= 0:
        return None
    size = min(size_bytes, grown)
    return Finding(
        kind=FindingKind.UNTRACKED,
        phase=place,
        phases=(place,),
        bytes=size,
        share=size / grown,
        culprit=None,
        advice=_IN_POOLS[pool],
        evidence={
            "mapped_bytes": _mapped_by_pools(heap, phase).get(pool, 0),
            "slack_bytes": size,
        },
    )


def pool_of(heap: Heap, node: int) -> Advice | None:
    """Return the pool in which the bytes of a stack lie; None if they do not."""
    return patterns.pool(_native_end(heap, node))


def _mapped_by_pools(heap: Heap, phase: Phase) -> dict[Advice, int]:
    """Return what each pool had mapped before a phase."""
    mapped: dict[Advice, int] = {}
    for stack in heap.lifetimes.alive_at(phase.start):
        pool = pool_of(heap, stack.node)
        if pool is not None:
            mapped[pool] = mapped.get(pool, 0) + stack.bytes
    return mapped


def _ran(heap: Heap, phase: Phase, library: str) -> bool:
    """Tell whether code of ``library`` allocated anything in ``phase``."""
    through = heap.tree.nodes_through(lambda frame: library in _libraries_of(frame))
    if through is None:
        return False
    return any(through[life.node] for life in heap.born_in(phase.outline.segments))


def _native_end(heap: Heap, node: int) -> Sequence[Frame]:
    """Return the native frames at the inner end of a stack, innermost first."""
    frames = []
    while node >= 0 and heap.tree.frames[heap.tree.frame_ids[node]].origin is Origin.NATIVE:
        frames.append(heap.tree.frames[heap.tree.frame_ids[node]])
        node = heap.tree.parents[node]
    return frames


def _held(place: int, phase: Phase, freed: _Freed) -> Finding | None:
    """Find bytes that the program freed in the phase and that stayed in its RSS."""
    if phase.heap is None or phase.parts is None:
        return None
    kept = min(freed.bytes, phase.parts.slack)
    if kept < MIN_SHARE * phase.parts.slack:
        return None
    if freed.python_bytes > MIN_SHARE * freed.bytes:
        advice = Advice.HELD_BY_PYTHON
    else:
        advice = Advice.HELD_BY_THREADS if freed.threads >= MANY_THREADS else Advice.HELD
    return Finding(
        kind=FindingKind.HELD,
        phase=place,
        phases=(place,),
        bytes=kept,
        share=kept / freed.bytes,
        culprit=None,
        advice=advice,
        evidence={
            "freed_bytes": freed.bytes,
            "kept_bytes": kept,
            "rss_bytes": phase.rss_delta_bytes or 0,
            "heap_bytes": phase.program_delta_bytes or 0,
        },
    )


def _untracked(place: int, phase: Phase, heap: Heap) -> Finding | None:
    """Find growth of the RSS that neither the heap nor files account for."""
    grown = phase.rss_delta_bytes or 0
    if phase.heap is None or phase.parts is None or grown <= 0:
        return None
    unknown = min(phase.parts.slack, grown)  # more of it may have been freed elsewhere
    # Where file pages are not told apart they may be all of it.
    if phase.parts.mapped is None or unknown < MIN_SHARE * grown:
        return None
    return Finding(
        kind=FindingKind.UNTRACKED,
        phase=place,
        phases=(place,),
        bytes=unknown,
        share=unknown / grown,
        culprit=None,
        advice=Advice.UNTRACKED,
        evidence={
            "rss_bytes": grown,
            "heap_bytes": phase.program_delta_bytes or 0,
            "file_bytes": phase.parts.mapped,
            "slack_bytes": unknown,
            "tracker_bytes": _tables_bytes(heap, phase),
            "libraries": ", ".join(_suspects(heap, phase)),
            **_idle_before(heap, phase, unknown),
        },
    )


def _idle_before(heap: Heap, phase: Phase, unknown: int) -> dict[str, int]:
    """Return what the last reading before a phase found alive and not in use, if that may be it.

    Where the mappings were read at both ends, what came into use of it is known.
    """
    before = [one for one in heap.residency if one.checkpoint <= phase.start]
    if phase.parts is None or phase.parts.is_measured or not before:
        return {}
    last = max(before, key=lambda one: one.checkpoint)
    alive = heap.lifetimes.alive_at(phase.start).by_node()
    idle: dict[int, int] = {}
    for stack in last.untouched:
        idle[stack.node] = idle.get(stack.node, 0) + stack.bytes
    for mapped in (*last.file, *last.shared):
        idle[mapped.node] = idle.get(mapped.node, 0) + mapped.mapped_bytes - mapped.bytes
    size = sum(min(size, alive.get(node, 0)) for node, size in idle.items())
    return {"idle_bytes": size} if size >= MIN_SHARE * unknown else {}


def _suspects(heap: Heap, phase: Phase) -> list[str]:
    """Name the libraries that may have allocated unseen, at most four.

    Those with an allocator of their own, and those that call by pointer, if they were seen by the
    end of the phase; then the other libraries that were first seen in it.
    """
    seen: dict[str, int] = {}
    for node, born in enumerate(_first_seen(heap)):
        frame = heap.tree.frames[heap.tree.frame_ids[node]]
        for name in _libraries_of(frame):
            seen[name] = min(born, seen.get(name, born))
    known = [n for n in (*_OWN_ALLOCATORS, *_BY_POINTER) if seen.get(n, phase.end + 1) <= phase.end]
    stretches = phase.outline.stretches
    new = [
        name
        for name, born in sorted(seen.items())
        if name not in known and any(one.start < born <= one.end for one in stretches)
    ]
    return [*known, *new][:MAX_LIBRARIES]


def _libraries_of(frame: Frame) -> list[str]:
    parts = PurePath(frame.filename).parts
    names = [part for part in parts if part in _OWN_ALLOCATORS or part in _BY_POINTER]
    for place, part in enumerate(parts[:-1]):
        if part in ("site-packages", "dist-packages"):
            names.append(PurePath(parts[place + 1]).name.split(".")[0])
    return names


def _first_seen(heap: Heap) -> list[int]:
    """Return the segment in which each node first allocated, itself or by a call; 0 if unknown."""
    never = len(heap.at_checkpoints)
    first = [never] * len(heap.tree.parents)
    for lives in (heap.lifetimes, heap.transients or ()):
        for life in lives:
            first[life.node] = min(first[life.node], life.born)
    for node in range(len(first) - 1, -1, -1):
        parent = heap.tree.parents[node]
        if parent >= 0:
            first[parent] = min(first[parent], first[node])
    return [0 if born == never else born for born in first]
