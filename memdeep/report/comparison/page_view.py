"""The view model of the page of a comparison: all that it shows without its scripts.

Figures are text already, sentences are in every language of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from memdeep.frozen import frozen
from memdeep.model.comparison import (
    Change,
    Comparison,
    Figure,
    LineChange,
    Match,
    PhaseChange,
    Side,
)
from memdeep.report import sentences as of_run
from memdeep.report.comparison import sentences
from memdeep.report.comparison.page_payload import COLUMNS
from memdeep.report.comparison.page_rows import FoldedRow
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
    """A figure on both sides; ``tone`` is ``up``, ``down``, ``flat`` or ``unknown``."""

    name: str
    before: str
    after: str
    change: str
    tone: str


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
    files: tuple[tuple[str, str], ...]
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

    columns = [one for one in COLUMNS if any(one in row.figures for row in comparison.phases)]
    hidden = {member for row in folded for member in row.members}
    rows = [phase for place, phase in enumerate(comparison.phases) if place not in hidden]
    telling = sorted(rows, key=partial(sentences.weight, comparison), reverse=True)[:MAX_ROWS]
    shown = [phase for phase in rows if phase in telling] if len(rows) > MAX_ROWS else rows
    phase = sentences.most_changed(comparison)
    before, after = comparison.before, comparison.after
    return ComparisonPage(
        title=f"{before.name} → {after.name} · memdeep",
        names=(before.name, after.name),
        runs=(len(before.reports), len(after.reports)),
        headline=say(partial(sentences.headline, comparison)),
        row=-1 if phase is None else comparison.phases.index(phase),
        charged=None if phase is None or not phase.lines else _line(phase.lines[0]),
        figures=tuple(_figure(change) for change in comparison.figures.values()),
        cautions=tuple(say(partial(sentences.caution, one)) for one in comparison.cautions),
        files=tuple(comparison.files.items()),
        sides=_sides(comparison, say),
        columns=tuple(column.name.lower() for column in columns),
        rows=tuple(_row(comparison, phase, columns, say) for phase in shown),
        hidden_rows=len(comparison.phases) - len(shown),
        facts=_facts(comparison, languages),
        blocks=blocks,
    )


def _figure(change: Change, match: Match = Match.SAME) -> FigureView:
    delta = sentences.difference(change, match)
    is_flat = change.is_alike or change.figure is Figure.DURATION  # which is no memory
    tone = "unknown" if delta is None else "flat" if is_flat else ""
    return FigureView(
        name=change.figure.name.lower(),
        before=sentences.value_text(change.figure, sentences.before_of(change)),
        after=sentences.value_text(change.figure, sentences.after_of(change)),
        change=sentences.change_text(change, match),
        tone=tone or ("up" if (delta or 0) > 0 else "down"),
    )


def _line(line: LineChange) -> LineView:
    was, now = line.before, line.after
    return LineView(
        before=None if was is None else sentences.line_name(was),
        after=None if now is None else sentences.line_name(now),
        before_text=None if was is None else was.text,
        after_text=None if now is None else now.text,
        figure=_figure(line.bytes, line.match),
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
    comparison: Comparison, phase: PhaseChange, columns: Sequence[Figure], say: Say
) -> RowView:
    changes = [phase.figures.get(column) for column in columns]
    note = say(partial(sentences.match_note, comparison, phase))
    return RowView(
        name=say(partial(sentences.phase_name, comparison, phase)),
        note=note if any(note.values()) else None,
        depth=phase.depth,
        figures=tuple(
            None if change is None else _figure(change, phase.match) for change in changes
        ),
    )


def _facts(comparison: Comparison, languages: Sequence[Language]) -> tuple[FactPair, ...]:
    """Return the facts of both runs that stand for their sides, side by side."""
    both = [
        {fact.name: fact for fact in facts(side.report, languages) if fact.name not in ALIKE_FACTS}
        for side in (comparison.before, comparison.after)
    ]
    names = dict.fromkeys([*both[0], *both[1]])
    return tuple(FactPair(name, both[0].get(name), both[1].get(name)) for name in names)
