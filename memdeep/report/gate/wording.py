"""The words of a check's verdicts, the place each is told at, and what it is known by later.

Labels come from a program: every text is made plain, and cut where it is long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from posixpath import basename

from memdeep.analysis.baseline import Update
from memdeep.frozen import frozen
from memdeep.model import Frame, Origin
from memdeep.model.budget import OF_FIGURE, Check, Gate, Note, State, Verdict
from memdeep.report import frame_names, sentences
from memdeep.text import units
from memdeep.text.language import Language
from memdeep.text.safe import plain

MAX_NAME = 120  # characters of a phase's name, and of a source line
MAX_UPDATES = 50
_OF_PEAKS = (Check.PEAK_HEAP, Check.PEAK_RSS, Check.RISE)
_HASH = 6


@frozen
class Location:
    """A line to show a verdict at: ``path`` from the root, with forward slashes."""

    path: str
    line: int
    frame: Frame | None = None


def subject(verdict: Verdict, language: Language, most: int = MAX_NAME) -> str:
    """Return the name of the verdict's phase, or what stands for the run, and cut it."""
    return cut(plain(verdict.name), most) if verdict.name else language.say("gate.run")


def cut(text: str, most: int) -> str:
    """Cut ``text`` in its middle; long ones that begin and end alike differ in a number there."""
    if len(text) <= most:
        return text
    mark = sha256(text.encode("utf-8", "replace")).hexdigest()[:_HASH]
    rest = most - len(mark) - 3
    return f"{text[: rest - rest // 3]}…{mark}…{text[-(rest // 3) :]}"


def figure(check: Check, language: Language) -> str:
    """Return the name of the figure that is checked."""
    return language.say(f"gate.of_{check.name.lower()}")


def shown(verdict: Verdict, value: int | None) -> str:
    """Return a figure of the verdict; to the byte where that tells it from its limit."""
    if value is None:
        return units.UNKNOWN
    if verdict.check.is_count:
        return f"{value:,}"
    looks_alike = units.size(verdict.value) == units.size(verdict.limit)
    return f"{value:,} B" if looks_alike and verdict.state is State.OVER else units.size(value)


def sentence(verdict: Verdict, language: Language) -> str:
    """Return what is wrong in one sentence, or the figure and its limit."""
    about, own = subject(verdict, language), verdict.own
    if own is not None:
        pid = own.run.checkpoints[0].pid
        about = language.say("gate.of_process", subject=about, pid=str(pid or units.UNKNOWN))
    values = {
        "subject": about,
        "figure": figure(verdict.check, language),
        "value": shown(verdict, verdict.value),
        "limit": shown(verdict, verdict.limit),
        "before": shown(verdict, verdict.before),
        "why": why(verdict, language),
    }
    if verdict.state is not State.UNKNOWN:
        state = "over" if verdict.state is State.OVER else "within"
        compared = "_baseline" if verdict.before is not None else ""
        return language.say(f"gate.{state}{compared}", **values)
    if verdict.check is Check.BASELINE or verdict.limit is None:
        return language.say("gate.unknown_whole", **values)
    known = "unknown" if verdict.value is None else "so_far"
    return language.say(f"gate.{known}", **values)


def why(verdict: Verdict, language: Language) -> str:
    """Return why it is not known if the figure is within its limit."""
    return "" if verdict.why is None else language.say(f"gate.why_{verdict.why.value}")


def blame(gate: Gate, verdict: Verdict, language: Language) -> str | None:
    """Return a sentence on the line to blame, with its text where that is known."""
    culprit = verdict.culprit
    if culprit is None:
        return None
    key = "gate.held" if verdict.check in _OF_PEAKS else "gate.kept"
    at = language.say(
        "gate.made" if verdict.check is Check.ALLOCATIONS else key,
        size_bytes=culprit.bytes,
        n=culprit.allocations,
        place=plain(sentences.place_of(gate.report_of(verdict), culprit, language)),
        function=plain(frame_names.function_name(culprit.frame)),
    )
    source = source_of(gate, verdict)
    return at if source is None else language.say("gate.with_source", sentence=at, source=source)


def source_of(gate: Gate, verdict: Verdict) -> str | None:
    """Return the source line of a verdict's culprit, cut, or None."""
    if verdict.culprit is None:
        return None
    source = gate.report_of(verdict).source(verdict.culprit.frame)
    return None if source is None else cut(plain(source), MAX_NAME)


def headline(gate: Gate, language: Language) -> str:
    """Return how many checks there were and how they ended."""
    states = [verdict.state for verdict in gate.verdicts]
    if not states:
        return language.say("gate.none")
    if states.count(State.WITHIN) == len(states):
        return language.say("gate.all_within", n=len(states))
    warned = sum(one.state is State.OVER and not one.fails for one in gate.verdicts)
    return language.say(
        "gate.some_warned" if warned else "gate.some",
        over=states.count(State.OVER) - warned,
        warned=warned,
        unknown=states.count(State.UNKNOWN),
        within=states.count(State.WITHIN),
    )


def note(told: Note, language: Language) -> str:
    """Return the sentence of a note."""
    values = {
        name: cut(plain(value), MAX_NAME) if isinstance(value, str) else value
        for name, value in told.values.items()
    }
    return language.say(f"gate.note_{told.kind.value}", **values)


def location(gate: Gate, verdict: Verdict) -> Location:
    """Return the line to show a verdict at: one of the program's own, else that of its budget."""
    for frame in own_frames(gate, verdict):
        path = below_root(gate, frame.filename)
        if path is not None:
            return Location(path, max(1, frame.lineno), frame)
    rule = verdict.rule
    return Location(below_root(gate, rule.path) or basename(rule.path), rule.line or 1)


def own_frames(gate: Gate, verdict: Verdict) -> Iterator[Frame]:
    """Yield the frames of the program's own code below the culprit, the innermost one first.

    The frame that the culprit is charged to comes before all.
    """
    culprit = verdict.culprit
    if culprit is not None:
        tree = gate.report_of(verdict).heap.tree
        frames = [culprit.frame, *reversed(tree.stack(culprit.node))]
        yield from (one for one in frames if one.origin in (Origin.USER, Origin.TOOL))


def below_root(gate: Gate, path: str) -> str | None:
    """Return ``path`` from the root on; None for one that does not lie below it."""
    path = path.replace("\\", "/")
    for root in gate.roots:
        start = f"{root.rstrip('/')}/"
        if path.startswith(start) and len(path) > len(start):
            return path[len(start) :]
    return None


def identities(gate: Gate) -> list[str]:
    """Return for each verdict a text that is the same in later runs: of no line and no figure."""
    found: list[str] = []
    times: dict[str, int] = {}
    for verdict in gate.verdicts:
        words = (verdict.check.value, verdict.severity.value, verdict.name)
        plain_one = "\0".join(words)
        times[plain_one] = times.get(plain_one, 0) + 1
        whole = f"{plain_one}\0{times[plain_one]}"
        found.append(sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:32])
    return found


def updates(changes: Sequence[Update], language: Language) -> Iterator[str]:
    """Yield a line for each change of a baseline, at most `MAX_UPDATES`."""
    for place, change in enumerate(changes):
        if place == MAX_UPDATES:
            yield language.say("gate.more", n=len(changes) - MAX_UPDATES)
            return
        name = cut(plain(change.path), MAX_NAME) if change.path else language.say("gate.run")
        if change.figure is None:
            kind = "added" if change.before is None else "removed"
            yield language.say(f"gate.update_{kind}", subject=name)
        else:
            check = OF_FIGURE[change.figure]
            before, value = (
                f"{one:,}" if check.is_count and one is not None else units.size(one)
                for one in (change.before, change.after)
            )
            named = figure(check, language)
            values = {"subject": name, "figure": named, "before": before, "value": value}
            yield language.say("gate.update_figure", **values)
