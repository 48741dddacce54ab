"""Lines of an edited program are found again, and equal keys mean the same line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from factories import frame, heap, library, native, report, thread_root, tree
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.analysis.compare.lines import LineMatch, match_lines
from memdeep.model import Frame, Report
from memdeep.model.comparison import Match

Program = Mapping[str, Sequence[tuple[str, str]]]  # by file: function and text of each line

MAIN = "/app/main.py"


def at(path: str, lineno: int, function: str) -> Frame:
    return frame(function, filename=path, lineno=lineno)


def of(program: Program, *others: Frame, sources: bool = True) -> Report:
    """A report whose stacks are the lines of a program; those of "" do nothing."""
    frames = [
        at(path, number, function)
        for path, lines in program.items()
        for number, (function, text) in enumerate(lines, 1)
        if function
    ]
    main = at(MAIN, 900, "<module>")
    stacks, _ = tree([main], *([main, one] for one in frames), *([main, one] for one in others))
    texts = {
        (path, number): f"    {text}"
        for path, lines in program.items()
        for number, (_, text) in enumerate(lines, 1)
    }
    return report(heap=heap(stacks), sources=texts if sources else {})


def keys(match: LineMatch, one: Frame, other: Frame) -> tuple[int, int]:
    return match.before(one), match.after(other)


def is_same(match: LineMatch, one: Frame, other: Frame) -> bool:
    return match.before(one) == match.after(other)


LOAD = [("load", "rows = read(path)"), ("load", "table = [row for row in rows]")]


def test_inserted_lines_shift_a_line_and_leave_it_the_same() -> None:
    after = [("", "import gc"), ("", ""), LOAD[0], ("load", "gc.collect()"), LOAD[1]]
    match = match_lines(of({MAIN: LOAD}), of({MAIN: after}))
    for old, new in ((1, 3), (2, 5)):
        assert is_same(match, at(MAIN, old, "load"), at(MAIN, new, "load"))
        assert match.match(match.before(at(MAIN, old, "load"))) is Match.SAME
    assert match.match(match.after(at(MAIN, 4, "load"))) is Match.ADDED


def test_equal_lines_of_a_function_are_told_apart_by_their_order() -> None:
    twice = [("load", "rows += read()"), ("load", "rows += read()")]
    match = match_lines(of({MAIN: twice}), of({MAIN: [("", "x = 1"), *twice]}))
    assert is_same(match, at(MAIN, 1, "load"), at(MAIN, 2, "load"))
    assert is_same(match, at(MAIN, 2, "load"), at(MAIN, 3, "load"))


def test_of_equal_lines_the_one_that_was_removed_is_known_by_those_around_it() -> None:
    before = [
        *(("", "a = one()"), ("load", "rows += read()"), ("", "b = two()")),
        *(("", "c = three()"), ("load", "rows += read()"), ("", "d = four()")),
    ]
    match = match_lines(of({MAIN: before}), of({MAIN: before[3:]}))
    assert is_same(match, at(MAIN, 5, "load"), at(MAIN, 2, "load"))
    assert match.match(match.before(at(MAIN, 2, "load"))) is Match.REMOVED


def test_an_edited_line_is_known_by_its_likeness() -> None:
    after = [LOAD[0], ("load", "table = tuple(row for row in rows)")]
    match = match_lines(of({MAIN: LOAD}), of({MAIN: after}))
    assert is_same(match, at(MAIN, 2, "load"), at(MAIN, 2, "load"))
    assert match.match(match.before(at(MAIN, 2, "load"))) is Match.EDITED


def test_the_only_line_between_two_others_was_edited_however_unlike() -> None:
    after = [LOAD[0], ("load", "df = DataFrame.from_records(stream)")]
    match = match_lines(of({MAIN: LOAD}), of({MAIN: after}))
    assert is_same(match, at(MAIN, 2, "load"), at(MAIN, 2, "load"))


def test_a_function_that_went_to_another_file_takes_its_lines_along() -> None:
    other = "/app/io/reading.py"
    match = match_lines(of({MAIN: LOAD}), of({MAIN: [], other: [("", "import os"), *LOAD]}))
    one, new = at(MAIN, 1, "load"), at(other, 2, "load")
    assert is_same(match, one, new)
    assert match.match(match.before(one)) is Match.MOVED
    assert not match.files


def test_an_edited_line_is_found_in_a_function_that_was_renamed() -> None:
    after = [("load_all", text) for _, text in LOAD[:1]]
    after += [("load_all", "table = tuple(row for row in rows)")]
    match = match_lines(of({MAIN: LOAD}), of({MAIN: after}))
    for number in (1, 2):
        assert is_same(match, at(MAIN, number, "load"), at(MAIN, number, "load_all"))


def test_a_renamed_file_is_known_by_the_lines_that_it_shares() -> None:
    old, new = "/app/strategy.py", "/app/tactics.py"
    lines = [("search", f"found[{n}] = price * {n}") for n in range(10)]
    after = [("search", f"found[{n}] = cost + {n}") for n in range(4)] + lines[4:]
    match = match_lines(of({old: lines}), of({new: after}))
    assert match.files == {"strategy.py": "tactics.py"}
    for number in range(5, 11):
        assert match.match(match.before(at(old, number, "search"))) is Match.SAME
    few = match_lines(of({old: lines}), of({new: [*after[:4], *lines[8:]]}))
    assert not few.files


def test_without_texts_lines_go_by_their_place_in_the_function() -> None:
    after = [("", "import gc"), *LOAD]
    match = match_lines(of({MAIN: LOAD}, sources=False), of({MAIN: after}, sources=False))
    assert is_same(match, at(MAIN, 1, "load"), at(MAIN, 2, "load"))
    more = [*LOAD, ("load", "table.sort()")]
    match = match_lines(of({MAIN: LOAD}, sources=False), of({MAIN: more}, sources=False))
    assert is_same(match, at(MAIN, 2, "load"), at(MAIN, 2, "load"))
    assert match.match(match.after(at(MAIN, 3, "load"))) is Match.ADDED


def test_libraries_threads_and_native_code_are_the_same_wherever_they_lie() -> None:
    here = library("read", filename="/a/lib/python3.11/site-packages/pandas/io.py")
    there = library("read", filename="/b/venv/site-packages/pandas/io.py")
    shared = [native("malloc"), thread_root("worker")]
    match = match_lines(of({MAIN: LOAD}, here, *shared), of({MAIN: LOAD}, there, *shared))
    assert is_same(match, here, there)
    assert all(is_same(match, one, one) for one in shared)


def test_two_processes_of_one_thread_name_stay_apart() -> None:
    first, second = (Frame("worker", "", number, thread_root("").origin) for number in (1, 2))
    match = match_lines(of({MAIN: LOAD}, first), of({MAIN: LOAD}, second))
    assert not is_same(match, first, second)


TEXTS = st.sampled_from(["x = a()", "x = b()", "rows += read()", "rows.append(1)", "y = []", "}"])
LINES = st.lists(st.tuples(st.sampled_from(["", "load", "work"]), TEXTS), max_size=8)
PROGRAMS = st.dictionaries(st.sampled_from([MAIN, "/app/a.py", "/app/b.py"]), LINES)


@examples(100)
@given(PROGRAMS, st.booleans())
def test_a_program_matches_itself_line_by_line(program: Program, sources: bool) -> None:
    one = of(program, sources=sources)
    match = match_lines(one, one)
    for found in one.heap.tree.frames:
        assert is_same(match, found, found)
        assert match.match(match.before(found)) is Match.SAME


@examples(150)
@given(PROGRAMS, PROGRAMS)
def test_a_match_is_one_to_one_and_the_same_the_other_way_round(a: Program, b: Program) -> None:
    one, other = of(a), of(b)
    match, mirrored = match_lines(one, other), match_lines(other, one)
    olds = [match.before(found) for found in one.heap.tree.frames]
    news = [match.after(found) for found in other.heap.tree.frames]
    assert len({*olds}) == len(olds)
    assert len({*news}) == len(news)
    pairs = {(old and old.frame, new and new.frame) for old, new in match.lines}
    assert pairs == {(new and new.frame, old and old.frame) for old, new in mirrored.lines}
    assert match.files == {new: old for old, new in mirrored.files.items()}
