"""Tells which phases have names of one pattern: `epoch 0`, `epoch 1`, …; `第1天`, `第2天`, …"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import count
from os.path import commonprefix

from memdeep.model import PhaseKind, PhaseOutline
from memdeep.rundir import labels

MIN_ALIKE = 3
MAX_LISTED = 3  # of names that are of no pattern
MIN_COMMON = 3  # characters that names without numbers have in common
ANY = "*"
_NUMBER = re.compile(r"[\d〇零一二三四五六七八九十百千万]+(?:[.,:]\d+)*")


def alike(outlines: Mapping[int, PhaseOutline]) -> list[tuple[str, tuple[int, ...]]]:
    """Group phases, given by index, by the pattern of their names; leave out the others.

    A pattern has ``*`` for what differs: numbers, or else what lies between a common beginning and
    a common end that make up half of the names. All segments are of one pattern, which has no name.
    A group has three phases or more. The cells of a notebook are different things, with numbers for
    names.
    """
    by_pattern: dict[str, list[int]] = {}
    for place, outline in outlines.items():
        if labels.is_cell(outline.name):
            continue
        is_span = outline.kind is PhaseKind.SPAN
        by_pattern.setdefault(numbered(outline.name) if is_span else "", []).append(place)
    groups = [
        (pattern and shared(outlines[place].name for place in places), places)
        for pattern, places in by_pattern.items()
        if len(places) > 1
    ]
    rest = [places[0] for pattern, places in by_pattern.items() if len(places) == 1 and pattern]
    if len(rest) >= MIN_ALIKE and (pattern := _around([outlines[place].name for place in rest])):
        groups.append((pattern, rest))
    return [(pattern, tuple(places)) for pattern, places in groups if len(places) >= MIN_ALIKE]


def numbered(name: str) -> str:
    """Return ``name`` with ``*`` for each of its numbers."""
    return _NUMBER.sub(ANY, name)


def shared(names: Iterable[str]) -> str:
    """Return ``names``, which differ in their numbers only, with ``*`` for those that differ."""
    rest = iter(names)
    first = next(rest)
    numbers = _NUMBER.findall(first)
    same = set(range(len(numbers)))
    for name in rest:
        if not same:
            break
        others = _NUMBER.findall(name)
        same -= {place for place in same if others[place] != numbers[place]}
    places = count()
    return _NUMBER.sub(lambda number: number[0] if next(places) in same else ANY, first)


def of_any_names(names: list[str]) -> str:
    """Return the pattern of ``names``, or the first of them if they have nothing in common."""
    listed = ", ".join(names[:MAX_LISTED])
    return _around(names) or (listed if len(names) <= MAX_LISTED else f"{listed}, …")


def _around(names: list[str]) -> str:
    """Return the common beginning and end of ``names`` with ``*`` between; "" if too short."""
    before = commonprefix(names)
    after = commonprefix([name[len(before) :][::-1] for name in names])[::-1]
    common = len(before) + len(after)
    if common < max(MIN_COMMON, max(map(len, names)) / 2):
        return ""
    return f"{before}{ANY}{after}"
