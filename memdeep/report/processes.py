"""Lays out the processes of a run as a tree for people, and words how they were started and ended.

Processes that one line started are one row: of a pool with eight workers nobody wants eight rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath

from memdeep.analysis.workers import phase_that_started
from memdeep.frozen import frozen
from memdeep.model import DETACHED, Process, Report, Run
from memdeep.report import frame_names, sentences
from memdeep.text.language import Language

ENDED_WELL = "completed"
REPLACED = "replaced"  # by another program (exec), which has a row of its own
BY_PROGRAM = "by_program"  # by a signal of the program's own, as workers end with their pool
# Of workers of a cluster: by the process that looks after them, by the one that looks after their
# whole node, and in a way that nobody saw.
BY_NANNY, BY_MONITOR, LOST = "by_nanny", "by_monitor", "lost"
MAX_DEATHS_TOLD = 3
MAX_STARTS_TOLD = 100  # processes of a row of which it is found out in which phase they began
LONG_S = 1.0  # readings are taken more often than that
MAX_APART = 8  # workers of a cluster that have each a row of its own
Figures = Iterable[int | None]
# The ends by the trouble they mean, the worst first; None is an end that nobody saw.
DEATHS = ("oom-killed", BY_MONITOR, BY_NANNY, "killed", "failed", LOST)
ENDS = (*DEATHS, DETACHED, None, REPLACED, BY_PROGRAM, ENDED_WELL)


@frozen
class ProcessRow:
    """Processes that one line started in one way, or the program, which is the first row.

    ``members`` are their indices; ``parent`` is the row of the process that started the first of
    them, ``depth`` is the number of rows around. ``phase`` is the index of the innermost phase in
    which all of them began, None if there is none or that was not seen.
    """

    members: tuple[int, ...]
    parent: int | None
    depth: int
    phase: int | None


def rows(report: Report) -> tuple[ProcessRow, ...]:
    """Return the rows of the tree, each before those within it."""
    processes = report.run.processes
    groups: dict[object, list[int]] = {}
    keys: list[object] = []
    are_many = sum(map(is_of_cluster, processes)) > MAX_APART
    for place, process in enumerate(processes):
        key: object = _key(process, place, keys)
        if are_many and is_of_cluster(process) and place:
            key = "workers", process.parent
        keys.append(key)
        groups.setdefault(key, []).append(place)
    around = {key: _around(processes[members[0]], key, keys) for key, members in groups.items()}
    within: dict[object, list[object]] = {}
    for key, above in around.items():
        within.setdefault(above, []).append(key)
    found: list[ProcessRow] = []
    waiting: list[tuple[object, int | None, int]] = [
        (key, None, 0) for key in reversed(within.get(None, []))
    ]
    while waiting:
        key, parent, depth = waiting.pop()
        members = tuple(groups[key])
        found.append(ProcessRow(members, parent, depth, _phase(report, members)))
        here = len(found) - 1
        waiting += [(inside, here, depth + 1) for inside in reversed(within.get(key, []))]
    return tuple(found)


def _phase(report: Report, members: Sequence[int]) -> int | None:
    """Return the phase in which processes began; that is known only where the start was seen."""
    told = [report.run.processes[place] for place in members[:MAX_STARTS_TOLD]]
    began = {
        phase_that_started(report.run, report.phases, process)
        for process in told
        if process.started_by
    }
    around = [list(_with_parents(report, place)) for place in began]
    return next(
        (place for place in (around[0] if around else ()) if all(place in one for one in around)),
        None,
    )


def _with_parents(report: Report, place: int | None) -> Iterator[int]:
    while place is not None:
        yield place
        place = report.phases[place].outline.parent


def _key(process: Process, place: int, keys: Sequence[object]) -> object:
    """Return what the processes of a row have in common.

    Of those of which no line is known it is the parent and the command: a shell may have started
    hundreds. Ranks are apart from what has started them.
    """
    if rank(process):
        return "ranks", process.group
    if process.started_at is not None or process.command is None or process.is_traced:
        return place if process.group is None else process.group
    above = None if process.parent is None else keys[process.parent]
    return place if above is None else (above, process.how, process.command)


def _around(process: Process, key: object, keys: Sequence[object]) -> object | None:
    """Return the row of the process that started one; a line may start itself again."""
    above = None if process.parent is None else keys[process.parent]
    return None if above == key else above


def most_telling(report: Report, found: Sequence[ProcessRow], most: int) -> list[int]:
    """Choose the rows to show, in order: those in trouble and the largest, and all around them."""
    heaps_of = heaps(report)

    def weight(place: int) -> tuple[bool, int]:
        told = members(report, found[place])
        sizes = [one.peak_pss_bytes or one.peak_rss_bytes for one in told]
        sizes += [heaps_of.get(one) for one in found[place].members]
        return is_dead(told), highest(sizes) or 0

    chosen = {0} if found else set()
    for place in sorted(range(len(found)), key=weight, reverse=True):
        wanted: set[int] = set()
        around: int | None = place
        while around is not None and around not in chosen:
            wanted.add(around)
            around = found[around].parent
        if len(chosen) + len(wanted) <= most:
            chosen |= wanted
    return sorted(chosen)


def members(report: Report, row: ProcessRow) -> list[Process]:
    """Return the processes of ``row``."""
    return [report.run.processes[place] for place in row.members]


def name(told: Sequence[Process], *, is_program: bool, language: Language) -> str:
    """Return the name of a row: its rank, the way it was started, its command if that says more."""
    ranks = sorted(filter(None, map(rank, told)), key=lambda name: (len(name), name))
    if len(ranks) == len(told):
        return ranks[0] if len(ranks) == 1 else f"{ranks[0]} … {ranks[-1]}"
    if is_program:
        return language.say("processes.program")
    if told[0].worker is not None and len(told) > 1:
        return f"{language.say('processes.workers')} × {len(told):,}"
    label = how(told[0])
    is_other = all(one.how == "subprocess" and not one.is_traced for one in told)
    if is_other or told[0].started_at is None:
        label = _shared_command(told) or label
    return f"{label} × {len(told):,}" if len(told) > 1 else label


def _shared_command(told: Sequence[Process]) -> str:
    """Return the command of processes, or their program if that is all they share."""
    commands = {command_of(one) for one in told}
    programs = {command.split(" ", 1)[0] for command in commands}
    return min(commands if len(commands) == 1 else programs) if len(programs) == 1 else ""


def worker_name(process: Process, place: int, language: Language) -> str:
    """Return what a process is called among others that have phases of their own, in brief.

    A worker of a cluster has a name, which may be no more than its number or its address.
    """
    if process.worker is not None:
        return process.worker.name.removeprefix("tcp://").removeprefix("tls://")
    return language.say("processes.program") if place == 0 else f"{how(process)} {process.pid}"


def worker_told(process: Process, place: int, language: Language) -> str:
    """Return `worker_name` as a part of a sentence: of a number it says what it is."""
    name = worker_name(process, place, language)
    return language.say("processes.worker", name=name) if name.isdecimal() else name


def peak_rss(process: Process) -> int | None:
    """Return the highest RSS of a process; its nanny may have seen more than others."""
    seen = None if process.worker is None else process.worker.ended_bytes
    return highest([process.peak_rss_bytes, seen])


def share_of_limit(process: Process) -> float | None:
    """Return the share of its limit that the RSS of a worker reached; None if it is not known."""
    limit = None if process.worker is None else process.worker.limit_bytes
    peak = peak_rss(process)
    return peak / limit if limit and peak is not None else None


def others(run: Run) -> Sequence[Process]:
    """Return the processes but the program itself."""
    return run.processes[1:]


def called(process: Process) -> str:
    """Return the way a process was started, or what a worker of a cluster is called."""
    if process.worker is None:
        return how(process)
    return rank(process) or process.command or how(process)


def rank(process: Process) -> str:
    """Return the part of a process in a parallel program, as ``rank 3``; empty if it has none.

    A worker with an address has a command that tells more.
    """
    return "" if process.worker is None or process.worker.address else process.worker.name


def is_of_cluster(process: Process) -> bool:
    """Tell if a process is a worker of a cluster, and no part of a parallel program."""
    return process.worker is not None and not rank(process)


def how(process: Process) -> str:
    """Return the way a process was started, as Python names it."""
    return process.how or "?"


def started_by(process: Process) -> str:
    """Return the line that started a process, or nothing."""
    frame = process.started_at
    return "" if frame is None else frame_names.location(frame)


def command_of(process: Process) -> str:
    """Return the program of a process without its directory, for a narrow column."""
    words = (process.command or "").split(" ", 1)
    return " ".join([PurePath(words[0]).name, *words[1:]]) if words[0] else ""


def heaps(report: Report) -> dict[int, int]:
    """Return the highest heap of each process whose allocations were recorded."""
    own = report.heap.own or report.heap
    known = {} if own.peak_bytes is None else {0: own.peak_bytes}
    return known | {heap.process: heap.peak_bytes for heap in report.heap.processes}


def is_dead(told: Iterable[Process]) -> bool:
    """Tell if one of ``told`` failed or was killed, other than by the program itself."""
    return any(_kind(process) in DEATHS for process in told)


def _kind(process: Process) -> str | None:
    """Return the kind of a process's end, one of `ENDS`."""
    if process.worker is not None and process.worker.ended_bytes is not None:
        return BY_MONITOR if process.worker.for_others else BY_NANNY
    if process.worker is not None and process.verdict is None:
        return LOST
    if process.was_replaced and process.verdict is None:
        return REPLACED
    return BY_PROGRAM if process.ended_by_program else process.verdict


def highest(figures: Figures) -> int | None:
    """Return the highest of the figures that are known."""
    return max((figure for figure in figures if figure is not None), default=None)


def peak_pss(told: Iterable[Process]) -> int | None:
    """Return the highest PSS of one of ``told``: of the program while it was alone, its RSS."""
    return highest(
        size for one in told for size in (one.peak_pss_bytes, *(read.bytes for read in one.curve))
    )


def span_s(members: Sequence[Process]) -> tuple[float | None, float | None]:
    """Return when the first of ``members`` began and the last of them ended."""
    starts = [process.start_s for process in members if process.start_s is not None]
    ends = [process.end_s for process in members if process.end_s is not None]
    return min(starts, default=None), max(ends, default=None)


def times(members: Sequence[Process], language: Language) -> str:
    """Return the span of ``members`` as ``0.2–1.1 s``."""
    start_s, end_s = span_s(members)
    if start_s is None or end_s is None:
        return language.say("processes.time_unknown")
    if end_s < 59.95:
        return f"{start_s:.1f}–{end_s:.1f} s"
    return language.say("processes.times", start_s=start_s, end_s=end_s)


def ends(members: Sequence[Process], language: Language, *, in_brief: bool = False) -> str:
    """Return how ``members`` ended in a few words, those in trouble first; in brief only those."""
    counted = Counter((_kind(process), process.signal) for process in members)
    if in_brief and len(counted) > 1:
        counted = Counter({end: n for end, n in counted.items() if end[0] != ENDED_WELL})
        if len(counted) == 1:
            (end,) = counted
            return language.say("processes.n_of", n=counted[end], what=_end(*end, language))
    if len(counted) == 1:
        return _end(*next(iter(counted)), language)
    in_order = sorted(counted, key=lambda end: ENDS.index(end[0]) if end[0] in ENDS else 0)
    return language.say("processes.and").join(
        language.say("processes.n_of", n=counted[end], what=_end(*end, language))
        for end in in_order
    )


def _end(kind: str | None, signal: str | None, language: Language) -> str:
    if kind == "killed" and signal is not None:
        return signal
    key = f"processes.end_{kind if kind in ENDS and kind else 'unknown'}"
    return language.say(key, signal=signal)


def trouble(members: Sequence[Process]) -> int:
    """Rank how ``members`` ended: 0 is the worst."""
    return min(
        (ENDS.index(_kind(process)) for process in members if _kind(process) in ENDS),
        default=len(ENDS),
    )


def deaths(report: Report, language: Language) -> tuple[str, ...]:
    """Return what became of processes other than ended well, and which were not recorded."""
    started = others(report.run)
    said = []
    dead = [process for process in started if is_dead([process])]
    dead.sort(key=trouble_of)
    for process in dead[:MAX_DEATHS_TOLD]:
        said.append(
            language.say(
                f"processes.{_kind(process)}",
                process=named(process, language),
                signal=process.signal or "",
                status=str(process.exit),
                end_s=process.end_s,
                ended_bytes=None if process.worker is None else process.worker.ended_bytes,
            )
        )
    rest = Counter(map(_kind, dead[MAX_DEATHS_TOLD:]))
    said += [language.say(f"processes.more_{end}", n=rest[end]) for end in DEATHS if rest[end]]
    running = sum(process.verdict == DETACHED for process in started)
    if running:
        said.append(language.say("processes.still_running", n=running))
    unrecorded = sum(not process.is_traced for process in started)
    if unrecorded:
        said.append(language.say("processes.unrecorded", n=unrecorded))
        if report.run.leaves_out is not None:
            said.append(language.say("processes.kept_out", option=report.run.leaves_out))
    unseen = sum(map(_is_unseen, started)) if report.run.peak_pss_bytes is not None else 0
    if unseen:
        said.append(language.say("processes.unseen", n=unseen, long_s=LONG_S))
    return tuple(said)


def _is_unseen(process: Process) -> bool:
    """Tell if a process lived for long and is in no reading, as a daemon that was forked twice."""
    start_s, end_s = span_s([process])
    is_known = process.peak_pss_bytes is not None or process.worker is not None
    lived_s = 0.0 if is_known or start_s is None or end_s is None else end_s - start_s
    return lived_s > LONG_S and process.is_traced and process.how != "exec"


def trouble_of(process: Process) -> int:
    """Rank how one process ended: 0 is the worst."""
    return trouble([process])


def named(process: Process, language: Language) -> str:
    """Return a process as a part of a sentence: how it was started, its pid, by which line."""
    return language.say(
        "processes.named_at" if process.started_at is not None else "processes.named",
        how=rank(process) or how(process),
        pid=str(process.pid),
        line=started_by(process),
        command=rank(process) or sentences.short(command_of(process)),
    )
