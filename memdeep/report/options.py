"""The options of a report, the same for all of its outputs. Knows no command line and no file."""

from __future__ import annotations

from pathlib import Path

from memdeep.frozen import frozen

VSCODE = "vscode://file/{path}:{line}"


@frozen
class ReportOptions:
    """Options of what a report shows, and of how its outputs look.

    ``source`` is True for the source lines of all files, None for those of all files but private
    ones, False for none. ``redact_args`` hides the arguments of the program. ``lang`` is one of
    `language.CHOICES`. ``editor`` is the address that opens a file in an editor, with ``{path}``
    and ``{line}``. ``width`` is the number of columns of the verdict as text.
    ``cache`` is a directory to keep compiled templates in; None for nowhere.
    """

    source: bool | None = None
    redact_args: bool = False
    lang: str = "both"
    editor: str = VSCODE
    width: int = 80
    cache: Path | None = None


DEFAULTS = ReportOptions()
