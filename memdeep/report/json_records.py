"""Writes JSON one record a line. Knows no report.

The standard library encodes in C only what it does not indent; and what is the same in many
records need be encoded once only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Encoded(str):
    """A value that is JSON already."""

    __slots__ = ()


def encoded(value: object) -> Encoded:
    """``value`` as JSON."""
    return Encoded(_encode(value))


def listed(values: Iterable[Encoded]) -> Encoded:
    """A list of ``values``."""
    return Encoded(f"[{','.join(values)}]")


def record(fields: Mapping[str, object]) -> Encoded:
    """An object of ``fields``, of which some may be `Encoded`."""
    parts = []
    plain: dict[str, object] = {}
    for name, value in fields.items():
        if isinstance(value, Encoded):
            if plain:
                parts.append(_encode(plain)[1:-1])
                plain = {}
            parts.append(f"{_encode(name)}:{value}")
        else:
            plain[name] = value
    if plain:
        parts.append(_encode(plain)[1:-1])
    return Encoded(f"{{{','.join(parts)}}}")


def lines(fields: Mapping[str, object]) -> Iterator[str]:
    """The lines of a document of ``fields``; an iterator among them gives records."""
    before = "{"
    for name, value in fields.items():
        head = f"{before}\n{_encode(name)}: "
        before = ","
        if isinstance(value, Iterator):
            between = f"{head}["
            for item in value:
                yield f"{between}\n{record(item)}"
                between = ","
            yield f"{between}]" if between != "," else "\n]"
        else:
            yield f"{head}{value if isinstance(value, Encoded) else _encode(value)}"
    yield "\n}\n"
