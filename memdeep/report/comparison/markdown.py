"""A comparison as GitHub's Markdown, for a pull request or the summary of a job.

All that programs named stands in code spans, where no markup, mention or reference is found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from memdeep.analysis.compare.telling import Telling, shown_lines, telling
from memdeep.model.comparison import Comparison, Figure, LineChange, Match
from memdeep.report.comparison.options import DIFF_DEFAULTS, DiffOptions
from memdeep.report.comparison.wording import (
    OF_RUN,
    Wording,
    differing,
    figure_change,
    is_calm,
    middle,
    phase_change,
    spread,
    table_figure,
)
from memdeep.text import units
from memdeep.text.language import chosen
from memdeep.text.safe import plain, plain_code

MAX_ROWS = 50
MAX_PHASES = 3
MAX_LINES = 10
_TICKS = re.compile("`+")


def encode(comparison: Comparison, options: DiffOptions = DIFF_DEFAULTS) -> Iterator[bytes]:
    """Return the comparison as Markdown, UTF-8, in the first language of the options."""
    language = chosen(options.report.lang)[0]
    text = "\n".join(_blocks(comparison, Wording(comparison, language, code), options))
    return iter([f"{text}\n".encode("utf-8", "replace")])


def code(text: str) -> str:
    """Return ``text`` as a code span, which may stand in a table too."""
    shown = plain(text)
    fence = _fence(shown, 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}".replace("|", "\\|") if shown else ""


def _fence(text: str, least: int) -> str:
    """Return more backticks than ``text`` has in one place."""
    return "`" * max(least, 1 + max(map(len, _TICKS.findall(text)), default=0))


def _blocks(comparison: Comparison, wording: Wording, options: DiffOptions) -> Iterator[str]:
    yield f"**{wording.answer()}**"
    yield ""
    yield wording.sides()
    yield ""
    for text in wording.cautions():
        yield f"> ⚠️ {text}"
        yield ""
    told = telling(comparison)
    places = differing(comparison)
    shown = [*range(len(comparison.phases))] if options.all_phases else places[:MAX_ROWS]
    if not shown and not told and is_calm(comparison):
        return
    yield from _figures(comparison, wording)
    if shown:
        yield from _phases(comparison, wording, shown)
    say = wording.language.say
    alike = len(comparison.phases) - len(places)
    if not options.all_phases:
        if len(places) > len(shown):
            yield say("diff.more_phases", n=len(places) - len(shown))
            yield ""
        if alike:
            yield say("diff.alike_phases", n=alike)
            yield ""
    yield say("diff.within").replace("~", "\\~")
    yield ""
    for text in wording.files():
        yield text
        yield ""
    explained = [one for one in told if one.line is not None]
    for one in explained[:MAX_PHASES]:
        yield from _lines(comparison, wording, one, options)


def _figures(comparison: Comparison, wording: Wording) -> Iterator[str]:
    say = wording.language.say
    yield f"| | {say('diff.before')} | {say('diff.after')} | {say('diff.change')} |"
    yield "|---|---:|---:|---:|"
    for figure in OF_RUN:
        change = comparison.figures.get(figure)
        if change is not None:
            sides = [
                " ".join(filter(None, (middle(figure, values), _range(figure, values))))
                for values in (change.before, change.after)
            ]
            cells = [wording.figure(figure), *sides, _cell(figure_change(change))]
            yield f"| {' | '.join(cells)} |"
    yield ""


def _range(figure: Figure, values: Sequence[float]) -> str:
    shown = spread(figure, values)
    return f"({shown})" if shown else ""


def _phases(comparison: Comparison, wording: Wording, shown: Sequence[int]) -> Iterator[str]:
    figure = table_figure(comparison)
    say = wording.language.say
    kept = say("diff.rss" if figure is Figure.RSS_GROWTH else "diff.kept")
    titles = [say("diff.phase"), kept, say("diff.after"), say("diff.change"), say("diff.rise"), ""]
    yield f"| {' | '.join(titles)} |"
    yield "|---|---:|---:|---:|---:|---|"
    for place in shown:
        change = comparison.phases[place]
        known = change.figures.get(figure)
        sides = ((), ()) if known is None else (known.before, known.after)
        cells = [
            f"{'&emsp;' * change.depth}{wording.name(change)}",
            *(middle(figure, values) for values in sides),
            _cell(phase_change(comparison, change, figure)),
            _cell(phase_change(comparison, change, Figure.RISE)),
            wording.note(change),
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _lines(
    comparison: Comparison, wording: Wording, one: Telling, options: DiffOptions
) -> Iterator[str]:
    say = wording.language.say
    yield f"**{wording.claim(one)}**"
    yield ""
    titles = [say(f"diff.{key}") for key in ("before", "after", "change", "line")]
    yield f"| {' | '.join(titles)} |"
    yield "|---:|---:|---:|---|"
    lines = shown_lines(comparison.phases[one.phase], one.figure)
    for line in lines[:MAX_LINES]:
        sizes = [
            units.size(round(values[0])) if at is not None else units.UNKNOWN
            for at, values in ((line.before, line.bytes.before), (line.after, line.bytes.after))
        ]
        delta = units.signed_size(round(line.bytes.delta or 0))
        yield f"| {sizes[0]} | {sizes[1]} | {delta} | {wording.where(line)} |"
    rest = lines[MAX_LINES:]
    if rest:
        size = units.signed_size(round(sum(line.bytes.delta or 0 for line in rest)))
        yield f"| | | {size} | {say('diff.other_lines', n=len(rest))} |"
    yield ""
    if options.report.source is not False:
        yield from _texts(lines[:MAX_LINES])


def _texts(lines: Sequence[LineChange]) -> Iterator[str]:
    """Yield the texts of lines as a difference: what is gone, what is new, and what stayed."""
    shown = []
    for line in lines:
        old = None if line.before is None else line.before.text
        new = None if line.after is None else line.after.text
        if line.match in (Match.EDITED, Match.REMOVED) and old is not None:
            shown.append(f"- {plain_code(old)}")
        if new is not None:
            is_new = line.match in (Match.EDITED, Match.ADDED)
            shown.append(f"{'+' if is_new else ' '} {plain_code(new)}")
    if shown:
        fence = _fence("\n".join(shown), 3)
        yield from (f"{fence}diff", *shown, fence, "")


def _cell(text: str) -> str:
    return text.replace("~", "\\~")
