"""The languages of a report and their words. Knows no report and no page.

The words of a language are one table, a flat JSON object of texts by key. ``{name}`` in a text
stands for a value, which is formatted by the ending of its name. ``|`` separates the singular from
the plural; the value ``n`` decides between them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

from memdeep.text import locale, units

TAGS = {"en": "en", "zh": "zh-CN"}  # the languages by code, with their names in HTML (BCP 47)
LANGUAGES = tuple(TAGS)
BOTH = "both"
CHOICES = (*LANGUAGES, BOTH)  # the values of `--lang`

# The groups of keys that the scripts of the page use.
SCRIPT_GROUPS = (
    "checkpoint",
    "count",
    "flame",
    "held",
    "lines",
    "metric",
    "page",
    "phases",
    "sandwich",
    "source",
    "stack",
    "timeline",
    "tree",
    "workers",
)
# And those that the scripts of the page of a comparison use.
COMPARISON_GROUPS = (
    "checkpoint",
    "compare",
    "count",
    "diff",
    "flame",
    "page",
    "phases",
    "timeline",
)

# And those that the scripts of the page of a run that goes on use.
LIVE_GROUPS = ("page", "running")

_PLACEHOLDER = re.compile(r"\{(\w+)\}")

Value = int | float | str | None


class Language:
    """A language: its code and the table of its words."""

    def __init__(self, code: str, table: Mapping[str, str]) -> None:
        self.code = code
        self.table = table

    @property
    def tag(self) -> str:
        """The name of the language in HTML (BCP 47)."""
        return TAGS[self.code]

    def say(self, key: str, **values: Value) -> str:
        """Return the text of ``key`` with ``values`` in it.

        Values whose names end in ``_bytes``, ``_s`` or ``_share`` are written as sizes, durations
        (from seconds) and percentages; other whole numbers get separators. Raises KeyError for an
        unknown key and for a missing value.
        """
        forms = self.table[key].split("|")
        text = forms[0] if values.get("n") == 1 else forms[-1]
        return _PLACEHOLDER.sub(lambda found: _format(found[1], values[found[1]]), text)

    def script_words(self, groups: Collection[str] = SCRIPT_GROUPS) -> Mapping[str, str]:
        """Return the part of the table that scripts need that use the keys of ``groups``."""
        return {key: text for key, text in self.table.items() if key.split(".")[0] in groups}


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
    """Return the language ``code``, one of LANGUAGES."""
    path = template_directory() / "words" / f"{code}.json"
    return Language(code, json.loads(path.read_text("utf-8")))


def chosen(choice: str) -> tuple[Language, ...]:
    """Return the languages of ``choice``, one of CHOICES; of both, English comes first."""
    return tuple(language(code) for code in LANGUAGES if choice in (code, BOTH))


def spoken(choice: str = BOTH) -> Language:
    """Return the language of the terminal: that of ``choice``, or of both the locale's."""
    return language(choice if choice in LANGUAGES else locale.asked_for())


@cache
def template_directory() -> Path:
    """Return the directory of the templates.

    A wheel has it inside the package. A source tree, which an editable install points to, has it
    beside the package.
    """
    package = Path(__file__).parents[1]
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent / "templates"
