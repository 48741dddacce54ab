"""What a phase allocated in all, freed again, and its largest single allocations."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import MB, frame, heap, lifetime, program, run, transient, tree, with_peaks

from memdeep.analysis.outline import outline
from memdeep.analysis.phases import Figures, phases
from memdeep.heap.lists import LifetimeList
from memdeep.model import Heap, LargeAllocation, Origin, Phase

READ, PARSE, OWN = frame("read", lineno=1), frame("parse", lineno=2), frame(origin=Origin.MEMDEEP)
TREE, (READS, PARSES, OWNS) = tree([READ], [PARSE], [OWN])


def load(**changes: object) -> Phase:
    """`load` lies between the checkpoints 1 and 3 of five, with a checkpoint inside."""
    recorded = run(checkpoints=program("+load", "inside", "-load"))
    outlines = outline(recorded.checkpoints, died=False).phases
    lifetimes = [
        lifetime(READS, born=2, died=None, bytes=5 * MB, allocations=5),
        lifetime(READS, born=2, died=3, bytes=3 * MB, allocations=3),
        lifetime(READS, born=1, died=3, bytes=2 * MB, allocations=2),
    ]
    held: Heap = replace(with_peaks(heap(TREE, lifetimes, 5), outlines), **changes)  # type: ignore[arg-type]
    return next(one for one in phases(Figures(recorded, held), outlines) if one.name == "load")


def test_allocated_is_what_stayed_and_what_did_not() -> None:
    passing = LifetimeList((transient(PARSES, 3, 7 * MB, 70), transient(PARSES, 4, MB, 1)))
    found = load(transients=passing).heap
    assert found is not None
    assert found.retained_bytes == 5 * MB
    assert found.churn_bytes == 3 * MB + 7 * MB
    assert found.allocated_bytes == 15 * MB
    assert found.gross_freed_bytes == 2 * MB + 10 * MB
    assert found.allocated_bytes - found.gross_freed_bytes == found.delta_bytes
    assert found.allocations == 5 + 3 + 70


def test_what_the_reader_cannot_know_is_unknown() -> None:
    found = load().heap
    assert found is not None
    assert found.churn_bytes is found.allocated_bytes is found.gross_freed_bytes is None
    assert found.allocations is found.largest is None


def test_the_largest_are_lines_each_with_its_largest_allocation() -> None:
    largest = (
        LargeAllocation(READS, 2, None, 2 * MB),
        LargeAllocation(READS, 3, 3, 4 * MB),
        LargeAllocation(PARSES, 3, None, 3 * MB),
        LargeAllocation(PARSES, 1, None, 90 * MB),  # before the phase
        LargeAllocation(READS, 4, None, 90 * MB),  # after it
        LargeAllocation(OWNS, 2, None, 90 * MB),
    )
    found = load(transients=LifetimeList(), largest=largest).heap
    assert found is not None
    assert found.largest is not None
    lines = [(one.frame, one.bytes, one.allocations) for one in found.largest]
    assert lines == [(READ, 4 * MB, 1), (PARSE, 3 * MB, 1)]
    assert found.largest[0].share == pytest.approx(4 / 8)
