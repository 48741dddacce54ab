"""Advice is given only where stack or growth support it, and always with its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from factories import MB, frame, heap, library, lifetime, native, phase, stdlib, tree
from graphs import held
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.analysis.advice.case import Case, Suggestion
from memdeep.analysis.advice.judges import advise
from memdeep.analysis.advice.patterns import TellingCalls, module_name
from memdeep.analysis.culprits import ChargedLines
from memdeep.heap.lists import LifetimeList
from memdeep.model import (
    Advice,
    Frame,
    Heap,
    LargeAllocation,
    Lifetime,
    Parts,
    Phase,
    StackBytes,
    Stretch,
)
from memdeep.model.holders import Cause, HeapSnapshot, HeldCause, HeldPath, Holders

LOAD = frame("load_config")
PACKAGES = "/usr/lib/python3.11/site-packages"
WORKBOOK = Advice.WORKBOOK
DEEP_COPY = stdlib("deepcopy", filename="/usr/lib/python3.11/copy.py")
IMPORT = stdlib("_find_and_load", filename="<frozen importlib._bootstrap>")


def judged(
    stack: Sequence[Frame],
    of_phase: Phase | None = None,
    lifetimes: Sequence[Lifetime] = (),
) -> Suggestion | None:
    """What is said of 10 MB that ``stack`` allocated through ``LOAD``."""
    stacks, (node,) = tree(stack)
    lives = tuple(life._replace(node=node) for life in lifetimes) or (lifetime(node),)
    return advise(case(heap(stacks, lives), of_phase or phase(), lives))


def case(held: Heap, of_phase: Phase, lives: Sequence[Lifetime]) -> Case:
    """A finding of bytes that stayed, which are all of ``lives``."""
    lines = ChargedLines(held.tree)
    found = [StackBytes(life.node, life.bytes, life.allocations) for life in lives]
    (culprit,) = lines.culprits(found, sum(life.bytes for life in lives))
    telling = TellingCalls(held.tree, lines.frame_ids)
    return Case(held, lines, telling, (of_phase,), culprit, found, lives)


def advice_of(stack: Sequence[Frame], of_phase: Phase | None = None) -> Advice | None:
    suggestion = judged(stack, of_phase)
    return None if suggestion is None else suggestion.advice


def repeated(count: int) -> Phase:
    return phase(stretches=tuple(Stretch(place, place + 1) for place in range(count)))


@pytest.mark.parametrize(
    ("called", "advice"),
    [
        (DEEP_COPY, Advice.DEEP_COPY),
        (stdlib("load"), Advice.WHOLE_PARSE),
        (stdlib("loads"), Advice.WHOLE_PARSE),
        (stdlib("read_text", filename="/usr/lib/python3.11/pathlib.py"), Advice.WHOLE_FILE),
        (library("load", filename=f"{PACKAGES}/numpy/lib/_npyio_impl.py"), Advice.WHOLE_FILE),
        (
            library("read_csv", filename=f"{PACKAGES}/pandas/io/parsers/readers.py"),
            Advice.WHOLE_FILE,
        ),
        (library("_pickle_loads"), Advice.UNPICKLE),
        (native("_pickle_load", filename=""), Advice.UNPICKLE),
        (stdlib("dumps"), Advice.WHOLE_TEXT),
        (native("_pickle_dumps"), Advice.WHOLE_PICKLE),
        (native("pysqlite_cursor_fetchall"), Advice.ALL_ROWS),
        (library("fetchall"), Advice.ALL_ROWS),
        (library("read_sql", filename=f"{PACKAGES}/pandas/io/sql.py"), Advice.ALL_ROWS),
        (library("bind_cells", filename=f"{PACKAGES}/openpyxl/worksheet/_reader.py"), WORKBOOK),
        (library("load_workbook", filename=f"{PACKAGES}/openpyxl/reader/excel.py"), None),
        (library("merge", filename=f"{PACKAGES}/pandas/core/reshape/merge.py"), Advice.MERGE),
        (library("savefig", filename=f"{PACKAGES}/matplotlib/figure.py"), Advice.FIGURES),
        (native("blas_memory_alloc", filename="/x/libscipy_openblas64_.so"), Advice.BLAS_BUFFERS),
        (native("_mi_malloc_generic", filename="/x/libarrow.so.2600"), Advice.ARROW_POOL),
        (native("_rjem_je_malloc", filename="/x/_polars_runtime.abi3.so"), Advice.POLARS_POOL),
        (native("_mi_malloc_generic", filename="/x/libother.so"), None),
        (frame("fetchall"), None),
        (stdlib("loads", filename="/app/mine.py"), None),
        (stdlib("loads", filename="/app/notjson/__init__.py"), None),
        (frame("deepcopy", filename="/app/mine.py"), None),
    ],
)
def test_what_the_line_called_decides(called: Frame, advice: Advice | None) -> None:
    assert advice_of([frame(), LOAD, called, stdlib("inner")]) is advice


@pytest.mark.parametrize("called", [stdlib("dumps"), native("_pickle_dumps")])
def test_of_many_texts_that_stay_no_call_has_built_all(called: Frame) -> None:
    """A queue of messages, each of which is small."""
    stack = [frame(), LOAD, called]
    for count, is_one in ((1, True), (40, False)):
        suggestion = judged(stack, lifetimes=[lifetime(allocations=count)])
        assert (suggestion is not None) == is_one


def test_of_calls_in_several_repeats_none_was_given_all() -> None:
    for count, advice in ((2, Advice.WHOLE_PARSE), (9, Advice.REPEATED_GROWTH)):
        lives = [lifetime(born=place + 1) for place in range(count)]
        suggestion = judged([LOAD, stdlib("loads")], repeated(count), lives)
        assert suggestion is not None
        assert suggestion.advice is advice


def test_what_called_the_line_does_not_count() -> None:
    assert advice_of([frame(), IMPORT, LOAD]) is None


def test_the_outermost_call_explains_the_inner_ones() -> None:
    load = stdlib("load")
    assert advice_of([LOAD, load, DEEP_COPY]) is Advice.WHOLE_PARSE
    assert advice_of([LOAD, DEEP_COPY, load]) is Advice.DEEP_COPY


def test_what_maps_a_file_has_not_read_it() -> None:
    load = library("load", filename=f"{PACKAGES}/numpy/lib/_npyio_impl.py")
    mapped = library("__new__", filename=f"{PACKAGES}/numpy/_core/memmap.py")
    assert advice_of([LOAD, load, mapped]) is Advice.MAPPED_FILE
    assert advice_of([LOAD, load, library("read_array")]) is Advice.WHOLE_FILE


def test_the_stack_says_more_than_the_repeats() -> None:
    lives = [lifetime(born=place + 1) for place in range(9)]
    suggestion = judged([LOAD, DEEP_COPY], repeated(9), lives)
    assert suggestion is not None
    assert suggestion.advice is Advice.DEEP_COPY


def test_the_bytes_of_an_advice_are_those_of_the_stacks_that_show_it() -> None:
    stacks, (copied, other) = tree([LOAD, DEEP_COPY], [LOAD, library()])
    lives = (lifetime(copied, bytes=30 * MB), lifetime(other, bytes=20 * MB))
    found = advise(case(heap(stacks, lives), phase(), lives))
    assert found is not None
    assert found.evidence == {
        "call": "copy.deepcopy",
        "held_bytes": 30 * MB,
        "held_share": 0.6,
    }


@pytest.mark.parametrize("called", [DEEP_COPY, IMPORT, native("list_resize")])
def test_what_is_half_of_a_finding_or_less_is_no_reason(called: Frame) -> None:
    module = library("<module>")
    stacks, (shown, other) = tree([LOAD, called, module, native("list_resize")], [LOAD, library()])
    lives = (lifetime(shown), lifetime(other))
    assert advise(case(heap(stacks, lives), phase(), lives)) is None


def test_a_parse_is_named_as_the_user_calls_it() -> None:
    suggestion = judged([LOAD, stdlib("load")])
    assert suggestion is not None
    assert suggestion.evidence == {"call": "json.load", "held_bytes": 10 * MB, "held_share": 1.0}


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("/usr/lib/python3/site-packages/pandas/__init__.py", "pandas"),
        ("/usr/lib/python3.11/site-packages/numpy/f2py/__init__.py", "numpy.f2py"),
        ("/usr/lib/python3.11/dist-packages/sklearn/ensemble/__init__.py", "sklearn.ensemble"),
        ("/usr/lib/python3.11/asyncio/base_events.py", "asyncio.base_events"),
        ("/usr/lib/python3.11/lib-dynload/x/y.py", "x.y"),
        ("<frozen os>", "os"),
        ("/src/shop/models.py", "models"),
    ],
)
def test_an_import_has_the_full_name_of_the_module(filename: str, name: str) -> None:
    module = library("<module>", filename=filename)
    suggestion = judged([LOAD, IMPORT, module, library()])
    assert suggestion is not None
    assert suggestion.evidence["call"] == name


def test_a_package_outside_the_directories_of_packages_is_known_by_its_files() -> None:
    files = {"/src/shop/__init__.py", "/src/shop/db/__init__.py"}
    assert module_name("/src/shop/db/models.py", files) == "shop.db.models"


def test_several_imports_of_one_line_are_named_together() -> None:
    pandas, numpy = (
        library("<module>", filename=f"/usr/lib/python3.11/site-packages/{name}/__init__.py")
        for name in ("pandas", "numpy")
    )
    stacks, nodes = tree([LOAD, IMPORT, pandas], [LOAD, IMPORT, numpy])
    lives = tuple(lifetime(node) for node in nodes)
    found = advise(case(heap(stacks, lives), phase(), lives))
    assert found is not None
    assert found.evidence["call"] == "pandas, numpy"
    assert found.evidence["held_bytes"] == 20 * MB


def test_an_import_without_a_name_is_not_blamed() -> None:
    assert advice_of([LOAD, IMPORT, stdlib("get_data")]) is None


@pytest.mark.parametrize(
    ("born", "grows"),
    [
        ([1, 2, 3, 4, 5], True),
        ([1, 2, 3, 4], True),
        ([1, 2, 3], False),
        ([1, 2, 5], False),
        ([1, 1, 1, 1, 1], False),
        ([], False),
    ],
)
def test_growth_in_nearly_every_repeat_is_steady(born: list[int], grows: bool) -> None:
    lives = [lifetime(born=place, bytes=MB) for place in born] or [lifetime(born=7)]
    suggestion = judged([LOAD], repeated(5), lives)
    assert (suggestion is not None) is grows
    if suggestion is not None:
        assert suggestion.advice is Advice.REPEATED_GROWTH
        assert suggestion.evidence["slope_bytes"] == MB


def test_a_warm_up_is_told_apart_from_the_slope() -> None:
    lives = [lifetime(born=place, bytes=MB) for place in range(1, 11)]
    lives.append(lifetime(born=1, bytes=40 * MB))
    suggestion = judged([LOAD], repeated(10), lives)
    assert suggestion is not None
    assert suggestion.evidence == {
        "repeats": 10,
        "growing": 10,
        "slope_bytes": MB,
        "warm_up_bytes": 40 * MB,
    }


def test_growth_that_is_freed_again_before_the_end_is_no_leak() -> None:
    lives = [lifetime(born=place, died=place + 1, bytes=MB) for place in range(1, 11)]
    assert judged([LOAD], repeated(10), lives) is None


@pytest.mark.parametrize(
    ("called", "container"),
    [
        ([native("list_resize")], "list"),
        ([native("insertdict"), native("insertion_resize"), native("malloc")], "dict"),
        ([stdlib("inner"), native("list_resize")], "list"),
        ([native("list_resize"), stdlib("inner")], None),
        ([native("bytearray_append"), native("PyByteArray_Resize")], "bytearray"),
        ([native("bytearray___init___impl"), native("PyByteArray_Resize")], None),
        ([native("_io_BytesIO_write"), native("resize_buffer")], "BytesIO"),
        ([native("_io_StringIO_write"), native("write_str"), native("resize_buffer")], "StringIO"),
        ([native("_io_BytesIO_getvalue"), native("_PyBytes_Resize")], "BytesIO"),
        ([native("_io_FileIO_readall"), native("_PyBytes_Resize")], None),
        ([native("stringio_iternext"), native("realize"), native("resize_buffer")], "StringIO"),
        ([native("array_resize", filename="/src/Modules/arraymodule.c")], "array"),
        ([native("array_resize", filename="/x/site-packages/numpy/_core/_umath.so")], None),
    ],
)
def test_a_growing_container_is_known_by_what_resized_it(
    called: list[Frame], container: str | None
) -> None:
    suggestion = judged([LOAD, *called])
    assert (suggestion and suggestion.evidence["container"]) == container
    assert suggestion is None or suggestion.advice is Advice.GROWING_CONTAINER


@pytest.mark.parametrize(
    ("untouched", "others", "free", "said"),
    [
        (8 * MB, 0, 0, 8 * MB),
        (8 * MB, MB, 0, 7 * MB),  # another line may have as much of it
        (8 * MB, 0, MB, 7 * MB),  # it may have been resident before
        (8 * MB, 4 * MB, 0, None),
        (8 * MB, 0, 4 * MB, None),
        (4 * MB, 0, 0, None),
        (11 * MB, 0, 0, None),  # more than the line has
    ],
)
def test_a_gap_is_put_on_a_line_that_must_have_most_of_it(
    untouched: int, others: int, free: int, said: int | None
) -> None:
    plain = phase()
    assert plain.heap is not None
    grown = replace(
        plain,
        parts=Parts(10 * MB, 0, unknown=-untouched),
        rss_delta_bytes=2 * MB,
        rss_start_bytes=free,
        heap=replace(plain.heap, kept_bytes=10 * MB + others),
    )
    suggestion = judged([LOAD], grown)
    assert (suggestion and suggestion.evidence["untouched_bytes"]) == said
    assert suggestion is None or suggestion.advice is Advice.UNTOUCHED


def rounds_that_join(
    sizes: Sequence[int], called: Sequence[Frame] = (native("PyUnicode_Concat"),)
) -> Suggestion | None:
    """Make a value of each of ``sizes`` (MB) in one segment; the last is kept."""
    stacks, (node,) = tree([LOAD, *called])
    kept = lifetime(node, bytes=sizes[-1] * MB)
    dead = [lifetime(node, died=1, bytes=size * MB) for size in sizes[:-1]]
    held = heap(
        stacks,
        [kept],
        transients=LifetimeList(dead),
        largest=tuple(LargeAllocation(node, 1, 1, size * MB) for size in sizes),
    )
    return advise(case(held, phase(), [kept]))


def test_a_value_that_grows_by_being_joined_is_copied_in_each_round() -> None:
    found = rounds_that_join(range(1, 11))
    assert found is not None
    assert found.advice is Advice.MADE_ANEW
    assert found.evidence == {
        "call": "str +",
        "times": 10,
        "allocated_bytes": 55 * MB,
        "held_bytes": 10 * MB,
    }


@pytest.mark.parametrize("sizes", [[10] * 10, [1, 2, 3, 4], [1, 1, 1, 1, 1, 10]])
def test_values_of_one_size_or_few_of_them_are_no_copies(sizes: list[int]) -> None:
    assert rounds_that_join(sizes) is None


def test_a_library_that_joins_for_itself_is_not_the_loop_of_the_line() -> None:
    join = native("array_concatenate")
    assert rounds_that_join(range(1, 11), [library("fit"), join]) is None
    found = rounds_that_join(range(1, 11), [library("concat"), join])
    assert found is not None
    assert found.evidence["call"] == "concat"


@pytest.mark.parametrize(
    ("wrapper", "advice"),
    [
        ("bounded_lru_cache_wrapper", Advice.BOUNDED_RESULTS),
        ("infinite_lru_cache_wrapper", Advice.CACHED_RESULTS),
    ],
)
def test_what_a_cached_function_made_is_kept_with_its_results(wrapper: str, advice: Advice) -> None:
    stacks, (node,) = tree([frame(), native(wrapper), frame("load"), LOAD])
    lives = (lifetime(node),)
    found = advise(case(heap(stacks, lives), phase(), lives))
    assert found == Suggestion(advice, {"call": "load", "held_bytes": 10 * MB})


def test_the_segments_of_a_phase_are_rounds_too() -> None:
    rounds = phase(stretches=(Stretch(0, 8),))
    lives = [lifetime(born=place, bytes=MB) for place in range(1, 9)]
    suggestion = judged([LOAD], rounds, lives)
    assert suggestion is not None
    assert suggestion.advice is Advice.REPEATED_GROWTH
    assert suggestion.evidence["repeats"] == 8


CALLED = (DEEP_COPY, IMPORT, library("<module>"), native("list_resize"), native("list_concat"))


@given(st.data())
@examples(150)
def test_no_advice_rests_on_more_than_its_finding_or_on_half_of_it(data: st.DataObject) -> None:
    paths = data.draw(st.lists(st.lists(st.sampled_from(CALLED), max_size=3), min_size=1))
    stacks, nodes = tree(*([LOAD, *path] for path in paths))
    sizes = st.integers(1, 20)
    lives = [lifetime(node, bytes=data.draw(sizes) * MB) for node in dict.fromkeys(nodes)]
    judged_case = case(heap(stacks, lives), phase(), lives)
    suggestion = advise(judged_case)
    if suggestion is not None:
        held = suggestion.evidence["held_bytes"]
        assert judged_case.culprit.bytes / 2 < held <= judged_case.culprit.bytes


HELD = Holders(1, 10 * MB, (), (HeldPath("job.A", 10 * MB, 10 * MB),))


def held_by(*causes: HeldCause, size: int = 10 * MB, **changes: Any) -> Suggestion | None:
    """What is said of 10 MB of a line that held ``size`` when its holders were recorded."""
    stacks, (node,) = tree([LOAD, native("infinite_lru_cache_wrapper"), frame("made")])
    lives = (lifetime(node, 1, bytes=10 * MB),)
    known = replace(HELD, bytes=size, causes=causes, **changes)
    return advise(replace(case(heap(stacks, lives), phase(), lives), holders=known))


CACHE = HeldCause(Cause.UNBOUNDED_CACHE, "job.load", 9 * MB)


def test_who_holds_the_bytes_tells_the_cause() -> None:
    evidence = {"held_bytes": 9 * MB, "path": "job.load"}
    assert held_by(CACHE) == Suggestion(Advice.UNBOUNDED_CACHE, evidence)
    rows = HeldCause(Cause.SUSPENDED, "job.P[0]", 10 * MB, "generator rows()")
    assert held_by(rows) == Suggestion(
        Advice.SUSPENDED,
        {"held_bytes": 10 * MB, "path": "job.P[0]", "call": "generator rows()"},
    )
    found = held_by(garbage_bytes=8 * MB, paths=())
    assert found == Suggestion(Advice.GARBAGE_GC_OFF, {"held_bytes": 8 * MB})


def test_where_the_collector_was_turned_off_is_told() -> None:
    stacks, (node,) = tree([LOAD, frame("made")])
    lives = (lifetime(node, 1, bytes=10 * MB),)
    look = HeapSnapshot(1, (), (), held([]), 0, 0, 8 * MB, 0, False, "/home/an/job.py:7")
    known = replace(HELD, garbage_bytes=8 * MB, paths=())
    of_line = case(replace(heap(stacks, lives), snapshots=(look,)), phase(), lives)
    assert advise(replace(of_line, holders=known)) == Suggestion(
        Advice.GARBAGE_GC_OFF, {"held_bytes": 8 * MB, "place": "job.py:7"}
    )


def test_a_guess_gives_way_to_another_holder() -> None:
    assert held_by() is None
    assert held_by(paths=()) is not None  # nobody is known to hold them


def test_bytes_of_other_phases_are_no_evidence() -> None:
    """Of 30 MB of the line 9 are in the cache: perhaps none of the finding's."""
    assert held_by(CACHE, size=30 * MB) is None
    assert held_by(replace(CACHE, bytes=29 * MB), size=30 * MB) is not None
    assert held_by(replace(CACHE, bytes=4 * MB)) is None


@pytest.mark.parametrize(("calls", "is_told"), [(100, True), (99, False)])
def test_frames_of_a_recursion_are_told_with_its_depth(calls: int, *, is_told: bool) -> None:
    chunk = (native("push_chunk"), native("allocate_chunk"), native("_PyObject_ArenaMmap"))
    shallow, deep = ((*[LOAD] * depth, *chunk) for depth in (3, calls))
    stacks, nodes = tree(list(shallow), list(deep))
    lives = [lifetime(node, bytes=size * MB) for node, size in zip(nodes, (6, 4), strict=True)]
    found = advise(case(heap(stacks, lives), phase(), lives))
    evidence = {"call": "load_config", "times": calls, "held_bytes": 10 * MB}
    assert found == (Suggestion(Advice.RECURSION, evidence) if is_told else None)


def test_frames_that_exceptions_keep_are_no_recursion() -> None:
    made = [native("PyTraceBack_Here"), native("_PyFrame_New_NoTrack"), native("malloc")]
    assert judged([LOAD, *made]) is None
