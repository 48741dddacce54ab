"""`--mark-line`: checkpoints at lines and functions; the program's own line numbers stay true."""

from __future__ import annotations

import argparse
import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest
from marking import assert_same_output, run_marked
from running import PROGRAMS, environment

from memdeep.record.marks import line as mark_line
from memdeep.record.marks.line import UNMARKED

LINES = "marks_lines.py"


def lines(*marks: str) -> list[str]:
    return [word for mark in marks for word in ("--mark-line", mark)]


def number_of(text: str) -> int:
    """The number of the first line of the program that contains ``text``."""
    source = (PROGRAMS / LINES).read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(source, 1) if text in line)


def reached(work: Path, *texts: str) -> list[str]:
    marks = lines(*(f"{LINES}:{number_of(text)}={text}" for text in texts))
    marked = run_marked(work, marks, LINES)
    assert marked.problems == []
    return marked.labels


def test_program_behaves_the_same_with_a_mark_at_every_line(work: Path) -> None:
    count = (work / LINES).read_text("utf-8").count("\n")
    marks = lines(*(f"{LINES}:{number}" for number in range(1, count + 1)))
    (work / "imports.py").write_text("import marks_lines\n")
    for program in ((LINES,), ("imports.py",), ("-m", "marks_lines")):
        marked = assert_same_output(work, marks, *program)
        assert marked.status == 1
        assert len(marked.labels) > count


def test_a_loop_marks_each_time(work: Path) -> None:
    assert reached(work, "for number in", "total += number") == [
        "for number in",
        *["total += number"] * 4,
    ]


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("# A comment before", 1),
        ("The doc of the module", 1),
        ("from __future__", 1),
        ("    2,", 1),
        ("The doc of documented", 1),
        ("# The line above", 1),
        ("else:", 1),
        ("@property", 1),
        ("The doc of Holder", 1),
        ("The doc of the method", 1),
        ("if value == 1", 4),
        ("elif value == 2", 3),
        ("try:", 2),
        ("except KeyError", 1),
        ("finally:", 2),
        ("match value", 3),
        ("case [_", 1),
        ("x = 2; yield", 1),
        ("        / 0", 2),
    ],
)
def test_what_a_line_stands_for(work: Path, text: str, times: int) -> None:
    assert reached(work, text) == [text] * times


def test_functions_are_marked_at_their_entry(work: Path) -> None:
    names = ("documented", "Holder.documented", "Holder.choose", "steps")
    marked = run_marked(work, lines(*(f"{LINES}:{name}" for name in names)), LINES)
    assert marked.labels == [
        "marks_lines.py:documented",  # a name alone is that of all functions called so
        "marks_lines.py:documented",
        "marks_lines.py:Holder.documented",
        *["marks_lines.py:Holder.choose"] * 4,
        "marks_lines.py:steps",
    ]
    assert marked.problems == []


def test_modules_are_marked_in_spite_of_their_caches(work: Path) -> None:
    (work / "package/strategy.py").write_text("def trade():\n    return 5\n")
    (work / "uses.py").write_text(
        "from package import strategy\nprint(strategy.trade(), strategy.__cached__)\n"
    )
    env = environment()
    del env["PYTHONDONTWRITEBYTECODE"]
    marks = lines(
        "strategy.py:2=end",
        "package/strategy.py:2=longer",
        f"{work}/package/strategy.py:2=whole",
        "other/strategy.py:2",
        "tegy.py:2",
        "package/__init__.py:1=package",
        "./uses.py:2=main",
    )
    assert_same_output(work, [], "uses.py", env=env)
    (cache,) = (work / "package/__pycache__").glob("strategy.*")
    before = cache.read_bytes()
    marked = assert_same_output(work, marks, "uses.py", env=env)
    assert marked.labels == ["package", "main", "end", "longer", "whole"]
    assert marked.problems == [
        f"--mark-line other/strategy.py:2: {UNMARKED}",
        f"--mark-line tegy.py:2: {UNMARKED}",
    ]
    assert cache.read_bytes() == before, "the program alone must never see the marks"


def test_a_script_that_is_run_by_runpy(work: Path) -> None:
    (work / "inner.py").write_text("print('one')\nprint('two')\n")
    (work / "faulty.py").write_text("print('one'\n")
    (work / "uses.py").write_text(
        "import runpy, pathlib\n"
        "runpy.run_path('inner.py')\n"
        "runpy.run_path(pathlib.Path('inner.py'), run_name='__main__')\n"
        "runpy.run_path('faulty.py')\n"
    )
    marked = assert_same_output(work, lines("inner.py:2=two", "faulty.py:1=x"), "uses.py")
    assert marked.labels == ["two", "two"]


def test_code_that_the_program_compiles_is_said_to_have_no_marks(work: Path) -> None:
    (work / "inner.py").write_text("print('one')\nprint('two')\n")
    (work / "uses.py").write_text(
        "with open('inner.py') as file:\n    exec(compile(file.read(), 'inner.py', 'exec'))\n"
    )
    marked = assert_same_output(work, lines("inner.py:2"), "uses.py")
    assert marked.problems == [f"--mark-line inner.py:2: {UNMARKED}"]


def test_pairs_of_lines_are_phases(work: Path) -> None:
    (work / "uses.py").write_text("kept = []\nkept.append(bytearray(5_000_000))\nprint('end')\n")
    marks = lines("uses.py:2=load_BEFORE", "uses.py:3=load_AFTER")
    assert run_marked(work, marks, "uses.py").labels == ["load_BEFORE", "load_AFTER"]


def test_lines_of_code_from_the_command_line(work: Path) -> None:
    marked = assert_same_output(work, lines("<string>:2=second"), "-c", "print(1)\nprint(2)\n")
    assert marked.labels == ["second"]


def test_a_linked_file(work: Path) -> None:
    (work / "linked.py").symlink_to(LINES)
    marks = lines(f"{LINES}:documented=a", "linked.py:steps=b")
    assert run_marked(work, marks, "linked.py").labels == ["a", "a", "b"]


def test_a_source_in_another_encoding(work: Path) -> None:
    source = "# coding: latin-1\nprint(ascii('é'))\n"
    (work / "latin.py").write_bytes(source.encode("latin-1"))
    assert assert_same_output(work, lines("latin.py:2=x"), "latin.py").labels == ["x"]


@pytest.mark.parametrize("words", [("-m", "syntax_error"), ("imports.py",)])
def test_a_file_with_faults_fails_as_before(work: Path, words: tuple[str, ...]) -> None:
    (work / "imports.py").write_text("import syntax_error\n")
    marked = assert_same_output(work, lines("syntax_error.py:1"), *words)
    assert b"SyntaxError" in marked.stderr
    assert marked.status == 1


def test_what_was_not_reached_is_told(work: Path) -> None:
    marks = lines(
        "nowhere.py:3",
        f"{LINES}:999",
        f"{LINES}:no_such",
        f"{LINES}:decorated",
        f"{LINES}:{number_of('total -= 1')}",
    )
    assert run_marked(work, marks, LINES).problems == [
        f"--mark-line nowhere.py:3: {UNMARKED}",
        f"--mark-line {LINES}:999: the file has no such line",
        f"--mark-line {LINES}:no_such: the file has no such function",
        f"--mark-line {LINES}:decorated: the function was never called",
        f"--mark-line {LINES}:{number_of('total -= 1')}: the line was never reached",
    ]


def test_unmarked_modules_are_left_to_the_other_finders(work: Path) -> None:
    (work / "uses.py").write_text(
        "import sys, json, package\n"
        "print(json.__spec__, len(sys.meta_path) > 3, package.__spec__.name)\n"
        "import there_is_no_such_module\n"
    )
    marked = run_marked(work, lines("uses.py:1"), "uses.py")
    assert marked.stderr.splitlines()[-1] == (
        b"ModuleNotFoundError: No module named 'there_is_no_such_module'"
    )
    assert marked.stderr.count(b"File ") == 1


def test_a_large_source_keeps_its_lines_and_docstrings() -> None:
    path = argparse.__file__
    source = Path(path).read_bytes()
    tree = ast.parse(source)
    numbers = range(1, source.count(b"\n"), 40)
    marks = [(n, mark_line.LineMark(f"{path}:{number}")) for n, number in enumerate(numbers)]
    mark_line.insert(tree, marks)
    marked = compile(tree, path, "exec")
    found, expected = codes(marked), codes(compile(source, path, "exec"))
    assert found.keys() == expected.keys()
    # A jump that was optimised away may come back where a call stands before it.
    assert all(found[key] >= lines for key, lines in expected.items())
    called = [name for code in all_codes(marked) for name in code.co_names]
    assert mark_line.HOOK in called


def codes(code: CodeType) -> dict[tuple[str, int, object], set[int | None]]:
    """The lines of each code object, by its name, its first line and its docstring."""
    found: dict[tuple[str, int, object], set[int | None]] = {}
    for each in all_codes(code):
        flag = getattr(inspect, "CO_HAS_DOCSTRING", 0)  # 3.13 and later say it so
        has_docstring = not flag or each.co_flags & flag
        docstring = each.co_consts[0] if each.co_consts and has_docstring else None
        key = (each.co_name, each.co_firstlineno, isinstance(docstring, str) and docstring)
        found.setdefault(key, set()).update(line for _, _, line in each.co_lines())
    return found


def all_codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from all_codes(constant)
