"""Cells come back as they were written; what is damaged costs no other cell."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memdeep.rundir.cells import Cell, decode_cells, encode_cell

TEXT = st.text(max_size=60)
CELLS = st.lists(st.builds(Cell, TEXT, TEXT, TEXT), max_size=8)


@given(cells=CELLS)
def test_cells_come_back_and_of_those_run_again_the_last(cells: list[Cell]) -> None:
    content = b"".join(map(encode_cell, cells))
    assert decode_cells(content) == {cell.filename: cell for cell in cells}


@given(cells=CELLS, damage=st.binary(max_size=40), torn=st.integers(0, 30))
def test_damaged_lines_and_a_torn_last_one_are_left_out(
    cells: list[Cell], damage: bytes, torn: int
) -> None:
    whole = b"".join(map(encode_cell, cells))
    last = encode_cell(Cell("a file", "In [1]", "x = 1"))
    found = decode_cells(damage.replace(b"[", b"") + b"\n" + whole + last[: min(torn, 25)])
    assert found == {cell.filename: cell for cell in cells}


def test_no_text_is_beyond_an_encoding() -> None:
    content = b'["f", "In [\\ud800]", "\\udc80"]\n["g", 1, "x"]\n[1]\nnull\n'
    (cell,) = decode_cells(content).values()
    assert (cell.title, cell.source) == ("In [\ufffd]", "\ufffd")
