"""The figures of a phase by the names that `report.json` has for them; None where not known."""

from __future__ import annotations

from collections.abc import Mapping

from memdeep.model import Phase

Figures = Mapping[str, int | float | None]

# Their meaning, in the order in which they are exported.
MEANINGS = {
    "duration_s": "Time in the phase.",
    "rss_start_bytes": "RSS at the start of the first repeat.",
    "rss_end_bytes": "RSS at the end of the last repeat.",
    "rss_delta_bytes": "Growth of the RSS, over all repeats.",
    "heap_start_bytes": "Heap at the start of the first repeat.",
    "heap_end_bytes": "Heap at the end of the last repeat.",
    "heap_delta_bytes": "Growth of the heap, over all repeats.",
    "peak_heap_bytes": "Highest heap in the phase.",
    "rise_bytes": "Highest heap less the heap at the start.",
    "kept_bytes": "Allocated in the phase and alive at the end of its last repeat.",
    "retained_bytes": "Allocated in a repeat and alive at its end.",
    "released_bytes": "Alive at the start of a repeat and freed in it.",
    "allocated_bytes": "All that was allocated.",
    "freed_bytes": "All that was freed, what was allocated in the phase included.",
    "churn_bytes": "Allocated and freed within a repeat.",
    "allocations": "Number of allocations.",
}


def of_phase(phase: Phase) -> Figures:
    """Return the figures of ``phase``, in the order of `MEANINGS`."""
    heap = phase.heap
    of_heap = dict.fromkeys(list(MEANINGS)[4:])
    resident: dict[str, int | float | None] = {
        "duration_s": phase.duration_s,
        "rss_start_bytes": phase.rss_start_bytes,
        "rss_end_bytes": phase.rss_end_bytes,
        "rss_delta_bytes": phase.rss_delta_bytes,
    }
    if heap is None:
        return {**resident, **of_heap}
    return {
        **resident,
        "heap_start_bytes": heap.start_bytes,
        "heap_end_bytes": heap.end_bytes,
        "heap_delta_bytes": heap.delta_bytes,
        "peak_heap_bytes": heap.peak.bytes,
        "rise_bytes": heap.peak.bytes - heap.start_bytes,
        "kept_bytes": heap.kept_bytes,
        "retained_bytes": heap.retained_bytes,
        "released_bytes": heap.freed_bytes,
        "allocated_bytes": heap.allocated_bytes,
        "freed_bytes": heap.gross_freed_bytes,
        "churn_bytes": heap.churn_bytes,
        "allocations": heap.allocations,
    }
