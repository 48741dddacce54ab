"""Charges the pages that forked processes have split off to the stacks that allocated them.

These are allocations of the parent that were alive at the fork, as far as they lie in such pages.
What the parent had itself from its own parent, in the same way, is its parent's: heaps are not
inherited in captures. The fork is known to one record of the time in the parent's capture. Where a
process has allocated in these pages anew, that much of them is its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from memdeep.frozen import frozen, replace
from memdeep.heap.parts import InRange, InRanges
from memdeep.model import Heap, StackBytes
from memdeep.model.sums import Tally, stacks_of
from memdeep.rundir.pages import SplitPages


@frozen
class Fork:
    """A process (its index) with pages of its own.

    ``born`` are the numbers of the moments of forks: of its own, in its parent's capture, then of
    its parent's, and so on. ``read`` is that of the reading of the pages, in its own capture.
    """

    process: int
    pages: SplitPages
    born: tuple[int, ...]
    read: int


def with_split_off(heap: Heap, forks: Sequence[Fork], found: Mapping[int, InRanges]) -> Heap:
    """Return ``heap`` with what ``forks`` have split off, from what was ``found`` at moments."""
    known = {
        fork.process: split_off(
            fork.pages, [found[one] for one in fork.born if one in found], found[fork.read]
        )
        for fork in forks
        if fork.born[0] in found and fork.read in found
    }
    processes = [one._replace(split_off=known.get(one.process)) for one in heap.processes]
    return replace(heap, processes=tuple(processes)) if known else heap


def split_off(
    pages: SplitPages, of_ancestors: Sequence[InRanges], own: InRanges
) -> tuple[StackBytes, ...]:
    """Return what stacks of the ancestors held in ``pages``, less what the process has there.

    The nearest ancestor comes first. The sum is at most the size of the pages.
    """
    left = [
        max(0, end - start - alive)
        for (start, end), alive in zip(pages.ranges, own.alive, strict=True)
    ]
    tally: Tally[int] = Tally()
    for ancestor in of_ancestors:
        for place, rows in groupby(ancestor.rows, _range):
            for row, size in _divided(list(rows), left[place]):
                left[place] -= size
                if size:
                    tally.add(row.node, size, row.allocations)
    return stacks_of(tally)


_range = attrgetter("range")


def _divided(rows: Sequence[InRange], most_bytes: int) -> Iterator[tuple[InRange, int]]:
    """Yield each row with its part of what all hold, or of ``most_bytes`` if that is less."""
    total = sum(row.bytes for row in rows)
    most_bytes, before = min(total, most_bytes), 0
    for row in rows:
        after = before + row.bytes
        yield row, most_bytes * after // total - most_bytes * before // total
        before = after
