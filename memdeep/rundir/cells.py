"""`cells`: the cells of a notebook that were run, each a line with its title and its source.

Owns that format, both ways. Python knows a cell by the name of a file that is not there; people
know it by its number.
"""

from __future__ import annotations

import json

from memdeep.frozen import frozen

MAX_BYTES = 1 << 26
MAX_TITLE = 100  # characters


@frozen
class Cell:
    """A cell, ``filename`` to Python and ``title`` to people, as in ``In [4]``."""

    filename: str
    title: str
    source: str


def encode_cell(cell: Cell) -> bytes:
    """Encode one line of the file."""
    return json.dumps([cell.filename, cell.title, cell.source]).encode("ascii") + b"\n"


def decode_cells(content: bytes) -> dict[str, Cell]:
    """Return the cells by the names of their files; damaged lines and a torn last one are left out.

    Of a cell that was run more than once, the last time counts.
    """
    cells = {}
    for line in content.split(b"\n"):
        try:
            filename, title, source = json.loads(line)
        except (ValueError, TypeError, RecursionError):
            continue
        if all(isinstance(text, str) for text in (filename, title, source)):
            cells[filename] = Cell(filename, _readable(title)[:MAX_TITLE], _readable(source))
    return cells


def _readable(text: str) -> str:
    """Return ``text`` as any encoding can carry it: lone surrogates become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
