"""Language of a monitor: the one asked for, or that of the locale."""

from __future__ import annotations

from memdeep.text import locale

LANGUAGES = ("zh", "en")


def choose(lang: str | None) -> str:
    """Return ``lang``, or for None "zh" in a Chinese locale and "en" in any other.

    Raises ValueError if ``lang`` is neither.
    """
    if lang is None:
        return locale.asked_for()
    if lang not in LANGUAGES:
        raise ValueError(f'lang must be "zh", "en" or None, not {lang!r}')
    return lang
