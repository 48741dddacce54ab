"""Reports with snapshots of objects that nobody walked, as many and as large as a test wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from factories import MB, analysed, frame, lifetime, run, tree
from graphs import held

from memdeep.analysis.holders import LineHolders, views, with_holders
from memdeep.model import Report
from memdeep.model.graph import GARBAGE, HELD_BY_C, NAMED, Holder
from memdeep.model.holders import HeapSnapshot, HeldBytes, Joined

DICT, LIST, FLOAT, ORDER = range(4)
TYPES = ("dict", "list", "float", "__main__.Order")


def holding_report(
    snapshots: int = 3,
    kept: int = 6,
    *,
    types: Sequence[str] = TYPES,
    keys: bool = True,
    names: Sequence[str] = (),
) -> Report:
    """A program that keeps more in ``__main__.CACHE`` with each phase, and drops its ``LAST``.

    The cache has ``kept`` lists in the end, of 1 MB and more each, whose keys are ``names`` first.
    There is as much garbage as in the largest list, and the collector is off at the end.
    """
    steps = [step for n in range(snapshots) for step in (f"+phase {n}", f"-phase {n}")]
    stacks, nodes = tree([frame("main"), frame("load", lineno=49)], [frame("main", lineno=7)])
    points = run(*steps)
    plain = analysed(
        points, stacks, [lifetime(nodes[0], 2 * n + 2, bytes=4 * MB) for n in range(snapshots)]
    )
    walked = tuple(
        _snapshot(2 * n + 2, _kept(kept, n + 1, snapshots), n == snapshots - 1, types, nodes, names)
        for n in range(snapshots)
    )
    heap = replace(plain.heap, snapshots=walked)
    known = LineHolders(heap, keys=keys)
    phases, findings = with_holders(known, plain.phases, plain.findings)
    return replace(
        plain,
        run=replace(
            plain.run,
            problems=(
                "who holds the objects at later is not known: the looks before it were still on",
                "The clock is wrong.",
            ),
        ),
        heap=heap,
        phases=phases,
        findings=findings,
        snapshots=views(heap, keys=keys),
    )


def _kept(kept: int, turn: int, turns: int) -> int:
    return max(1, kept * turn // turns)


def _snapshot(
    checkpoint: int,
    kept: int,
    is_last: bool,
    types: Sequence[str],
    nodes: Sequence[int],
    names: Sequence[str],
) -> HeapSnapshot:
    sizes = [(2 + n % 7) * MB // 2 for n in range(kept)]
    last = 0 if is_last else 3 * MB
    cache = sum(sizes)
    rows = [
        Holder(None, DICT, "__main__", "", 3000, 3000 + cache + last + 400, 15),
        Holder(0, DICT, "__main__.CACHE", ".CACHE", 400, 400 + cache, 1),
    ]
    parts = [HeldBytes(nodes[1], DICT, 1, NAMED, Joined.OWN, 400, 1)]
    for n, size in enumerate(sizes):
        key = f"[{names[n] if n < len(names) else f'item {n}'!r}]"
        place = len(rows)
        rows += [
            Holder(1, LIST, f"__main__.CACHE{key}", key, size // 4, size, 1),
            Holder(
                place,
                FLOAT,
                f"__main__.CACHE{key}[99]",
                "[99]",
                size - size // 4,
                size - size // 4,
                size // 32,
                is_single=False,
            ),
        ]
        parts += [
            HeldBytes(nodes[0], LIST, place, NAMED, Joined.OWN, size // 4, 1),
            HeldBytes(nodes[0], FLOAT, place + 1, NAMED, Joined.OWN, size - size // 4, size // 32),
        ]
    if not is_last:
        rows.append(Holder(0, LIST, "__main__.LAST", ".LAST", last, last, 1, True, "seen[0]", 1))
    parts += [
        HeldBytes(nodes[1], ORDER, None, GARBAGE, Joined.OWN, 4 * MB, 1000),
        HeldBytes(nodes[1], LIST, None, HELD_BY_C, Joined.OWN, 5000, 3),
        *(
            HeldBytes(nodes[1], kind, 0, NAMED, Joined.OWN, kind, 1)
            for kind in range(len(TYPES), len(types))
        ),
    ]
    return HeapSnapshot(
        checkpoint=checkpoint,
        types=tuple(types),
        rows=tuple(rows),
        held=held(parts),
        objects=sum(row.objects for row in rows) + 1003,
        object_bytes=cache + last + 3400 + 4 * MB + 5000,
        garbage_bytes=4 * MB,
        c_only_bytes=5000,
        gc_enabled=not is_last,
    )
