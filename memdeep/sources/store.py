"""The file of a run that holds the source lines shown, as they were when it ended.

So the report is the same on another machine, and after the source was edited. One owner of its
format: JSON packed with zlib.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path

from memdeep.errors import CaptureError
from memdeep.rundir.files import read_if_there
from memdeep.sources.lines import Sources

SCHEMA = 1
MAX_BYTES = 1 << 28  # unpacked; more is not a file of ours

NOTHING = Sources({})

_LEFT_OUT = "The source lines shown are those of this machine, as they are now."


def read(path: Path, started: str) -> tuple[Sources, str | None]:
    """What is stored at ``path`` of the run that was ``started`` then (ISO 8601).

    And a sentence if it had to be left out.
    """
    try:
        content = read_if_there(path, MAX_BYTES)
        if content is None:
            return NOTHING, None
        sources, of_run = decode(content)
    except CaptureError as error:
        return NOTHING, f"{error.message} {_LEFT_OUT}"
    except (ValueError, TypeError, KeyError, AttributeError, zlib.error, RecursionError):
        return NOTHING, f"{path} is damaged. {_LEFT_OUT}"
    if of_run != started:
        return NOTHING, f"{path} is of another run. {_LEFT_OUT}"
    return sources, None


def encode(sources: Sources, started: str | None) -> bytes:
    """The content of the file, for the run that was ``started`` then."""
    files: dict[str, dict[str, str]] = {}
    for (filename, lineno), text in sources.lines.items():
        files.setdefault(filename, {})[str(lineno)] = text
    private = list(sources.private_files)
    fields = {"schema": SCHEMA, "started": started, "files": files, "private": private}
    return zlib.compress(json.dumps(fields).encode("ascii"))


def decode(content: bytes) -> tuple[Sources, str | None]:
    """What `encode` was given.

    Raises ValueError, TypeError, KeyError, AttributeError or zlib.error if it is not ours.
    """
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
    return Sources(lines, tuple(map(str, fields["private"]))), fields["started"]


def merged(stored: Sources, found: Sources) -> Sources:
    """The stored lines, and what is found beside them: of one file all are from one of the two."""
    known = {filename for filename, _ in stored.lines}
    beside: Mapping[tuple[str, int], str] = {
        place: text for place, text in found.lines.items() if place[0] not in known
    }
    lines = {**stored.lines, **beside}
    private = {*stored.private_files, *found.private_files}
    return Sources(lines, tuple(sorted(private - {filename for filename, _ in lines})))
