"""Reads TOML, and writes texts of it that are safe for a terminal and a diff."""

from __future__ import annotations

import sys
from typing import Any

from memdeep.text.safe import plain


def document(content: str) -> dict[str, Any]:
    """Return what a text says in TOML; there is hardly ever one to read. Raises ValueError."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]
    found: dict[str, Any] = tomllib.loads(content)
    return found


def quoted(text: str) -> str:
    """Return ``text`` in quotes; what cannot be seen stands there by its number."""
    return '"' + "".join(map(_character, text)) + '"'


def _character(character: str) -> str:
    if character in ('"', "\\"):
        return f"\\{character}"
    if plain(character) == character:
        return character
    is_surrogate = 0xD800 <= ord(character) < 0xE000  # which TOML cannot name
    return plain(character) if is_surrogate else f"\\U{ord(character):08x}"
