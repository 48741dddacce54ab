"""The file of a run that holds the source lines shown, as they were when the run ended.

With it the report is the same on another machine, and after the source was edited. The only owner
of its format: JSON packed with zlib.
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
MAX_BYTES = 1 << 28  # unpacked; a larger one counts as damaged

NOTHING = Sources({})

_LEFT_OUT = "The source lines shown are read from the files on this machine, as they are now."


def read(path: Path, started: str) -> tuple[Sources, str | None]:
    """Read the file at ``path``; return its lines, and a note if they had to be left out.

    They are left out if they are not of the run with this ISO 8601 time ``started``.
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
    """Return the content of the file; ``started`` is the ISO 8601 time of the run."""
    files: dict[str, dict[str, str]] = {}
    for (filename, lineno), text in sources.lines.items():
        files.setdefault(filename, {})[str(lineno)] = text
    private = list(sources.private_files)
    fields = {"schema": SCHEMA, "started": started, "files": files, "private": private}
    return zlib.compress(json.dumps(fields).encode("ascii"))


def decode(content: bytes) -> tuple[Sources, str | None]:
    """Decode the content of the file into the lines and the time of their run.

    Raises ValueError, TypeError, KeyError, AttributeError or zlib.error if it is damaged.
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
    """Add to the stored lines those ``found`` in other files; of one file none are mixed."""
    known = {filename for filename, _ in stored.lines}
    beside: Mapping[tuple[str, int], str] = {
        place: text for place, text in found.lines.items() if place[0] not in known
    }
    lines = {**stored.lines, **beside}
    private = {*stored.private_files, *found.private_files}
    return Sources(lines, tuple(sorted(private - {filename for filename, _ in lines})))
