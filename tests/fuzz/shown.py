"""What text must not have in it when it is shown to somebody."""

from __future__ import annotations

import unicodedata

STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")
HARMLESS = "\n\u200c\u200d"  # the ends of our own lines, and what joins letters and emoji


def is_harmless(text: str) -> bool:
    """Whether ``text`` neither steers a terminal nor turns the direction of reading."""
    return all(unicodedata.category(c) not in STEERING or c in HARMLESS for c in text)
