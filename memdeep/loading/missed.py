"""States what the tracer missed: lines of Python, frees, what was there before. Knows no words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from memdeep.errors import CaptureError
from memdeep.heap.parts import HeapPart, LostLines
from memdeep.model import Checkpoint, Earlier
from memdeep.model.statement import Statement, state
from memdeep.rundir import earlier
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import read_if_there
from memdeep.rundir.meta import Meta

# Python's own end and memray's thread allocate a few kilobytes without a frame.
LEAST_LOST_BYTES = 64 << 10
# The C library frees a few blocks behind the tracer's back, when threads end or libraries load.
LEAST_UNSEEN_BYTES = 1 << 20


def earlier_blocks(run_dir: RunDirectory, meta: Meta) -> bytes:
    """Return the list of what was there before memdeep was attached; empty if there is none."""
    with suppress(CaptureError):
        if meta.attached:
            return read_if_there(run_dir.earlier, earlier.MAX_BYTES) or b""
    return b""


def earlier_unknown(known: Earlier | None) -> Iterator[Statement]:
    """Yield a statement if a program was attached to whose earlier memory could not be listed."""
    if known is None or known.bytes is not None:
        return
    if known.unknown_frees is None:
        yield state("problem.earlier_unknown")
    else:
        yield state("problem.earlier_freed", n=known.unknown_frees)


def missed(heaps: Sequence[HeapPart], points: Sequence[Checkpoint]) -> Iterator[Statement]:
    """Yield statements on sub-interpreters, on threads that lost their lines, on unseen frees."""
    in_subs = sum(heap.sub_interpreter_bytes for heap in heaps)
    if in_subs >= LEAST_LOST_BYTES:
        yield state("problem.sub_interpreters", size_bytes=in_subs)
    for heap in heaps:
        for lost in heap.lost_lines:
            # Of the smallest stacks nobody knows whose they are: a tenth may be left.
            is_explained = lost.bytes * 9 <= heap.sub_interpreter_bytes * 10
            if lost.most_bytes >= LEAST_LOST_BYTES and not is_explained:
                yield _lost(lost, points)
    unseen = [heap.unseen_frees for heap in heaps if heap.unseen_frees is not None]
    size_bytes = sum(frees.bytes for frees in unseen)
    if size_bytes >= LEAST_UNSEEN_BYTES:
        blocks = sum(frees.blocks for frees in unseen)
        yield state("problem.unseen_frees", n=blocks, size_bytes=size_bytes)


def _lost(lost: LostLines, points: Sequence[Checkpoint]) -> Statement:
    after, before = (points[place].label for place in (lost.before - 1, lost.before))
    if lost.thread is None:
        return state("problem.lost_lines", size_bytes=lost.most_bytes, after=after, before=before)
    return state(
        "problem.lost_lines_of_thread",
        size_bytes=lost.most_bytes,
        thread=lost.thread,
        after=after,
        before=before,
    )
