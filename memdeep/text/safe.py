"""Makes text from a run safe to show: it stays on one line and steers no terminal.

Nor does it deceive a reader: characters that cannot be seen are replaced.
"""

TAB_CELLS = 4

# Categories that cannot be seen: control, format, surrogate, line and paragraph separators. Without
# the unassigned and private characters: a newer Unicode or a font may show them.
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
# Joiners have a visible effect: they shape Persian letters and join several emoji to one.
_JOINERS = (0x200C, 0x200D)


class _Shown(dict[int, int]):
    """Maps each character to the one shown for it: a control character to its Unicode picture.

    Other characters that break lines, change the direction of writing or take no place become
    U+FFFD, and so do lone surrogates.
    """

    def __missing__(self, code: int) -> int:
        from unicodedata import category  # large, and rarely needed

        is_seen = category(chr(code)) not in _UNSEEN or code in _JOINERS
        self[code] = shown = code if is_seen else 0xFFFD
        return shown


_SHOWN = _Shown(
    {
        **{code: 0x2400 + code for code in range(0x20)},
        0x7F: 0x2421,
        0x2028: 0x2424,
        0x2029: 0x2424,
    }
)


def plain(text: str) -> str:
    """Return ``text`` on one line, with visible characters only."""
    return text if text.isprintable() else text.translate(_SHOWN)


def plain_code(text: str) -> str:
    """Return a line of code made plain, with tabs expanded."""
    return plain(text.expandtabs(TAB_CELLS))
