"""Breaks text into lines for a terminal, also where a language puts no blanks between words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len

# What must not begin a line, and what must not end one (compare JLREQ and CLREQ, line breaking).
_CLOSING = "，。；：、！？）》”’"
_OPENING = "（《“‘"

_RUN = re.compile(r"\s+|\S+")


def wrap(text: str, width: int) -> str:
    """``text`` in lines of at most ``width`` cells, as far as its words allow that."""
    return "\n".join(line for part in text.split("\n") for line in _lines(part, width))


def _lines(text: str, width: int) -> Iterator[str]:
    line = ""
    for piece in _pieces(text):
        if line.strip() and cell_len(line + piece.rstrip()) > width:
            yield line.rstrip()
            line = piece.lstrip()
        else:
            line += piece
    yield line.rstrip()


def _pieces(text: str) -> Iterator[str]:
    """What must stay together: blanks, words, and wide characters with the marks beside them."""
    for run in _RUN.findall(text):
        piece = ""
        for character in run:
            if piece and _may_part(piece[-1], character):
                yield piece
                piece = ""
            piece += character
        yield piece


def _may_part(before: str, after: str) -> bool:
    if after in _CLOSING or before in _OPENING:
        return False
    return cell_len(before) == 2 or cell_len(after) == 2
