"""`memdeep open`: opens the page of a run, or a page itself, in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from memdeep.cli import arguments, speech
from memdeep.errors import EXIT_NO_INPUT, CaptureError
from memdeep.rundir import directory
from memdeep.rundir.directory import RunDirectory
from memdeep.text.language import spoken


def main(words: Sequence[str]) -> int:
    """Carry out `memdeep open WORDS`; return its exit status."""
    given: Path | None = arguments.parser("open").parse(words).path
    path = speech.newest(spoken(), quiet=False) if given is None else given
    speech.open_page(_page(path), spoken())
    return 0


def _page(path: Path) -> Path:
    """Return the page at ``path``: of a run, of a directory of reports, or itself.

    Raises CaptureError.
    """
    if path.is_file():
        if path.suffix == ".html":
            return path
        raise CaptureError(
            f"{path} is no page of a report.",
            "Give the directory of a run, or its report.html; `memdeep report` makes it.",
            EXIT_NO_INPUT,
        )
    page = RunDirectory(path).html
    if not page.is_file():
        directory.existing(path)
        raise CaptureError(
            f"There is no report of {path} yet.",
            f"Make it: memdeep report {path}",
            EXIT_NO_INPUT,
        )
    return page
