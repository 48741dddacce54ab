"""Live bytes joined with the objects they are, and with who holds these.

Sizes are bytes. Knows no file format and no wording.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum, IntEnum
from typing import NamedTuple

from memdeep.frozen import frozen
from memdeep.model.graph import NO_ROW, Holder

NO_STATE = 0xFF


class Joined(IntEnum):
    """The way in which bytes were joined with an object.

    They are the block of the object itself, or one that it owns, and both is exact. Or they are
    `SHARED`: objects lie in memory that was allocated for many, so that the stack is that of the
    first. Of the rest the object is `UNKNOWN`.
    """

    UNKNOWN = 0
    OWN = 1
    OWNED = 2
    SHARED = 3


_JOINED = tuple(Joined)  # by number: to ask the class takes ten times as long


class HeldBytes(NamedTuple):
    """Live bytes of one stack, of objects of one type with one holder and of one state.

    ``kind`` is None where no object is known, ``holder`` where it has no row. ``state`` is one of
    `memdeep.model.graph`, or None. ``objects`` counts those whose own bytes are among them.
    """

    node: int
    kind: int | None
    holder: int | None
    state: int | None
    how: Joined
    bytes: int
    objects: int


@frozen
class Held:
    """Many `HeldBytes` as columns, each combination once; all live bytes of a moment."""

    node: Sequence[int]
    kind: Sequence[int]
    holder: Sequence[int]
    state: Sequence[int]
    how: Sequence[int]
    bytes: Sequence[int]
    objects: Sequence[int]

    def __iter__(self) -> Iterator[HeldBytes]:
        columns = (self.node, self.kind, self.holder, self.state, self.how)
        for *row, how, size, objects in zip(*columns, self.bytes, self.objects, strict=True):
            node, kind, holder, state = row
            yield HeldBytes(
                node,
                None if kind == NO_ROW else kind,
                None if holder == NO_ROW else holder,
                None if state == NO_STATE else state,
                _JOINED[how],
                size,
                objects,
            )


@frozen
class HeapSnapshot:
    """The objects at a checkpoint (its index): their types, their holders, and the bytes of each.

    ``objects`` counts them, ``object_bytes`` are their sizes as they tell them themselves; ``held``
    are the live bytes of the trace. ``gc_enabled`` is False if the program had turned it off: at
    ``gc_off_at``, a file and a line, "" if that is not known.
    """

    checkpoint: int
    types: tuple[str, ...]
    rows: tuple[Holder, ...]
    held: Held
    objects: int
    object_bytes: int
    garbage_bytes: int
    c_only_bytes: int
    gc_enabled: bool
    gc_off_at: str = ""


@frozen
class TypeBytes:
    """The bytes of all objects of a type, and how many they are."""

    type: str
    bytes: int
    count: int


@frozen
class HeldPath:
    """A way to objects: an expression, their bytes, and all that dropping its end would free.

    ``also`` counts other holders of the same objects; None where that is not known. ``ways`` are
    two to the largest of them where more than one holds it, so that all have to let go. Of objects
    with like paths (locals of one function) there are ``count``. A namespace is not dropped itself:
    it is told where no single name in it has much.
    """

    path: str
    bytes: int
    retained_bytes: int
    also: int | None = None
    ways: tuple[str, ...] = ()
    count: int = 1
    is_namespace: bool = False


class Cause(Enum):
    """The kind of object that keeps others, where that alone tells what to do."""

    METHOD_CACHE = "cache of a method"
    UNBOUNDED_CACHE = "cache without a bound"
    BOUNDED_CACHE = "cache"
    TRACEBACK = "traceback"
    SUSPENDED = "suspended"
    LOG_RECORD = "log record"


@frozen
class HeldCause:
    """Bytes that hang on objects of one kind, and a path to these, or to what holds them all.

    ``what`` names a suspended function: "generator rows()"; else it is empty.
    """

    cause: Cause
    path: str
    bytes: int
    what: str = ""


@frozen
class Holders:
    """The types and the holders of live bytes at a checkpoint (its index), the largest first.

    ``bytes`` are all of them, as the trace has them; of ``unknown_bytes`` the type is not known,
    and ``shared_bytes`` lie in memory of many objects, so that others' may be among them.
    ``garbage_bytes`` wait for the collector, ``c_only_bytes`` are held by C code alone.
    ``causes`` are known for a part of them at most.
    """

    checkpoint: int
    bytes: int
    types: tuple[TypeBytes, ...]
    paths: tuple[HeldPath, ...]
    garbage_bytes: int = 0
    c_only_bytes: int = 0
    shared_bytes: int = 0
    unknown_bytes: int = 0
    causes: tuple[HeldCause, ...] = ()

    @property
    def known_bytes(self) -> int:
        """The bytes of which the object is known."""
        return self.bytes - self.unknown_bytes

    @property
    def is_exact(self) -> bool:
        """Tell whether no bytes are shared with other lines."""
        return not self.shared_bytes


@frozen
class SnapshotChange:
    """The growth since the snapshot at the checkpoint ``since``: by type, and by holder.

    ``types`` may have shrunk, too; ``paths`` have grown by their bytes.
    """

    since: int
    types: tuple[TypeBytes, ...]
    paths: tuple[HeldPath, ...]


class HeldLine(NamedTuple):
    """Bytes beneath a holder that a line allocated: its frame, of those of the heap's tree."""

    frame: int
    bytes: int


@frozen
class SnapshotView:
    """A snapshot summed up: all types, the largest rows of holders, each with its type's name.

    ``bytes`` are those that the objects tell themselves, those of ``types`` are the trace's.
    ``change`` is what is new since the last snapshot; None for the first. ``lines`` are the largest
    of each row. ``garbage_types`` and ``c_only_types`` are the types of what no row holds.
    """

    checkpoint: int
    objects: int
    bytes: int
    types: tuple[TypeBytes, ...]
    rows: tuple[tuple[str, Holder], ...]
    garbage_bytes: int
    c_only_bytes: int
    gc_enabled: bool
    gc_off_at: str = ""
    change: SnapshotChange | None = None
    lines: tuple[tuple[HeldLine, ...], ...] = ()
    garbage_types: tuple[TypeBytes, ...] = ()
    c_only_types: tuple[TypeBytes, ...] = ()
