"""Types and holders of lines, and what is new from one snapshot to the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from factories import MB, analysed, frame, lifetime, run, tree
from graphs import held
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.analysis.holder_causes import causes
from memdeep.analysis.holder_tree import points, with_children
from memdeep.analysis.holders import (
    LineHolders,
    change,
    holders,
    view,
    views,
    with_holders,
)
from memdeep.model.graph import GARBAGE, HELD_BY_C, NAMED, Holder
from memdeep.model.holders import (
    Cause,
    HeapSnapshot,
    HeldBytes,
    HeldCause,
    HeldPath,
    Joined,
    TypeBytes,
)

TYPES = ("module", "dict", "float", "list")
MODULE, DICT, FLOAT, LIST = range(4)


def holder(parent: int | None, kind: int, path: str, retained_mb: int, objects: int = 1) -> Holder:
    return Holder(parent, kind, path, path, 100, retained_mb * MB, objects)


# learning._cache holds two entries; the floats in each are one row, merged.
ROWS = (
    holder(None, MODULE, "learning", 331),
    holder(0, DICT, "learning._cache", 330),
    holder(1, LIST, "learning._cache['BTC']", 164),
    replace(holder(2, DICT, "learning._cache['BTC'][7]", 160, 20_000), is_single=False),
    holder(1, LIST, "learning._cache['ETH']", 164),
)


def snapshot(rows: Sequence[HeldBytes], holder_rows: Sequence[Holder] = ROWS) -> HeapSnapshot:
    return HeapSnapshot(3, TYPES, tuple(holder_rows), held(rows), 9, 400 * MB, 0, 0, True)


def row(kind: int, holder_row: int | None, mb: int, **changes: object) -> HeldBytes:
    plain = HeldBytes(0, kind, holder_row, NAMED, Joined.OWN, mb * MB, 10)
    return plain._replace(**changes)  # type: ignore[arg-type]


def test_a_line_has_types_and_the_object_that_all_of_it_hangs_on() -> None:
    rows = [row(DICT, 3, 100), row(FLOAT, 3, 40), row(LIST, 2, 4, how=Joined.OWNED)]
    found = holders(snapshot(rows), rows)
    assert found.bytes == 144 * MB
    assert found.types == (
        TypeBytes("dict", 100 * MB, 10),
        TypeBytes("float", 40 * MB, 10),
        TypeBytes("list", 4 * MB, 10),
    )
    # Not one of the dictionaries in it: they are many, and dropping one frees little.
    assert found.paths == (HeldPath("learning._cache['BTC']", 144 * MB, 164 * MB, 0),)
    assert found.is_exact


def test_where_two_entries_hold_alike_their_container_is_the_holder() -> None:
    rows = [row(DICT, 3, 100), row(DICT, 4, 90)]
    (path,) = holders(snapshot(rows), rows).paths
    assert path == HeldPath("learning._cache", 190 * MB, 330 * MB, 0)


def test_garbage_and_what_c_holds_and_what_is_not_sure_is_told() -> None:
    rows = [
        row(DICT, None, 5, state=GARBAGE),
        row(LIST, None, 3, state=HELD_BY_C),
        row(FLOAT, 3, 2, how=Joined.SHARED),
        HeldBytes(0, None, None, None, Joined.UNKNOWN, MB, 0),
    ]
    found = holders(snapshot(rows), rows)
    assert (found.garbage_bytes, found.c_only_bytes) == (5 * MB, 3 * MB)
    assert (found.shared_bytes, found.unknown_bytes) == (2 * MB, MB)
    assert not found.is_exact


def test_a_holder_without_a_name_gives_way_to_those_it_holds() -> None:
    rows = (
        holder(None, LIST, "", 100),
        holder(0, LIST, "fails() local 'rows'", 60),
        holder(0, DICT, "", 30),
        holder(2, DICT, "job.STATE", 30),
    )
    found = points(snapshot([], rows), [90, 60, 30, 30], 90, [0] * 4)
    assert [one.path for one in found] == ["fails() local 'rows'", "job.STATE"]


def trees(sizes: st.SearchStrategy[int]) -> st.SearchStrategy[list[tuple[int | None, str, int]]]:
    def placed(rows: list[tuple[int, str, int]]) -> list[tuple[int | None, str, int]]:
        return [
            (None if place == 0 or number % (place + 1) == place else number % (place + 1), *rest)
            for place, (number, *rest) in enumerate(rows)  # type: ignore[misc]
        ]

    names = st.sampled_from(["", "a", "b", "c.d"])
    return st.lists(st.tuples(st.integers(0, 99), names, sizes), max_size=12).map(placed)


def test_an_object_with_small_ones_in_it_is_single_but_not_one_of_many_alike() -> None:
    rows = (
        holder(None, MODULE, "job", 100, 108),
        holder(0, DICT, "job.STORE", 90, 20),
        replace(holder(1, DICT, "job.STORE[7]", 90, 50), is_single=False),  # its largest
    )
    (found,) = points(snapshot([], rows), [90, 90, 90], 90, [0] * 3)
    assert found.path == "job.STORE"


def test_what_is_merged_from_many_has_no_name_for_all() -> None:
    rows = (
        replace(holder(None, DICT, "numpy.linalg", 100, 900), is_single=False),
        holder(0, LIST, "job.ROWS", 60),
    )
    (found,) = points(snapshot([], rows), [90, 60], 90, [100, 60])
    assert found.path == "job.ROWS"


def test_a_module_gives_way_to_the_names_in_it() -> None:
    rows = (
        holder(None, MODULE, "job", 100),
        replace(holder(0, DICT, "job", 100), label=""),
        holder(1, LIST, "job.A", 60),
        holder(1, LIST, "job.B", 40),
    )
    found = points(snapshot([], rows), [100, 100, 60, 40], 100, [100, 100, 60, 40])
    assert [(one.path, one.bytes) for one in found] == [("job.A", 60), ("job.B", 40)]
    small = replace(holder(1, LIST, "job.A", 100, 900), is_single=False)
    (one,) = points(snapshot([], (*rows[:2], small)), [100, 100, 100], 100, [100] * 3)
    assert (one.path, one.is_namespace, one.ways) == ("job", True, ())


def test_what_two_hold_at_once_is_told_with_both() -> None:
    twice = replace(holder(1, LIST, "job.A[0]", 50), also="job.B[0]", others=1)
    rows = (
        holder(None, MODULE, "job", 100),
        replace(holder(0, DICT, "job", 100), label=""),
        twice,
        replace(twice, path="job.A[1]", also="job.B[1]"),
    )
    (found,) = points(snapshot([], rows), [100, 100, 51, 49], 100, [100, 100, 51, 49])
    assert (found.path, found.ways) == ("job", ("job.A[0]", "job.B[0]"))
    (found,) = points(snapshot([], rows[:3]), [100, 100, 100], 100, [100] * 3)
    assert (found.path, found.ways, found.also) == ("job.A[0]", ("job.A[0]", "job.B[0]"), 1)


def test_of_a_chain_the_first_link_is_the_holder() -> None:
    names = ["job.chain"] + ["job.chain.first" + ".next" * place for place in range(9)]
    weights = [1000, *(1000 - 50 * place for place in range(9))]
    links = [
        holder(place - 1 if place else None, 4 if place else LIST, name, 100)
        for place, name in enumerate(names)
    ]
    made = replace(snapshot([], links), types=(*TYPES, "job.Link"))
    (found,) = points(made, weights, 1000, weights)
    assert (found.path, found.bytes) == ("job.chain.first", 1000)
    lists = [replace(one, kind=LIST) for one in links]
    (found,) = points(snapshot([], lists), weights, 1000, weights)
    assert found.bytes == 800  # of all, not of the one above


def test_like_locals_of_many_calls_are_one_holder() -> None:
    local = holder(None, LIST, "suspended generator rows() local 'table'", 30)
    (found,) = points(snapshot([], [local] * 3), [30] * 3, 90, [31] * 3)
    assert (found.count, found.bytes, found.retained_bytes) == (3, 90, 93)


def test_dropping_frees_what_the_trace_has_if_objects_say_less() -> None:
    rows = [row(DICT, 2, 200)]
    (path,) = holders(snapshot(rows), rows).paths
    assert (path.bytes, path.retained_bytes) == (200 * MB, 200 * MB)


def kinds(*names: str, paths: Sequence[str] = (), labels: Sequence[str] = ()) -> HeapSnapshot:
    """A chain of objects of these types, all bytes in the last."""
    rows = tuple(
        replace(
            holder(place - 1 if place else None, place, path, 100),
            label=labels[place] if labels else path,
        )
        for place, path in enumerate(paths or names)
    )
    return replace(snapshot([], rows), types=names)


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        (
            kinds(
                "list",
                "ValueError",
                "traceback",
                "frame",
                "bytearray",
                paths=("job.failed", "job.failed[0]", "t", "f", "work() local 'x'"),
                labels=(".failed", "[0]", ".__traceback__", ".tb_frame", " local"),
            ),
            HeldCause(Cause.TRACEBACK, "job.failed[0]", 100),
        ),
        (  # the frame is also of the traceback of the exception's context
            kinds(
                "list",
                "KeyError",
                "frame",
                "bytearray",
                paths=("job.failed", "job.failed[0]", "f", "work() local 'x'"),
                labels=(".failed", "[0]", ".tb_frame", " local"),
            ),
            HeldCause(Cause.TRACEBACK, "job.failed[0]", 100),
        ),
        (
            kinds("list", "frame", "bytearray", labels=(".running", "[0]", " local")),
            None,
        ),
        (
            kinds(
                "list",
                "generator",
                "list",
                paths=("job.P", "job.P[0]", "suspended generator r() local 't'"),
            ),
            HeldCause(Cause.SUSPENDED, "job.P[0]", 100, "generator r()"),
        ),
        (
            kinds("list", "logging.LogRecord", "traceback", "list"),
            HeldCause(Cause.LOG_RECORD, "logging.LogRecord", 100),
        ),
        (
            kinds(
                "type",
                "dict",
                "functools._lru_cache_wrapper",
                "dict",
                paths=("job.Day", "job.Day", "job.Day.vwap", "unbounded lru_cache of job.Day.vwap"),
                labels=(".Day", "", ".vwap", ""),
            ),
            HeldCause(Cause.METHOD_CACHE, "job.Day.vwap", 100),
        ),
        (
            kinds(
                "functools._lru_cache_wrapper",
                "dict",
                paths=("job.f", "unbounded lru_cache of job.f"),
            ),
            HeldCause(Cause.UNBOUNDED_CACHE, "job.f", 100),
        ),
        (
            kinds("functools._lru_cache_wrapper", "dict", paths=("job.f", "lru_cache of job.f")),
            HeldCause(Cause.BOUNDED_CACHE, "job.f", 100),
        ),
        (kinds("functools._lru_cache_wrapper", "dict", paths=("job.f", "job.f[0]")), None),
        (kinds("list", "dict"), None),
    ],
)
def test_some_holders_are_a_cause_in_themselves(
    chain: HeapSnapshot, expected: HeldCause | None
) -> None:
    weights = [0] * (len(chain.rows) - 1) + [100]
    found = causes(chain, weights, weights)
    assert found == (() if expected is None else (expected,))


@examples(100)
@given(rows=trees(st.integers(0, 50)))
def test_no_byte_has_two_holders(rows: list[tuple[int | None, str, int]]) -> None:
    made = [holder(parent, DICT, path, 1) for parent, path, _ in rows]
    own = [size for *_, size in rows]
    weights = with_children(made, own)
    roots = sum(weight for weight, one in zip(weights, made, strict=True) if one.parent is None)
    assert roots == sum(own)
    found = points(snapshot([], made), weights, roots, weights)
    assert sum(one.bytes for one in found) <= roots
    assert all(one.path and one.bytes > 0 for one in found)
    assert sorted(found, key=lambda one: -one.bytes) == list(found)


def test_what_is_new_is_told_by_type_and_by_the_holder_that_grew() -> None:
    one_entry = (
        replace(ROWS[0], retained_bytes=171 * MB),
        replace(ROWS[1], retained_bytes=170 * MB),
        *ROWS[2:4],
    )
    before = snapshot([row(DICT, 3, 100), row(FLOAT, 2, 7)], one_entry)
    grown = (
        replace(ROWS[0], retained_bytes=500 * MB),
        replace(ROWS[1], retained_bytes=499 * MB),
        *ROWS[2:],
        holder(1, LIST, "learning._cache['SOL']", 165),
    )
    after = replace(snapshot([row(DICT, 3, 160), row(LIST, 5, 4)], grown), checkpoint=8)
    found = change(before, after)
    assert found.since == 3
    assert found.types == (
        TypeBytes("dict", 60 * MB, 0),
        TypeBytes("list", 4 * MB, 10),
        TypeBytes("float", -7 * MB, -10),
    )
    # Both entries are new: their container is what grew.
    assert [one.path for one in found.paths] == ["learning._cache"]
    assert view(after, before).change == found


def test_many_small_objects_are_not_new_because_another_of_them_is_now_the_largest() -> None:
    many = replace(holder(None, DICT, "typing", 20, 8000), is_single=False)
    before = snapshot([], (*ROWS[:2], many))
    grown = (
        replace(ROWS[0], retained_bytes=401 * MB),
        replace(ROWS[1], retained_bytes=400 * MB),
    )
    after = snapshot([], (*grown, replace(many, path="ast", retained_bytes=21 * MB)))
    found = change(before, after)
    assert [(one.path, one.bytes) for one in found.paths] == [("learning._cache", 70 * MB)]


@examples(60)
@given(sizes=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 99)), max_size=20))
def test_the_types_of_a_snapshot_are_all_bytes_of_known_objects(
    sizes: list[tuple[int, int]],
) -> None:
    rows = [row(kind, None, mb) for kind, mb in sizes]
    found = view(snapshot(rows))
    expected: Counter[str] = Counter()
    for kind, mb in sizes:
        expected[TYPES[kind]] += mb * MB
    assert {one.type: one.bytes for one in found.types} == dict(expected)
    assert found.change is None


def test_a_phase_has_the_holders_at_its_end_or_at_the_next_snapshot() -> None:
    stacks, (node,) = tree([frame("main"), frame("load")])
    steps = ("+load", "-load", "after", "later")
    made = analysed(run(*steps), stacks, [lifetime(node, 2, bytes=200 * MB)])
    places = {3: 150, 4: 90}
    made = replace(
        made,
        heap=replace(
            made.heap,
            snapshots=tuple(
                replace(snapshot([row(DICT, 2, mb)._replace(node=node)]), checkpoint=at)
                for at, mb in places.items()
            ),
        ),
    )
    phases, (finding,) = with_holders(
        LineHolders(made.heap, keys=False), made.phases, made.findings
    )
    assert finding.culprit is not None
    assert finding.culprit.holders is not None
    assert finding.culprit.holders.checkpoint == 3
    assert finding.culprit.holders.bytes == 150 * MB
    assert [one.path for one in finding.culprit.holders.paths] == ["learning._cache[…]"]
    load = next(phase for phase in phases if phase.outline.name == "load")
    assert load.heap is not None
    assert load.heap.culprits[0].holders == finding.culprit.holders
    assert load.heap.peak_culprits[0].holders is None  # none was made within it
    early = (replace(made.heap.snapshots[0], checkpoint=2),)
    known = LineHolders(replace(made.heap, snapshots=early))
    _, (finding,) = with_holders(known, made.phases, made.findings)
    assert finding.culprit is not None
    assert finding.culprit.holders is not None  # the last one within the phase
    first, second = views(made.heap, keys=False)
    assert "BTC" not in str(first)
    assert second.change is not None
    assert second.change.since == 3


def test_of_many_rows_the_largest_are_told_with_their_parents() -> None:
    rows = [holder(None, MODULE, "m", 9000)]
    rows += [holder(0, DICT, f"m.d{number}", number % 800) for number in range(800)]
    found = view(snapshot([], rows)).rows
    assert len(found) == 500
    assert found[0] == ("module", rows[0])
    assert all(one.parent == 0 for _, one in found[1:])
    assert min(one.retained_bytes for _, one in found) == 301 * MB
