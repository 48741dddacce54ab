"""Advice is given only where stack or growth support it, and always with its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from factories import MB, frame, heap, library, lifetime, native, phase, stdlib, tree

from memdeep.analysis.advice import Case, Suggestion, advise
from memdeep.model import Advice, Culprit, Frame, Gap, Lifetime, Phase, Stretch

LOAD = frame("load_config")
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
    culprit = Culprit(LOAD, node, 10 * MB, 7, share=0.5)
    return advise(Case(heap(stacks, lives), of_phase or phase(), culprit, lives))


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
        (library("_pickle_loads"), Advice.UNPICKLE),
        (frame("_pickle_load", filename=""), Advice.UNPICKLE),
        (IMPORT, Advice.IMPORT),
        (stdlib("dumps"), None),
        (stdlib("loads", filename="/app/mine.py"), None),
        (stdlib("loads", filename="/app/notjson/__init__.py"), None),
        (frame("deepcopy", filename="/app/mine.py"), None),
    ],
)
def test_what_the_line_called_decides(called: Frame, advice: Advice | None) -> None:
    assert advice_of([frame(), LOAD, called, stdlib("inner")]) is advice


def test_what_called_the_line_does_not_count() -> None:
    assert advice_of([frame(), IMPORT, LOAD]) is None


def test_the_outermost_call_explains_the_inner_ones() -> None:
    assert advice_of([LOAD, IMPORT, DEEP_COPY]) is Advice.IMPORT


def test_the_stack_says_more_than_the_repeats() -> None:
    lives = [lifetime(born=place + 1) for place in range(9)]
    suggestion = judged([LOAD, DEEP_COPY], repeated(9), lives)
    assert suggestion is not None
    assert suggestion.advice is Advice.DEEP_COPY
    assert suggestion.evidence["stretches"] == 9


def test_the_copy_factor_is_the_heap_with_the_copies_to_the_heap_without() -> None:
    stacks, (copied, other) = tree([LOAD, DEEP_COPY], [frame("other")])
    lives = (
        lifetime(copied, bytes=30 * MB),
        lifetime(other, bytes=20 * MB),
        lifetime(copied, bytes=90 * MB, died=1, born=1),
    )
    culprit = Culprit(LOAD, copied, 30 * MB, 1, share=1.0)
    found = advise(Case(heap(stacks, lives), phase(), culprit, lives[:1]))
    assert found is not None
    assert found.evidence == {
        "copied_bytes": 30 * MB,
        "heap_bytes": 50 * MB,
        "factor": 2.5,
        "stretches": 1,
    }


def test_a_parse_is_named_as_the_user_calls_it() -> None:
    suggestion = judged([LOAD, stdlib("load")])
    assert suggestion is not None
    assert suggestion.evidence == {"call": "json.load", "held_bytes": 10 * MB, "held_share": 0.5}


def test_an_import_names_the_module() -> None:
    module = library("<module>", filename="/usr/lib/python3/site-packages/pandas/__init__.py")
    suggestion = judged([LOAD, IMPORT, module, library()])
    assert suggestion is not None
    assert suggestion.evidence["module"] == "pandas"


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
    ],
)
def test_a_growing_container_is_known_by_what_resized_it(
    called: list[Frame], container: str | None
) -> None:
    suggestion = judged([LOAD, *called])
    assert (suggestion and suggestion.evidence["container"]) == container


def test_memory_that_was_not_touched_is_called_a_reservation() -> None:
    grown = replace(phase(), gap=Gap(0, 0, untouched_bytes=8 * MB), rss_delta_bytes=2 * MB)
    suggestion = judged([LOAD], grown)
    assert suggestion is not None
    assert suggestion.advice is Advice.UNTOUCHED
    assert suggestion.evidence["untouched_bytes"] == 8 * MB
    assert judged([LOAD], replace(grown, gap=Gap(0, 0, untouched_bytes=MB))) is None


def test_the_segments_of_a_phase_are_rounds_too() -> None:
    rounds = phase(stretches=(Stretch(0, 8),))
    lives = [lifetime(born=place, bytes=MB) for place in range(1, 9)]
    suggestion = judged([LOAD], rounds, lives)
    assert suggestion is not None
    assert suggestion.advice is Advice.REPEATED_GROWTH
    assert suggestion.evidence["repeats"] == 8
