"""Lifetimes as rows of the compiled replay, which also adds them up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from memdeep.frozen import frozen
from memdeep.heap.lists import LifetimeList
from memdeep.heap.replay.columns import NEVER, long, packed, unsigned
from memdeep.model import FoldedStack, Lifetime, Lifetimes, Moved, StackBytes, Stretch

if TYPE_CHECKING:
    from memdeep.heap.replay._replay import Lifetimes as Rows


@frozen
class ReplayedLifetimes:
    """Lifetimes in compiled code."""

    rows: Rows

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ReplayedLifetimes):
            return NotImplemented
        return self.rows.columns() == other.rows.columns()

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Lifetime]:
        columns = self.rows.columns()
        return map(
            Lifetime,
            unsigned(columns["place"]),
            unsigned(columns["born"]),
            _deaths(columns["died"]),
            long(columns["bytes"]),
            long(columns["count"]),
        )

    def charged_to(
        self, places: Sequence[int], coarse: Sequence[int] | None = None, small: int = -1
    ) -> ReplayedLifetimes:
        fine = packed(places, "I")
        other = fine if coarse is None else packed(coarse, "I")
        return ReplayedLifetimes(self.rows.charged(fine, other, small))

    def without(self, is_out: bytes) -> ReplayedLifetimes:
        return ReplayedLifetimes(self.rows.without(is_out)) if any(is_out) else self

    def by_node(self) -> Mapping[int, int]:
        return ReplayedAlive(**self.rows.allocated()).by_node()

    def columns_by_node(self) -> Sequence[Sequence[Any]]:
        columns = self.rows.in_order().columns()
        return [
            unsigned(columns["place"]).tolist(),
            unsigned(columns["born"]).tolist(),
            _deaths(columns["died"]),
            long(columns["bytes"]).tolist(),
            long(columns["count"]).tolist(),
        ]

    def size_of_rank(self, rank: int) -> int:
        return self.rows.size_of_rank(rank)

    def alive_at(self, checkpoint: int) -> ReplayedAlive:
        return ReplayedAlive(**self.rows.alive_at(checkpoint))

    def heap_at(self, checkpoints: int) -> Sequence[int]:
        return tuple(long(self.rows.heap_at(checkpoints)))

    def moved(self, phases: Sequence[Sequence[Stretch]], groups: Sequence[int]) -> Iterator[Moved]:
        found = self.rows.moved(
            packed([place for place, parts in enumerate(phases) for _ in parts], "I"),
            packed([part.start for parts in phases for part in parts], "I"),
            packed([part.end for parts in phases for part in parts], "I"),
            len(phases),
            packed(groups, "I"),
        )
        retained = list(_by_phase(found["retained"], found["retained_groups"]))
        kept = _by_phase(found["kept"], found["kept_groups"])
        return map(
            Moved,
            retained,
            _by_phase(found["freed"], found["freed_groups"]),
            (
                several if len(stretches) > 1 else all_of_it
                for stretches, several, all_of_it in zip(phases, kept, retained, strict=True)
            ),
            long(found["kept_bytes"]),
            long(found["churn_bytes"]),
            long(found["churn_count"]),
        )

    def largest_shares(
        self, transients: Lifetimes | None, nodes: int, small: float
    ) -> Sequence[float]:
        passed = compiled(transients or ()).rows
        return memoryview(self.rows.largest_shares(passed, nodes, small)).cast("d")


def compiled(lifetimes: Iterable[Lifetime]) -> ReplayedLifetimes:
    """Convert ``lifetimes`` into rows of compiled code."""
    if isinstance(lifetimes, ReplayedLifetimes):
        return lifetimes
    from memdeep.heap.replay._replay import Lifetimes as Rows

    node, born, died, size, count = list(zip(*lifetimes, strict=True)) or [()] * 5
    return ReplayedLifetimes(
        Rows(
            packed(node, "I"),
            packed(born, "I"),
            packed([NEVER if segment is None else segment for segment in died], "I"),
            packed(size, "q"),
            packed(count, "q"),
        )
    )


def joined(parts: Sequence[Lifetimes]) -> Lifetimes:
    """Join the lifetimes of all ``parts``, in compiled code if all of them are."""
    if len(parts) == 1:
        return parts[0]
    replayed = [part.rows for part in parts if isinstance(part, ReplayedLifetimes)]
    if not parts or len(replayed) < len(parts):
        return LifetimeList(tuple(chain.from_iterable(parts)))
    columns = [rows.columns() for rows in replayed]
    whole = {name: b"".join(part[name] for part in columns) for name in columns[0]}
    return ReplayedLifetimes(type(replayed[0])(**whole))


def seen_to(lifetimes: Lifetimes, segment: int) -> Lifetimes:
    """Return ``lifetimes`` with those that did not end ending in ``segment``."""
    rows = [life if life.died is not None else life._replace(died=segment) for life in lifetimes]
    is_compiled = isinstance(lifetimes, ReplayedLifetimes)
    return compiled(rows) if is_compiled else LifetimeList(tuple(rows))


def ended(
    kept: Lifetimes, passed: Lifetimes | None, checkpoint: int
) -> tuple[Lifetimes, Lifetimes | None]:
    """Return the lifetimes of a process that ended before ``checkpoint``: nothing outlives it.

    What it allocated in its last segment and never freed passed within that segment.
    """
    rows = [
        life if life.died is not None else life._replace(died=checkpoint)
        for life in kept
        if life.born < checkpoint or life.died is not None
    ]
    last = [
        life._replace(died=checkpoint)
        for life in kept
        if life.died is None and life.born == checkpoint
    ]
    if isinstance(kept, ReplayedLifetimes):
        return compiled(rows), None if passed is None else joined([passed, compiled(last)])
    further = None if passed is None else LifetimeList((*passed, *last))
    return LifetimeList(tuple(rows)), further


@frozen
class ReplayedAlive:
    """Live bytes as columns of numbers, packed in bytes as the replay gives them."""

    node: bytes
    held: bytes
    count: bytes

    def __iter__(self) -> Iterator[StackBytes]:
        return _stacks(self.node, self.held, self.count)

    def by_node(self) -> Mapping[int, int]:
        return dict(zip(unsigned(self.node), long(self.held), strict=True))

    def by_group(self, groups: Sequence[int]) -> tuple[StackBytes, ...]:
        if len(self.node) <= _NODE_BYTES:
            return tuple(self)
        from memdeep.heap.replay._replay import by_group

        summed = by_group(self.node, self.held, self.count, packed(groups, "I"))
        return tuple(_stacks(summed["node"], summed["held"], summed["count"]))

    def folded(self, parents: Sequence[int], most: int) -> tuple[FoldedStack, ...]:
        from memdeep.heap.replay._replay import folded

        few = folded(self.node, self.held, self.count, packed(parents, "i"), most)
        nowhere = len(parents)
        stacks = _stacks(few["node"], few["held"], few["count"])
        own_bytes = long(few["own"])
        return tuple(
            FoldedStack(
                -1 if stack.node == nowhere else stack.node, stack.bytes, stack.allocations, own
            )
            for stack, own in zip(stacks, own_bytes, strict=True)
        )


def _deaths(column: bytes) -> list[int | None]:
    return [None if segment == NEVER else segment for segment in unsigned(column)]


_NODE_BYTES = 4  # of one node in a column


def _by_phase(columns: Mapping[str, bytes], sizes: bytes) -> Iterator[tuple[StackBytes, ...]]:
    """Yield the stacks of each phase, of which ``sizes`` has the number."""
    stacks = _stacks(**columns)
    return (tuple(islice(stacks, size)) if size else () for size in unsigned(sizes))


def _stacks(node: bytes, held: bytes, count: bytes) -> Iterator[StackBytes]:
    return map(StackBytes, unsigned(node), long(held), long(count))
