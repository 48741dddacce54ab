"""Stacks share their outer ends in one tree, and show the program's own frames, not ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import memdeep
from memdeep.heap.origins import Origins
from memdeep.heap.stacks import NO_STACK_FRAME, OWN_FRAME, StackTreeBuilder
from memdeep.model import Frame, Origin, RawFrame

OWN = str(Path(memdeep.__file__).parent / "record")
STDLIB = "/usr/lib/python3.11"

BOOTSTRAP: RawFrame = ("<module>", f"{OWN}/bootstrap.py", 9)
PROGRAM: RawFrame = ("run", f"{OWN}/program.py", 40)
RUN_PATH: RawFrame = ("run_path", "<frozen runpy>", 291)
RUN_CODE: RawFrame = ("_run_code", f"{STDLIB}/runpy.py", 88)
API: RawFrame = ("phase", f"{OWN}/api.py", 70)
THREADING: RawFrame = ("_bootstrap", f"{STDLIB}/threading.py", 1002)
JSON: RawFrame = ("loads", f"{STDLIB}/json/__init__.py", 346)
MAIN: RawFrame = ("<module>", "/app/prog.py", 3)
LOAD: RawFrame = ("load", "/app/prog.py", 12)
EVAL: RawFrame = ("_PyEval_EvalFrame", "ceval.c", 100)
MALLOC: RawFrame = ("malloc", "malloc.c", 7)

LAUNCH = [BOOTSTRAP, PROGRAM, RUN_PATH, RUN_CODE]
ALL_FRAMES = [*LAUNCH, API, THREADING, JSON, MAIN, LOAD]
NATIVE_FRAMES = [EVAL, MALLOC]


def builder() -> StackTreeBuilder:
    return StackTreeBuilder(Origins([STDLIB], [f"{STDLIB}/site-packages"]))


def shown(
    *outermost_first: RawFrame, hybrid: Sequence[RawFrame] | None = None
) -> tuple[Frame, ...]:
    """The frames of the stack that is made of one stack of memray's (innermost first there)."""
    stacks = builder()
    given_hybrid = None if hybrid is None else list(reversed(hybrid))
    node = stacks.add(list(reversed(outermost_first)), given_hybrid)
    return stacks.build().stack(node)


def names(frames: Sequence[Frame]) -> list[str]:
    return [frame.function for frame in frames]


def test_a_stack_comes_out_outermost_first_with_its_origins() -> None:
    assert shown(MAIN, LOAD, JSON) == (
        Frame(*MAIN, Origin.USER),
        Frame(*LOAD, Origin.USER),
        Frame(*JSON, Origin.STDLIB),
    )


def test_equal_stacks_are_one_node_and_share_their_outer_ends() -> None:
    stacks = builder()
    first = stacks.add([LOAD, MAIN], None)
    again = stacks.add([LOAD, MAIN], None)
    other = stacks.add([JSON, LOAD, MAIN], None)
    tree = stacks.build()
    assert first == again
    assert tree.parents[other] == first
    assert len(tree.parents) == 3


def test_two_lines_of_one_function_are_two_nodes() -> None:
    stacks = builder()
    assert stacks.add([("load", "/app/prog.py", 12)], None) != stacks.add(
        [("load", "/app/prog.py", 13)], None
    )


def test_what_starts_the_program_is_taken_off() -> None:
    assert names(shown(*LAUNCH, MAIN, LOAD)) == ["<module>", "load"]


def test_our_wrapper_in_the_middle_of_a_stack_is_taken_out() -> None:
    assert names(shown(*LAUNCH, MAIN, API, LOAD)) == ["<module>", "load"]


def test_what_an_executor_does_in_our_wrapper_is_its_users() -> None:
    between = ("submit_named", str(Path(OWN).parent / "integrations" / "futures.py"), 61)
    submit = ("submit", f"{STDLIB}/concurrent/futures/process.py", 809)
    assert names(shown(*LAUNCH, MAIN, between, submit)) == ["<module>", "submit"]


def test_runpy_that_the_program_itself_calls_stays() -> None:
    assert names(shown(*LAUNCH, MAIN, RUN_PATH, LOAD)) == ["<module>", "run_path", "load"]


def test_a_thread_of_the_program_keeps_all_its_frames() -> None:
    assert names(shown(THREADING, LOAD)) == ["_bootstrap", "load"]


@pytest.mark.parametrize(
    "stack", [LAUNCH[:2], LAUNCH, [*LAUNCH, MAIN, API], [*LAUNCH, MAIN, API, JSON, THREADING]]
)
def test_what_recording_itself_allocates_is_ours(stack: Sequence[RawFrame]) -> None:
    assert shown(*stack) == (OWN_FRAME,)


def test_memory_without_a_stack_says_so() -> None:
    assert shown() == (NO_STACK_FRAME,)
    assert shown(hybrid=[]) == (NO_STACK_FRAME,)


def test_native_frames_are_told_from_python_ones() -> None:
    frames = shown(MAIN, LOAD, hybrid=[EVAL, MAIN, EVAL, LOAD, MALLOC])
    assert names(frames) == ["_PyEval_EvalFrame", "<module>", "_PyEval_EvalFrame", "load", "malloc"]
    assert [frame.origin is Origin.NATIVE for frame in frames] == [True, False, True, False, True]


def test_the_interpreters_frames_before_the_program_go_with_what_started_it() -> None:
    hybrid = [EVAL, BOOTSTRAP, EVAL, PROGRAM, RUN_PATH, RUN_CODE, EVAL, MAIN, EVAL, LOAD, MALLOC]
    frames = shown(*LAUNCH, MAIN, LOAD, hybrid=hybrid)
    assert names(frames) == ["<module>", "_PyEval_EvalFrame", "load", "malloc"]


@pytest.mark.parametrize("script", [[], [("<module>", "/usr/bin/memray", 8)]])
def test_what_memray_starts_a_program_with_is_taken_off(script: list[RawFrame]) -> None:
    memray: RawFrame = ("main", f"{STDLIB}/site-packages/memray/commands/run.py", 5)
    assert names(shown(*script, memray, RUN_PATH, RUN_CODE, MAIN, LOAD)) == ["<module>", "load"]


def test_a_launcher_is_shown_where_it_is_all_there_is() -> None:
    assert names(shown(RUN_PATH, RUN_CODE)) == ["run_path", "_run_code"]


def test_a_native_stack_without_any_python_is_kept() -> None:
    assert names(shown(hybrid=[EVAL, MALLOC])) == ["_PyEval_EvalFrame", "malloc"]


def test_recursion_keeps_every_level() -> None:
    assert names(shown(MAIN, LOAD, LOAD, LOAD)) == ["<module>", "load", "load", "load"]
    assert names(shown(MAIN, LOAD, LOAD, hybrid=[MAIN, LOAD, LOAD])) == ["<module>", "load", "load"]


@st.composite
def raw_stacks(draw: st.DrawFn) -> tuple[list[RawFrame], list[RawFrame] | None]:
    python = draw(st.lists(st.sampled_from(ALL_FRAMES), max_size=6))
    if draw(st.booleans()):
        return python, None
    hybrid = list(python)
    for _ in range(draw(st.integers(0, 4))):
        hybrid.insert(draw(st.integers(0, len(hybrid))), draw(st.sampled_from(NATIVE_FRAMES)))
    return python, hybrid


@given(added=st.lists(raw_stacks(), min_size=1, max_size=8))
def test_every_stack_has_a_node_and_every_parent_comes_first(
    added: list[tuple[list[RawFrame], list[RawFrame] | None]],
) -> None:
    stacks = builder()
    nodes = [stacks.add(python, hybrid) for python, hybrid in added]
    tree = stacks.build()
    assert len(tree.parents) == len(tree.frame_ids)
    assert all(-1 <= parent < node for node, parent in enumerate(tree.parents))
    assert all(0 <= node < len(tree.parents) for node in nodes)


@given(stack=raw_stacks())
def test_no_frame_is_invented_and_their_order_is_kept(
    stack: tuple[list[RawFrame], list[RawFrame] | None],
) -> None:
    python, hybrid = stack
    frames = shown(*python, hybrid=hybrid)
    assert not any(frame.filename.startswith(OWN) for frame in frames)
    if frames not in ((OWN_FRAME,), (NO_STACK_FRAME,)):
        remaining = iter(python if hybrid is None else hybrid)
        for frame in frames:
            assert (frame.function, frame.filename, frame.lineno) in remaining
