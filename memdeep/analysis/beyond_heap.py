"""Finds RSS that the heap does not explain: memory nobody traced, and memory that was not returned.

Such a finding has no line to blame; it says what was seen and how much of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from memdeep.model import Advice, Finding, FindingKind, Heap, Phase

MIN_BYTES = 16 << 20  # the tracker itself may add some ten MB
MIN_SHARE = 0.5

# Libraries that bring an allocator of their own, which hooks on malloc do not see.
_OWN_ALLOCATORS = ("polars", "pyarrow", "duckdb", "torch", "jaxlib", "tensorflow")


def beyond_heap(heap: Heap, phases: Sequence[Phase]) -> list[Finding]:
    """Find the UNTRACKED and HELD findings of the innermost phases, largest first."""
    parents = {phase.outline.parent for phase in phases}
    found = []
    for place, phase in enumerate(phases):
        if place in parents or phase.heap is None or phase.gap is None:
            continue
        finding = _held(place, phase) or _untracked(place, phase, heap)
        if finding is not None and finding.bytes >= MIN_BYTES:
            found.append(finding)
    return sorted(found, key=lambda finding: finding.bytes, reverse=True)


def _held(place: int, phase: Phase) -> Finding | None:
    """Find bytes that the program freed in the phase and that stayed in its RSS."""
    if phase.heap is None or phase.gap is None:
        return None
    freed = max(phase.heap.transient_bytes, -phase.heap.delta_bytes)
    kept = min(freed, phase.gap.slack_bytes)
    if freed <= 0 or kept < MIN_SHARE * max(freed, phase.gap.slack_bytes):
        return None
    return Finding(
        kind=FindingKind.HELD,
        phase=place,
        phases=(place,),
        bytes=kept,
        share=kept / freed,
        culprit=None,
        advice=Advice.HELD,
        evidence={
            "freed_bytes": freed,
            "kept_bytes": kept,
            "rss_bytes": phase.rss_delta_bytes or 0,
            "heap_bytes": phase.heap.delta_bytes,
        },
    )


def _untracked(place: int, phase: Phase, heap: Heap) -> Finding | None:
    """Find growth of the RSS that neither the heap nor files account for."""
    grown = phase.rss_delta_bytes or 0
    if phase.heap is None or phase.gap is None or grown <= 0:
        return None
    unknown = phase.gap.slack_bytes
    # Where file pages are not told apart they may be all of it.
    if phase.gap.file_bytes is None or unknown < MIN_SHARE * grown:
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
            "heap_bytes": phase.heap.delta_bytes,
            "file_bytes": phase.gap.file_bytes,
            "slack_bytes": unknown,
            "libraries": ", ".join(_loaded(heap)),
        },
    )


def _loaded(heap: Heap) -> list[str]:
    """List the libraries with an allocator of their own that appear in a stack of the run."""
    files = {frame.filename for frame in heap.tree.frames}
    parts = {part for filename in files for part in PurePath(filename).parts}
    return [name for name in _OWN_ALLOCATORS if name in parts]
