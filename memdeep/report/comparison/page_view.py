"""The view model of the page of a comparison: all that it shows without its scripts.

Figures are text already, sentences are in every language of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from memdeep.analysis.compare.telling import FIGURES, difference, telling
from memdeep.frozen import frozen, replace
from memdeep.model.comparison import (
    Change,
    Comparison,
    Figure,
    LineChange,
    PhaseChange,
    Side,
)
from memdeep.report import sentences as of_run
from memdeep.report.comparison import wording
from memdeep.report.comparison.page_payload import COLUMNS
from memdeep.report.comparison.page_rows import FoldedRow, of_nothing
from memdeep.report.comparison.wording import Wording
from memdeep.report.page import layers, timeline
from memdeep.report.page.facts import PAGE_SIZE, Fact, facts
from memdeep.report.page.timeline import Extent, Timeline
from memdeep.report.page.view import Say, Texts, band_names, layer_names
from memdeep.text.language import Language
from memdeep.version import __version__

MAX_ROWS = 40
MAX_LINES = 5
ALIKE_FACTS = ("page", "in_memray", "capture")  # of one run alone


@frozen
class FigureView:
    """A figure on both sides; ``tone`` is ``up``, ``down``, ``flat`` or ``unknown``.

    ``ranges`` are those of several runs a side, empty where each has one.
    """

    name: str
    before: str
    after: str
    change: str
    tone: str
    ranges: str


@frozen
class LineView:
    """A line on both sides; a text is None where it is not known, or the line not there."""

    before: str | None
    after: str | None
    before_text: str | None
    after_text: str | None
    figure: FigureView


@frozen
class SideView:
    """A side: its timeline, and how its run went."""

    timeline: Timeline | None
    timeline_id: str
    timeline_heading: Texts
    band_names: Mapping[int, Texts]
    layer_names: tuple[Texts, ...]
    phases: tuple[()] = ()  # the timeline leads to none of its own


@frozen
class RowView:
    """A row of the table of phases."""

    name: Texts
    note: Texts | None
    depth: int
    figures: tuple[FigureView | None, ...]


@frozen
class FactPair:
    """A fact of both runs; one that is the same stands once."""

    name: str
    before: Fact | None
    after: Fact | None


@frozen
class ComparisonPage:
    """All that the page shows."""

    title: str
    names: tuple[str, str]
    runs: tuple[int, int]  # a side
    headline: Texts
    row: int  # of the phase that the headline tells of, -1 if it tells of none
    charged: LineView | None
    figures: tuple[FigureView, ...]
    cautions: tuple[Texts, ...]
    files: tuple[Texts, ...]
    sides: tuple[SideView, ...]
    columns: tuple[str, ...]
    rows: tuple[RowView, ...]
    hidden_rows: int
    facts: tuple[FactPair, ...]
    blocks: Mapping[str, str]
    page_size: str = PAGE_SIZE
    version: str = __version__


def view(
    comparison: Comparison,
    folded: Sequence[FoldedRow],
    blocks: Mapping[str, str],
    languages: Sequence[Language],
) -> ComparisonPage:
    """Return the page of ``comparison``; ``blocks`` are the packed data for its scripts."""

    def say(sentence: Callable[[Language], str]) -> Texts:
        return {language.code: sentence(language) for language in languages}

    words = {language.code: Wording(comparison, language) for language in languages}

    def worded(sentence: Callable[[Wording], str]) -> Texts:
        return {code: sentence(one) for code, one in words.items()}

    columns = [one for one in COLUMNS if any(one in row.figures for row in comparison.phases)]
    hidden = {member for row in folded for member in row.members}
    rows = [phase for place, phase in enumerate(comparison.phases) if place not in hidden]
    largest = sorted(rows, key=partial(_weight, comparison), reverse=True)[:MAX_ROWS]
    shown = [phase for phase in rows if phase in largest] if len(rows) > MAX_ROWS else rows
    told = next(iter(telling(comparison)), None)
    before, after = comparison.before, comparison.after
    return ComparisonPage(
        title=f"{before.name} → {after.name} · memdeep",
        names=(before.name, after.name),
        runs=(len(before.reports), len(after.reports)),
        headline=worded(Wording.answer),
        row=-1 if told is None else told.phase,
        charged=None if told is None or told.line is None else _line(told.line),
        figures=tuple(_figure(change) for change in comparison.figures.values()),
        cautions=_turned({code: one.cautions() for code, one in words.items()}),
        files=_turned({code: one.files() for code, one in words.items()}),
        sides=_sides(comparison, say),
        columns=tuple(column.name.lower() for column in columns),
        rows=tuple(_row(comparison, phase, columns, worded) for phase in shown),
        hidden_rows=len(comparison.phases) - len(shown),
        facts=_facts(comparison, languages),
        blocks=blocks,
    )


def without_source(page: ComparisonPage) -> ComparisonPage:
    """Return the page without the texts of lines."""
    line = page.charged
    bare = None if line is None else replace(line, before_text=None, after_text=None)
    return replace(page, charged=bare)


def _weight(comparison: Comparison, phase: PhaseChange) -> float:
    """Return the largest difference of what is told of a phase."""
    deltas = [difference(phase, one, is_deep=comparison.is_deep) for one in FIGURES]
    return max(abs(delta or 0) for delta in deltas)


def _turned(lists: Mapping[str, Sequence[str]]) -> tuple[Texts, ...]:
    """Return sentences of all languages one by one."""
    rows = zip(*lists.values(), strict=True)
    return tuple(dict(zip(lists, row, strict=True)) for row in rows)


def _figure(change: Change, told: str | None = None, delta: float | None = None) -> FigureView:
    """Return a figure; ``told`` is its difference, ``delta``, where that follows from more."""
    if told is None:
        told, delta = wording.figure_change(change), change.delta
    is_flat = told == wording.ALIKE or change.figure is Figure.DURATION  # which is no memory
    tone = "unknown" if delta is None else "flat" if is_flat else ""
    sides = [wording.middle(change.figure, values) for values in (change.before, change.after)]
    spreads = [wording.spread(change.figure, values) for values in (change.before, change.after)]
    ranges = [spread or side for spread, side in zip(spreads, sides, strict=True)]
    return FigureView(
        name=change.figure.name.lower(),
        before=sides[0],
        after=sides[1],
        change=told,
        tone=tone or ("up" if (delta or 0) > 0 else "down"),
        ranges=" → ".join(ranges) if any(spreads) else "",
    )


def _line(line: LineChange) -> LineView:
    was, now = line.before, line.after
    return LineView(
        before=None if was is None else wording.place(was),
        after=None if now is None else wording.place(now),
        before_text=None if was is None else was.text,
        after_text=None if now is None else now.text,
        figure=_figure(line.bytes),
    )


def _sides(comparison: Comparison, say: Say) -> tuple[SideView, ...]:
    sides = (("before", comparison.before), ("after", comparison.after))
    stacked = [layers.stacked(side.report) for _, side in sides]
    rooms = [
        timeline.extent(side.report, shown) for (_, side), shown in zip(sides, stacked, strict=True)
    ]
    known = [room for room in rooms if room is not None]
    room = Extent(*map(max, zip(*known, strict=True))) if known else None
    found = []
    for (name, side), shown in zip(sides, stacked, strict=True):
        drawn = timeline.lay_out(side.report, shown, room)
        found.append(
            SideView(
                timeline=drawn,
                timeline_id=f"timeline-{name}",
                timeline_heading=say(partial(_heading, name, side)),
                band_names=band_names(side.report, drawn, say),
                layer_names=layer_names(side.report, shown, say),
            )
        )
    return tuple(found)


def _heading(name: str, side: Side, language: Language) -> str:
    """Return the name of a side, and how its run ended if it did not end well."""
    text = language.say(f"compare.side_{name}", name=of_run.short(side.name))
    end = side.report.run.exit
    verdict = of_run.verdict(end)
    if verdict == "completed":
        return text
    status = of_run.exit_facts(end)
    return f"{text} · {language.say(f'verdict.{verdict}', status=status)}"


def _row(
    comparison: Comparison,
    phase: PhaseChange,
    columns: Sequence[Figure],
    worded: Callable[[Callable[[Wording], str]], Texts],
) -> RowView:
    note = worded(lambda words: words.note(phase))
    return RowView(
        name=worded(lambda words: words.name(phase)),
        note=note if any(note.values()) else None,
        depth=phase.depth,
        figures=tuple(_of_phase(comparison, phase, figure) for figure in columns),
    )


def _of_phase(comparison: Comparison, phase: PhaseChange, figure: Figure) -> FigureView | None:
    change = phase.figures.get(figure)
    if change is None or not of_nothing(phase, figure):
        return None if change is None else _figure(change)
    told = wording.phase_change(comparison, phase, figure)
    return _figure(change, told, difference(phase, figure, is_deep=comparison.is_deep))


def _facts(comparison: Comparison, languages: Sequence[Language]) -> tuple[FactPair, ...]:
    """Return the facts of both runs that stand for their sides, side by side."""
    both = [
        {fact.name: fact for fact in facts(side.report, languages) if fact.name not in ALIKE_FACTS}
        for side in (comparison.before, comparison.after)
    ]
    names = dict.fromkeys([*both[0], *both[1]])
    return tuple(FactPair(name, both[0].get(name), both[1].get(name)) for name in names)
