"""Lays out a comparison for a terminal. Encodes the same as plain text. Knows rich."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from memdeep.analysis.compare.telling import Telling, difference, shown_lines, telling
from memdeep.model.comparison import Comparison, Figure, LineAt, LineChange, Match, PhaseChange
from memdeep.report.comparison.options import DIFF_DEFAULTS, DiffOptions
from memdeep.report.comparison.wording import (
    ALIKE,
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
from memdeep.report.terminal import plain_text
from memdeep.report.terminal_lines import wrap
from memdeep.text import units
from memdeep.text.language import Language, chosen
from memdeep.text.safe import plain_code

NARROW = 64  # columns below which there is no room for both sides
MIN_NAME = 14
MAX_ROWS = 25
MAX_PHASES = 3  # whose lines are shown
MAX_LINES = 5  # of a phase
INDENT = 2


def encode(comparison: Comparison, options: DiffOptions = DIFF_DEFAULTS) -> Iterator[bytes]:
    """Return the comparison as plain text, UTF-8, in the first language of the options."""
    width = options.report.width
    shown = verdict(comparison, width, chosen(options.report.lang)[0], options)
    return iter([plain_text(shown, width)])


def verdict(
    comparison: Comparison, width: int, language: Language, options: DiffOptions = DIFF_DEFAULTS
) -> RenderableType:
    """Lay out a comparison for a terminal of ``width`` columns."""
    return Group(*_Layout(comparison, width, language, options).parts())


class _Layout:
    """The parts of one comparison on a terminal."""

    def __init__(
        self, comparison: Comparison, width: int, language: Language, options: DiffOptions
    ) -> None:
        self._comparison = comparison
        self._width = width
        self._options = options
        self._wording = Wording(comparison, language)
        self._say = language.say
        self._is_narrow = width < NARROW

    def parts(self) -> list[RenderableType]:
        wording, comparison = self._wording, self._comparison
        parts: list[RenderableType] = [
            self._wrapped(wording.answer(), style="bold"),
            self._wrapped(wording.sides(), style="dim"),
        ]
        parts += [self._wrapped(f"! {text}", style="yellow") for text in wording.cautions()]
        shown = self._rows()
        told = telling(comparison)
        if not shown and not told and is_calm(comparison):
            return parts
        parts += [Text(""), self._figures()]
        if shown:
            parts += [Text(""), self._table(shown)]
        alike = len(comparison.phases) - len(differing(comparison))
        beneath = []
        hidden = len(comparison.phases) - len(shown) - alike
        if hidden > 0 and not self._options.all_phases:
            beneath.append(self._say("diff.more_phases", n=hidden))
        if alike and not self._options.all_phases:
            beneath.append(self._say("diff.alike_phases", n=alike))
        beneath.append(self._say("diff.within"))
        parts += [self._wrapped(text, style="dim") for text in beneath]
        parts += [self._wrapped(text) for text in wording.files()]
        explained = [one for one in told if one.line is not None] or told[:1]
        for one in explained[:MAX_PHASES]:
            parts += [Text(""), *self._lines(one)]
        return parts

    def _wrapped(self, text: str, style: str = "") -> Text:
        return Text(wrap(text, self._width), style=style)

    def _rows(self) -> list[int]:
        """Return the phases that get a row, in order."""
        if self._options.all_phases:
            return [*range(len(self._comparison.phases))]
        places = differing(self._comparison)
        if len(places) <= MAX_ROWS:
            return places
        largest = sorted(places, key=lambda place: -self._weight(self._comparison.phases[place]))
        return sorted(largest[:MAX_ROWS])

    def _weight(self, change: PhaseChange) -> float:
        deltas = [
            difference(change, figure, is_deep=self._comparison.is_deep)
            for figure in (Figure.GROWTH, Figure.RISE, Figure.RSS_GROWTH)
        ]
        return max(abs(delta or 0) for delta in deltas)

    def _figures(self) -> RenderableType:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True, overflow="ellipsis")
        for _ in range(2 if self._is_narrow else 4):
            grid.add_column(justify="right", no_wrap=True)
        for figure in OF_RUN:
            change = self._comparison.figures.get(figure)
            if change is None:
                continue
            sides = [middle(figure, values) for values in (change.before, change.after)]
            told = figure_change(change)
            name = Text(self._wording.figure(figure))
            style = "" if told == ALIKE else "bold"
            if self._is_narrow:
                grid.add_row(name, sides[1], Text(_without_share(told), style=style))
                continue
            grid.add_row(name, sides[0], "→", sides[1], Text(told, style=style, justify="left"))
            ranges = [spread(figure, values) for values in (change.before, change.after)]
            if any(ranges):
                text = f"{ranges[0] or sides[0]} → {ranges[1] or sides[1]}"
                grid.add_row("", "", "", "", Text(text, style="dim", justify="left"))
        return grid

    def _table(self, shown: Sequence[int]) -> RenderableType:
        """Lay out phases; those of one that is shown are indented, notes stand beneath names."""
        figure = table_figure(self._comparison)
        kept = self._say("diff.rss" if figure is Figure.RSS_GROWTH else "diff.kept")
        titles = [self._say("diff.phase"), kept, self._say("diff.after"), self._say("diff.change")]
        if self._is_narrow:
            titles = [titles[0], titles[2], titles[3]]
        elif figure is Figure.GROWTH:
            titles.append(self._say("diff.rise"))
        rows = [self._cells(place, figure, shown) for place in shown]
        widths = [
            max(map(cell_len, column))
            for column in zip(titles[1:], *(cells for _, cells in rows), strict=True)
        ]
        room = self._width - sum(widths) - len(widths)
        names = [line for name, _ in rows for line in name.plain.split("\n")]
        widths.insert(0, max(MIN_NAME, min(room, max(map(cell_len, [titles[0], *names])))))
        table = Table(box=None, padding=(0, 1, 0, 0), collapse_padding=True, pad_edge=False)
        for place, (title, wide) in enumerate(zip(titles, widths, strict=True)):
            table.add_column(
                Text(title, style="dim"),
                justify="right" if place else "left",
                overflow="ellipsis",
                no_wrap=True,
                width=wide,
            )
        for name, cells in rows:
            table.add_row(name, *map(Text, cells))
        return table

    def _cells(self, place: int, figure: Figure, shown: Sequence[int]) -> tuple[Text, list[str]]:
        change = self._comparison.phases[place]
        indent = "  " * self._depth(change, shown)
        name = Text(f"{indent}{self._wording.name(change)}")
        note = self._wording.note(change)
        if note:
            name.append(f"\n{indent}  {note}", style="dim")
        told = phase_change(self._comparison, change, figure)
        known = change.figures.get(figure)
        both = ((), ()) if known is None else (known.before, known.after)
        sides = [units.signed_size(round(median(one))) if one else units.UNKNOWN for one in both]
        if self._is_narrow:
            return name, [sides[1], _without_share(told)]
        cells = [*sides, told]
        if figure is Figure.GROWTH:
            rise = phase_change(self._comparison, change, Figure.RISE)
            cells.append(_without_share(rise))
        return name, cells

    def _depth(self, change: PhaseChange, shown: Sequence[int]) -> int:
        """Return how many of the phases around ``change`` are shown."""
        depth, known, above = 0, set(shown), change.parent
        while above is not None:
            depth += above in known
            above = self._comparison.phases[above].parent
        return depth

    def _lines(self, one: Telling) -> Iterator[RenderableType]:
        """Lay out the lines behind a difference, with their texts."""
        title = self._wrapped(
            f"▶ {self._say('diff.beneath', claim=self._wording.claim(one))}", style="bold"
        )
        title.stylize("red", 0, 1)
        yield title
        lines = shown_lines(self._comparison.phases[one.phase], one.figure)
        for line in lines[:MAX_LINES]:
            yield from self._line(line)
        rest = lines[MAX_LINES:]
        if rest:
            size = units.signed_size(round(sum(line.bytes.delta or 0 for line in rest)))
            text = f"{size} {self._say('diff.other_lines', n=len(rest))}"
            yield Padding(Text(text, style="dim"), (0, 0, 0, INDENT))

    def _line(self, line: LineChange) -> Iterator[RenderableType]:
        sides = [
            units.size(round(values[0])) if at is not None else units.UNKNOWN
            for at, values in ((line.before, line.bytes.before), (line.after, line.bytes.after))
        ]
        delta = units.signed_size(round(line.bytes.delta or 0))
        figures = delta if self._is_narrow else f"{sides[0]:>9} → {sides[1]:>9}  {delta:>10}"
        text = f"{figures}  {self._wording.where(line)}"
        room = self._width - INDENT
        yield Padding(Text(text if cell_len(text) <= room else wrap(text, room)), (0, 0, 0, INDENT))
        if self._options.report.source is False:
            return
        marked = [("", line.after or line.before)]
        if line.match is Match.EDITED:
            marked = [("- ", line.before), ("+ ", line.after)]
        for mark, at in marked:
            yield from self._code(mark, at)

    def _code(self, mark: str, line: LineAt | None) -> Iterator[RenderableType]:
        if line is not None and line.text is not None:
            style = {"- ": "red", "+ ": "green"}.get(mark, "cyan")
            code = Text(f"{mark}{plain_code(line.text)}", style=style)
            code.no_wrap, code.overflow = True, "ellipsis"
            yield Padding(code, (0, 0, 0, 2 * INDENT))


def _without_share(told: str) -> str:
    """Return a difference without its share: ``−9.8 MB −6 %`` as ``−9.8 MB``."""
    parts = told.split(" ")
    return " ".join(parts[:-2]) if told.endswith("%") else told
