"""The words of the languages, and the keys by which Python, scripts and templates ask for them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from running import ROOT

from memdeep.text.language import (
    LANGUAGES,
    language,
    template_directory,
)

TABLES = {code: language(code).table for code in LANGUAGES}


KEYS = set(TABLES["en"])


GROUPS = "|".join(sorted({key.split(".")[0] for key in KEYS}))


PLACEHOLDER = re.compile(r"\{(\w+)\}")


# In Python, scripts and templates: a whole key in quotes, and the parts around a name that is put
# into one (`"facts." ~ name`, `'metric.' + metric`, `f"finding.{kind}"`, `lines.${kind}_meaning`).
WHOLE = re.compile(rf"""["']((?:{GROUPS})\.[\w-]+)["'](?!\s*[+~])""")


BEGUN = re.compile(rf"""["']((?:{GROUPS})\.\w*)["']\s*[+~]""")


AROUND = re.compile(rf"""["'`]((?:{GROUPS})\.\w*)\$?\{{[^}}"'`]+\}}(\w*)["'`]""")


def sources(*endings: str) -> Iterator[str]:
    """The text of all that speaks from the tables."""
    for directory in (ROOT / "memdeep", template_directory()):
        for path in directory.rglob("*"):
            if path.suffix in endings:
                yield path.read_text("utf-8")
