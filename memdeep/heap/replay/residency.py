"""Joins what was alive at a checkpoint with the kernel's mappings there: what of it is resident.

The addresses of an allocation and of a mapping are all that they have in common. A mapping is
divided where samples of its pages say that a part of it is resident and another is not: the kernel
makes one of anonymous mappings that touch. Within such a piece the live bytes share alike in those
that are resident.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from memdeep.frozen import frozen
from memdeep.heap.parts import Part
from memdeep.heap.replay.columns import long, unsigned, unsigned_long
from memdeep.model import MappedBytes, Residency
from memdeep.model.sums import Tally, stacks_of
from memdeep.rundir import mappings
from memdeep.rundir.mappings import Reading

# A piece that lacks less is not looked at by stack: there may be very many of them in it. In small
# pieces there are few: of those an eighth is enough.
WORTH_STACKS = 1 << 20
WORTH_STACKS_IN_SMALL = 1 << 16
WORTH_SHARE = 8
MIN_RUN = 2  # samples that were not resident, one beside the other: fewer are chance
FULL_RUN = 16  # that were: more than chance, between pages that are not
_NOTHING, _PARTLY, _FULL = range(3)
MAX_ADDRESS = 1 << 51  # of what a capture can name
_MAPPED = mappings.FILE, mappings.SHARED, mappings.TRACER


@frozen
class Piece:
    """Addresses from ``start`` to ``end`` in a mapping, or between two, with its resident bytes.

    ``mapped_bytes`` of them are pages of a file, or shared. ``kind`` is that of the mapping, and
    empty where there is none.
    """

    start: int
    end: int
    kind: str
    anonymous_bytes: int
    mapped_bytes: int

    @property
    def by_stack(self) -> bool:
        """Tell whether the stacks of what is alive in it are of interest."""
        if self.kind in (mappings.FILE, mappings.SHARED):
            return True
        size = self.end - self.start
        worth = max(WORTH_STACKS_IN_SMALL, size // WORTH_SHARE)
        return size - self.anonymous_bytes >= min(WORTH_STACKS, worth)


class Pieces:
    """Pieces that lie one after another. Looks share what is the same in them."""

    __slots__ = ("_columns", "pieces")

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces
        self._columns: tuple[bytes, bytes, bytes] | None = None

    @property
    def columns(self) -> tuple[bytes, bytes, bytes]:
        """Starts, ends, and `Piece.by_stack`; made when they are asked for, as few are.

        What was answered before the replay went on is not asked again.
        """
        if self._columns is None:
            self._columns = (
                array("Q", [piece.start for piece in self.pieces]).tobytes(),
                array("Q", [piece.end for piece in self.pieces]).tobytes(),
                bytes(piece.by_stack for piece in self.pieces),
            )
        return self._columns


@frozen
class Look:
    """The pieces to look at when the replay comes to the marker of one checkpoint.

    ``place`` counts the markers of checkpoints, from 1, or is a sequence number if ``is_name``.
    """

    checkpoint: int
    place: int
    is_name: bool
    groups: tuple[Pieces, ...]
    allocated_blocks: int | None

    def columns(self) -> tuple[bytes, bytes, bytes]:
        """Return starts, ends, and whether stacks are of interest."""
        starts, ends, by_stack = zip(*[group.columns for group in self.groups], strict=True)
        return b"".join(starts), b"".join(ends), b"".join(by_stack)

    def with_alive(self, alive: Sequence[int]) -> Iterator[tuple[Pieces, int, Sequence[int]]]:
        """Yield the groups, the place of the first piece of each, and what is alive in them."""
        place = 0
        for group in self.groups:
            following = place + len(group.pieces)
            yield group, place, alive[place:following]
            place = following


@frozen
class Found:
    """The live bytes of each piece, and those by site: (piece, site, bytes, allocations).

    Empty where nothing was alive.
    """

    alive: Sequence[int]
    rows: Sequence[tuple[int, int, int, int]] = ()

    @classmethod
    def of_columns(cls, columns: Mapping[str, bytes]) -> Found:
        """Take what the replay has found."""
        names = zip(
            unsigned(columns["range"]),
            unsigned(columns["site"]),
            long(columns["bytes"]),
            long(columns["count"]),
            strict=True,
        )
        return cls(unsigned_long(columns["alive"]), tuple(names))


class Known:
    """The pieces of mappings and of groups that come in several readings, as most do.

    A group is known by the end of what lies before it too; with its pieces comes its end.
    """

    def __init__(self) -> None:
        self.mappings: dict[mappings.Mapping, tuple[Piece, ...]] = {}
        self.groups: dict[tuple[int, mappings.Group], tuple[Pieces, int]] = {}


def looks(part: Part, readings: Mapping[int, Reading]) -> list[Look]:
    """Return the looks at the ``readings`` (by checkpoint) that lie in ``part``.

    The start of the program has no marker, which is none at place 0: nothing was traced there.
    """
    places, found = part.places, []
    known = Known()
    for checkpoint, reading in sorted(readings.items()):
        if part.first <= checkpoint <= part.last:
            is_marker = checkpoint < len(places)
            place = places[checkpoint] if is_marker else reading.sequence
            split, blocks = pieces(reading.groups, known), reading.allocated_blocks
            found.append(Look(checkpoint, place, not is_marker, split, blocks))
    return found


def pieces(groups: Iterable[mappings.Group], known: Known | None = None) -> tuple[Pieces, ...]:
    """Divide all addresses into pieces, in order; keep in ``known`` what may come again."""
    known = Known() if known is None else known
    found = []
    end = 0
    for group in groups:
        made = known.groups.get((end, group))
        if made is None:
            known.groups[end, group] = made = _pieces(group, end, known)
        split, end = made
        found.append(split)
    return (*found, Pieces([Piece(end, MAX_ADDRESS, "", 0, 0)]))


def _pieces(group: mappings.Group, end: int, known: Known) -> tuple[Pieces, int]:
    """Divide the addresses from ``end`` to the end of ``group``, which is returned too."""
    found = []
    for mapping in group:
        if mapping.end > MAX_ADDRESS:
            break
        if mapping.start > end:
            found.append(Piece(end, mapping.start, "", 0, 0))
        divided = known.mappings.get(mapping)
        if divided is None:
            known.mappings[mapping] = divided = tuple(_divided(mapping))
        found += divided
        end = mapping.end
    return Pieces(found), end


def _divided(mapping: mappings.Mapping) -> Iterator[Piece]:
    """Divide ``mapping`` where its samples change.

    What is resident of it is all of the pieces in which each sample is, then of those in which most
    are, and only what is left of those in which none is. Saved states have the answers to these
    pieces: with other ones raise their version (native/state.hpp).
    """
    own, mapped = mapping.anonymous_bytes, mapping.mapped_bytes
    runs = _runs(mapping.samples)
    if len(runs) < 2:
        yield Piece(mapping.start, mapping.end, mapping.kind, own, mapped)
        return
    size, count = mapping.end - mapping.start, len(mapping.samples)
    edges = [mapping.start + size * place // count for place, _ in runs] + [mapping.end]
    spans = list(zip(edges[:-1], edges[1:], [state for _, state in runs], strict=True))
    totals: dict[int, tuple[int, int]] = {}
    left = own
    for state in (_FULL, _PARTLY, _NOTHING):
        of = sum(end - start for start, end, is_so in spans if is_so == state)
        totals[state] = min(left, of), of
        left -= min(left, of)
    passed = dict.fromkeys(totals, 0)
    for start, end, state in spans:
        (total, of), before = totals[state], passed[state]
        passed[state] = after = before + end - start
        yield Piece(start, end, mapping.kind, total * after // of - total * before // of, 0)


def _runs(samples: Sequence[bool]) -> list[tuple[int, int]]:
    """Return where runs of samples begin that are resident, in part, or not; chance left out."""
    runs: list[tuple[int, int]] = []
    place = 0
    for is_there, same in groupby(samples):
        length = len(list(same))
        if is_there:
            state = _FULL if length >= FULL_RUN else _PARTLY
        else:
            state = _PARTLY if length < MIN_RUN else _NOTHING
        if not runs or runs[-1][1] != state:
            runs.append((place, state))
        place += length
    return runs


def residency(joined: Sequence[tuple[Look, Found]], nodes: Sequence[int]) -> tuple[Residency, ...]:
    """Return what was resident at each look, by the ``nodes`` of the sites."""
    held = _Held(joined)
    return tuple(_residency(look, found, nodes, held) for look, found in joined)


class _Held:
    """The mappings in which anything traced was alive at any of the looks."""

    def __init__(self, joined: Iterable[tuple[Look, Found]]) -> None:
        spans = {
            (piece.start, piece.end)
            for look, found in joined
            for group, _, there in look.with_alive(found.alive)
            if any(there)
            for piece, alive in zip(group.pieces, there, strict=True)
            if alive and piece.kind == mappings.ANONYMOUS
        }
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(spans):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)
        self._around: dict[Pieces, _Around] = {}

    def __contains__(self, piece: Piece) -> bool:
        if piece.kind == mappings.HEAP:
            return True
        place = bisect_right(self._starts, piece.end - 1) - 1
        return place >= 0 and self._ends[place] > piece.start

    def around(self, group: Pieces) -> _Around:
        """Return the resident bytes of a group, as if nothing traced were alive in it now."""
        known = self._around.get(group)
        if known is None:
            sizes = dict.fromkeys((*_MAPPED, True, False), 0)
            for piece in group.pieces:
                if piece.kind in _MAPPED:
                    sizes[piece.kind] += piece.mapped_bytes
                if piece.anonymous_bytes:
                    sizes[piece in self] += piece.anonymous_bytes
            self._around[group] = known = _Around(*sizes.values())
        return known


class _Around(NamedTuple):
    """Resident bytes that no live allocation takes, by what they are."""

    file: int
    shared: int
    tracer: int
    allocator: int
    unseen: int


def _residency(look: Look, found: Found, nodes: Sequence[int], held: _Held) -> Residency:
    mapped = {mappings.FILE: Tally[int](), mappings.SHARED: Tally[int]()}
    untouched = Tally[int]()
    in_use = {True: 0, False: 0}  # whether in what is held
    stacks = {place: list(rows) for place, rows in groupby(found.rows, _piece)}
    for group, first, there in look.with_alive(found.alive):
        if not any(there):
            continue
        for place, (piece, alive) in enumerate(zip(group.pieces, there, strict=True), first):
            if not alive:
                continue
            own = min(alive, piece.anonymous_bytes)
            in_use[piece in held] += own
            if own == alive:
                continue
            rows = stacks.get(place, ())
            if piece.kind in mapped:
                in_pages = min(piece.mapped_bytes, alive - own)
                for site, _, size, of_file in _shares(rows, alive, in_pages, alive - own):
                    mapped[piece.kind].add(nodes[site], size, of_file)
            else:
                for site, count, lacking, _ in _shares(rows, alive, alive - own, 0):
                    if lacking:
                        untouched.add(nodes[site], lacking, count)
    around = _Around(*map(sum, zip(*[held.around(group) for group in look.groups], strict=True)))
    return Residency(
        checkpoint=look.checkpoint,
        heap_bytes=sum(in_use.values()),
        untouched=stacks_of(untouched),
        file=_mapped(mapped[mappings.FILE]),
        shared=_mapped(mapped[mappings.SHARED]),
        file_bytes=around.file,
        shared_bytes=around.shared,
        allocator_bytes=around.allocator - in_use[True],
        unseen_bytes=around.unseen - in_use[False],
        tracer_bytes=around.tracer,
        allocated_blocks=look.allocated_blocks,
    )


def _shares(
    rows: Iterable[tuple[int, int, int, int]], alive: int, one: int, other: int
) -> Iterator[tuple[int, int, int, int]]:
    """Divide ``one`` and ``other`` among the sites of a piece by their part of ``alive``, exactly.

    Yields the site, its allocations, and its shares.
    """
    before = 0
    for _, site, size, count in rows:
        after = before + size
        of_one = one * after // alive - one * before // alive
        of_other = other * after // alive - other * before // alive
        yield site, count, of_one, of_other
        before = after


def _mapped(tally: Tally[int]) -> tuple[MappedBytes, ...]:
    return tuple(MappedBytes(node, there, size) for node, (there, size) in tally.items())


_piece = itemgetter(0)
