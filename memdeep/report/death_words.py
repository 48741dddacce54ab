"""The sentences on a program's death: where it died, what grew last, who was running."""

from __future__ import annotations

from memdeep.model import (
    Checkpoint,
    CheckpointKind,
    Death,
    LastGrowth,
    MemoryLimit,
    Origin,
    PhaseKind,
    Report,
    StackDump,
    ThreadStack,
)
from memdeep.report import units, words

MAX_PHASES = 3


def place(report: Report, death: Death) -> str:
    """The phase of death, and how long after the last checkpoint it came."""
    paths = dict.fromkeys(filter(None, (_spans(report, phase) for phase in death.phases)))
    names = list(paths)[:MAX_PHASES]
    if len(paths) > MAX_PHASES:
        names.append(units.count(len(paths) - MAX_PHASES, "more phase"))
    inside = f" in {' and in '.join(names)}," if names else ""
    since = units.duration(death.since_s)
    if death.last_checkpoint is None:
        return f"It ended{inside} {since} after its start, before any checkpoint."
    last = _edge(report.run.checkpoints[death.last_checkpoint])
    return f"It ended{inside} {since} after its last checkpoint: {last}."


def alive(report: Report, death: Death) -> str:
    """What the program held when it died, or when that was last known."""
    rss = units.size(death.rss_bytes)
    if death.known_at is None:
        return f"What was alive then was not traced; its RSS was {rss}."
    points = report.run.checkpoints
    if death.known_at < len(points) - 1:
        last = _edge(points[death.known_at])
        return (
            f"What was alive then was not traced; its RSS was {rss}. Alive at {last}, the last "
            f"that was: {units.size(death.heap_bytes)} of heap."
        )
    return f"Alive then: {units.size(death.heap_bytes)} of heap, RSS {rss}."


def last_growth(report: Report, growth: LastGrowth) -> str:
    """Which stretch grew last, by how much, and which line of it did most."""
    what = "RSS" if growth.heap_bytes is None else "the heap"
    grown = growth.rss_bytes if growth.heap_bytes is None else growth.heap_bytes
    points = report.run.checkpoints
    start, end = points[growth.stretch.start], points[growth.stretch.end]
    path = None if growth.phase is None else _spans(report, growth.phase)
    inside = "" if path is None else f" in {path},"
    line = ""
    if growth.culprits:
        most = growth.culprits[0]
        line = f"; {words.location(most.frame)} allocated {units.size(most.bytes)} still alive"
    return (
        f"Last growth before: {what} grew by {units.size(grown)}{inside} between {_edge(start)} "
        f"and {_edge(end)}{line}."
    )


def limit(limit: MemoryLimit) -> str:
    """The limit in force, and whose it is."""
    return f"{units.size(limit.bytes)} ({limit.source})"


def stack_dump(dump: StackDump) -> str:
    """Who was running when RSS went over a limit."""
    running = next((thread for thread in dump.threads if thread.is_current), None)
    running = running or next(iter(dump.threads), None)
    return (
        f"At {units.duration(dump.time_s)} RSS was {units.size(dump.rss_bytes)}, over "
        f"{dump.reason}{'' if running is None else _where(running)}. "
        "The stacks of all threads then are in stacks.txt."
    )


def _where(thread: ThreadStack) -> str:
    own = [frame for frame in thread.frames if frame.origin is Origin.USER] or thread.frames
    return f": {own[-1].function} was at {words.location(own[-1])}" if own else ""


def _spans(report: Report, phase: int) -> str | None:
    """The named phases that ``phase`` lies in, outermost first; None if there is none."""
    names: list[str] = []
    place: int | None = phase
    while place is not None:
        outline = report.phases[place].outline
        if outline.kind is PhaseKind.SPAN:
            names.append(words.short(outline.name))
        place = outline.parent
    return " › ".join(reversed(names)) or None


def _edge(point: Checkpoint) -> str:
    prefix = {CheckpointKind.BEGIN: "begin of ", CheckpointKind.END: "end of "}.get(point.kind, "")
    return f"{prefix}{words.short(point.label)}"
