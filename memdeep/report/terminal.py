"""Lays out the verdict for a terminal: how the program ended, its phases, its worst line.

Encodes the same as plain text. Knows rich, and prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from memdeep.analysis.table import Row, most_telling, rows
from memdeep.analysis.weights import small
from memdeep.model import Culprit, Death, Finding, FindingKind, Frame, Origin, Phase, Report
from memdeep.model.heap import NO_STACK
from memdeep.report import dying, fates, frame_names, holding, processes, sentences, workers
from memdeep.report.options import DEFAULTS, ReportOptions
from memdeep.report.processes import ProcessRow
from memdeep.report.terminal_across import across
from memdeep.report.terminal_lines import keep_end, wrap
from memdeep.text import units
from memdeep.text.language import Language, chosen
from memdeep.text.safe import plain

# Keys of the words, and if the column holds figures.
COLUMNS = (
    ("phases.name", False),
    ("phases.thread", False),  # where more than one thread has phases
    ("phases.rss", True),
    ("terminal.workers", True),  # where processes that the program started moved memory
    ("phases.heap", True),
    ("terminal.peak", True),
    ("terminal.explained", True),
    ("terminal.culprit", False),
    ("phases.duration", True),
)
THREAD, WORKERS, HEAP, PEAK, EXPLAINED, CULPRIT = 1, 3, 4, 5, 6, 7  # the places of their columns
LEFT_OUT_FIRST = (THREAD, EXPLAINED, PEAK, HEAP)  # where figures would have to be cut
WARM_ORDER = (0, THREAD, HEAP, PEAK, 2, WORKERS, EXPLAINED, CULPRIT, 8)  # of a recording
WIDE = 100  # columns of a terminal that shows the last column of the table too
MAX_CULPRIT_WIDTH = 20
MIN_CULPRIT_WIDTH = 10
MAX_THREAD_WIDTH = 12
MIN_PHASE_WIDTH = 16
MAX_ROWS = 25
MAX_OTHER_FINDINGS = 4
MAX_ALIVE = 4
MIN_ALIVE_SHARE = 0.01
INDENT = 4
CALLERS_SHOWN = 3
CALLED_SHOWN = 4
# Marks behind a phase's name, and the keys of what is said of them beneath the table.
NOTES: tuple[tuple[str, Callable[[Phase], bool], str], ...] = (
    ("†", lambda phase: phase.outline.overlaps, "phases.overlaps_meaning"),
    ("‡", lambda phase: phase.shares_rss, "phases.shares_rss_meaning"),
)
MAX_PROCESS_ROWS = 8
MAX_LINE_WIDTH = 20
# The columns of processes that may be cut, in this order, and what is left of them at least.
CUT_FIRST = {2: 8, 0: 16, 6: 12, 1: 10}
PROCESS_LEFT_OUT_FIRST = (2, 3, 1, 6)  # of them where even that is too wide
# Keys of the words, and if the column of the processes holds figures.
PROCESS_COLUMNS = (
    ("processes.name", False),
    ("processes.started_by", False),
    ("processes.phase", False),
    ("processes.times_heading", True),
    ("processes.heap", True),
    ("processes.pss", True),
    ("processes.end", False),
)
VERDICT_STYLES = {"completed": "green", "failed": "yellow", "killed": "red", "oom-killed": "red"}


def encode(report: Report, options: ReportOptions = DEFAULTS) -> Iterator[bytes]:
    """Return the verdict as plain text, UTF-8, in the first language of ``options``."""
    shown = verdict(report, options.width, chosen(options.lang)[0])
    return iter([plain_text(shown, options.width)])


def plain_text(shown: RenderableType, width: int) -> bytes:
    """Return what a terminal of ``width`` columns shows, without colours, UTF-8.

    Nothing of it follows from the environment: the same report is the same text.
    """
    console = Console(
        file=StringIO(),
        width=width,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
        legacy_windows=False,
    )
    with console.capture() as capture:
        console.print(shown)
    lines = (line.rstrip() for line in capture.get().split("\n"))
    return "\n".join(lines).encode("utf-8", "replace")


def verdict(report: Report, width: int, language: Language) -> RenderableType:
    """Lay out the whole verdict for a terminal of ``width`` columns."""
    parts: list[RenderableType] = [
        Text(""),
        *_outcome(report, width, language),
        Text(""),
        _table(report, width, language),
    ]
    if len(report.run.processes) > 1:
        parts.extend([Text(""), *_processes(report, width, language)])
    if of_all := across(report, width, language):
        parts.extend([Text(""), *of_all])
    if report.findings:
        top = _top_finding(report, report.findings[0], width, language)
        parts.extend([Text(""), top])
        parts.extend(_other_findings(report, width, language))
    else:
        headline = plain(sentences.headline(report, language))
        parts.extend([Text(""), Text(wrap(headline, width))])
    if report.run.mode.focus:
        note = language.say("notes.focus", focus=plain(", ".join(report.run.mode.focus)))
        parts.extend([Text(""), Text(wrap(note, width), style="dim")])
    if sentences.has_nameless_interpreter(report):
        note = wrap(language.say("notes.stripped"), width)
        parts.extend([Text(""), Text(note, style="dim")])
    return Group(*parts)


def place(page: Path, language: Language) -> Text:
    """Return the path of the page, as a link in terminals that have links."""
    return Text.assemble(language.say("terminal.report"), link(page))


def link(path: Path) -> Text:
    """Return ``path`` as it was typed, linked to the file."""
    return Text(plain(str(path)), style=f"bold link {path.absolute().as_uri()}")


def _outcome(report: Report, width: int, language: Language) -> list[RenderableType]:
    end = report.run.exit
    ending = plain(sentences.outcome(report, language))
    of_all = report.run.peak_pss_bytes is not None and len(report.run.processes) > 1
    peaks = language.say(
        "terminal.peaks_pss" if of_all else "terminal.peaks",
        n=len(report.run.processes),
        pss_bytes=report.run.peak_bytes,
        rss_bytes=report.run.peak_rss_bytes,
        heap=sentences.peak_heap(report, language),
    )
    text = Text(wrap(f"{ending}{peaks}", width))
    style = VERDICT_STYLES.get(sentences.verdict(end), "")
    text.stylize(style, 0, len(text) - len(peaks))
    further = [plain(sentence) for sentence in sentences.exit_evidence(end, language)]
    further += [plain(dying.stack_dump(dump, language)) for dump in report.run.stack_dumps]
    parts: list[RenderableType] = [text, *(Text(wrap(sentence, width)) for sentence in further)]
    if report.death is not None:
        parts.extend(_death(report, report.death, width, language))
    return parts


def _death(report: Report, death: Death, width: int, language: Language) -> list[RenderableType]:
    """Lay out where the program died, the lines that held most then, and what grew last."""
    place = dying.place(report, death, language)
    parts: list[RenderableType] = [
        Text(wrap(plain(place), width)),
        Text(wrap(plain(dying.alive(report, death, language)), width)),
    ]
    if death.culprits:
        grid = _lines_grid()
        telling = [item for item in death.culprits if item.share >= MIN_ALIVE_SHARE][:MAX_ALIVE]
        for culprit in telling or death.culprits[:1]:
            where = Text(_where(culprit.frame, language))
            _add_source(where, report, culprit)
            grid.add_row(Text(units.size(culprit.bytes)), where)
        parts.append(Padding(grid, (0, 0, 0, 2)))
    if death.last_growth is not None:
        growth = dying.last_growth(report, death.last_growth, language)
        parts.append(Text(wrap(plain(growth), width)))
    return parts


def _table(report: Report, width: int, language: Language) -> RenderableType:
    """Lay out the phases, one a row; a narrow terminal does not get the last column.

    Nor does it get those of `LEFT_OUT_FIRST` where figures would have to be cut for them.
    """
    folded = rows(report.phases, report.patterns)
    chosen = most_telling(folded, MAX_ROWS)
    shown = [folded[place] for place in chosen]
    most = max((abs(row.phase.rss_delta_bytes or 0) for row in shown), default=0)
    lines = [(_cells(report, row, language), _row_style(row.phase, most)) for row in shown]
    is_wide = width >= WIDE
    threads = {phase.outline.thread for phase in report.phases} - {None}
    unused = set() if len(threads) > 1 else {THREAD}
    if not any(map(workers.has_workers, report.phases)):
        unused.add(WORKERS)
    told = [
        place
        for place in range(len(COLUMNS) if is_wide else len(COLUMNS) - 1)
        if place not in unused
    ]
    cells_wide = [
        max([cell_len(language.say(title))] + [cell_len(str(cells[place])) for cells, _ in lines])
        for place, (title, _) in enumerate(COLUMNS)
    ]
    cells_wide[THREAD] = min(cells_wide[THREAD], MAX_THREAD_WIDTH)
    cells_wide[CULPRIT] = min(cells_wide[CULPRIT], MAX_CULPRIT_WIDTH)
    is_warm = sentences.went_on(report.run)  # it fills what was free before: the RSS says little
    if is_warm:
        told.sort(key=WARM_ORDER.index)
    for place in (THREAD, EXPLAINED, 2, PEAK) if is_warm else LEFT_OUT_FIRST:
        if place in told and width < _least_width(told, cells_wide):
            told.remove(place)
    over = _least_width(told, cells_wide) - width
    shortened = max(min(cells_wide[CULPRIT], MIN_CULPRIT_WIDTH), cells_wide[CULPRIT] - over)
    cells_wide[CULPRIT] = min(cells_wide[CULPRIT], shortened)
    columns = [(language.say(COLUMNS[place][0]), COLUMNS[place][1]) for place in told]
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1 if is_wide else 0, 0, 0),
        collapse_padding=True,
        pad_edge=False,
        show_edge=False,
    )
    widths = [cells_wide[place] for place in told]
    gaps = (len(columns) - 1) * (3 if is_wide else 1)
    widths[0] = max(min(widths[0], width - gaps - sum(widths[1:])), MIN_PHASE_WIDTH)
    for (title, is_figure), most in zip(columns, widths, strict=True):
        justify: Literal["left", "right"] = "right" if is_figure else "left"
        table.add_column(
            Text(title), justify=justify, overflow="ellipsis", no_wrap=True, width=most
        )
    for cells, style in lines:
        cells[0] = _fit(Text.assemble(cells[0]), widths[0])
        cells[CULPRIT] = keep_end(str(cells[CULPRIT]), widths[told.index(CULPRIT)])
        # As texts: rich would look for markup and for names of emoji in strings.
        table.add_row(*(Text.assemble(cells[place]) for place in told), style=style)
    hidden = sum(row.phases for place, row in enumerate(folded) if place not in chosen)
    beneath = [] if not hidden else [language.say("terminal.more_phases", n=hidden)]
    for mark, is_so, key in NOTES:
        if any(is_so(row.phase) for row in shown):
            beneath.append(wrap(f"{mark} {language.say(key)}", width))
    if any(workers.is_of_heap(row.phase) for row in shown):
        beneath.append(wrap(f"{workers.OF_HEAP} {language.say('terminal.workers_heap')}", width))
    return Group(table, *(Text(line, style="dim") for line in beneath))


def _least_width(told: Sequence[int], cells_wide: Sequence[int]) -> int:
    """Return the columns of a terminal that show the columns ``told`` of the table uncut."""
    return MIN_PHASE_WIDTH + sum(cells_wide[place] + 1 for place in told[1:])


def _cells(report: Report, row: Row, language: Language) -> list[str | Text]:
    phase = row.phase
    label = sentences.pattern_label if row.is_pattern else sentences.phase_label
    name = Text("  " * row.depth + plain(label(report.run, phase, language)))
    if row.times > 1:
        name.append(f" × {row.times:,}", style="dim")
    if not phase.complete:
        name.append(f" {language.say('phases.unfinished')}", style="red")
    marks = "".join(mark for mark, is_so, _ in NOTES if is_so(phase))
    if marks:
        name.append(f" {marks}", style="dim")
    ratio = phase.explained_ratio
    culprit = phase.main_culprit
    return [
        name,
        plain(phase.outline.thread or units.UNKNOWN),
        units.signed_size(phase.rss_delta_bytes),
        workers.figure(report.run, phase, language),
        units.signed_size(phase.heap_delta_bytes),
        units.size(phase.peak_bytes),
        units.UNKNOWN if ratio is None else f"{ratio * 100:.0f} %",
        units.UNKNOWN if culprit is None else _where(culprit.frame, language),
        units.duration(phase.duration_s),
    ]


def _processes(report: Report, width: int, language: Language) -> list[RenderableType]:
    """Lay out the tree of processes, the ones that one line started in a row."""
    found = processes.rows(report)
    shown = processes.most_telling(report, found, MAX_PROCESS_ROWS)
    heaps = processes.heaps(report)
    lines = [_process_cells(report, found[place], heaps, language) for place in shown]
    titles = [language.say(key) for key, _ in PROCESS_COLUMNS]
    widths = [max(map(cell_len, column)) for column in zip(titles, *lines, strict=True)]
    widths[1] = min(widths[1], MAX_LINE_WIDTH)
    least = [min(most, CUT_FIRST.get(place, most)) for place, most in enumerate(widths)]
    told = [*range(len(PROCESS_COLUMNS))]
    for place in PROCESS_LEFT_OUT_FIRST:
        if sum(least[one] + 1 for one in told) - 1 > width:
            told.remove(place)
    for place in CUT_FIRST:
        over = sum(widths[one] + 1 for one in told) - 1 - width
        widths[place] = max(widths[place] - max(0, over), least[place])
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=0,
        collapse_padding=True,
        pad_edge=False,
        show_edge=False,
    )
    for place in told:
        justify: Literal["left", "right"] = "right" if PROCESS_COLUMNS[place][1] else "left"
        table.add_column(
            titles[place], justify=justify, overflow="ellipsis", no_wrap=True, width=widths[place]
        )
    for place, cells in zip(shown, lines, strict=True):
        cells[1] = keep_end(cells[1], widths[1])
        is_bad = processes.is_dead(processes.members(report, found[place]))
        name, times, count = cells[0].rpartition(" × ")
        cut = _fit(Text.assemble(name, (f"{times}{count}", "dim" if times else "")), widths[0])
        others = (cells[one] for one in told[1:])
        table.add_row(cut, *others, style="bold" if is_bad else "")
    beneath = [*processes.deaths(report, language)]
    if any(len(found[place].members) > 1 for place in shown):
        beneath.insert(0, language.say("processes.highest"))
    hidden = sum(len(row.members) for place, row in enumerate(found) if place not in shown)
    if hidden:
        beneath.insert(0, language.say("terminal.more_processes", n=hidden))
    return [table, *(Text(wrap(plain(line), width), style="dim") for line in beneath)]


def _process_cells(
    report: Report, row: ProcessRow, heaps: Mapping[int, int], language: Language
) -> list[str]:
    told = processes.members(report, row)
    name = processes.name(told, is_program=row.members == (0,), language=language)
    phase = None if row.phase is None else report.phases[row.phase]
    return [
        "  " * row.depth + plain(name),
        plain(processes.started_by(told[0])),
        "" if phase is None else plain(sentences.phase_label(report.run, phase, language)),
        processes.times(told, language),
        units.size(processes.highest(heaps.get(one) for one in row.members)),
        units.size(processes.peak_pss(told)),
        "" if row.members == (0,) else plain(processes.ends(told, language, in_brief=True)),
    ]


def _where(frame: Frame, language: Language) -> str:
    """Return the place of a frame; that of no stack is in words."""
    place = frame_names.location(frame)
    return language.say("flame.no_stack") if place == NO_STACK else plain(place)


def _fit(name: Text, cells: int) -> Text:
    """Cut a name so that what follows it, which has a style of its own, stays."""
    if name.cell_len <= cells or not name.spans:
        return name
    start = min(span.start for span in name.spans)
    rest = name[start:]
    label = name[:start]
    label.truncate(max(1, cells - rest.cell_len), overflow="ellipsis")
    return Text.assemble(label, rest)


def _row_style(phase: Phase, most_bytes: int) -> str:
    delta = phase.rss_delta_bytes or 0
    return "bold" if most_bytes and delta >= most_bytes / 2 else ""


def _top_finding(report: Report, item: Finding, width: int, language: Language) -> RenderableType:
    title = Text(wrap(f"▶ {plain(sentences.finding(report, item, language))}", width), style="bold")
    title.stylize("red", 0, 1)
    parts: list[RenderableType] = [title]
    if item.culprit is not None:
        source = report.source(item.culprit.frame)
        if source is not None:
            parts.append(Padding(Text(plain(source), style="cyan"), (1, 0, 1, INDENT)))
        frames = [
            frame
            for frame in report.heap.tree.stack(item.culprit.node)
            if frame.origin is not Origin.NATIVE
        ]
        parts.extend(_stack(frames, item.culprit.frame, language))
    further = [
        holding.held(report, item, language),
        workers.moved_in(report, item, language),
        fates.passed(report, item, language),
        fates.fate(report, item, language),
    ]
    if item.advice is not None:
        further += [sentences.evidence(item, language), sentences.advice(item, language)]
    text = "\n".join(plain(sentence) for sentence in further if sentence)
    if text:
        parts.append(Padding(Text(wrap(text, width - INDENT)), (1, 0, 0, INDENT)))
    return Group(*parts)


def _stack(frames: Sequence[Frame], culprit: Frame, language: Language) -> list[RenderableType]:
    """Lay out the frames around the culprit and the innermost ones, outermost first."""
    here = frames.index(culprit) if culprit in frames else len(frames) - 1
    near = range(max(0, here - CALLERS_SHOWN), here + 1)
    inner = range(max(here + 1, len(frames) - CALLED_SHOWN), len(frames))
    lines: list[RenderableType] = []
    shown_to = 0
    for place in [*near, *inner]:
        if place > shown_to:
            hidden = language.say("terminal.frames", n=place - shown_to)
            lines.append(Text(f"    {hidden}", style="dim"))
        shown_to = place + 1
        frame = frames[place]
        function = frame_names.shortened(frame_names.function_name(frame))
        line = Text(f"    {plain(function)} ", style="bold" if place == here else "dim")
        line.append(plain(frame_names.location(frame)))
        if place == here:
            line.append(f"  {language.say('terminal.here')}", style="red")
        line.no_wrap = True
        line.overflow = "ellipsis"
        lines.append(line)
    return lines


def _other_findings(report: Report, width: int, language: Language) -> list[RenderableType]:
    is_small = small(report)
    large = [item for item, folded in zip(report.findings, is_small, strict=True) if not folded]
    others = large[1 : 1 + MAX_OTHER_FINDINGS]
    rest = [item for item in report.findings[1:] if item not in others]
    summed = []
    if rest:
        is_reserved = any(item.kind is FindingKind.RESERVED for item in rest)
        text = language.say(
            "terminal.smaller_in_use" if is_reserved else "terminal.smaller",
            n=len(rest),
            most_bytes=max(item.bytes_in_use if is_reserved else item.bytes for item in rest),
        )
        summed = [Text(wrap(text, width), style="dim")]
    if not others:
        return [Text(""), *summed] if summed else []
    grid = _lines_grid()
    room = width - 2 - 1 - max(len(units.size(item.bytes)) for item in others)
    for item in others:
        grid.add_row(Text(units.size(item.bytes)), _other_finding(report, item, room, language))
    return [Text(f"\n{language.say('terminal.then')}"), Padding(grid, (0, 0, 0, 2)), *summed]


def _lines_grid() -> Table:
    """Return an empty table of bytes and the lines they are charged to."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column()
    return grid


_OTHER_FINDINGS = {
    FindingKind.PEAK: "terminal.at_peak",
    FindingKind.FILE: "terminal.of_files",
    FindingKind.SHARED: "terminal.shared",
    FindingKind.RESERVED: "terminal.reserved",
    FindingKind.TOUCHED: "terminal.touched",
    FindingKind.COPIED: "terminal.copied",
}


def _other_finding(report: Report, item: Finding, width: int, language: Language) -> Text:
    if item.culprit is None:
        said = sentences.without_line(report, item, language, beside_size=True)
        return Text(wrap(plain(said), width))
    kept = "terminal.new_in" if item.replaced_bytes or item.moved_bytes else "terminal.kept_by"
    key = _OTHER_FINDINGS.get(item.kind, kept)
    where = sentences.place_of_finding(report, item, language)
    name = sentences.finding_name(report, item, language)
    said = language.say(key, phase=name, where=where)
    is_told = item.kind in (FindingKind.RESERVED, FindingKind.PEAK)
    if item.bytes_in_use < sentences.NEARLY_ALL * item.bytes and not is_told:
        said += language.say("terminal.in_use", resident_bytes=item.bytes_in_use)
    text = Text(wrap(plain(said), width))
    _add_source(text, report, item.culprit)
    return text


def _add_source(text: Text, report: Report, culprit: Culprit) -> None:
    source = report.source(culprit.frame)
    if source is not None:
        text.append(f"\n{plain(source)}", style="cyan")
