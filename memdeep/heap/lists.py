"""Lifetimes as lists of Python objects, for readers other than the replay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Any

from memdeep.frozen import frozen
from memdeep.model import Alive, Lifetime, Lifetimes, Moved, Stretch
from memdeep.model.alive import alive_of
from memdeep.model.sums import Tally


@frozen
class LifetimeList:
    """Lifetimes one by one."""

    lifetimes: tuple[Lifetime, ...] = ()

    def __len__(self) -> int:
        return len(self.lifetimes)

    def __iter__(self) -> Iterator[Lifetime]:
        return iter(self.lifetimes)

    def charged_to(
        self, places: Sequence[int], coarse: Sequence[int] | None = None, small: int = -1
    ) -> LifetimeList:
        others = places if coarse is None else coarse
        tally: Tally[tuple[int, int, int | None]] = Tally()
        for node, born, died, size, count in self.lifetimes:
            tally.add(((places if size > small else others)[node], born, died), size, count)
        return lifetimes_of(tally)

    def without(self, is_out: bytes) -> LifetimeList:
        return LifetimeList(tuple(life for life in self.lifetimes if not is_out[life.node]))

    def by_node(self) -> Mapping[int, int]:
        found: dict[int, int] = {}
        for life in self.lifetimes:
            found[life.node] = found.get(life.node, 0) + life.bytes
        return found

    def columns_by_node(self) -> Sequence[Sequence[Any]]:
        return list(zip(*sorted(self.lifetimes, key=itemgetter(0, 1)), strict=True)) or [()] * 5

    def size_of_rank(self, rank: int) -> int:
        return sorted((life.bytes for life in self.lifetimes), reverse=True)[rank]

    def alive_at(self, checkpoint: int) -> Alive:
        tally: Tally[int] = Tally()
        for life in self.lifetimes:
            if life.is_alive_at(checkpoint):
                tally.add(life.node, life.bytes, life.allocations)
        return alive_of(tally)

    def heap_at(self, checkpoints: int) -> Sequence[int]:
        changes = [0] * checkpoints
        for life in self.lifetimes:
            changes[life.born] += life.bytes
            if life.died is not None:
                changes[life.died] -= life.bytes
        return tuple(accumulate(changes))

    def moved(self, phases: Sequence[Sequence[Stretch]], groups: Sequence[int]) -> Iterator[Moved]:
        around: dict[int, list[tuple[int, Stretch]]] = {}
        for place, stretches in enumerate(phases):
            for stretch in stretches:
                for segment in stretch.segments:
                    around.setdefault(segment, []).append((place, stretch))
        retained = [Tally[int]() for _ in phases]
        freed = [Tally[int]() for _ in phases]
        churned = [Tally[None]() for _ in phases]
        kept = [Tally[int]() for _ in phases]
        last_ends = [max((stretch.end for stretch in phase), default=0) for phase in phases]
        for node, born, died, size, count in self.lifetimes:
            for place, stretch in around.get(born, ()):
                if died is None or died > stretch.end:
                    retained[place].add(node, size, count)
                else:
                    churned[place].add(None, size, count)
                if died is None or died > last_ends[place]:
                    kept[place].add(node, size, count)
            for place, stretch in around.get(died, ()) if died is not None else ():
                if born <= stretch.start:
                    freed[place].add(node, size, count)
        for here, gone, stays, churn in zip(retained, freed, kept, churned, strict=True):
            yield Moved(
                alive_of(here).by_group(groups),
                alive_of(gone).by_group(groups),
                alive_of(stays).by_group(groups),
                stays.total_bytes(),
                *churn.get(None, (0, 0)),
            )

    def largest_shares(
        self, transients: Lifetimes | None, nodes: int, small: float
    ) -> Sequence[float]:
        allocated: Tally[tuple[int, int]] = Tally()
        totals: Tally[int] = Tally()
        for lifetimes in (self, transients or ()):
            for node, born, _, size, count in lifetimes:
                allocated.add((node, born), size, count)
                totals.add(born, size, count)
        least = small * max((total for total, _ in totals.values()), default=0)
        shares = [0.0] * nodes
        for (node, born), (size, _) in allocated.items():
            if size:
                shares[node] = max(shares[node], size / max(totals[born][0], least))
        return shares


def lifetimes_of(tally: Tally[tuple[int, int, int | None]]) -> LifetimeList:
    """Make a lifetime of each (node, born, died)."""
    return LifetimeList(
        tuple(
            Lifetime(node, born, died, held, count)
            for (node, born, died), (held, count) in tally.items()
        )
    )
