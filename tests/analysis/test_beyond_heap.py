"""RSS that no heap explains is told from memory that was freed and not returned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from factories import MB, frame, heap, library, lifetime, native, phase, tree

from memdeep.analysis.beyond_heap import beyond_heap
from memdeep.heap.lists import LifetimeList
from memdeep.model import (
    Advice,
    Asked,
    Finding,
    FindingKind,
    Frame,
    MappedBytes,
    Origin,
    Parts,
    Peak,
    Residency,
    StackBytes,
    Stretch,
)
from memdeep.model.alive import AliveStacks

STACKS, _ = tree([frame("main"), library("read", filename="/lib/site-packages/polars/io.py")])


def found(rss_bytes: int, parts: Parts, **figures: Any) -> list[Finding]:
    return beyond_heap(heap(STACKS), [phase(rss_delta_bytes=rss_bytes, parts=parts, **figures)])


def test_rss_that_no_heap_and_no_file_explains_is_untracked() -> None:
    (finding,) = found(100 * MB, Parts(0, 5 * MB, unknown=94 * MB), delta_bytes=MB)
    assert finding.kind is FindingKind.UNTRACKED
    assert (finding.bytes, finding.share) == (94 * MB, 0.94)
    assert finding.culprit is None
    assert finding.evidence == {
        "rss_bytes": 100 * MB,
        "heap_bytes": MB,
        "file_bytes": 5 * MB,
        "slack_bytes": 94 * MB,
        "tracker_bytes": 0,
        "libraries": "polars",
    }


@pytest.mark.parametrize("at_the_end", [False, True])
def test_what_was_reserved_may_have_come_into_use_where_nobody_read_the_mappings(
    at_the_end: bool,
) -> None:
    """A buffer of 60 MB and a private mapping of a file of 50 MB; 5 MB of them were in use."""
    lives = [lifetime(0, bytes=60 * MB), lifetime(0, bytes=50 * MB)]
    idle = {"untouched": (StackBytes(0, 55 * MB, 1),), "file": (MappedBytes(0, 0, 50 * MB),)}
    empty = dict.fromkeys(("file_bytes", "shared_bytes", "allocator_bytes", "unseen_bytes"), 0)
    reading = Residency(1, 5 * MB, shared=(), tracer_bytes=0, **idle, **empty)  # type: ignore[arg-type]
    stacks, _ = tree([frame("main")])
    parts = Parts(0, 0, 0, 0, 0, 100 * MB, 0, 0) if at_the_end else Parts(0, 0, unknown=100 * MB)
    (finding,) = beyond_heap(
        heap(stacks, lives, 3, residency=(reading,)),
        [phase(stretches=(Stretch(1, 2),), rss_delta_bytes=100 * MB, parts=parts)],
    )
    assert finding.evidence.get("idle_bytes") == (None if at_the_end else 105 * MB)


def test_of_measured_parts_only_what_no_file_and_no_heap_is_may_be_a_finding() -> None:
    measured = Parts(
        heap=40 * MB,
        file=2 * MB,
        shared=MB,
        allocator=50 * MB,
        untouched=-40 * MB,
        unseen=30 * MB,
        tracer=3 * MB,
        unknown=14 * MB,
    )
    (finding,) = found(100 * MB, measured, delta_bytes=40 * MB)
    assert (finding.kind, finding.bytes) == (FindingKind.UNTRACKED, 94 * MB)
    assert finding.evidence["file_bytes"] == 6 * MB


@pytest.mark.parametrize(
    ("rss_bytes", "parts"),
    [
        (15 * MB, Parts(0, 0, unknown=15 * MB)),  # the tracker alone may be as large
        (100 * MB, Parts(0, 80 * MB, unknown=20 * MB)),  # mostly files
        (100 * MB, Parts(0, 0, unknown=30 * MB)),  # mostly heap
        (100 * MB, Parts(0, None, unknown=90 * MB)),  # files are not told apart
        (-100 * MB, Parts(0, 0, unknown=50 * MB)),
    ],
)
def test_anything_less_is_no_finding(rss_bytes: int, parts: Parts) -> None:
    assert found(rss_bytes, parts) == []


def test_a_heap_that_shrinks_without_the_rss_is_held() -> None:
    (finding,) = found(-10 * MB, Parts(0, 0, unknown=90 * MB), delta_bytes=-100 * MB)
    assert finding.kind is FindingKind.HELD
    assert (finding.bytes, finding.share) == (90 * MB, 0.9)


def test_what_was_there_at_the_peak_only_may_be_held_as_well() -> None:
    (finding,) = found(80 * MB, Parts(0, 0, unknown=80 * MB), peak=Peak(100 * MB, 1.0, None))
    assert finding.kind is FindingKind.HELD
    assert finding.bytes == 80 * MB


def test_only_innermost_phases_are_asked() -> None:
    parts = Parts(0, 0, unknown=94 * MB)
    outer = phase("outer", rss_delta_bytes=100 * MB, parts=parts)
    inner = phase("inner", rss_delta_bytes=100 * MB, parts=parts, depth=1, parent=0)
    assert [item.phase for item in beyond_heap(heap(STACKS), [outer, inner])] == [1]


def freed_at_peak(
    *stacks: tuple[Frame, int, int], slack: int = 80, python_allocators: bool = False
) -> Finding:
    """Free ``stacks`` (frame, MB, allocations) before the end of a phase that keeps ``slack``."""
    made, nodes = tree(*([frame("main"), inner] for inner, _, _ in stacks))
    alive = tuple(
        StackBytes(node, size * MB, count)
        for node, (_, size, count) in zip(nodes, stacks, strict=True)
    )
    peak = Peak(sum(stack.bytes for stack in alive), 1.0, AliveStacks(alive))
    grown = phase(rss_delta_bytes=slack * MB, parts=Parts(0, 0, unknown=slack * MB), peak=peak)
    (finding,) = beyond_heap(heap(made), [grown], python_allocators=python_allocators)
    return finding


def test_freed_bytes_that_cover_what_stayed_are_held_however_many_more_there_were() -> None:
    finding = freed_at_peak((native(), 230, 11_000))
    assert (finding.kind, finding.advice) == (FindingKind.HELD, Advice.HELD)
    assert finding.bytes == 80 * MB


@pytest.mark.parametrize(
    "stack",
    [
        (native(), 320, 8),  # glibc maps and unmaps each by itself
        (native("_PyObject_ArenaMmap"), 320, 320),
        (native("_mi_malloc_generic", filename="/x/libarrow.so.2600"), 320, 320),
    ],
)
def test_what_was_given_back_when_it_was_freed_is_not_held(stack: tuple[Frame, int, int]) -> None:
    assert freed_at_peak(stack).kind is FindingKind.UNTRACKED


def test_what_the_program_mapped_is_not_held() -> None:
    """As a small file: munmap gives it back, and malloc has nothing to do with it."""
    made, (block, mapped) = tree([frame("main"), native()], [frame("main"), native("mmap")])
    made = replace(made, asked=bytes([0, Asked.MALLOC, Asked.MMAP]))
    alive = (StackBytes(block, 50 * MB, 900), StackBytes(mapped, 30 * MB, 1))
    grown = phase(
        rss_delta_bytes=80 * MB,
        parts=Parts(0, 0, unknown=80 * MB),
        peak=Peak(80 * MB, 1.0, AliveStacks(alive)),
    )
    (finding,) = beyond_heap(heap(made), [grown])
    assert (finding.kind, finding.bytes) == (FindingKind.HELD, 50 * MB)


def test_small_objects_are_held_by_python_and_not_by_glibc() -> None:
    objects = (native(), 120, 4_000_000)
    assert freed_at_peak(objects, python_allocators=True).advice is Advice.HELD_BY_PYTHON
    assert freed_at_peak(objects).advice is Advice.HELD


def test_what_many_threads_freed_is_held_by_their_arenas() -> None:
    threads = [frame(f"worker {n}", origin=Origin.THREAD, filename="") for n in range(4)]
    made, nodes = tree(*([thread, frame("fetch")] for thread in threads))
    alive = AliveStacks(tuple(StackBytes(node, 25 * MB, 1000) for node in nodes))
    grown = phase(
        rss_delta_bytes=80 * MB, parts=Parts(0, 0, unknown=80 * MB), peak=Peak(100 * MB, 1.0, alive)
    )
    (finding,) = beyond_heap(heap(made), [grown])
    assert finding.advice is Advice.HELD_BY_THREADS


@pytest.mark.parametrize(
    ("runs", "read", "advice"),
    [
        (True, {}, Advice.IN_ARROW_POOL),
        (False, {}, Advice.HELD),
        (True, {"untouched": 0, "allocator": 80 * MB, "unknown": 0}, Advice.HELD),
    ],
)
def test_a_pool_that_was_mapped_before_is_suspected_where_its_library_ran(
    runs: bool, read: dict[str, int], advice: Advice
) -> None:
    """And where no mappings were read, which tell it."""
    pool = [
        frame("read"),
        native("_mi_malloc_generic", filename="/x/site-packages/pyarrow/libarrow.so.2600"),
    ]
    array = [frame("merge"), library("take", filename="/x/site-packages/pyarrow/compute.py")]
    made, (mapped, called, freed) = tree(pool, array, [frame("other")])
    lives = [lifetime(mapped, 1, bytes=1024 * MB)]
    if runs:
        lives.append(lifetime(called, 2, bytes=100))
    peak = Peak(1124 * MB, 1.0, AliveStacks((StackBytes(freed, 100 * MB, 1000),)))
    grown = phase(
        rss_delta_bytes=80 * MB,
        parts=Parts(0, 0, **({"unknown": 80 * MB} | read)),
        start_bytes=1024 * MB,
        end_bytes=1024 * MB,
        delta_bytes=0,
        peak=peak,
        stretches=(Stretch(1, 2),),
    )
    (finding,) = beyond_heap(heap(made, lives, 3), [grown])
    assert finding.advice is advice


def test_suspects_are_those_that_were_loaded_by_the_end_of_the_phase() -> None:
    new = library("open", filename="/lib/site-packages/cv2/__init__.py")
    late = library("open", filename="/lib/site-packages/torch/__init__.py")
    by_pointer = library("call", filename="/usr/lib/python3.11/ctypes/__init__.py")
    made, nodes = tree([by_pointer], [new], [late])
    lives = [lifetime(node, born, bytes=1) for born, node in enumerate(nodes, 1)]
    grown = phase(
        rss_delta_bytes=80 * MB,
        parts=Parts(0, 0, unknown=80 * MB),
        stretches=(Stretch(1, 2),),
        delta_bytes=1,
    )
    (finding,) = beyond_heap(heap(made, (), 4, transients=LifetimeList(lives)), [grown])
    assert finding.evidence["libraries"] == "ctypes, cv2"


def test_the_tables_of_the_tracker_are_never_a_finding() -> None:
    parts = Parts(0, 0, unknown=45 * MB)
    grown = phase(rss_delta_bytes=45 * MB, parts=parts)
    known = heap(STACKS, native_nodes=(0, 45 * MB // 72))
    assert beyond_heap(known, [grown]) == []
    assert len(beyond_heap(heap(STACKS), [grown])) == 1


def test_what_is_left_without_the_tables_of_the_tracker_is_a_finding() -> None:
    grown = phase(rss_delta_bytes=145 * MB, parts=Parts(0, 0, unknown=145 * MB))
    (finding,) = beyond_heap(heap(STACKS, native_nodes=(0, 45 * MB // 72)), [grown])
    assert finding.bytes // MB == 100
    assert finding.evidence["tracker_bytes"] // MB == 45
