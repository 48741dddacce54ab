"""Finds the types and holders of lines' live bytes, and what is new in a snapshot."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest
from operator import attrgetter, itemgetter

from memdeep.analysis.culprits import ChargedLines, Line
from memdeep.analysis.holder_causes import causes
from memdeep.analysis.holder_tree import freed_by_row, points, with_children
from memdeep.frozen import replace
from memdeep.model import Culprit, Finding, FindingKind, Heap, Phase
from memdeep.model.graph import GARBAGE, HELD_BY_C, Holder
from memdeep.model.holders import (
    HeapSnapshot,
    HeldBytes,
    HeldLine,
    HeldPath,
    Holders,
    Joined,
    SnapshotChange,
    SnapshotView,
    TypeBytes,
)
from memdeep.model.redaction import without_keys

MAX_TYPES = 20
MAX_DIVIDED = 4  # snapshots whose rows are kept by line: there may be very many rows
MAX_ROWS = 500
MAX_LINES = 3  # of a row of holders
MAX_LINES_AGAIN = 100  # lines of a row that count for the rows above it


class LineHolders:
    """The types and holders of each line's bytes at each snapshot of ``heap``, as far as asked.

    Without ``keys`` the paths of holders show none.
    """

    def __init__(self, heap: Heap, *, keys: bool = True) -> None:
        self._keys = keys
        self._snapshots = heap.snapshots
        self._places = [snapshot.checkpoint for snapshot in heap.snapshots]
        self._lines = ChargedLines(heap.tree)
        self._by_line: dict[int, Mapping[Line, Sequence[HeldBytes]]] = {}
        self._of: dict[tuple[Line, int], Holders | None] = {}
        self._freed: dict[int, Sequence[int]] = {}

    def of_line(self, line: Line, place: int) -> Holders | None:
        """Return those of ``line`` at the snapshot ``place``; None if it held nothing there."""
        key = line, place
        if key not in self._of:
            self._of[key] = self._holders(line, place)
        return self._of[key]

    def _holders(self, line: Line, place: int) -> Holders | None:
        rows = self._rows(place).get(line)
        if not rows:
            return None
        if place not in self._freed:
            self._freed[place] = freed_by_row(self._snapshots[place])
        found = holders(self._snapshots[place], rows, self._freed[place])
        if self._keys:
            return found
        hidden = tuple(replace(one, path=without_keys(one.path)) for one in found.causes)
        return replace(found, paths=_without_keys(found.paths), causes=hidden)

    def _rows(self, place: int) -> Mapping[Line, Sequence[HeldBytes]]:
        """Return the rows of the snapshot ``place`` by line, of few snapshots at a time."""
        if place not in self._by_line:
            while len(self._by_line) >= MAX_DIVIDED:
                del self._by_line[next(iter(self._by_line))]
            self._by_line[place] = self._divided(place)
        return self._by_line[place]

    def _divided(self, place: int) -> Mapping[Line, Sequence[HeldBytes]]:
        found: defaultdict[Line, list[HeldBytes]] = defaultdict(list)
        for row in self._snapshots[place].held:
            if row.node >= 0 and row.bytes:
                found[self._lines.line(row.node)].append(row)
        return found

    def at_end(self, line: Line, phase: Phase) -> Holders | None:
        """Return those at the end of ``phase``, or at the next snapshot after it, or within it."""
        place = bisect_left(self._places, phase.outline.stretches[-1].end)
        found = self.of_line(line, place) if place < len(self._places) else None
        return found or self.at_most(line, phase)

    def at_most(self, line: Line, phase: Phase) -> Holders | None:
        """Return those at the snapshot in ``phase`` at which the line held most."""
        segments = phase.outline.segments
        known = [
            self.of_line(line, place) for place, at in enumerate(self._places) if at in segments
        ]
        return max(filter(None, known), key=_bytes, default=None)


def with_holders(
    known: LineHolders, phases: Sequence[Phase], findings: Sequence[Finding]
) -> tuple[tuple[Phase, ...], tuple[Finding, ...]]:
    """Give the culprits of phases and findings their types and holders, where they are known."""

    def held(culprits: Iterable[Culprit], phase: Phase, *, at_peak: bool) -> tuple[Culprit, ...]:
        of = known.at_most if at_peak else known.at_end
        return tuple([replace(one, holders=of(one.line, phase)) for one in culprits])

    found_phases = []
    for phase in phases:
        of_phase = phase.heap
        if of_phase is not None:
            of_phase = replace(
                of_phase,
                culprits=held(of_phase.culprits, phase, at_peak=False),
                peak_culprits=held(of_phase.peak_culprits, phase, at_peak=True),
            )
        found_phases.append(replace(phase, heap=of_phase))
    found_findings = []
    for finding in findings:
        if finding.culprit is not None:
            at_peak = finding.kind is FindingKind.PEAK
            at = finding.phase if at_peak else max(finding.phases, default=finding.phase)
            (culprit,) = held([finding.culprit], phases[at], at_peak=at_peak)
            finding = replace(finding, culprit=culprit)  # noqa: PLW2901
        found_findings.append(finding)
    return tuple(found_phases), tuple(found_findings)


def holders(
    snapshot: HeapSnapshot, rows: Iterable[HeldBytes], freed: Sequence[int] | None = None
) -> Holders:
    """Sum up ``rows`` of a snapshot, which are those of a line, or all.

    ``freed`` is what dropping each row of holders would free.
    """
    freed = freed_by_row(snapshot) if freed is None else freed
    by_type: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    by_state: defaultdict[int | None, int] = defaultdict(int)
    by_how: defaultdict[Joined, int] = defaultdict(int)
    weights = [0] * len(snapshot.rows)
    for row in rows:
        by_state[row.state] += row.bytes
        by_how[row.how] += row.bytes
        if row.kind is not None:
            sums = by_type[snapshot.types[row.kind]]
            sums[0] += row.bytes
            sums[1] += row.objects
        if row.holder is not None:
            weights[row.holder] += row.bytes
    total = sum(by_how.values())
    return Holders(
        checkpoint=snapshot.checkpoint,
        bytes=total,
        types=_largest(by_type)[:MAX_TYPES],
        paths=points(
            snapshot,
            with_children(snapshot.rows, weights),
            total - by_how[Joined.UNKNOWN],
            freed,
        ),
        garbage_bytes=by_state[GARBAGE],
        c_only_bytes=by_state[HELD_BY_C],
        shared_bytes=by_how[Joined.SHARED],
        unknown_bytes=by_how[Joined.UNKNOWN],
        causes=causes(snapshot, weights, freed),
    )


def view(
    snapshot: HeapSnapshot,
    before: HeapSnapshot | None = None,
    charged: ChargedLines | None = None,
) -> SnapshotView:
    """Sum up a snapshot, with what is new since the one ``before``.

    With ``charged``, each row has the lines that allocated what it holds.
    """
    by_state = _types_by_state(snapshot)
    ranked = sorted(range(len(snapshot.rows)), key=lambda at: -snapshot.rows[at].retained_bytes)
    places = sorted(ranked[:MAX_ROWS])
    of_rows = () if charged is None else lines_of_rows(snapshot, charged)
    return SnapshotView(
        checkpoint=snapshot.checkpoint,
        objects=snapshot.objects,
        bytes=snapshot.object_bytes,
        types=_largest(by_state[None]),
        rows=_renumbered(snapshot, places),
        garbage_bytes=snapshot.garbage_bytes,
        c_only_bytes=snapshot.c_only_bytes,
        gc_enabled=snapshot.gc_enabled,
        gc_off_at=snapshot.gc_off_at,
        change=None if before is None else change(before, snapshot),
        lines=tuple(of_rows[place] for place in places) if of_rows else (),
        garbage_types=_largest(by_state[GARBAGE])[:MAX_TYPES],
        c_only_types=_largest(by_state[HELD_BY_C])[:MAX_TYPES],
    )


def views(heap: Heap, *, keys: bool = True) -> tuple[SnapshotView, ...]:
    """Sum up all snapshots of ``heap``, each with what is new since the last.

    Without ``keys`` the paths of holders show none.
    """
    if not heap.snapshots:
        return ()
    befores = [None, *heap.snapshots]
    charged = ChargedLines(heap.tree)
    found = tuple(
        view(after, before, charged) for before, after in zip(befores, heap.snapshots, strict=False)
    )
    return found if keys else tuple(map(_view_without_keys, found))


def _view_without_keys(found: SnapshotView) -> SnapshotView:
    change = found.change
    return replace(
        found,
        rows=tuple(
            (
                name,
                replace(
                    row,
                    path=without_keys(row.path),
                    label=without_keys(row.label),
                    also=without_keys(row.also),
                ),
            )
            for name, row in found.rows
        ),
        change=None if change is None else replace(change, paths=_without_keys(change.paths)),
    )


def _without_keys(paths: Iterable[HeldPath]) -> tuple[HeldPath, ...]:
    return tuple(
        replace(one, path=without_keys(one.path), ways=tuple(map(without_keys, one.ways)))
        for one in paths
    )


def change(before: HeapSnapshot, after: HeapSnapshot) -> SnapshotChange:
    """Find what is new in ``after``: bytes by type, and by the holders of what grew."""
    old, new = _types(before), _types(after)
    grown = {
        name: [
            now - then for now, then in zip(new.get(name, _NONE), old.get(name, _NONE), strict=True)
        ]
        for name in {**old, **new}
    }
    retained: defaultdict[_Key, int] = defaultdict(int)
    for row, key in zip(before.rows, _keys(before), strict=True):
        retained[key] += row.retained_bytes
    keys = _keys(after)
    weights = [0] * len(after.rows)
    beneath = [0] * (len(after.rows) + 1)  # the growth of named rows below each, and of the roots
    for place in range(len(after.rows) - 1, -1, -1):
        row = after.rows[place]
        weights[place] = beneath[place]
        if row.path:
            weights[place] = row.retained_bytes - retained[keys[place]]
        beneath[-1 if row.parent is None else row.parent] += max(0, weights[place])
    return SnapshotChange(
        before.checkpoint,
        tuple(one for one in _largest(grown) if one.bytes or one.count),
        points(after, weights, beneath[-1], freed_by_row(after)),
    )


def _keys(snapshot: HeapSnapshot) -> Sequence[_Key]:
    """Return what tells each row again in another snapshot.

    That is its path, or, of many objects of a type, the key of the row above: whose path stands for
    them is up to the largest.
    """
    found: list[_Key] = []
    for row in snapshot.rows:
        above = () if row.parent is None else found[row.parent]
        found.append((row.path if row.is_single else above, snapshot.types[row.kind]))
    return found


def lines_of_rows(snapshot: HeapSnapshot, charged: ChargedLines) -> Sequence[tuple[HeldLine, ...]]:
    """Find the lines that allocated most of what each row holds, itself or beneath it."""
    frames: dict[Line, int] = {}  # of the frames of a line, one stands for all
    by_row: list[defaultdict[int, int]] = [defaultdict(int) for _ in snapshot.rows]
    for row in snapshot.held:
        if row.holder is not None and row.node >= 0:
            frame = frames.setdefault(charged.line(row.node), charged.frame_ids[row.node])
            by_row[row.holder][frame] += row.bytes
    found: list[tuple[HeldLine, ...]] = [()] * len(by_row)
    for place in range(len(by_row) - 1, -1, -1):
        most = nlargest(MAX_LINES_AGAIN, by_row[place].items(), key=_second)
        found[place] = tuple(HeldLine(*one) for one in most[:MAX_LINES])
        parent = snapshot.rows[place].parent
        if parent is not None:
            for frame, size in most:
                by_row[parent][frame] += size
    return found


def _types(snapshot: HeapSnapshot) -> Mapping[str, Sequence[int]]:
    """Return bytes and objects by type."""
    return _types_by_state(snapshot)[None]


def _types_by_state(snapshot: HeapSnapshot) -> Mapping[int | None, Mapping[str, Sequence[int]]]:
    """Return bytes and objects by state and type; those of None are of all states."""
    kinds: defaultdict[tuple[int, int | None], list[int]] = defaultdict(lambda: [0, 0])
    for row in snapshot.held:
        if row.kind is not None:
            sums = kinds[row.kind, row.state]
            sums[0] += row.bytes
            sums[1] += row.objects
    found: defaultdict[int | None, defaultdict[str, list[int]]]
    found = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for (kind, state), (size, count) in kinds.items():
        for of in {None, state}:
            sums = found[of][snapshot.types[kind]]
            sums[0] += size
            sums[1] += count
    return found


def _largest(by_type: Mapping[str, Sequence[int]]) -> tuple[TypeBytes, ...]:
    found = [TypeBytes(name, size, count) for name, (size, count) in by_type.items()]
    return tuple(sorted(found, key=lambda one: (-one.bytes, one.type)))


def _renumbered(snapshot: HeapSnapshot, places: Sequence[int]) -> tuple[tuple[str, Holder], ...]:
    """Return these rows, each with the name of its type; a parent is never left out."""
    numbers = {place: number for number, place in enumerate(places)}
    found = []
    for place in places:
        row = snapshot.rows[place]
        parent = None if row.parent is None else numbers.get(row.parent)
        found.append((snapshot.types[row.kind], replace(row, parent=parent)))
    return tuple(found)


_Key = tuple[object, str]
_NONE = (0, 0)
_bytes = attrgetter("bytes")
_second = itemgetter(1)
