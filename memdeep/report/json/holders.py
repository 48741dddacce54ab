"""Encodes the types and holders of lines, and the snapshots of the objects at checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import repeat

from memdeep.model import Report
from memdeep.model.holders import (
    HeldLine,
    HeldPath,
    Holders,
    SnapshotChange,
    SnapshotView,
    TypeBytes,
)
from memdeep.report.json.checkpoints import Checkpoints
from memdeep.report.json.records import NULL, Encoded, Json, encoded
from memdeep.report.json.tables import Tables

FramePlace = Callable[[HeldLine], int]


class Snapshots:
    """The snapshots of a report; ``before`` of other processes come before them in the list."""

    def __init__(self, report: Report, before: int = 0) -> None:
        self._snapshots = report.snapshots
        self._frames = report.heap.tree.frames
        self._places = {
            snapshot.checkpoint: place for place, snapshot in enumerate(report.snapshots, before)
        }

    def holders(self, known: Holders | None) -> Encoded:
        """Encode the types and holders of a line, with the index of their snapshot; or null."""
        if known is None:
            return NULL
        return encoded(
            {
                "snapshot": self._places[known.checkpoint],
                "bytes": known.bytes,
                "types": _types(known.types),
                "paths": _paths(known.paths),
                "garbage_bytes": known.garbage_bytes,
                "held_by_c_bytes": known.c_only_bytes,
                "shared_bytes": known.shared_bytes,
                "unknown_bytes": known.unknown_bytes,
                "causes": [
                    {"cause": one.cause.value, "path": one.path, "bytes": one.bytes}
                    for one in known.causes
                ],
            }
        )

    def encoded(self, checkpoints: Checkpoints, tables: Tables) -> Iterator[Json]:
        """Yield each snapshot as an object."""

        @cache
        def place(frame: int) -> int:
            return tables.frame(self._frames[frame])

        def frame(line: HeldLine) -> int:
            return place(line.frame)

        return (_snapshot(one, checkpoints, frame) for one in self._snapshots)


def _snapshot(
    one: SnapshotView, checkpoints: Checkpoints, frame: Callable[[HeldLine], int]
) -> Json:
    return {
        "checkpoint": checkpoints.place(one.checkpoint),
        "objects": one.objects,
        "bytes": one.bytes,
        "types": _types(one.types),
        "garbage_bytes": one.garbage_bytes,
        "gc_enabled": one.gc_enabled,
        "gc_disabled_at": one.gc_off_at or None,
        "garbage_types": _types(one.garbage_types),
        "held_by_c_bytes": one.c_only_bytes,
        "held_by_c_types": _types(one.c_only_types),
        "holders": [
            {
                "parent": row.parent,
                "type": name,
                "path": row.path,
                "label": row.label,
                "own_bytes": row.own_bytes,
                "retained_bytes": row.retained_bytes,
                "objects": row.objects,
                "lines": [{"frame": frame(line), "bytes": line.bytes} for line in lines],
                "is_single": row.is_single,
                "other_path": row.also or None,
                "others": row.others,
            }
            for (name, row), lines in zip(one.rows, one.lines or repeat(()), strict=False)
        ],
        "change": None if one.change is None else _change(one.change, checkpoints),
    }


def _change(change: SnapshotChange, checkpoints: Checkpoints) -> Json:
    return {
        "since": checkpoints.place(change.since),
        "types": _types(change.types),
        "paths": _paths(change.paths),
    }


def _types(types: Iterable[TypeBytes]) -> Sequence[Json]:
    return [{"type": one.type, "bytes": one.bytes, "count": one.count} for one in types]


def _paths(paths: Iterable[HeldPath]) -> Sequence[Json]:
    return [
        {
            "path": one.path,
            "bytes": one.bytes,
            "retained_bytes": one.retained_bytes,
            "also": one.also,
            "ways": list(one.ways),
            "count": one.count,
        }
        for one in paths
    ]
