"""The words of a report: one table a language, and how figures are put into their sentences.

A table is a flat JSON object of texts by key. ``{name}`` in a text stands for a value, which is
formatted by the ending of its name; a ``|`` parts the singular from the plural by the value ``n``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import memdeep
from memdeep.text import units

LANGUAGES = ("en", "zh")
TAGS = {"en": "en", "zh": "zh-CN"}  # BCP 47, for `lang`
CHOICES = (*LANGUAGES, "both")

# The groups of keys that the scripts of the page speak from.
SCRIPT_GROUPS = (
    "checkpoint",
    "count",
    "flame",
    "lines",
    "metric",
    "page",
    "phases",
    "source",
    "stack",
    "timeline",
)

_PLACEHOLDER = re.compile(r"\{(\w+)\}")

Value = int | float | str | None


class Language:
    """One language: its code and its table."""

    def __init__(self, code: str, table: Mapping[str, str]) -> None:
        self.code = code
        self.table = table

    @property
    def tag(self) -> str:
        """The language as HTML names it."""
        return TAGS[self.code]

    def say(self, key: str, **values: Value) -> str:
        """The text of ``key`` with ``values`` in it. Raises KeyError for an unknown key or value.

        Values whose names end in ``_bytes``, ``_s`` or ``_share`` are sizes, durations in seconds
        and ratios; other whole numbers get separators.
        """
        forms = self.table[key].split("|")
        text = forms[0] if values.get("n") == 1 else forms[-1]
        return _PLACEHOLDER.sub(lambda found: _format(found[1], values[found[1]]), text)

    def script_words(self) -> Mapping[str, str]:
        """The part of the table that scripts need."""
        return {key: text for key, text in self.table.items() if key.split(".")[0] in SCRIPT_GROUPS}


def _format(name: str, value: Value) -> str:
    if isinstance(value, str):
        return value
    if name.endswith("_bytes"):
        return units.size(None if value is None else round(value))
    if name.endswith("_s"):
        return units.duration(value)
    if name.endswith("_share"):
        return units.percent(value)
    if value is None:
        return units.UNKNOWN
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


@cache
def language(code: str) -> Language:
    """The language ``code``, one of LANGUAGES."""
    path = template_directory() / "words" / f"{code}.json"
    return Language(code, json.loads(path.read_text("utf-8")))


def chosen(choice: str) -> tuple[Language, ...]:
    """The languages of ``--lang``: one, or all of them, English first."""
    return tuple(language(code) for code in LANGUAGES if choice in (code, "both"))


def template_directory() -> Path:
    """Inside the installed package, or beside the package in a source tree."""
    package = Path(memdeep.__file__).parent
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "templates"
