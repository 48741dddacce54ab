"""Finds, of the objects that hold bytes, those that tell by their kind what to do.

Where one holds another (a log record an exception), the outer one counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from memdeep.analysis.holder_tree import points, with_children
from memdeep.model.holders import Cause, HeapSnapshot, HeldCause

LRU_CACHE = "functools._lru_cache_wrapper"
UNBOUNDED, BOUNDED = "unbounded lru_cache of ", "lru_cache of "
SUSPENDED = "suspended "
MAX_TOLD = 2  # of places
TYPES = {
    "generator": Cause.SUSPENDED,
    "coroutine": Cause.SUSPENDED,
    "async_generator": Cause.SUSPENDED,
    "logging.LogRecord": Cause.LOG_RECORD,
    "traceback": Cause.TRACEBACK,
}
# Where several tracebacks have a frame, it lies directly beneath what holds them: an exception that
# has a context, or a list of exceptions.
OF_FRAME = "frame", ".tb_frame"
OF_EXCEPTION = ".__traceback__", ".tb_frame"


def causes(
    snapshot: HeapSnapshot, weights: Sequence[int], freed: Sequence[int]
) -> tuple[HeldCause, ...]:
    """Find the causes for which ``weights`` are held, largest first; ``freed`` as for `points`.

    ``weights`` has the bytes of each row itself.
    """
    marks = _marks(snapshot, weights)
    own: defaultdict[Cause, list[int]] = defaultdict(lambda: [0] * len(weights))
    words: defaultdict[Cause, list[str]] = defaultdict(list)
    for place, mark in enumerate(marks):
        if mark is not None and weights[place]:
            at, cause = mark
            own[cause][at] += weights[place]  # as if it had nothing beneath it
            words[cause].append(snapshot.rows[place].path)
    found = []
    for cause, sizes in own.items():
        total = sum(sizes)
        paths = points(snapshot, with_children(snapshot.rows, sizes), total, freed)
        what = _suspended(words[cause]) if cause is Cause.SUSPENDED else ""
        path = "`, `".join(one.path for one in paths[:MAX_TOLD])
        found.append(HeldCause(cause, path, sum(one.bytes for one in paths), what))
    return tuple(sorted(found, key=lambda one: (-one.bytes, one.cause.value)))


def _marks(snapshot: HeapSnapshot, weights: Sequence[int]) -> Sequence[tuple[int, Cause] | None]:
    """Return, for each row, the outermost row that is a cause for it, and the cause."""
    # The rows directly beneath a cache say whether it has a bound.
    beneath = {row.parent: row.path for row in snapshot.rows if row.parent is not None}
    found: list[tuple[int, Cause] | None] = []
    for place, row in enumerate(snapshot.rows):
        above = None if row.parent is None else found[row.parent]
        if above is not None:
            found.append(above)
            continue
        kind = snapshot.types[row.kind]
        cause = Cause.TRACEBACK if (kind, row.label) == OF_FRAME else TYPES.get(kind)
        at = place
        if kind == LRU_CACHE:
            cause = _cache(beneath.get(place, ""), is_method=_is_of_class(snapshot, place))
        elif cause is Cause.TRACEBACK and row.parent is not None and row.label in OF_EXCEPTION:
            at = row.parent  # the exception, or what holds several
        found.append(None if cause is None else (at, cause))
    return found


def _cache(path: str, *, is_method: bool) -> Cause | None:
    if path.startswith(UNBOUNDED):
        return Cause.METHOD_CACHE if is_method else Cause.UNBOUNDED_CACHE
    return Cause.BOUNDED_CACHE if path.startswith(BOUNDED) else None


def _is_of_class(snapshot: HeapSnapshot, place: int) -> bool:
    """Tell whether a row is an attribute of a class."""
    rows = snapshot.rows
    above = rows[place].parent
    if above is not None and not rows[above].label:  # the dictionary of the class
        above = rows[above].parent
    return above is not None and snapshot.types[rows[above].kind] == "type"


def _suspended(paths: Sequence[str]) -> str:
    """Return the function of which the locals in ``paths`` are: "generator rows()"."""
    names = {
        path.removeprefix(SUSPENDED).partition("() ")[0] + "()"
        for path in paths
        if path.startswith(SUSPENDED)
    }
    return names.pop() if len(names) == 1 else ""
