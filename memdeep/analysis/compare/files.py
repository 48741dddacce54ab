"""Finds files that were renamed: gone under one path and back under another, much text shared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from memdeep.analysis.compare.code import Code, letters

MIN_SHARE = 0.5  # of the stored lines of the file that has fewer of them
MIN_LETTERS = 5  # of a line that tells one file from another
MANY_FILES = 20  # a line that stands in as many tells nothing


def renamed_files(before: Code, after: Code) -> Mapping[str, str]:
    """Return by its path before the path after of each renamed file."""
    gone = _telling(before, after)
    come = _telling(after, before)
    homes: dict[str, list[str]] = {}
    for path, texts in come.items():
        for text in texts:
            homes.setdefault(text, []).append(path)
    shared: Counter[tuple[str, str]] = Counter()
    for path, texts in gone.items():
        for text in texts:
            found = homes.get(text, ())
            if len(found) < MANY_FILES:
                shared.update((path, other) for other in found)
    rated = [
        (count / min(len(gone[old]), len(come[new])), count, old, new)
        for (old, new), count in shared.items()
    ]
    files: dict[str, str] = {}
    taken: set[str] = set()
    for share, _, old, new in sorted(rated, key=lambda one: (-one[0], -one[1], sorted(one[2:]))):
        if share >= MIN_SHARE and old not in files and new not in taken:
            files[old] = new
            taken.add(new)
    return files


def _telling(code: Code, other: Code) -> Mapping[str, frozenset[str]]:
    """Return the telling lines of the files that the other side has not."""
    paths = {line.path for line in other.lines}
    found = {path: letters(texts, MIN_LETTERS) for path, texts in code.texts.items()}
    return {path: texts for path, texts in found.items() if texts and path not in paths}
