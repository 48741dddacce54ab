"""Lays out for a terminal what phases of one path did in all processes together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from memdeep.model import Across, Report
from memdeep.report import frame_names, sentences
from memdeep.report.terminal_lines import keep_end, wrap
from memdeep.text import units
from memdeep.text.language import Language
from memdeep.text.safe import plain

MAX_ROWS = 8
# Keys of the words, and if the column holds figures.
COLUMNS = (
    ("terminal.across", False),
    ("terminal.across_kept", True),
    ("terminal.across_rise", True),
    ("terminal.across_times", True),
    ("terminal.across_processes", True),
    ("terminal.across_line", False),
)
NAME, RISE, TIMES, PROCESSES, LINE = 0, 2, 3, 4, 5  # the places of their columns
LEFT_OUT_FIRST = (TIMES, PROCESSES, RISE)  # where names and lines would have to be cut below these
LEAST = {NAME: 12, LINE: 12}
OVERLAPS = "†"
NEARLY = 0.01  # of what a row moved is about nothing,
LEAST_BYTES = 1 << 10  # and so is this: a phase by itself takes some bytes
HARDLY = 0.001  # of what the row that moved most did: less is not worth a line
TELLING_SHARE = 0.1


def across(report: Report, width: int, language: Language) -> list[RenderableType]:
    """Lay out the rows that moved most memory; nothing where one process has any.

    Those of what took the place of the program are phases of the program itself.
    """
    rows = sorted(report.across, key=_moved_most)
    shown_of = {share.process for row in rows for share in row.shares}
    if len(shown_of) < 2 and not any(map(report.run.is_program, shown_of)):
        return []
    by_path = {row.path: row for row in rows}
    telling = [row for row in rows if not _is_told_by(row, by_path.get(row.path[:-1]))]
    least_bytes = max(LEAST_BYTES, HARDLY * _moved(rows[0]))
    shown = [row for row in telling if _moved(row) >= least_bytes][:MAX_ROWS]
    if not shown:
        return []
    lines = [_cells(row) for row in shown]
    titles = [language.say(key) for key, _ in COLUMNS]
    widths = [max(map(cell_len, column)) for column in zip(titles, *lines, strict=True)]
    told = _fitting(widths, width)
    table = Table(
        box=box.SIMPLE_HEAD, padding=0, collapse_padding=True, pad_edge=False, show_edge=False
    )
    for place in told:
        justify: Literal["left", "right"] = "right" if COLUMNS[place][1] else "left"
        table.add_column(
            Text(titles[place]),
            justify=justify,
            overflow="ellipsis",
            no_wrap=True,
            width=widths[place],
        )
    for cells in lines:
        # As texts: rich would look for markup and for names of emoji in strings.
        table.add_row(*(Text(keep_end(cells[place], widths[place])) for place in told))
    beneath = [language.say("terminal.across_meaning")]
    if any(row.overlaps for row in shown):
        beneath.append(f"{OVERLAPS} {language.say('phases.overlaps_meaning')}")
    if len(rows) > len(shown):
        beneath.insert(0, language.say("terminal.more_rows", n=len(rows) - len(shown)))
    return [table, *(Text(wrap(line, width), style="dim") for line in beneath)]


def _moved_most(row: Across) -> tuple[int, tuple[str, ...]]:
    """Rank a row by what it moved; of those that moved the same, the outer one comes first."""
    return -_moved(row), row.path


def _moved(row: Across) -> int:
    """Return what a row kept in use, or how high it rose: a task may keep nothing."""
    return max(row.bytes_in_use, row.rise_bytes or 0)


def _is_told_by(row: Across, around: Across | None) -> bool:
    """Tell if the row ``around`` it did nearly nothing else."""
    if around is None:
        return False
    figures = (
        (around.retained_bytes, row.retained_bytes),
        (around.rise_bytes, row.rise_bytes),
    )
    slack = max(LEAST_BYTES, NEARLY * _moved(around))
    return all(
        outer is not None and inner is not None and abs(outer - inner) <= slack
        for outer, inner in figures
    )


def _line(row: Across) -> str:
    """Name the line that retained most, if that is something of what the row moved."""
    if not row.lines or row.lines[0].bytes_in_use < TELLING_SHARE * _moved(row):
        return units.UNKNOWN
    return plain(frame_names.location(row.lines[0].frame))


def _cells(row: Across) -> list[str]:
    name = "/".join(plain(sentences.short(part)) for part in row.path)
    return [
        name + f" {OVERLAPS}" * row.overlaps,
        units.size(row.retained_bytes),
        units.size(row.rise_bytes),
        f"{row.repeats:,}",
        f"{len(row.shares):,}",
        _line(row),
    ]


def _fitting(widths: list[int], width: int) -> Sequence[int]:
    """Choose the columns to show, and cut names and lines where they are too wide together."""
    told = [*range(len(COLUMNS))]
    least = [min(most, LEAST.get(place, most)) for place, most in enumerate(widths)]
    for place in LEFT_OUT_FIRST:
        if sum(least[one] + 1 for one in told) - 1 > width:
            told.remove(place)
    for place in (NAME, LINE):
        over = sum(widths[one] + 1 for one in told) - 1 - width
        widths[place] = max(least[place], widths[place] - max(0, over))
    return told
