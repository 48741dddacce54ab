"""The file of a run that holds the source lines shown, as they were when it ended.

So the report is the same on another machine, and after the source was edited. One owner of its
format: JSON packed with zlib.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path

from memdeep.capture.sources import Sources

SCHEMA = 1
MAX_BYTES = 1 << 28  # unpacked; more is not a file of ours

NOTHING = Sources({})


def read(path: Path) -> Sources:
    """What is stored at ``path``; nothing where there is no file, or none that can be read."""
    try:
        return decode(path.read_bytes())
    except (OSError, ValueError, TypeError, KeyError, AttributeError, zlib.error, RecursionError):
        return NOTHING


def encode(sources: Sources) -> bytes:
    """The content of the file."""
    files: dict[str, dict[str, str]] = {}
    for (filename, lineno), text in sources.lines.items():
        files.setdefault(filename, {})[str(lineno)] = text
    fields = {"schema": SCHEMA, "files": files, "private": list(sources.private_files)}
    return zlib.compress(json.dumps(fields).encode("ascii"))


def decode(content: bytes) -> Sources:
    """Raises ValueError, TypeError, KeyError, AttributeError or zlib.error if it is not ours."""
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(content, MAX_BYTES)
    if not unpacker.eof:
        raise ValueError("torn, or too large")
    fields = json.loads(text)
    if fields["schema"] != SCHEMA:
        raise ValueError("another schema")
    lines = {
        (str(filename), int(lineno)): str(line)
        for filename, numbered in fields["files"].items()
        for lineno, line in numbered.items()
    }
    return Sources(lines, tuple(map(str, fields["private"])))


def merged(stored: Sources, found: Sources) -> Sources:
    """The stored lines, and what is found beside them: of one file all are from one of the two."""
    known = {filename for filename, _ in stored.lines}
    beside: Mapping[tuple[str, int], str] = {
        place: text for place, text in found.lines.items() if place[0] not in known
    }
    lines = {**stored.lines, **beside}
    private = {*stored.private_files, *found.private_files}
    return Sources(lines, tuple(sorted(private - {filename for filename, _ in lines})))
