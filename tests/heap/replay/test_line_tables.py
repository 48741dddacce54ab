"""The line of every instruction of real code, as Python itself tells it."""

from __future__ import annotations

import argparse
import ast
import asyncio
import importlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdeep.heap.replay.trace import CPYTHON_3_10, line_numbers

MODULES = (argparse, ast, asyncio.base_events, importlib, importlib.util, pytest, types)
STEP = 2 if sys.version_info >= (3, 11) else 1  # how memray counts the offsets of instructions


def code_objects(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from code_objects(constant)


def check(code: types.CodeType) -> None:
    expected = {
        instruction * STEP: line
        for start, end, line in code.co_lines()
        if line is not None  # for code without one, memray takes the line before it
        for instruction in range(start // 2, end // 2)
    }
    for offsets in (list(expected), list(expected)[::-7]):  # in any order, and as few as one likes
        found = line_numbers(code.co_linetable, code.co_firstlineno, sys.hexversion, offsets)
        assert dict(zip(offsets, found, strict=True)) == {n: expected[n] for n in offsets}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_lines_of_the_standard_library(module: types.ModuleType) -> None:
    assert module.__file__
    path = Path(module.__file__)
    for code in code_objects(compile(path.read_bytes(), str(path), "exec")):
        check(code)


statements = st.sampled_from(
    [
        "a = [\n  b\n  for b in range(3)\n]",
        "try:\n  x()\nexcept ValueError as e:\n  y = (1,\n\n\n   2)\nfinally:\n  z = 1",
        "with a as b:\n  pass",
        "def f(\n a,\n b=2\n):\n  return a + \\\n    b",
        "for i in a:\n  if i:\n    continue\n  break",
        "async def g():\n  async with a:\n    await b",
        "match a:\n  case [1, 2]:\n    b = 1\n  case _:\n    b = 2",
        "x = a(b(\n c(\n d)))",
        "\n" * 300,
        "assert a, (\n'text'\n)",
        "lambda: (yield)",
        "p = " + " + ".join(f"q{n}" for n in range(200)),
    ]
)


@given(st.lists(statements, max_size=8))
def test_the_lines_of_any_program(program: list[str]) -> None:
    for code in code_objects(compile("\n".join(program), "<generated>", "exec")):
        check(code)


@pytest.mark.parametrize(
    ("delta", "encoded"), [(0, 0), (5, 5), (-3, 0xFD), (127, 127), (-127, 0x81)]
)
def test_the_table_of_3_10(delta: int, encoded: int) -> None:
    # Two instructions on the first line, three on another, one without a line.
    table = bytes([4, 0, 6, encoded, 2, 0x80])
    found = line_numbers(table, 200, CPYTHON_3_10, range(7))
    assert list(found) == [200, 200] + 5 * [200 + delta]


@given(table=st.binary(max_size=60), offsets=st.lists(st.integers(-(2**31), 2**31 - 1)))
@pytest.mark.parametrize("version", [CPYTHON_3_10, 0x030B0000, 0x030E0000])
def test_no_table_crashes_it(version: int, table: bytes, offsets: list[int]) -> None:
    assert len(line_numbers(table, 1, version, offsets)) == len(offsets)


def test_without_a_table_or_an_offset_there_is_no_line() -> None:
    python_3_11 = 0x030B00F0
    assert list(line_numbers(b"", 7, python_3_11, [0])) == [0]
    assert list(line_numbers(b"\xe8\x00", 7, python_3_11, [-1, 0, 2])) == [0, 7, 0]
