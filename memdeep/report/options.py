"""The options of a report, the same for all of its outputs. Knows no command line and no file."""

from __future__ import annotations

from pathlib import Path

from memdeep.frozen import frozen

VSCODE = "vscode://file/{path}:{line}"


@frozen
class ReportOptions:
    """Options of what a report shows, and of how its outputs look.

    ``source`` is True for the source lines of all files, None for those of all files but private
    ones, False for none. ``redact_args`` hides the arguments of the program. Without ``values`` the
    paths of holders show no keys of the program's containers. ``lang`` is one of
    `language.CHOICES`. ``editor`` is the address that opens a file in an editor, with ``{path}``
    and ``{line}``. ``width`` is the number of columns of the verdict as text.
    ``cache`` is a directory to keep compiled templates in; None for nowhere.
    """

    source: bool | None = None
    redact_args: bool = False
    values: bool = True
    lang: str = "both"
    editor: str = VSCODE
    width: int = 80
    cache: Path | None = None

    @property
    def shows_keys(self) -> bool:
        """Tell whether keys may be shown: an argument may well be one."""
        return self.values and not self.redact_args


DEFAULTS = ReportOptions()
