"""Encodes a report as collapsed stacks: a line for each stack, which flame graphs are drawn from.

The outermost frame is the phase. Phases inside one another stand side by side, each with all of its
own bytes: the lines of a phase add up to its figure, those of all phases to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from memdeep.analysis.accounts import OUTSIDE, Accounts
from memdeep.model import Report
from memdeep.report.exports.options import ExportOptions
from memdeep.report.exports.shown import ShownStacks, paths_of

NO_PHASE = "(no phase)"


def encode(report: Report, options: ExportOptions) -> Iterator[bytes]:
    """Yield the lines of each phase, by the figure that ``options`` names, largest first."""
    stacks, paths = ShownStacks(report), paths_of(report.phases)
    sums = Accounts(report).sums(options.one_metric)[options.one_metric]
    texts: dict[int, str] = {}
    for place in sorted(sums, key=lambda place: (place == OUTSIDE, place)):
        if not (options.phases is None if place == OUTSIDE else options.has(place)):
            continue
        first = escaped(NO_PHASE if place == OUTSIDE else paths[place])
        lines: dict[str, int] = {}
        for node, (size, _) in sums[place].items():
            text = texts.get(node)
            if text is None:
                frames = map(stacks.frame, stacks.frames(node))
                text = texts[node] = ";".join(escaped(frame.text) for frame in frames)
            lines[text] = lines.get(text, 0) + size
        for text, size in sorted(lines.items(), key=lambda line: (-line[1], line[0])):
            if size:
                yield f"{first};{text} {size}\n".encode()


def escaped(text: str) -> str:
    """Return the text of a frame without the sign that parts frames."""
    return text.replace(";", "\\x3b")
