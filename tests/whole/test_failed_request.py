"""The request for memory that ended a program is in its report: the line, and the size if known."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from running import RunMemdeep, read_json

from memdeep.rundir.journal import decode_request, encode_request

PROGRAM = """\
import resource
import numpy
from memdeep import phase
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
def load():
    {call}
with phase("load"):
    kept = bytearray(5_000_000)
    load()
"""


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("bytearray(8 << 30)", "made at program.py:6; how much it asked for is not known"),
        ("numpy.zeros(10**9)", "made at program.py:6: it asked for 7.45 GB"),
        ("numpy.tile(numpy.ones(1000), 10**6)", "made at program.py:6: it asked for 7.45 GB"),
    ],
)
def test_the_line_that_asked_in_vain(
    call: str, said: str, run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    pytest.importorskip("numpy")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(call=call))
    done = run_memdeep("run", "-o", str(tmp_path / "run"), str(program))
    assert done.returncode == 1
    evidence = " ".join(read_json(tmp_path / "run/report.json")["exit"]["evidence"])
    assert said in evidence


def test_another_exception_says_nothing_of_a_request(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text("1 / 0\n")
    run_memdeep("run", "-o", str(tmp_path / "run"), str(program))
    evidence = read_json(tmp_path / "run/report.json")["exit"]["evidence"]
    assert evidence == ["Nobody caught ZeroDivisionError."]


lines = st.text().filter(lambda text: "\n" not in text)


@examples(100)
@given(
    st.none() | st.integers(0, 2**63 - 1),
    st.lists(st.tuples(lines, st.integers(0, 10**6)), max_size=5),
)
def test_a_request_comes_back(size: int | None, frames: list[tuple[str, int]]) -> None:
    assert decode_request(encode_request(size, frames)) == (size, frames)


@examples(100)
@given(st.text())
def test_any_label_can_be_read(label: str) -> None:
    decode_request(label)
