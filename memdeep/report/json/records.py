"""Writes values as JSON text, a field of a document and a record of a list on a line of its own.

Knows no report. Text that was encoded once is taken as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final

Json = Mapping[str, object]

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_name = lru_cache(maxsize=1024)(_encode)  # there are few, in many records


class Encoded(str):
    """A value that is JSON text already."""

    __slots__ = ()


NULL: Final = Encoded("null")


def encoded(value: object) -> Encoded:
    """Encode ``value``. Raises ValueError for NaN and infinity."""
    return Encoded(_encode(value))


def listed(values: Iterable[Encoded]) -> Encoded:
    """Join ``values`` to a list."""
    return Encoded(f"[{','.join(values)}]")


def rounded(figure: float | None) -> float | None:
    """Round ``figure`` to six decimals: microseconds, or a millionth of a share."""
    return None if figure is None else round(figure, 6)


def record(fields: Json) -> Encoded:
    """Encode ``fields`` as an object; `Encoded` values are taken as they are."""
    parts = []
    plain: dict[str, object] = {}
    for name, value in fields.items():
        if isinstance(value, Encoded):
            if plain:
                parts.append(_encode(plain)[1:-1])
                plain = {}
            parts.append(f"{_name(name)}:{value}")
        else:
            plain[name] = value
    if plain:
        parts.append(_encode(plain)[1:-1])
    return Encoded(f"{{{','.join(parts)}}}")


def lines(fields: Json) -> Iterator[str]:
    """Encode ``fields`` as a document, a field a line; an iterator of values has a line each."""
    before = "{"
    for name, value in fields.items():
        head = f"{before}\n{_name(name)}: "
        before = ","
        if isinstance(value, Iterator):
            between = f"{head}["
            for item in value:
                yield f"{between}\n{item if isinstance(item, Encoded) else record(item)}"
                between = ","
            yield f"{between}]" if between != "," else "\n]"
        else:
            yield f"{head}{value if isinstance(value, Encoded) else _encode(value)}"
    yield "\n}\n"
