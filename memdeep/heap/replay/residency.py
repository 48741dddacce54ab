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
MAX_ADDRESS = 1 << 51  # of what a capture can name


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


@frozen
class Look:
    """The pieces to look at when the replay comes to the marker of one checkpoint.

    ``place`` counts the markers of checkpoints, from 1, or is a sequence number if ``is_name``.
    """

    checkpoint: int
    place: int
    is_name: bool
    pieces: tuple[Piece, ...]
    allocated_blocks: int | None

    def columns(self) -> tuple[bytes, bytes, bytes]:
        """Return starts, ends, and whether stacks are of interest."""
        return (
            array("Q", [piece.start for piece in self.pieces]).tobytes(),
            array("Q", [piece.end for piece in self.pieces]).tobytes(),
            bytes(piece.by_stack for piece in self.pieces),
        )


@frozen
class Found:
    """The live bytes of each piece, and those by site: (piece, site, bytes, allocations)."""

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


def looks(part: Part, readings: Mapping[int, Reading]) -> list[Look]:
    """Return the looks at the ``readings`` (by checkpoint) that lie in ``part``.

    The start of the program has no marker, which is none at place 0: nothing was traced there.
    """
    places, found = part.places, []
    known: dict[mappings.Mapping, Piece] = {}
    for checkpoint, reading in sorted(readings.items()):
        if part.first <= checkpoint <= part.last:
            is_marker = checkpoint < len(places)
            place = places[checkpoint] if is_marker else reading.sequence
            split = tuple(pieces(reading.mappings, known))
            blocks = reading.allocated_blocks
            found.append(Look(checkpoint, place, not is_marker, split, blocks))
    return found


def pieces(
    read: Iterable[mappings.Mapping], known: dict[mappings.Mapping, Piece] | None = None
) -> Iterator[Piece]:
    """Divide all addresses into pieces, in order.

    ``known`` keeps the pieces of mappings that are one in several readings, as most are.
    """
    known = {} if known is None else known
    end = 0
    for mapping in read:
        if mapping.end > MAX_ADDRESS:
            break
        if mapping.start > end:
            yield Piece(end, mapping.start, "", 0, 0)
        if mapping in known:
            yield known[mapping]
        elif mapping.samples:
            yield from _divided(mapping)
        else:
            own, mapped = mapping.anonymous_bytes, mapping.mapped_bytes
            piece = Piece(mapping.start, mapping.end, mapping.kind, own, mapped)
            known[mapping] = piece
            yield piece
        end = mapping.end
    yield Piece(end, MAX_ADDRESS, "", 0, 0)


def _divided(mapping: mappings.Mapping) -> Iterator[Piece]:
    """Divide ``mapping`` where its samples change; its resident bytes are in the resident part."""
    own, mapped = mapping.anonymous_bytes, mapping.mapped_bytes
    runs = _runs(mapping.samples)
    if len(runs) < 2:
        yield Piece(mapping.start, mapping.end, mapping.kind, own, mapped)
        return
    size, count = mapping.end - mapping.start, len(mapping.samples)
    edges = [mapping.start + size * place // count for place, _ in runs] + [mapping.end]
    spans = list(zip(edges[:-1], edges[1:], [is_there for _, is_there in runs], strict=True))
    there = sum(end - start for start, end, is_there in spans if is_there)
    totals = {True: (min(own, there), there), False: (max(0, own - there), size - there)}
    passed = {True: 0, False: 0}
    for start, end, is_there in spans:
        (total, of), before = totals[is_there], passed[is_there]
        passed[is_there] = after = before + end - start
        yield Piece(start, end, mapping.kind, total * after // of - total * before // of, 0)


def _runs(samples: Sequence[bool]) -> list[tuple[int, bool]]:
    """Return where runs of equal samples begin, those of chance left out."""
    runs: list[tuple[int, bool]] = []
    place = 0
    for is_there, same in groupby(samples):
        length = len(list(same))
        counts_as = is_there or length < MIN_RUN
        if not runs or runs[-1][1] != counts_as:
            runs.append((place, counts_as))
        place += length
    return runs


def residency(joined: Sequence[tuple[Look, Found]], nodes: Sequence[int]) -> tuple[Residency, ...]:
    """Return what was resident at each look, by the ``nodes`` of the sites."""
    held = _Held(joined)
    return tuple(_residency(look, found, nodes, held) for look, found in joined)


class _Held:
    """The mappings in which anything traced was alive at any of the looks."""

    def __init__(self, joined: Iterable[tuple[Look, Found]]) -> None:
        spans = sorted(
            (piece.start, piece.end)
            for look, found in joined
            for piece, alive in zip(look.pieces, found.alive, strict=True)
            if alive and piece.kind == mappings.ANONYMOUS
        )
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in spans:
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def __contains__(self, piece: Piece) -> bool:
        place = bisect_right(self._starts, piece.end - 1) - 1
        return place >= 0 and self._ends[place] > piece.start


def _residency(look: Look, found: Found, nodes: Sequence[int], held: _Held) -> Residency:
    resident = dict.fromkeys((mappings.FILE, mappings.SHARED, mappings.TRACER), 0)
    mapped = {mappings.FILE: Tally[int](), mappings.SHARED: Tally[int]()}
    untouched = Tally[int]()
    heap = allocator = unseen = 0
    stacks = {place: list(rows) for place, rows in groupby(found.rows, _piece)}
    for place, (piece, alive) in enumerate(zip(look.pieces, found.alive, strict=True)):
        if not alive and not piece.anonymous_bytes:  # as of most files
            if piece.kind in resident:
                resident[piece.kind] += piece.mapped_bytes
            continue
        own = min(alive, piece.anonymous_bytes)
        rest = piece.anonymous_bytes - own
        heap += own
        is_held = piece.kind == mappings.HEAP or piece in held
        allocator += rest if is_held else 0
        unseen += 0 if is_held else rest
        rows = stacks.get(place, ())
        if piece.kind in resident:
            resident[piece.kind] += piece.mapped_bytes
        if piece.kind in mapped:
            in_pages = min(piece.mapped_bytes, alive - own)
            for site, _, there, size in _shares(rows, alive, in_pages, alive - own):
                mapped[piece.kind].add(nodes[site], there, size)
        else:
            for site, count, lacking, _ in _shares(rows, alive, alive - own, 0):
                if lacking:
                    untouched.add(nodes[site], lacking, count)
    return Residency(
        checkpoint=look.checkpoint,
        heap_bytes=heap,
        untouched=stacks_of(untouched),
        file=_mapped(mapped[mappings.FILE]),
        shared=_mapped(mapped[mappings.SHARED]),
        file_bytes=resident[mappings.FILE],
        shared_bytes=resident[mappings.SHARED],
        allocator_bytes=allocator,
        unseen_bytes=unseen,
        tracer_bytes=resident[mappings.TRACER],
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
