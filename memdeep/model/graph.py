"""The objects of a process at one checkpoint, and who holds them: what a walk of its heap saw.

Columns stand for objects: there may be millions. Knows neither files nor allocations.
"""

from __future__ import annotations

from array import array
from typing import TypeAlias

from memdeep.frozen import frozen

Column: TypeAlias = "array[int] | memoryview[int]"

GARBAGE, NAMED, HELD_BY_C, OWN = range(4)  # of an object
NO_ROW = 0xFFFFFFFF


@frozen
class Holder:
    """A row of the dominator tree, merged by type; what is large has a row of its own.

    ``parent`` is the index of an earlier row, ``kind`` that of a type. ``path`` is an expression in
    Python's words, from a module, a class, a frame, or the like, to the largest object of the row;
    "" where recursion is folded. ``label`` is its last step: "['BTC']", ".__closure__[0].cell",
    "local 'rows'". ``retained_bytes`` would be free if the row were dropped; it includes children.
    ``is_single`` is False where objects beside that one are merged in the row. Where more than one
    holds it, ``others`` counts those beside that of ``path``, and ``also`` is another way to it, ""
    if the same object has it twice.
    """

    parent: int | None
    kind: int
    path: str
    label: str
    own_bytes: int
    retained_bytes: int
    objects: int
    is_single: bool = True
    also: str = ""
    others: int = 0


@frozen
class Graph:
    """All objects at the checkpoint ``sequence`` of the journal, by ascending address.

    Of each object, ``kinds`` has the index of its type in ``types`` (names with their modules, but
    for what is built in), ``sizes`` the bytes of its own blocks, ``holders`` the index of its row,
    or NO_ROW where nobody with a name holds it; ``states`` says so: GARBAGE, NAMED, HELD_BY_C only,
    or memdeep's OWN. ``pointers`` are the words in the blocks of objects that point to no known
    object, ``owners`` the objects they are in.
    ``gc_off_at`` is the file and line that turned the collector off; "" if it is on, or not known.
    """

    sequence: int
    types: tuple[str, ...]
    addresses: Column
    kinds: Column
    sizes: Column
    holders: Column
    states: bytes
    pointers: Column
    owners: Column
    rows: tuple[Holder, ...]
    gc_enabled: bool
    garbage_bytes: int
    c_only_bytes: int
    pause_ns: int
    child_ns: int
    gc_off_at: str = ""
