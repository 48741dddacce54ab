"""Encodes the snapshots of the objects for the page: an outline of all, and the holders of each.

The holders of a snapshot are a block of their own, which a script unpacks when it is looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from memdeep.frozen import frozen
from memdeep.model import Finding, Report
from memdeep.model.graph import Holder
from memdeep.model.holders import SnapshotView, TypeBytes
from memdeep.report import sentences
from memdeep.text.language import Language
from memdeep.text.safe import plain

MAX_TYPES = 300  # of all snapshots together, by the most that they ever had
MAX_TEXT = 2000  # characters of a path or the name of a type
UNSEEN = "who holds the objects at"  # begins a sentence on a snapshot that could not be had
AS_EXPECTED = -1  # of a path: that of the row above it, and the own label

Json = Mapping[str, object]
Texts = Mapping[str, str]  # a sentence by code of the language


@frozen
class HoldersView:
    """The number of snapshots, and sentences on those that could not be had."""

    snapshots: int
    unseen: tuple[Texts, ...]


@frozen
class HolderLink:
    """A sentence on a holder with a way to it: what is before its path and what comes after.

    ``snapshot`` and ``row`` are its place in the view; an empty row is none.
    """

    before: Texts
    path: str
    after: Texts
    snapshot: int
    row: str


def encode(report: Report, frame_place: Callable[[int], int]) -> dict[str, Json]:
    """Return the blocks by name; none of a report without snapshots.

    ``frame_place`` gives a frame of the heap's tree its place in the page.
    """
    if not report.snapshots:
        return {}
    found: dict[str, Json] = {
        f"holders-{place}": _rows(one, frame_place) for place, one in enumerate(report.snapshots)
    }
    return {**found, "holders": _outline(report.snapshots)}


def lay_out(report: Report, languages: Sequence[Language]) -> HoldersView | None:
    """Return what the view shows without its scripts; None of a report without snapshots."""
    if not report.snapshots:
        return None
    said = zip(
        report.run.problems,
        *(sentences.problems(report, language) for language in languages),
        strict=True,
    )
    return HoldersView(
        snapshots=len(report.snapshots),
        unseen=tuple(
            {language.code: text for language, text in zip(languages, texts, strict=True)}
            for problem, *texts in said
            if isinstance(problem, str) and problem.startswith(UNSEEN)
        ),
    )


def link(report: Report, item: Finding, said: Texts) -> HolderLink | None:
    """Return the sentence ``said`` of a finding with a way to the holder that it names, if any."""
    known = None if item.culprit is None else item.culprit.holders
    if known is None or not known.paths:
        return None
    wanted = known.paths[0]
    parts = {code: text.partition(f"`{wanted.path}`") for code, text in said.items()}
    places = [n for n, one in enumerate(report.snapshots) if one.checkpoint == known.checkpoint]
    if not places or not all(path for _, path, _ in parts.values()):
        return None
    rows = report.snapshots[places[0]].rows
    named = [n for n, (_, row) in enumerate(rows) if row.path == wanted.path]
    # The dict of a module has the same path as the module.
    named.sort(key=lambda n: rows[n][1].retained_bytes != wanted.retained_bytes)
    return HolderLink(
        before={code: before for code, (before, _, _) in parts.items()},
        path=wanted.path,
        after={code: after for code, (_, _, after) in parts.items()},
        snapshot=places[0],
        row=str(named[0]) if named else "",
    )


def _outline(snapshots: Sequence[SnapshotView]) -> Json:
    most: Counter[str] = Counter()
    for one in snapshots:
        for of_type in one.types:
            most[of_type.type] = max(most[of_type.type], of_type.bytes)
    names = [name for name, _ in most.most_common(MAX_TYPES)]
    left_out = set(most) - set(names)
    by_type = [{of_type.type: of_type for of_type in one.types} for one in snapshots]
    return {
        "checkpoint": [one.checkpoint for one in snapshots],
        "objects": [one.objects for one in snapshots],
        "bytes": [one.bytes for one in snapshots],
        "garbage": [one.garbage_bytes for one in snapshots],
        "garbageTypes": [_types(one.garbage_types) for one in snapshots],
        "cOnly": [one.c_only_bytes for one in snapshots],
        "cOnlyTypes": [_types(one.c_only_types) for one in snapshots],
        "gc": [int(one.gc_enabled) for one in snapshots],
        "types": {
            "name": [_text(name) for name in names],
            "bytes": [[of[n].bytes if n in of else 0 for n in names] for of in by_type],
            "count": [[of[n].count if n in of else 0 for n in names] for of in by_type],
        },
        "others": {
            "n": len(left_out),
            "bytes": [sum(of[n].bytes for n in left_out & of.keys()) for of in by_type],
            "count": [sum(of[n].count for n in left_out & of.keys()) for of in by_type],
        },
    }


def _rows(one: SnapshotView, frame_place: Callable[[int], int]) -> Json:
    strings: dict[str, int] = {}

    def place(text: str) -> int:
        return strings.setdefault(_text(text), len(strings))

    rows = [row for _, row in one.rows]
    return {
        "parent": [-1 if row.parent is None else row.parent for row in rows],
        "type": [place(name) for name, _ in one.rows],
        "label": [place(row.label) for row in rows],
        "path": [
            AS_EXPECTED if row.path == _expected(row, rows) else place(row.path) for row in rows
        ],
        "own": [row.own_bytes for row in rows],
        "retained": [row.retained_bytes for row in rows],
        "objects": [row.objects for row in rows],
        "single": [int(row.is_single) for row in rows],
        "others": [row.others for row in rows],
        "also": [place(row.also) for row in rows],
        "lines": [
            [figure for line in lines for figure in (frame_place(line.frame), line.bytes)]
            for lines in one.lines
        ],
        "strings": list(strings),
    }


def _expected(row: Holder, rows: Sequence[Holder]) -> str | None:
    """Return the path of the row above and the own label; None where one of them was cut."""
    if row.parent is None or len(row.path) > MAX_TEXT:
        return None
    return rows[row.parent].path + row.label


def _types(types: Sequence[TypeBytes]) -> list[list[object]]:
    return [[_text(one.type), one.bytes, one.count] for one in types]


def _text(text: str) -> str:
    """Return ``text`` made plain, and without its middle where it is very long."""
    half = MAX_TEXT // 2
    return plain(text if len(text) <= MAX_TEXT else f"{text[:half]}…{text[-half:]}")
