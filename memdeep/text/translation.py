"""Sentences that were made in English, in the language of whoever reads them.

Errors, problems and notes are words before it is known who will read them: a run directory holds
them, and so do those of earlier versions. So they are known again by their patterns, and what is
not known stays English. Statements (`model.statement`) and keys are the better way where a reader
is near.
"""

from __future__ import annotations

import json
import re
from functools import cache

from memdeep.text import locale
from memdeep.text.language import template_directory

MAX_DEPTH = 4  # of sentences within sentences
MAX_LENGTH = 1000  # of a sentence: made to hurt, one of 4,000 took seconds to look for
_PLACE = re.compile(r"\{(\d)\}")


def here(sentence: str) -> str:
    """Return ``sentence`` in the language of the terminal."""
    code = locale.asked_for()
    return sentence if code == "en" else into(code, sentence)


def into(code: str, sentence: str, depth: int = 0) -> str:
    """Return ``sentence`` in the language ``code``, as it is if that has no words for it.

    A value within it that is a sentence itself is translated too.
    """
    if code == "en" or depth == MAX_DEPTH or len(sentence) > MAX_LENGTH:
        return sentence
    for pattern, text in _patterns(code):
        match = pattern.fullmatch(sentence)
        if match is not None:
            *values, stop = match.groups()
            told = text.format(*(into(code, value, depth + 1) for value in values))
            return told + ("。" if stop else "")
    return sentence


@cache
def _patterns(code: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return the patterns of English sentences, those with most words first, and the sentences.

    A full stop at the end and the case of the first letter are the same sentence's.
    """
    path = template_directory() / "words" / f"sentences.{code}.json"
    table: dict[str, str] = json.loads(path.read_text("utf-8"))
    found = []
    for english, text in table.items():
        bare = english if english.endswith("...") else english.removesuffix(".")
        parts = _PLACE.split(bare)
        pattern = "".join(
            "(.+?)" if place % 2 else re.escape(part) for place, part in enumerate(parts)
        )
        if bare[:1].isalpha():
            pattern = f"[{bare[0].upper()}{bare[0].lower()}]" + pattern[1:]
        stop = "" if english.endswith(("}", "...")) else r"\.?"
        compiled = re.compile(rf"{pattern}(?P<stop>{stop})", re.DOTALL)
        found.append((sum(map(len, parts[::2])), compiled, text.removesuffix("。")))
    return tuple((compiled, text) for _, compiled, text in sorted(found, key=lambda one: -one[0]))
