"""Reads the text of source lines, unless the file has changed since the program ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from memdeep.capture.source_files import source_lines
from memdeep.model import Frame, Origin

MAX_LINE_CHARACTERS = 400
CODE_FILENAME = "<string>"  # what Python calls code given with -c


def read_sources(
    frames: Iterable[Frame], started: str | None, command: Sequence[str] = ()
) -> Mapping[tuple[str, int], str]:
    """The stripped source line of each frame, by file name and line number.

    ``started`` is the run's ISO 8601 time: a file changed later would show the wrong line, and is
    left out like one that cannot be read. The lines of code given with -c are in ``command``.
    """
    started_s = None if started is None else datetime.fromisoformat(started).timestamp()
    code = command[1].splitlines() if tuple(command[:1]) == ("-c",) and len(command) > 1 else []
    files: dict[str, Sequence[str]] = {CODE_FILENAME: code}
    sources = {}
    for frame in frames:
        if frame.origin is Origin.NATIVE or frame.lineno <= 0:
            continue
        lines = files.get(frame.filename)
        if lines is None:
            is_unchanged = _is_unchanged(Path(frame.filename), started_s)
            lines = source_lines(frame.filename) if is_unchanged else ()
            files[frame.filename] = lines
        text = lines[frame.lineno - 1] if frame.lineno <= len(lines) else ""
        if text.strip():
            sources[frame.filename, frame.lineno] = text.strip()[:MAX_LINE_CHARACTERS]
    return sources


def _is_unchanged(path: Path, started_s: float | None) -> bool:
    try:
        return started_s is None or path.stat().st_mtime <= started_s
    except (OSError, ValueError):
        return False
