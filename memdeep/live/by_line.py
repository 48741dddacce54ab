"""Lays out a run by line, as `live.json` has it: what is alive, and what has grown lately.

Knows no terminal: what is chosen and how many rows there are is given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from memdeep.live.status_line import BARS
from memdeep.rundir.live import Live, LiveLine
from memdeep.text import units
from memdeep.text.language import Language
from memdeep.text.safe import plain, plain_code

CURVE_CELLS = 60
LATE_S = 2.0  # figures that are older are told to be
OWN = ("user", "tool")  # the origins of the program's own code


class Order(Enum):
    """The column that lines are put in order by, by the key that chooses it."""

    ALIVE = "a"
    PHASE = "p"
    MINUTE = "m"


@dataclass(slots=True)
class Choice:
    """What the reader chose: the order of lines, and one of them, by file and number."""

    order: Order = Order.ALIVE
    line: tuple[str, int] | None = None

    def move(self, live: Live, by: int) -> None:
        """Choose the line so many rows below; from none, the first."""
        lines = ordered(live, self.order)
        if not lines:
            return
        places = [_key(line) for line in lines]
        at = places.index(self.line) + by if self.line in places else 0
        self.line = places[max(0, min(len(places) - 1, at))]


def ordered(live: Live, order: Order) -> Sequence[LiveLine]:
    """Return the lines by a column, the largest first."""
    figure = {
        Order.ALIVE: lambda line: line.alive_bytes,
        Order.PHASE: lambda line: line.phase_bytes,
        Order.MINUTE: lambda line: line.minute_bytes,
    }[order]
    return sorted(live.lines, key=figure, reverse=True)


def table(live: Live, choice: Choice, rows: int, language: Language) -> RenderableType:
    """Lay out at most ``rows`` lines, with the one that is chosen, and the sum of the rest."""
    lines = ordered(live, choice.order)
    chosen = next((at for at, line in enumerate(lines) if _key(line) == choice.line), None)
    first = 0 if chosen is None else max(0, min(chosen - rows // 2, len(lines) - rows))
    shown = lines[first : first + rows]
    made = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        collapse_padding=True,
        pad_edge=False,
        show_edge=False,
    )
    for order in Order:
        title = language.say(f"watch.{order.name.lower()}", minute_s=live.minute_s)
        style = "bold" if order is choice.order else ""
        made.add_column(Text(title, style), justify="right", no_wrap=True, min_width=10)
    made.add_column("", no_wrap=True, width=1)
    made.add_column(language.say("watch.line"), no_wrap=True, overflow="ellipsis")
    names = short_names(live.lines)
    for line in shown:
        is_chosen = _key(line) == choice.line
        made.add_row(
            units.size(line.alive_bytes),
            units.signed_size(line.phase_bytes),
            units.signed_size(line.minute_bytes),
            "▸" if is_chosen else "",
            _name(line, names),
            style="reverse" if is_chosen else "",
        )
    rest = _sums(live, [*lines[:first], *lines[first + rows :]])
    if rest.count:
        others = Text(language.say("watch.others", n=rest.count), style="dim")
        sizes = (
            units.size(rest.alive),
            units.signed_size(rest.phase),
            units.signed_size(rest.minute),
        )
        made.add_row(*sizes, "", others, style="dim")
    if not lines:
        made.add_row("", "", "", "", Text(language.say("watch.no_lines"), style="dim"))
    return Group(Text(""), made)


def detail(live: Live, choice: Choice, language: Language) -> RenderableType | None:
    """Lay out the line that is chosen, with its text; None if none is."""
    line = next((line for line in live.lines if _key(line) == choice.line), None)
    if line is None:
        return None
    place = Text(f"{plain(line.file)}:{line.line}" if line.line else plain(line.function))
    if line.line:
        place.append(f"  {plain(line.function)}", style="dim")
    held = language.say("watch.allocations", n=line.allocations, alive_bytes=line.alive_bytes)
    text = plain_code(line.source) if line.source else language.say("watch.no_source")
    source = Text(f"    {text}", style="" if line.source else "dim")
    parts = [Text(""), _cut(place), _cut(source), _cut(Text(f"    {held}", style="dim"))]
    return Group(*parts)


def heap_curve(live: Live) -> Text:
    """Draw the heap over the whole run, from zero to its peak; a gap where it is not known."""
    values = live.heap_curve.values
    size = -(-len(values) // CURVE_CELLS) or 1
    known = [
        [value for value in values[at : at + size] if value is not None]
        for at in range(0, len(values), size)
    ]
    highest = [max(some, default=None) for some in known]
    top = max((value for value in highest if value is not None), default=0) or 1
    return Text(
        "".join(
            " " if value is None else BARS[min(len(BARS) - 1, value * len(BARS) // top)]
            for value in highest
        )
    )


def headroom(live: Live, language: Language) -> str | None:
    """Tell how long what is left of the limit lasts; None without a limit, or where unknown."""
    limit = live.limit
    if limit.limit_bytes is None or limit.growth_bytes_a_second is None:
        return None
    if limit.left_s is None:
        return language.say("watch.not_growing")
    growth = round(limit.growth_bytes_a_second or 0)
    return language.say("watch.lasts", left_s=limit.left_s, growth_bytes=growth)


def behind(live: Live, now_s: float, language: Language, *, has_ended: bool) -> Text:
    """Tell how far the figures are behind the program."""
    late_s = (live.lag.seconds or 0.0) + max(0.0, now_s - live.epoch_s)
    if has_ended:
        return Text(language.say("watch.as_of", elapsed_s=live.elapsed_s), style="dim")
    said = language.say("watch.behind", late_s=late_s)
    if live.lag.bytes:
        said += language.say("watch.behind_bytes", behind_bytes=live.lag.bytes)
    return Text(said, style="yellow" if late_s > LATE_S else "dim")


def short_names(lines: Sequence[LiveLine]) -> dict[str, str]:
    """Return a name for each file: its last part, and the directory where two would be alike."""
    files = sorted({line.file for line in lines})
    counts = Counter(PurePath(file).name for file in files)
    return {
        file: PurePath(file).name
        if counts[PurePath(file).name] == 1
        else "/".join(PurePath(file).parts[-2:])
        for file in files
    }


def _name(line: LiveLine, names: dict[str, str]) -> Text:
    if not line.line:
        return Text(plain(line.function), style="dim")
    name = Text(f"{plain(names[line.file])}:{line.line}", "" if line.origin in OWN else "dim")
    return name.append(f"  {plain(line.function)}", style="dim")


@dataclass(slots=True)
class _Rest:
    count: int
    alive: int
    phase: int
    minute: int


def _sums(live: Live, hidden: Sequence[LiveLine]) -> _Rest:
    """Add up the lines that are not shown to those that are not listed."""
    others = live.others
    return _Rest(
        others.lines + len(hidden),
        others.alive_bytes + sum(line.alive_bytes for line in hidden),
        others.phase_bytes + sum(line.phase_bytes for line in hidden),
        others.minute_bytes + sum(line.minute_bytes for line in hidden),
    )


def _key(line: LiveLine) -> tuple[str, int]:
    return line.file, line.line


def _cut(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
