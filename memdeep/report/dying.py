"""Words the death of a program: its place, what was alive, what grew last, what ran then."""

from __future__ import annotations

from memdeep.model import Death, LastGrowth, Origin, Report, StackDump, ThreadStack
from memdeep.report import frame_names, sentences
from memdeep.text.language import Language

MAX_DEATH_PHASES = 3  # named in one sentence


def place(report: Report, death: Death, language: Language) -> str:
    """Return the phases of death, and how long after the last checkpoint it came."""
    paths = dict.fromkeys(filter(None, (sentences.spans(report, phase) for phase in death.phases)))
    named = list(paths)[:MAX_DEATH_PHASES]
    if len(paths) > MAX_DEATH_PHASES:
        named.append(language.say("death.more", n=len(paths) - MAX_DEATH_PHASES))
    if death.last_checkpoint is None:
        key = "death.place_early_in" if named else "death.place_early"
        if report.run.attached:
            key = "death.place_attached_in" if named else "death.place_attached"
    else:
        key = "death.place_in" if named else "death.place"
    return language.say(
        key,
        phases=language.say("death.and").join(named),
        since_s=death.since_s,
        label=sentences.point(report, death.last_checkpoint or 0, language),
    )


def alive(report: Report, death: Death, language: Language) -> str:
    """Return how much memory was alive at the death, or when that was last known."""
    if death.known_at is None:
        return language.say("death.alive_untraced", rss_bytes=death.rss_bytes)
    points = report.run.checkpoints
    return language.say(
        "death.alive" if death.known_at == len(points) - 1 else "death.alive_before",
        rss_bytes=death.rss_bytes,
        heap_bytes=death.heap_bytes,
        label=sentences.point(report, death.known_at, language),
    )


def last_growth(report: Report, growth: LastGrowth, language: Language) -> str:
    """Return the last segment that grew: by how much, and the line that allocated most in it."""
    path = None if growth.phase is None else sentences.spans(report, growth.phase)
    line = ""
    if growth.culprits:
        most = growth.culprits[0]
        line = language.say(
            "death.line", where=frame_names.location(most.frame), size_bytes=most.bytes
        )
    is_heap = growth.heap_bytes is not None
    return language.say(
        "death.grew_heap" if is_heap else "death.grew_rss",
        size_bytes=growth.heap_bytes if is_heap else growth.rss_bytes,
        inside="" if path is None else language.say("death.in", phases=path),
        start=sentences.point(report, growth.stretch.start, language),
        end=sentences.point(report, growth.stretch.end, language),
        line=line,
    )


def stack_dump(dump: StackDump, language: Language) -> str:
    """Return which line ran when RSS exceeded a limit."""
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
    frames = thread.frames
    own = [frame for frame in frames if frame.origin is Origin.USER]
    own = own or [frame for frame in frames if frame.origin is Origin.TOOL] or list(frames)
    if not own:
        return ""
    return language.say(
        "death.where", function=own[-1].function, where=frame_names.location(own[-1])
    )
