"""Makes text from a run safe to show: on one line, steering neither a terminal nor a reader."""

TAB_CELLS = 4

# Control characters, those that direct or format, surrogates, ends of lines and of paragraphs. Not
# the unassigned and private ones: a newer Unicode or a font may well show them.
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
# Joiners are seen by their effect: they shape letters of Persian and make one emoji of several.
_JOINERS = (0x200C, 0x200D)


class _Shown(dict[int, int]):
    """What is shown for a character that is not: a control character's Unicode picture.

    Others that break lines, turn the direction of reading, take no place or are no characters at
    all (lone surrogates) become U+FFFD.
    """

    def __missing__(self, code: int) -> int:
        from unicodedata import category  # large, and hardly ever needed

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
    """``text`` on one line, with nothing in it but what is seen."""
    return text if text.isprintable() else text.translate(_SHOWN)


def plain_code(text: str) -> str:
    """A line of code, made plain; tabs keep their width."""
    return plain(text.expandtabs(TAB_CELLS))
