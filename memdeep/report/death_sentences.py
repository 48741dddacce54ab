"""The sentences on a program's death: where it died, what grew last, who was running."""

from __future__ import annotations

from memdeep.model import (
    Death,
    LastGrowth,
    MemoryLimit,
    Origin,
    PhaseKind,
    Report,
    StackDump,
    ThreadStack,
)
from memdeep.report import names, sentences
from memdeep.text.language import Language

MAX_PHASES = 3


def place(report: Report, death: Death, language: Language) -> str:
    """The phase of death, and how long after the last checkpoint it came."""
    paths = dict.fromkeys(filter(None, (_spans(report, phase) for phase in death.phases)))
    names = list(paths)[:MAX_PHASES]
    if len(paths) > MAX_PHASES:
        names.append(language.say("death.more", n=len(paths) - MAX_PHASES))
    if death.last_checkpoint is None:
        key = "death.place_early_in" if names else "death.place_early"
    else:
        key = "death.place_in" if names else "death.place"
    return language.say(
        key,
        phases=language.say("death.and").join(names),
        since_s=death.since_s,
        label=_point(report, death.last_checkpoint or 0, language),
    )


def alive(report: Report, death: Death, language: Language) -> str:
    """What the program held when it died, or when that was last known."""
    if death.known_at is None:
        return language.say("death.alive_untraced", rss_bytes=death.rss_bytes)
    points = report.run.checkpoints
    return language.say(
        "death.alive" if death.known_at == len(points) - 1 else "death.alive_before",
        rss_bytes=death.rss_bytes,
        heap_bytes=death.heap_bytes,
        label=_point(report, death.known_at, language),
    )


def last_growth(report: Report, growth: LastGrowth, language: Language) -> str:
    """Which stretch grew last, by how much, and which line of it did most."""
    path = None if growth.phase is None else _spans(report, growth.phase)
    line = ""
    if growth.culprits:
        most = growth.culprits[0]
        line = language.say(
            "death.line", where=sentences.location(most.frame), size_bytes=most.bytes
        )
    is_heap = growth.heap_bytes is not None
    return language.say(
        "death.grew_heap" if is_heap else "death.grew_rss",
        size_bytes=growth.heap_bytes if is_heap else growth.rss_bytes,
        inside="" if path is None else language.say("death.in", phases=path),
        start=_point(report, growth.stretch.start, language),
        end=_point(report, growth.stretch.end, language),
        line=line,
    )


def limit(limit: MemoryLimit, language: Language) -> str:
    """The limit in force, and whose it is."""
    source = sentences.statement(limit.source, language)
    return language.say("death.limit", size_bytes=limit.bytes, source=source)


def stack_dump(dump: StackDump, language: Language) -> str:
    """Who was running when RSS went over a limit."""
    running = next((thread for thread in dump.threads if thread.is_current), None)
    running = running or next(iter(dump.threads), None)
    return language.say(
        "death.dump",
        time_s=dump.time_s,
        rss_bytes=dump.rss_bytes,
        reason=dump.reason,
        where="" if running is None else _where(running, language),
    )


def _where(thread: ThreadStack, language: Language) -> str:
    own = [frame for frame in thread.frames if frame.origin is Origin.USER] or thread.frames
    if not own:
        return ""
    return language.say("death.where", function=own[-1].function, where=sentences.location(own[-1]))


def _spans(report: Report, phase: int) -> str | None:
    """The named phases that ``phase`` lies in, outermost first; None if there is none."""
    names: list[str] = []
    place: int | None = phase
    while place is not None:
        outline = report.phases[place].outline
        if outline.kind is PhaseKind.SPAN:
            names.append(sentences.short(outline.name))
        place = outline.parent
    return " › ".join(reversed(names)) or None


def _point(report: Report, place: int, language: Language) -> str:
    return names.checkpoint(report.run, place, language, sentences.short)
