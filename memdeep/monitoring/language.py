"""Language of a monitor: the one asked for, or that of the locale."""

from __future__ import annotations

import os

LANGUAGES = ("zh", "en")


def choose(lang: str | None) -> str:
    """Return ``lang``, or for None "zh" in a Chinese locale and "en" in any other.

    Raises ValueError if ``lang`` is neither.
    """
    if lang is None:
        # The order of the variables is that of setlocale(3) for messages.
        names = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
        return "zh" if next(filter(None, names), "").startswith("zh") else "en"
    if lang not in LANGUAGES:
        raise ValueError(f'lang must be "zh", "en" or None, not {lang!r}')
    return lang
