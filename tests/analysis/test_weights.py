"""How a finding is told follows from its weight, its arenas, its thread and its repeats."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import MB, analysed, culprit, frame, lifetime, native, report, run, tree

from memdeep.analysis.weights import (
    Passed,
    arena_bytes,
    in_arenas,
    in_other_thread,
    passed_through,
    small,
)
from memdeep.heap.stacks import thread_frame
from memdeep.model import Finding, FindingKind, Frame, Mode, Report
from memdeep.report import sentences, terminal
from memdeep.text.language import language

ARENA = (frame("make"), native("PyTuple_New"), native("new_arena"), native("_PyObject_ArenaMmap"))
OTHER_ARENA = (frame("make"), native("PyFloat_FromDouble"), native("_PyObject_ArenaMmap"))
BUFFER = (frame("make"), native("array_new"), native("malloc"))
# What holds the frames of a recursion in CPython 3.11, with names of inlined functions and without.
CHUNKS = (
    (frame("deep"), native("push_chunk"), native("allocate_chunk"), native("_PyObject_ArenaMmap")),
    (frame("deep"), native("_PyThreadState_PushFrame"), native("_PyObject_ArenaMmap")),
)


def rounds(*names: str) -> tuple[str, ...]:
    return tuple(step for name in names for step in (f"+{name}", f"-{name}"))


def kept(*stacks: tuple[tuple[Frame, ...], int], deep: bool = False) -> Report:
    """A phase that keeps so many MB of each stack."""
    grown, nodes = tree(*(list(stack) for stack, _ in stacks))
    sizes = [size for _, size in stacks]
    lives = [lifetime(node, 2, bytes=size * MB) for node, size in zip(nodes, sizes, strict=True)]
    recorded = replace(run(*rounds("a")), mode=Mode("memray", True, deep))
    return analysed(recorded, grown, lives)


@pytest.mark.parametrize(
    ("arenas", "others", "deep", "expected"),
    [(30, 0, False, True), (30, 20, False, True), (20, 30, False, False), (30, 0, True, False)],
)
def test_a_line_is_in_arenas_where_most_of_its_bytes_are(
    arenas: int, others: int, deep: bool, expected: bool
) -> None:
    parts = [(ARENA, arenas // 2), (OTHER_ARENA, arenas // 2), (BUFFER, others)]
    made = kept(*(part for part in parts if part[1]), deep=deep)
    assert in_arenas(made, made.findings[0]) is expected


@pytest.mark.parametrize("chunk", CHUNKS)
def test_frames_of_a_recursion_are_in_no_arena(chunk: tuple[Frame, ...]) -> None:
    made = kept((chunk, 30))
    assert not in_arenas(made, made.findings[0])


def test_what_repeats_retained_and_later_ones_freed_has_passed_through() -> None:
    grown, (node,) = tree([frame("make")])
    lives = [lifetime(node, 2 * k, None if k == 9 else 2 * k + 2) for k in range(1, 10)]
    made = analysed(run(*rounds(*["day"] * 9)), grown, lives)
    assert passed_through(made, made.findings[0]) == Passed(9, 90 * MB, 80 * MB)


def test_what_all_stayed_has_not_passed_through() -> None:
    grown, (node,) = tree([frame("make")])
    lives = [lifetime(node, 2 * k) for k in range(1, 10)]
    made = analysed(run(*rounds(*["day"] * 9)), grown, lives)
    assert passed_through(made, made.findings[0]) is None


def test_findings_far_below_the_first_are_small_and_the_first_is_not() -> None:
    sizes = [100, 40, 4, 5]
    found = [
        Finding(FindingKind.GROWTH, 0, (0,), size * MB, 0.5, culprit(), None) for size in sizes
    ]
    assert small(report((), found)) == (False, False, True, False)
    assert small(report((), found[2:3])) == (False,)
    assert small(report()) == ()


def test_a_stack_of_another_thread_is_known_as_one() -> None:
    stacks, nodes = tree(
        [thread_frame("MainThread"), frame("a")], [thread_frame("worker"), frame("a")], [frame("a")]
    )
    assert [in_other_thread(stacks, node) for node in nodes] == [False, True, False]


@pytest.mark.parametrize(
    ("size", "allocations", "expected"), [(2 * MB, 2, 2 * MB), (2 * MB + 66, 2, 0), (2 * MB, 1, 0)]
)
def test_arenas_of_an_interpreter_without_names_are_known_by_their_size(
    size: int, allocations: int, expected: int
) -> None:
    stacks, (node,) = tree([frame("make"), native("<unknown in python3.11>")])
    life = lifetime(node, bytes=size, allocations=allocations)
    assert arena_bytes(stacks, [life]) == expected


def test_an_interpreter_without_names_is_named_in_the_notes() -> None:
    stacks, _ = tree([frame("make"), native("<unknown in libpython3.12.so.1.0>")])
    made = analysed(run(), stacks, [])
    for code in ("en", "zh"):
        assert any("DEBUGINFOD_URLS" in note for note in sentences.notes(made, language(code)))
        assert "DEBUGINFOD_URLS" in b"".join(terminal.encode(made)).decode()
    plain, _ = tree([frame("make"), native("<unknown in libthing.so>")])
    assert not sentences.has_nameless_interpreter(analysed(run(), plain, []))
