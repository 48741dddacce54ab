"""Native frames and Python frames become one stack, as memray's hybrid stacks do."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdeep.model import RawFrame
from memdeep.symbols.merge import is_eval_loop, merge

EVAL: RawFrame = ("_PyEval_EvalFrameDefault", "ceval.c", 5)
COLD: RawFrame = ("_PyEval_EvalFrameDefault.cold", "ceval.c", 0)
TAIL: RawFrame = ("_TAIL_CALL_CALL.llvm.12", "generated_cases.c.h", 9)
CALL: RawFrame = ("_PyObject_Vectorcall", "call.c", 1)
MALLOC: RawFrame = ("malloc", "malloc.c", 2)
MAIN: RawFrame = ("main", "main.c", 3)
A: RawFrame = ("a", "prog.py", 1)
B: RawFrame = ("b", "prog.py", 2)
C: RawFrame = ("c", "prog.py", 3)
D: RawFrame = ("d", "prog.py", 4)


def merged(python: Sequence[tuple[RawFrame, bool]], native: Sequence[RawFrame]) -> list[RawFrame]:
    """Outermost first, in and out, for reading."""
    python = python[::-1]
    frames, entries = [frame for frame, _ in python], [entry for _, entry in python]
    return merge(frames, entries, native[::-1])[::-1]


@pytest.mark.parametrize("loop", [EVAL, COLD, TAIL])
def test_a_python_frame_takes_the_place_of_the_loop_that_ran_it(loop: RawFrame) -> None:
    assert merged([(A, True), (B, True)], [MAIN, loop, CALL, loop, MALLOC]) == [
        *(MAIN, A, CALL, B, MALLOC)
    ]


def test_frames_entered_without_leaving_the_loop_follow_its_first() -> None:
    assert merged(
        [(A, True), (B, False), (C, False), (D, True)], [MAIN, EVAL, CALL, EVAL, MALLOC]
    ) == [MAIN, A, B, C, CALL, D, MALLOC]


def test_a_loop_that_had_not_told_its_frame_yet_stays_native() -> None:
    """It allocated before it called the profile function."""
    assert merged([(A, True)], [MAIN, EVAL, CALL, EVAL, MALLOC]) == [MAIN, A, CALL, EVAL, MALLOC]


def test_a_first_frame_that_is_no_entry_is_still_the_loops() -> None:
    assert merged([(A, False), (B, True)], [EVAL, CALL, EVAL]) == [A, CALL, B]


def test_without_a_python_stack_the_native_one_remains() -> None:
    assert merged([], [MAIN, EVAL, MALLOC]) == [MAIN, EVAL, MALLOC]
    assert merged([], []) == []


def test_an_interpreter_without_symbols_leaves_the_python_stack() -> None:
    python = [(A, True), (B, True), (C, True)]
    assert merged(python, [MAIN, EVAL, CALL, MALLOC]) == [A, B, C]


def test_loops_are_known_by_name() -> None:
    assert is_eval_loop("_PyEval_EvalFrameDefault.lto_priv.0")
    assert is_eval_loop("_TAIL_CALL_LOAD_FAST")
    assert not is_eval_loop("_PyEval_EvalFrame")
    assert not is_eval_loop("not_TAIL_CALL_")


python_frames = st.lists(st.tuples(st.sampled_from([A, B, C, D]), st.booleans()), max_size=8)
native_frames = st.lists(st.sampled_from([EVAL, TAIL, CALL, MALLOC, MAIN]), max_size=12)


@given(python_frames, native_frames)
def test_no_python_frame_is_lost_or_moved(
    python: list[tuple[RawFrame, bool]], native: list[RawFrame]
) -> None:
    stack = merged(python, native)
    assert [frame for frame in stack if frame in (A, B, C, D)] == [frame for frame, _ in python]


@given(python_frames, native_frames)
def test_no_native_frame_is_lost_but_the_loops_that_were_replaced(
    python: list[tuple[RawFrame, bool]], native: list[RawFrame]
) -> None:
    stack = merged(python, native)
    loops = [frame for frame in native if is_eval_loop(frame[0])]
    groups = sum(entry for _, entry in python[1:]) + bool(python)
    if groups > len(loops):
        assert stack == [frame for frame, _ in python]
    else:
        kept = [frame for frame in stack if frame not in (A, B, C, D)]
        assert len(kept) == len(native) - groups
