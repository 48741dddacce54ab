"""Reads source files by the names found in a capture. The names may be anything."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from memdeep.errors import CaptureError
from memdeep.rundir.files import read_regular

MAX_SOURCE_BYTES = 1 << 24


def read_source(filename: str) -> bytes:
    """Return the content of a source file; empty if it cannot be read."""
    try:
        return read_regular(Path(filename), MAX_SOURCE_BYTES)
    except CaptureError:
        return b""


def source_lines(filename: str, most: int) -> Sequence[str]:
    """Return the first ``most`` lines of a source file with their ends; none if unreadable."""
    content = io.BytesIO(read_source(filename))
    try:
        encoding, _ = tokenize.detect_encoding(content.readline)
        content.seek(0)
        return list(islice(io.TextIOWrapper(content, encoding), most))
    except (SyntaxError, ValueError):
        return ()
