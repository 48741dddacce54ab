"""Makes text from the run safe to show in a terminal."""

from __future__ import annotations

# Control characters become their Unicode pictures; those above ASCII have none.
_PICTURES = {
    **{code: 0x2400 + code for code in range(0x20)},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}


def plain(text: str) -> str:
    """``text`` on one line, with nothing in it that steers a terminal."""
    return text.translate(_PICTURES)
