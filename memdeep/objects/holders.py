"""Types and holders of objects as those who load a run see them. Sizes are bytes."""

from __future__ import annotations

from memdeep.frozen import frozen
from memdeep.model import holders as known
from memdeep.text import units
from memdeep.text.safe import plain

_MOST_TYPES = 3  # in a `repr`


@frozen
class TypeSum:
    """All objects of a type: their bytes, and how many they are."""

    type: str
    bytes: int
    count: int


@frozen
class Held:
    """A way to objects, and how many bytes of what was asked for hang on it.

    ``path`` is an expression in Python's words; ``frees`` is all that dropping its end would free.
    ``also`` counts others that hold the same objects, ``ways`` are paths through two of them: all
    have to let go. Of objects with one path (locals of a function) there are ``count``.
    """

    path: str
    bytes: int
    frees: int
    also: int | None
    ways: tuple[str, ...]
    count: int


@frozen
class Holders:
    """The types and the holders of a line's bytes, largest first, at a checkpoint (its index).

    ``garbage`` awaits the collector, ``held_by_c`` is held by C code alone, of ``unknown`` no
    object is known. ``shared`` lies in memory of many objects, so that other lines' may be among
    them: with ``--deep`` there is none.
    """

    checkpoint: int
    bytes: int
    types: tuple[TypeSum, ...]
    paths: tuple[Held, ...]
    garbage: int
    held_by_c: int
    shared: int
    unknown: int

    @property
    def is_exact(self) -> bool:
        """Tell whether no bytes may be another line's."""
        return not self.shared

    def __repr__(self) -> str:
        names = [f"{plain(one.type)} {units.size(one.bytes)}" for one in self.types[:_MOST_TYPES]]
        path = f"; held by {plain(self.paths[0].path)}" if self.paths else ""
        return f"<Holders of {units.size(self.bytes)}: {', '.join(names) or 'no object'}{path}>"


@frozen
class Holder:
    """A row of the tree of holders: an object, or the largest of several of one type.

    ``parent`` is the index of the row that holds it. ``retained`` is what dropping it would free,
    ``own`` is of it alone. ``others`` counts who holds it beside ``path``, one is ``other_path``.
    """

    index: int
    parent: int | None
    type: str
    path: str
    label: str
    own: int
    retained: int
    objects: int
    is_single: bool
    others: int
    other_path: str | None


@frozen
class Snapshot:
    """All objects at a checkpoint (its index, and its label): their types, and who holds them.

    ``bytes`` are as the objects say, those of ``types`` are the trace's.
    """

    checkpoint: int
    label: str
    objects: int
    bytes: int
    types: tuple[TypeSum, ...]
    holders: tuple[Holder, ...]
    garbage: int
    held_by_c: int
    gc_enabled: bool
    gc_disabled_at: str | None

    def __repr__(self) -> str:
        objects = units.count(self.objects, "object")
        return f"<Snapshot at {plain(self.label)}: {objects}, {units.size(self.bytes)}>"


def holders_of(found: known.Holders) -> Holders:
    """Return what is known of a line's bytes for those who load it."""
    return Holders(
        checkpoint=found.checkpoint,
        bytes=found.bytes,
        types=_types(found.types),
        paths=tuple(
            Held(one.path, one.bytes, one.retained_bytes, one.also, one.ways, one.count)
            for one in found.paths
        ),
        garbage=found.garbage_bytes,
        held_by_c=found.c_only_bytes,
        shared=found.shared_bytes,
        unknown=found.unknown_bytes,
    )


def snapshot_of(found: known.SnapshotView, label: str) -> Snapshot:
    """Return a snapshot at the checkpoint ``label`` for those who load it."""
    return Snapshot(
        checkpoint=found.checkpoint,
        label=label,
        objects=found.objects,
        bytes=found.bytes,
        types=_types(found.types),
        holders=tuple(
            Holder(
                *(index, row.parent, name, row.path, row.label, row.own_bytes),
                *(row.retained_bytes, row.objects, row.is_single, row.others, row.also or None),
            )
            for index, (name, row) in enumerate(found.rows)
        ),
        garbage=found.garbage_bytes,
        held_by_c=found.c_only_bytes,
        gc_enabled=found.gc_enabled,
        gc_disabled_at=found.gc_off_at or None,
    )


def _types(found: tuple[known.TypeBytes, ...]) -> tuple[TypeSum, ...]:
    return tuple(TypeSum(one.type, one.bytes, one.count) for one in found)
