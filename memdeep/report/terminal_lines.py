"""Breaks and cuts text to the width of a terminal, Chinese as well."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len

# Marks that must not begin and that must not end a line (JLREQ and CLREQ, line breaking).
_CLOSING = "，。；：、！？）》”’"
_OPENING = "（《“‘"
_RUN = re.compile(r"\s+|\S+")


def wrap(text: str, width: int) -> str:
    """Break ``text`` into lines of at most ``width`` cells; a longer word is not broken."""
    return "\n".join(line for part in text.split("\n") for line in _lines(part, width))


def keep_end(text: str, cells: int) -> str:
    """Cut ``text`` at its beginning: the line number at its end matters most."""
    if cell_len(text) <= cells:
        return text
    while text and cell_len(text) > cells - 1:
        text = text[1:]
    return f"…{text}"


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
    """Part ``text`` where a line may break: at blanks and between wide characters."""
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
