"""The code of one side of a comparison: its frames with paths that hold anywhere, and texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from memdeep.model import Frame, Origin, Report
from memdeep.model.comparison import LineAt
from memdeep.model.paths import path_of, roots_of

_NO_CODE = (Origin.THREAD, Origin.NATIVE)


class Code:
    """The frames of a report as `LineAt`, and the texts of its files."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._roots = roots_of(report)

    def line(self, frame: Frame) -> LineAt:
        """Return ``frame`` with its path and its text, blanks folded."""
        path = path_of(frame, self._roots) or frame.filename
        text = self._report.source(frame) if frame.origin not in _NO_CODE else None
        return LineAt(frame, path, None if text is None else folded(text))

    @cached_property
    def lines(self) -> tuple[LineAt, ...]:
        """The frames of the report's tree, in the order of the tree."""
        return tuple(map(self.line, self._report.heap.tree.frames))

    @cached_property
    def texts(self) -> Mapping[str, frozenset[str]]:
        """The texts of the stored lines of each file, by its path."""
        paths = {line.frame.filename: line.path for line in self.lines}
        found: dict[str, set[str]] = {}
        for (filename, _), text in self._report.sources.items():
            if filename in paths:
                found.setdefault(paths[filename], set()).add(folded(text))
        return {path: frozenset(texts) for path, texts in found.items()}

    def around(self, line: LineAt) -> frozenset[str]:
        """Return the texts of the lines next to a line, as far as they are stored."""
        near = self._report.around(line.frame, 2)
        return frozenset(folded(text) for number, text in near if number != line.frame.lineno)


def folded(text: str) -> str:
    """Return ``text`` with one blank for each run of blanks, and none at its ends."""
    return " ".join(text.split())


def letters(texts: Iterable[str], least: int) -> frozenset[str]:
    """Return those of ``texts`` that have at least ``least`` letters or digits."""
    return frozenset(text for text in texts if sum(map(str.isalnum, text)) >= least)
