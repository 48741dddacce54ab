"""Advice is given only where stack or repeats support it."""

from __future__ import annotations

import pytest
from factories import MB, frame, library, phase, stdlib

from memdeep.analysis.advice import advise
from memdeep.model import Advice, Frame, Phase, Stretch

LOAD = frame("load_config")
DEEP_COPY = stdlib("deepcopy", filename="/usr/lib/python3.11/copy.py")
IMPORT = stdlib("_find_and_load", filename="<frozen importlib._bootstrap>")


def repeated(*heap_deltas_bytes: int) -> Phase:
    stretches = tuple(Stretch(place, place + 1) for place in range(len(heap_deltas_bytes)))
    return phase(stretches=stretches, deltas_bytes=heap_deltas_bytes)


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
        (frame("deepcopy", filename="/app/mine.py"), None),
    ],
)
def test_what_the_line_called_decides(called: Frame, advice: Advice | None) -> None:
    assert advise([frame(), LOAD, called, stdlib("inner")], LOAD, phase()) is advice


def test_what_called_the_line_does_not_count() -> None:
    assert advise([frame(), IMPORT, LOAD], LOAD, phase()) is None


def test_the_outermost_call_explains_the_inner_ones() -> None:
    assert advise([LOAD, IMPORT, DEEP_COPY], LOAD, phase()) is Advice.IMPORT


@pytest.mark.parametrize(
    ("deltas", "advice"),
    [
        ((MB,) * 5, Advice.REPEATED_GROWTH),
        ((MB, MB, MB, MB, 0), Advice.REPEATED_GROWTH),
        ((MB, MB, MB, -MB, 0), None),
        ((MB,) * 4, None),
        ((0,) * 50, None),
    ],
)
def test_growth_in_nearly_every_repeat_is_steady(
    deltas: tuple[int, ...], advice: Advice | None
) -> None:
    assert advise([LOAD], LOAD, repeated(*deltas)) is advice


def test_the_stack_says_more_than_the_repeats() -> None:
    assert advise([LOAD, DEEP_COPY], LOAD, repeated(*(MB,) * 9)) is Advice.DEEP_COPY
