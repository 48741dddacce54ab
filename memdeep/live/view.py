"""Lays out the state of a run that goes on: for a terminal, or as plain lines.

Shows `RunProgress` and changes nothing in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from memdeep.frozen import frozen
from memdeep.live import by_line
from memdeep.live.by_line import Choice
from memdeep.live.growth import Growth
from memdeep.live.progress import RunProgress
from memdeep.live.status_line import BARS
from memdeep.model import DETACHED
from memdeep.rundir import journal
from memdeep.rundir.journal import Event
from memdeep.rundir.live import Live
from memdeep.rundir.meta import Meta
from memdeep.text import translation, units
from memdeep.text.language import Language
from memdeep.text.safe import plain

BAR_CELLS = 16
FIXED_ROWS = 14  # everything but the rows of the two tables
MIN_TABLE_ROWS = 3
MAX_TABLE_ROWS = 12
MAX_LABEL = 300
AROUND_LINES = 8  # rows: the state, the head of the table, its sum, what is told, the keys
DETAIL_ROWS = 4
SMALL_HEIGHT = 24  # below it, curves and what is not about lines are left out
TABLE_HEAD_ROWS = 3
ROWS_FOR_PHASES = 12  # of lines, from which on phases are shown too
STYLES = {"completed": "green", "failed": "yellow", "killed": "red", "oom-killed": "red"}


@frozen
class Lines:
    """The figures by line at ``now_s`` (since the epoch), and what the reader chose of them.

    ``told`` is what there is to say to the reader, None if nothing. ``takes_keys`` is False where
    nobody can type.
    """

    live: Live
    choice: Choice
    now_s: float
    told: Text | None = None
    takes_keys: bool = True


def whole(
    progress: RunProgress, state: Text, height: int, language: Language, lines: Lines | None = None
) -> RenderableType:
    """Lay out everything in ``height`` rows, below ``state``, the sentence on how the run is.

    Without ``lines``, the phases and their growth are shown.
    """
    if lines is not None:
        return _by_line(progress, state, height, language, lines)
    now = progress.growths()
    rows = max(MIN_TABLE_ROWS, min(MAX_TABLE_ROWS, (height - FIXED_ROWS) // 2))
    parts: list[RenderableType] = [state, _facts(progress, language)]
    spans = [growth for growth in now if growth.is_span]
    if spans:
        parts.append(_phases(spans, rows, progress.phases.forgotten, language))
    parts.append(ranking(now, rows, language))
    return Group(*parts)


def _by_line(
    progress: RunProgress, state: Text, height: int, language: Language, lines: Lines
) -> RenderableType:
    """Lay out the figures by line, and those of the phases where there is room."""
    live, choice = lines.live, lines.choice
    facts = _facts(progress, language, lines, is_small=height < SMALL_HEIGHT)
    parts: list[RenderableType] = [state, facts]
    detail = by_line.detail(live, choice, language)
    rows = height - facts.row_count - AROUND_LINES - (DETAIL_ROWS if detail is not None else 0)
    spans = [growth for growth in progress.growths() if growth.is_span]
    of_phases = MIN_TABLE_ROWS if spans and rows >= ROWS_FOR_PHASES else 0
    if of_phases:
        rows -= of_phases + TABLE_HEAD_ROWS
    parts.append(by_line.table(live, choice, max(1, rows), language))
    if detail is not None:
        parts.append(detail)
    if of_phases:
        parts.append(_phases(spans, of_phases, progress.phases.forgotten, language))
    if lines.told is not None:
        parts.append(lines.told)
    if lines.takes_keys:
        parts.append(_line(Text(language.say("watch.keys"), style="dim")))
    return Group(*parts)


def running(progress: RunProgress, language: Language) -> Text:
    """Describe the state of a run that has not ended."""
    meta = progress.meta
    name = plain(meta.name) if meta is not None else language.say("watch.program")
    state = language.say("watch.running", elapsed_s=progress.elapsed_s)
    text = Text.assemble((name, "bold"), f" · {state}")
    if progress.start is None:
        text = Text.assemble((name, "bold"), f" · {language.say('watch.starting')}")
    elif progress.is_unattended:
        text.append(f" · {language.say('watch.unattended')}", style="yellow")
    if progress.is_behind:
        read = language.say("watch.read", percent=round(progress.read_ratio * 100))
        text.append(f" · {read}", style="yellow")
    return _line(text)


def ended(meta: Meta, language: Language) -> Text:
    """Describe how a run ended, by its parent's verdict."""
    kind = meta.verdict if meta.verdict in STYLES else "ended"
    if meta.verdict == DETACHED or (meta.earlier_s is not None and kind == "completed"):
        kind = "recording_ended"
    sentence = language.say(
        f"outcome.{kind}", duration_s=meta.duration_s, status=meta.exit_code, signal=meta.signal
    )
    return Text(plain(sentence), style=STYLES.get(kind, ""))


def checkpoint_line(
    progress: RunProgress, event: Event, before: Event | None, language: Language
) -> str:
    """Compose the line of a checkpoint: time, RSS, growth since ``before``, and label."""
    time = units.duration(progress.elapsed_at_s(event.time_us))
    grown = None
    if before is not None and event.rss_bytes is not None and before.rss_bytes is not None:
        grown = event.rss_bytes - before.rss_bytes
    size, delta = units.size(event.rss_bytes), units.signed_size(grown)
    return f"{time:>12}  {size:>9}  {delta:>10}  {_label(event, language)}"


def ranking(growths: Sequence[Growth], rows: int, language: Language) -> RenderableType:
    """Lay out the phases that grew most, the largest first."""
    most = sorted(growths, key=lambda growth: -growth.rss_delta_bytes)[:rows]
    most = [growth for growth in most if growth.rss_delta_bytes > 0]
    table = _table("RSS Δ", "", language.say("watch.most"))
    largest = most[0].rss_delta_bytes if most else 1
    for growth in most:
        cells = max(1, round(growth.rss_delta_bytes / largest * BAR_CELLS))
        bar = Text("█" * cells, style="red" if growth is most[0] else "cyan")
        table.add_row(units.signed_size(growth.rss_delta_bytes), bar, _name(growth))
    if not most:
        table.add_row("", "", Text(language.say("watch.nothing"), style="dim"))
    return Group(Text(""), table)


def _facts(
    progress: RunProgress,
    language: Language,
    lines: Lines | None = None,
    *,
    is_small: bool = False,
) -> Table:
    resident, meta = progress.resident, progress.meta
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    now = (units.size(resident.bytes), f"bold {_style(meta, resident.bytes)}")
    highest = language.say("watch.peak", peak_bytes=resident.peak_bytes)
    peak = (highest, _style(meta, resident.peak_bytes))
    grid.add_row("RSS", Text.assemble(now, "  ", peak))
    if progress.curve.values and not is_small:
        grid.add_row("", _sparkline(meta, progress.curve.values))
    if lines is not None and lines.live.memory.heap_bytes is not None:
        memory = lines.live.memory
        heap = Text(units.size(memory.heap_bytes), style="bold")
        heap.append("  ").append(language.say("watch.peak", peak_bytes=memory.heap_peak_bytes))
        late = by_line.behind(lines.live, lines.now_s, language, has_ended=progress.has_ended)
        grid.add_row(language.say("watch.heap"), heap.append("  ").append(late))
        if not is_small:
            grid.add_row("", by_line.heap_curve(lines.live))
    for name, limit in _limits(meta):
        if is_small and name != "limit":
            continue
        against = _against(resident.bytes, resident.peak_bytes, limit, name, language)
        lasts = None if lines is None else by_line.headroom(lines.live, language)
        if name == "limit" and lasts is not None:
            against.append(f"  {lasts}", style="dim")
        grid.add_row(language.say(f"watch.{name}"), against)
    where = " › ".join(plain(name) for name in progress.phases.where())
    if where:
        grid.add_row(language.say("watch.in"), where)
    if progress.last is not None and not is_small:
        since_s = progress.elapsed_s - progress.elapsed_at_s(progress.last.time_us)
        key = "watch.before_end" if progress.has_ended else "watch.ago"
        text = Text(_label(progress.last, language))
        text.append(f" · {language.say(key, since_s=since_s)}", style="dim")
        if progress.checkpoints > 1:
            counted = language.say("watch.checkpoints", n=progress.checkpoints)
            text.append(f" · {counted}", style="dim")
        grid.add_row(language.say("watch.last"), text)
    for problem in () if is_small else progress.problems:
        told = translation.into(language.code, problem)
        grid.add_row(language.say("watch.note"), Text(plain(told), style="yellow"))
    # Where a note is wider than the terminal, it is cut, and not the names of all rows.
    names, _ = grid.columns
    names.min_width = max(cell_len(str(name)) for name in names.cells)
    return grid


def _phases(
    spans: Sequence[Growth], rows: int, forgotten: int, language: Language
) -> RenderableType:
    """Lay out the spans that began or ended last, in the order of ``spans``."""
    latest = sorted(range(len(spans)), key=lambda place: -spans[place].touched)[:rows]
    hidden = len(spans) - len(latest) + forgotten
    title = language.say("watch.phases_and" if hidden else "watch.phases", n=hidden)
    table = _table("RSS Δ", language.say("watch.time"), title)
    for place in sorted(latest):
        growth = spans[place]
        table.add_row(
            units.signed_size(growth.rss_delta_bytes),
            units.duration(growth.duration_s),
            _name(growth, indent=growth.depth),
        )
    return Group(Text(""), table)


def _table(figure: str, second: str, name: str) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        collapse_padding=True,
        pad_edge=False,
        show_edge=False,
    )
    table.add_column(figure, justify="right", no_wrap=True, min_width=10)
    table.add_column(second, no_wrap=True, width=BAR_CELLS)
    table.add_column(name, no_wrap=True, overflow="ellipsis")
    return table


def _name(growth: Growth, *, indent: int = 0) -> Text:
    text = Text("  " * min(indent, 8) + plain(growth.name))
    if growth.repeats > 1:
        text.append(f" × {growth.repeats:,}", style="dim")
    if growth.is_open and growth.is_span:
        text.append(" …", style="bold green")
    return text


def _sparkline(meta: Meta | None, values: Sequence[int]) -> Text:
    """Draw the RSS over the whole run, from zero to its peak; colours tell the thresholds."""
    top = max(values) or 1
    text = Text()
    for value in values:
        bar = BARS[min(len(BARS) - 1, value * len(BARS) // top)]
        text.append(bar, style=_style(meta, value))
    return text


def _limits(meta: Meta | None) -> list[tuple[str, int]]:
    """List the thresholds of the run, by name."""
    if meta is None:
        return []
    limits = [("warning", meta.warning_bytes), ("critical", meta.critical_bytes)]
    if not meta.limit_of_address_space:  # which RSS says nothing about
        limits.append(("limit", meta.limit_bytes))
    return [(name, limit) for name, limit in limits if limit]


def _against(now: int | None, peak: int | None, limit: int, name: str, language: Language) -> Text:
    text = Text(f"{units.size(limit)}  {units.percent((now or 0) / limit)}")
    if name == "limit":
        left = language.say("watch.left", left_bytes=max(0, limit - (now or 0)))
        text.append(f"  {left}", style="dim")
    style = "yellow" if name == "warning" else "bold red"
    if (now or 0) >= limit:
        text.append(f"  {language.say('watch.exceeded')}", style=style)
    elif (peak or 0) >= limit:
        text.append(f"  {language.say('watch.was_exceeded')}", style=style)
    return text


def _style(meta: Meta | None, value: int | None) -> str:
    reached = [name for name, limit in _limits(meta) if value is not None and value >= limit]
    if "critical" in reached or "limit" in reached:
        return "red"
    return "yellow" if reached else "default"


def _label(event: Event, language: Language) -> str:
    """Return the label of a checkpoint, with its note."""
    note = f"  ({event.note})" if event.note else ""
    text = f"{event.label}{note}"
    if event.kind in (journal.BEGIN, journal.END):
        key = "watch.begin_of" if event.kind == journal.BEGIN else "watch.end_of"
        text = language.say(key, label=text)
    return plain(text if len(text) <= MAX_LABEL else f"{text[: MAX_LABEL - 1]}…")


def _line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
