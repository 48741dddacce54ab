"""`memdeep open`: opens the page of a run in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from memdeep.cli import arguments, speech
from memdeep.errors import EXIT_NO_INPUT, CaptureError
from memdeep.rundir import directory
from memdeep.text.language import spoken


def main(words: Sequence[str]) -> int:
    """Carry out `memdeep open WORDS`; return its exit status."""
    given: Path | None = arguments.parser("open").parse(words).path
    path = speech.newest(spoken(), quiet=False) if given is None else given
    page = directory.existing(path).html
    if not page.is_file():
        raise CaptureError(
            f"There is no report of {path} yet.",
            f"Make it: memdeep report {path}",
            EXIT_NO_INPUT,
        )
    speech.open_page(page, spoken())
    return 0
