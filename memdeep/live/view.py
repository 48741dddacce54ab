"""Lays out the state of a run that goes on: for a terminal, or as plain lines.

Shows `RunProgress` and changes nothing in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from memdeep.live.growth import Growth
from memdeep.live.progress import RunProgress
from memdeep.live.status_line import BARS
from memdeep.rundir import journal
from memdeep.rundir.journal import Event
from memdeep.rundir.meta import Meta
from memdeep.text import units
from memdeep.text.safe import plain

BAR_CELLS = 16
FIXED_ROWS = 14  # everything but the rows of the two tables
MIN_TABLE_ROWS = 3
MAX_TABLE_ROWS = 12
MAX_LABEL = 300
ENDINGS = {
    "completed": ("The program completed", "green"),
    "failed": ("The program failed with exit status {exit_code}", "yellow"),
    "killed": ("The program was killed by {signal}", "red"),
    "oom-killed": ("The kernel killed the program for want of memory", "red"),
}


def whole(progress: RunProgress, state: Text, height: int) -> RenderableType:
    """Lay out everything in ``height`` rows, below ``state``, the sentence on how the run is."""
    now = progress.growths()
    rows = max(MIN_TABLE_ROWS, min(MAX_TABLE_ROWS, (height - FIXED_ROWS) // 2))
    parts: list[RenderableType] = [state, _facts(progress)]
    spans = [growth for growth in now if growth.is_span]
    if spans:
        parts.append(_phases(spans, rows, progress.phases.forgotten))
    parts.append(ranking(now, rows))
    return Group(*parts)


def running(progress: RunProgress) -> Text:
    """Describe the state of a run that has not ended."""
    name = plain(progress.meta.name) if progress.meta is not None else "The program"
    text = Text.assemble((name, "bold"), f" · running · {units.duration(progress.elapsed_s)}")
    if progress.start is None:
        text = Text.assemble((name, "bold"), " · starting")
    elif progress.is_unattended:
        text.append(" · memdeep run has stopped reading its RSS", style="yellow")
    if progress.is_behind:
        text.append(f" · {progress.read_ratio * 100:.0f} % of the journal read", style="yellow")
    return _line(text)


def ended(meta: Meta) -> Text:
    """Describe how a run ended, by its parent's verdict."""
    sentence, style = ENDINGS.get(meta.verdict or "", ("The program ended", ""))
    sentence = sentence.format(exit_code=meta.exit_code, signal=meta.signal)
    after = f" after {units.duration(meta.duration_s)}" if meta.duration_s is not None else ""
    return Text(plain(f"{sentence}{after}."), style=style)


def checkpoint_line(progress: RunProgress, event: Event, before: Event | None) -> str:
    """Compose the line of a checkpoint: time, RSS, growth since ``before``, and label."""
    time = units.duration(progress.elapsed_at_s(event.time_us))
    grown = None
    if before is not None and event.rss_bytes is not None and before.rss_bytes is not None:
        grown = event.rss_bytes - before.rss_bytes
    size, delta = units.size(event.rss_bytes), units.signed_size(grown)
    return f"{time:>12}  {size:>9}  {delta:>10}  {_label(event)}"


def ranking(growths: Sequence[Growth], rows: int) -> RenderableType:
    """Lay out the phases that grew most, the largest first."""
    most = sorted(growths, key=lambda growth: -growth.rss_delta_bytes)[:rows]
    most = [growth for growth in most if growth.rss_delta_bytes > 0]
    table = _table("RSS Δ", "", "Where it grew most")
    largest = most[0].rss_delta_bytes if most else 1
    for growth in most:
        cells = max(1, round(growth.rss_delta_bytes / largest * BAR_CELLS))
        bar = Text("█" * cells, style="red" if growth is most[0] else "cyan")
        table.add_row(units.signed_size(growth.rss_delta_bytes), bar, _name(growth))
    if not most:
        table.add_row("", "", Text("nothing has grown so far", style="dim"))
    return Group(Text(""), table)


def _facts(progress: RunProgress) -> RenderableType:
    resident, meta = progress.resident, progress.meta
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    now = (units.size(resident.bytes), f"bold {_style(meta, resident.bytes)}")
    peak = (f"peak {units.size(resident.peak_bytes)}", _style(meta, resident.peak_bytes))
    grid.add_row("RSS", Text.assemble(now, "  ", peak))
    if progress.curve.values:
        grid.add_row("", _sparkline(meta, progress.curve.values))
    for name, limit in _limits(meta):
        grid.add_row(name, _against(resident.bytes, resident.peak_bytes, limit, name))
    where = " › ".join(plain(name) for name in progress.phases.where())
    if where:
        grid.add_row("in", where)
    if progress.last is not None:
        since_s = progress.elapsed_s - progress.elapsed_at_s(progress.last.time_us)
        before = "before the end" if progress.has_ended else "ago"
        text = Text(_label(progress.last))
        text.append(f" · {units.duration(since_s)} {before}", style="dim")
        if progress.checkpoints > 1:
            text.append(f" · {progress.checkpoints:,} checkpoints", style="dim")
        grid.add_row("last", text)
    for problem in progress.problems:
        grid.add_row("note", Text(plain(problem), style="yellow"))
    return grid


def _phases(spans: Sequence[Growth], rows: int, forgotten: int) -> RenderableType:
    """Lay out the spans that began or ended last, in the order of ``spans``."""
    latest = sorted(range(len(spans)), key=lambda place: -spans[place].touched)[:rows]
    hidden = len(spans) - len(latest) + forgotten
    title = f"Phases so far, and {hidden:,} earlier" if hidden else "Phases so far"
    table = _table("RSS Δ", "Time", title)
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


def _against(now: int | None, peak: int | None, limit: int, name: str) -> Text:
    text = Text(f"{units.size(limit)}  {units.percent((now or 0) / limit)}")
    if name == "limit":
        text.append(f"  {units.size(max(0, limit - (now or 0)))} left", style="dim")
    style = "yellow" if name == "warning" else "bold red"
    if (now or 0) >= limit:
        text.append("  exceeded", style=style)
    elif (peak or 0) >= limit:
        text.append("  was exceeded", style=style)
    return text


def _style(meta: Meta | None, value: int | None) -> str:
    reached = [name for name, limit in _limits(meta) if value is not None and value >= limit]
    if "critical" in reached or "limit" in reached:
        return "red"
    return "yellow" if reached else "default"


def _label(event: Event) -> str:
    """Return the label of a checkpoint, with its note."""
    prefix = {journal.BEGIN: "begin of ", journal.END: "end of "}.get(event.kind, "")
    note = f"  ({event.note})" if event.note else ""
    text = f"{prefix}{event.label}{note}"
    return plain(text if len(text) <= MAX_LABEL else f"{text[: MAX_LABEL - 1]}…")


def _line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
