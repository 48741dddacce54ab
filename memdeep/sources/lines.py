"""Reads the text of source lines, but not of files that changed since the run or look private."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path, PurePath
from types import MappingProxyType

from memdeep.frozen import frozen
from memdeep.model import Frame, Origin
from memdeep.sources.files import source_lines

MAX_LINE_CHARACTERS = 400
CONTEXT_LINES = 3  # around each line of the user's own code
CODE_FILENAME = "<string>"  # what Python calls code given with -c

_PROGRAM = (Origin.USER, Origin.TOOL)
_PRIVATE_NAMES = (
    ".env*",
    "*.env",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    "*secret*",
    "*credential*",
    "*password*",
    ".netrc",
    ".pgpass",
    ".pypirc",
)
_PRIVATE_MODES = (0o600, 0o400)  # what keys and the like are given, so that only their owner reads


@frozen
class Sources:
    """Source lines by file name and line number, with their indentation.

    ``private_files`` were left out: their names or modes mark them as private.
    """

    lines: Mapping[tuple[str, int], str]
    private_files: tuple[str, ...] = ()


@frozen
class Executed:
    """What processes beside the program executed.

    ``code`` are lines given with -c by their number, ``begun_s`` are the times since the epoch from
    which on a file must be unchanged.
    """

    code: Mapping[int, str]
    begun_s: Mapping[str, float]


def read_sources(
    frames: Iterable[Frame],
    started: str | None,
    command: Sequence[str] = (),
    cells: Mapping[str, str] = MappingProxyType({}),
    executed: Executed | None = None,
    *,
    with_private: bool = False,
) -> Sources:
    """Read the line of each frame, and three lines around it in the user's own code.

    ``started`` is the ISO 8601 time of the run. Left out are files that cannot be read, files
    changed after ``started`` (they would show the wrong line) and, unless ``with_private``, the
    user's files that look private. The lines of code given with -c are in ``command``, those of the
    cells of a notebook in ``cells``, by title. What other processes ``executed`` is told by that,
    if it is given.
    """
    started_s = None if started is None else datetime.fromisoformat(started).timestamp()
    code = command[1].splitlines() if tuple(command[:1]) == ("-c",) and len(command) > 1 else []
    begun_s: Mapping[str, float] = {} if executed is None else executed.begun_s
    by_file: dict[str, list[Frame]] = {}
    for frame in frames:
        if frame.origin not in (Origin.NATIVE, Origin.THREAD) and frame.lineno > 0:
            by_file.setdefault(frame.filename, []).append(frame)
    private = []
    lines = {}
    for filename, of_file in by_file.items():
        around = CONTEXT_LINES if of_file[0].origin in _PROGRAM else 0
        last = max(frame.lineno for frame in of_file) + around
        path = Path(filename)
        if filename in cells:
            text: Sequence[str] = cells[filename].splitlines()
        elif filename == CODE_FILENAME and executed is not None:
            for lineno, line in executed.code.items():
                lines[filename, lineno] = line.rstrip()[:MAX_LINE_CHARACTERS]
            continue
        elif filename == CODE_FILENAME:
            text = code
        elif not is_unchanged(filename, begun_s.get(filename, started_s)):
            continue
        elif not with_private and _is_private(path, of_file[0].origin):
            private.append(filename)
            continue
        else:
            text = source_lines(filename, last)
        for frame in of_file:
            if frame.lineno <= len(text):
                first = max(1, frame.lineno - around)
                for lineno in range(first, min(len(text), frame.lineno + around) + 1):
                    lines[filename, lineno] = text[lineno - 1].rstrip()[:MAX_LINE_CHARACTERS]
    return Sources(lines, tuple(sorted(private)))


def is_unchanged(filename: str, since_s: float | None) -> bool:
    """Tell if a file was not changed after a time since the epoch; all are, where that is None."""
    try:
        return since_s is None or Path(filename).stat().st_mtime <= since_s
    except (OSError, ValueError):
        return False


def _is_private(path: Path, origin: Origin) -> bool:
    """Tell if the name or the mode of a file marks it as private.

    A library's `credentials.py` is public; only the user's own files hold the user's secrets.
    """
    if origin is not Origin.USER:
        return False
    name = PurePath(path).name.lower()
    if any(fnmatch(name, pattern) for pattern in _PRIVATE_NAMES):
        return True
    try:
        return stat.S_IMODE(path.stat().st_mode) in _PRIVATE_MODES
    except (OSError, ValueError):  # of a name that no file can have
        return False
