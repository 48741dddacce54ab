"""Makes text from a run safe to show: on one line, steering neither a terminal nor a reader."""

# Control characters become their Unicode pictures. Others that break lines, turn the direction of
# reading, or are no characters at all (lone surrogates) have none.
_UNSAFE = {
    **{code: 0x2400 + code for code in range(0x20)},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    **dict.fromkeys((0x2028, 0x2029), 0x2424),
    **dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), 0xFFFD),
    **dict.fromkeys(range(0xD800, 0xE000), 0xFFFD),
}


def plain(text: str) -> str:
    """``text`` on one line, with nothing in it but what is seen."""
    return text if text.isprintable() else text.translate(_UNSAFE)
