"""Makes text from a run safe to show: on one line, steering neither a terminal nor a reader."""

# Joiners are seen by their effect: they shape letters of Persian and make one emoji of several.
_JOINERS = (0x200C, 0x200D)


class _Shown(dict[int, int]):
    """What is shown for a character that is not: a control character's Unicode picture.

    Others that break lines, turn the direction of reading, take no place or are no characters at
    all (lone surrogates) become U+FFFD.
    """

    def __missing__(self, code: int) -> int:
        shown = code if chr(code).isprintable() or code in _JOINERS else 0xFFFD
        self[code] = shown
        return shown


_SHOWN = _Shown(
    {
        **{code: 0x2400 + code for code in range(0x20)},
        0x7F: 0x2421,
        0x2028: 0x2424,
        0x2029: 0x2424,
        0xA0: 0x20,  # spaces of other widths: no printing characters for Python, but spaces
        0x1680: 0x20,
        **dict.fromkeys(range(0x2000, 0x200B), 0x20),
        0x202F: 0x20,
        0x205F: 0x20,
        0x3000: 0x3000,
    }
)


def plain(text: str) -> str:
    """``text`` on one line, with nothing in it but what is seen."""
    return text if text.isprintable() else text.translate(_SHOWN)
