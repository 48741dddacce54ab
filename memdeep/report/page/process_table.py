"""Lays out the page's table of processes: a tree whose rows are processes or groups of them.

A group of one line has its members beneath, folded; of thousands only the most telling are listed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from memdeep.frozen import frozen
from memdeep.model import Process, Report
from memdeep.report import processes, sentences
from memdeep.report.processes import ProcessRow
from memdeep.text import units
from memdeep.text.language import Language

MAX_ROWS = 200
MAX_COMMAND = 120  # characters of a command line
NEAR_LIMIT, AT_LIMIT = 0.8, 0.95  # shares of it: there Dask pauses a worker, and ends it

Texts = Mapping[str, str]  # a sentence by code of the language
Say = Callable[[Callable[[Language], str]], Texts]


@frozen
class LimitView:
    """The highest RSS of a worker beside its limit; the texts of a limit are empty without one."""

    size: Texts
    share_text: str
    bar: str  # the part of the limit, at most all of it, as CSS has it
    tone: str


@frozen
class ProcessView:
    """A row: a process, or the ``count`` processes of a group, which is numbered ``group``.

    ``within`` is the group whose member it is. ``limit`` is what the explorer calls it, empty if it
    knows no stack of it. Figures of a group are the highest of one process.
    """

    name: Texts
    pid: str
    count: int
    group: int | None
    within: int | None
    depth: int
    command: str
    line: str
    path: str
    phase: int | None
    phase_name: Texts | None
    times: Texts
    heap_text: str
    uss_text: str
    pss_text: str
    of_limit: LimitView | None  # None where it is no worker
    threads_text: str
    end: Texts
    tone: str
    directory: str
    limit: str
    left_out: int


@frozen
class ProcessTable:
    """The rows, what is said beneath them, and how many processes they leave out.

    With workers of a cluster there is something to say of their limits; ``has_starts`` is True if
    it is known of a process where it was started.
    """

    rows: tuple[ProcessView, ...]
    has_workers: bool
    has_starts: bool
    count: int
    left_out: int
    deaths: tuple[Texts, ...]


def lay_out(report: Report, say: Say, languages: Sequence[Language]) -> ProcessTable | None:
    """Return the table of processes, or None if the program was alone."""
    if len(report.run.processes) < 2:
        return None
    found = processes.rows(report)
    shown = processes.most_telling(report, found, MAX_ROWS)
    listed = _listed_members(report, [found[place] for place in shown], MAX_ROWS - len(shown))
    maker = _Maker(report, say)
    rows: list[ProcessView] = []
    for place in shown:
        row = found[place]
        members = [one for one in row.members if one in listed]
        if report.run.processes[row.members[0]].worker is not None:
            members.sort(key=lambda one: _worst_first(report.run.processes[one]))
        rows.append(maker.row(row, None, len(row.members) - len(members)))
        rows += [maker.row(row, member, 0) for member in members]
    told = sum(1 if row.count == 1 else 0 for row in rows)
    said = [processes.deaths(report, language) for language in languages]
    return ProcessTable(
        rows=tuple(rows),
        has_workers=any(row.of_limit is not None for row in rows),
        has_starts=any(row.line for row in rows),
        count=len(report.run.processes),
        left_out=len(report.run.processes) - told,
        deaths=tuple(
            {language.code: text for language, text in zip(languages, texts, strict=True)}
            for texts in zip(*said, strict=True)
        ),
    )


def _listed_members(report: Report, shown: Sequence[ProcessRow], most: int) -> set[int]:
    """Choose the processes of groups that have a row of their own: those in trouble, the largest.

    A group whose members are not all listed tells how many are left out.
    """
    heaps = processes.heaps(report)

    def weight(place: int) -> tuple[int, int]:
        process = report.run.processes[place]
        sizes = [process.peak_pss_bytes, process.peak_rss_bytes, heaps.get(place)]
        return processes.trouble_of(process), -(processes.highest(sizes) or 0)

    members = [place for row in shown if len(row.members) > 1 for place in row.members]
    return set(sorted(members, key=weight)[: max(0, most)])


def _worst_first(process: Process) -> tuple[int, float]:
    """Return the place of a worker among many: those in trouble come first, then by the limit."""
    return processes.trouble_of(process), -(processes.share_of_limit(process) or 0.0)


class _Maker:
    """Makes the rows of one report."""

    def __init__(self, report: Report, say: Say) -> None:
        self._report = report
        self._say = say
        self._heaps = processes.heaps(report)
        tree = report.heap.tree
        self._known = set(tree.processes) if tree.frames else set()

    def row(self, row: ProcessRow, member: int | None, left_out: int) -> ProcessView:
        """Return the row of a process or a group, or that of the group's ``member``."""
        places = row.members if member is None else (member,)
        run = self._report.run
        told = [run.processes[place] for place in places]
        is_program = places == (0,)
        is_group = len(places) > 1
        phase = None if row.phase is None else self._report.phases[row.phase]
        at = told[0].started_at
        return ProcessView(
            name=self._say(
                lambda language: processes.name(told, is_program=is_program, language=language)
            ),
            pid="" if is_group else str(told[0].pid),
            count=len(places),
            group=row.members[0] if is_group else None,
            within=None if member is None else row.members[0],
            depth=row.depth + (member is not None),
            command=_command(told, is_told=is_program or told[0].started_at is not None),
            line=processes.started_by(told[0]),
            path="" if at is None else at.filename,
            phase=row.phase,
            phase_name=None
            if phase is None
            else self._say(lambda language: sentences.phase_label(run, phase, language)),
            times=self._say(lambda language: processes.times(told, language)),
            heap_text=self._size(self._heaps.get(place) for place in places),
            uss_text=self._size(one.peak_uss_bytes for one in told),
            pss_text=units.size(processes.peak_pss(told)),
            of_limit=self._of_limit(told),
            threads_text=_threads(told),
            end=self._say(lambda language: "" if is_program else processes.ends(told, language)),
            tone="bad" if processes.is_dead(told) else "",
            directory="" if is_group else told[0].directory or "",
            limit=self._limit(places),
            left_out=left_out if is_group else 0,
        )

    def _size(self, figures: processes.Figures) -> str:
        return units.size(processes.highest(figures))

    def _of_limit(self, told: Sequence[Process]) -> LimitView | None:
        if all(one.worker is None for one in told):
            return None
        nearest = max(told, key=lambda one: processes.share_of_limit(one) or 0.0)
        share, facts = processes.share_of_limit(nearest), nearest.worker
        if share is None or facts is None:
            of_all = self._size(map(processes.peak_rss, told))
            return LimitView(self._say(lambda _: of_all), "", "", "")
        size, of_whole = units.size(processes.peak_rss(nearest)), units.size(facts.limit_bytes)
        return LimitView(
            size=self._say(
                lambda language: language.say("processes.size_of", size=size, limit=of_whole)
            ),
            share_text=units.percent(share),
            bar=f"{min(1.0, share):.1%}",
            tone="bad" if share >= AT_LIMIT else "warn" if share >= NEAR_LIMIT else "",
        )

    def _limit(self, places: Sequence[int]) -> str:
        if not self._known.intersection(places):
            return ""
        if len(places) == 1:
            return f"p{places[0]}"
        first = self._report.run.processes[places[0]]
        group = None if processes.is_of_cluster(first) else first.group  # no line started all
        return "" if group is None else f"g{group}"


def _threads(told: Sequence[Process]) -> str:
    """Return the number of threads that workers have for their tasks, each or in all, if any."""
    count = sum(one.worker.threads for one in told if one.worker is not None)
    return f"{count:,}" if count else ""


def _command(told: Sequence[Process], *, is_told: bool) -> str:
    """Return the command that processes have in common, or the address of a worker."""
    if told[0].worker is not None and processes.is_of_cluster(told[0]):
        return told[0].worker.address if len(told) == 1 else ""
    commands = {processes.command_of(one) for one in told}
    command = commands.pop() if is_told and len(commands) == 1 else ""
    return command if len(command) <= MAX_COMMAND else f"{command[: MAX_COMMAND - 1]}…"
