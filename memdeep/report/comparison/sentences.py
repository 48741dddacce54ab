"""Words what changed between two sides. Each is a pure function of the comparison.

Texts are plain; names are shortened, but for those of a table.
"""

from __future__ import annotations

from statistics import median

from memdeep.analysis.noise import tolerance
from memdeep.model.comparison import (
    Caution,
    Change,
    Comparison,
    Figure,
    LineAt,
    LineChange,
    Match,
    PhaseChange,
)
from memdeep.report import sentences
from memdeep.text import units
from memdeep.text.language import Language

ALIKE = "~"
TOLD = (Figure.GROWTH, Figure.RISE)  # what tells of a phase that it changed
MOST_OF = 0.9  # of the largest change: a phase within another one has that of both
MIN_LINE_SHARE = 0.5  # of a change: a line that is named for it

# What a phase that is not there has none of; a peak or a time of it would be made up.
OF_NOTHING = (Figure.GROWTH, Figure.RISE, Figure.ALLOCATIONS, Figure.LINE)


def headline(comparison: Comparison, language: Language) -> str:
    """Return what changed most, as a sentence; or that nothing did, or nothing is known."""
    phase = most_changed(comparison)
    if phase is not None:
        return _of_phase(comparison, phase, language)
    for figure in (Figure.PEAK_HEAP, Figure.PEAK_RSS):
        change = comparison.figures.get(figure)
        if change is not None and change.is_known and not change.is_alike:
            return _said(change, language)
    known = [*comparison.figures.values(), *_told(comparison.phases)]
    is_known = any(change.is_known for change in known)
    return language.say("compare.alike" if is_known else "compare.unknown")


def most_changed(comparison: Comparison) -> PhaseChange | None:
    """Return the innermost phase that has most of the largest change; None if none changed."""
    changed = [(size, phase) for phase in comparison.phases if (size := weight(comparison, phase))]
    if not changed:
        return None
    least = MOST_OF * max(size for size, _ in changed)
    large = [(phase.depth, size, phase) for size, phase in changed if size >= least]
    return max(large, key=lambda one: one[:2])[2]


def weight(comparison: Comparison, phase: PhaseChange) -> float:
    """Return the largest change of what a phase keeps, or of its rise; 0 if it is alike."""
    found = _differences(phase, is_deep=comparison.is_deep)
    return max(map(abs, found.values()), default=0)


def phase_name(comparison: Comparison, phase: PhaseChange, language: Language) -> str:
    """Return the name of a phase, as the side after has it if it is there."""
    side, place = (
        (comparison.before, phase.before)
        if phase.after is None
        else (comparison.after, phase.after)
    )
    assert place is not None
    return sentences.phase_label(side.report.run, side.report.phases[place], language)


def old_name(comparison: Comparison, phase: PhaseChange, language: Language) -> str:
    """Return the name that a phase had before; empty if it was not there."""
    if phase.before is None:
        return ""
    report = comparison.before.report
    return sentences.phase_label(report.run, report.phases[phase.before], language)


def match_note(comparison: Comparison, phase: PhaseChange, language: Language) -> str:
    """Return how a phase was found again, in a few words; empty for one that stayed as it was."""
    if phase.match is Match.SAME:
        return ""
    name = sentences.short(old_name(comparison, phase, language))
    return language.say(f"compare.match_{phase.match.value}", name=name)


def caution(doubt: Caution, language: Language) -> str:
    """Return a reason to doubt the comparison."""
    return language.say(f"caution.{doubt.key}", **doubt.values)


def line_name(line: LineAt) -> str:
    """Return the place of a line."""
    return f"{line.path}:{line.frame.lineno}" if line.frame.lineno > 0 else line.path


def value_text(figure: Figure, value: float | None) -> str:
    """Return a figure of one side."""
    if figure is Figure.DURATION:
        return units.duration(value)
    if figure is Figure.ALLOCATIONS:
        return units.UNKNOWN if value is None else f"{round(value):,}"
    return units.size(None if value is None else round(value))


def before_of(change: Change) -> float | None:
    """Return the figure before, of several runs their median."""
    return median(change.before) if change.before else None


def after_of(change: Change) -> float | None:
    """Return the figure after, of several runs their median."""
    return median(change.after) if change.after else None


def change_text(change: Change, match: Match = Match.SAME) -> str:
    """Return the difference with its sign and its share, ``~`` for none, a dash if unknown.

    ``match`` tells if what has the figure is on both sides.
    """
    delta = difference(change, match)
    if delta is None:
        return units.UNKNOWN
    if change.is_alike:
        return ALIKE
    sign = "+" if delta > 0 else units.MINUS
    text = sign + value_text(change.figure, abs(delta))
    before = before_of(change) or 0
    return f"{text} {sign}{_percent(abs(delta) / before)}" if before > 0 and change.after else text


def difference(change: Change, match: Match) -> float | None:
    """Return the figure after less the one before; what is not there keeps nothing."""
    if match not in (Match.ADDED, Match.REMOVED) or change.figure not in OF_NOTHING:
        return change.delta
    sides = before_of(change), after_of(change)
    return None if sides == (None, None) else (sides[1] or 0) - (sides[0] or 0)


def _percent(ratio: float) -> str:
    """Return a share of a change, which is told by its size first: whole from ten on."""
    return f"{ratio * 100:.0f} %" if ratio >= 0.0995 else units.percent(ratio)


def _of_phase(comparison: Comparison, phase: PhaseChange, language: Language) -> str:
    name = sentences.short(phase_name(comparison, phase, language))
    differences = _differences(phase, is_deep=comparison.is_deep)
    figure = max(differences, key=lambda one: abs(differences[one]))
    change = phase.figures[figure]
    if phase.match in (Match.ADDED, Match.REMOVED):
        text = language.say(
            f"compare.{phase.match.value}_{figure.name.lower()}",
            name=name,
            size_bytes=abs(round(differences[figure])),
        )
    else:
        text = _said(change, language, name)
    lines = phase.lines if figure is Figure.GROWTH else phase.peak_lines
    line = _named_line(lines, change)
    return text + ("" if line is None else language.say("compare.at_line", line=line_name(line)))


def _named_line(lines: tuple[LineChange, ...], change: Change) -> LineAt | None:
    """Return the line that has most of a change."""
    if not lines:
        return None
    line = lines[0]
    was, now = before_of(line.bytes) or 0, after_of(line.bytes) or 0
    whole = (after_of(change) or 0) - (before_of(change) or 0)
    share = (now - was) / (whole or 1)
    return (line.after or line.before) if share >= MIN_LINE_SHARE else None


def _said(change: Change, language: Language, name: str = "") -> str:
    figure = change.figure.name.lower()
    delta, sides = change.delta or 0, [before_of(change) or 0, after_of(change) or 0]
    is_more = delta > 0
    if change.figure is Figure.GROWTH and max(sides) <= 0:  # it frees more than it keeps
        figure, is_more, sides = "freed", not is_more, [-size for size in sides]
    before, after = (value_text(change.figure, size) for size in sides)
    return language.say(
        f"compare.{figure}_{'more' if is_more else 'less'}",
        name=name,
        size_bytes=round(abs(delta)),
        before=before,
        after=after,
    )


def _differences(phase: PhaseChange, *, is_deep: bool) -> dict[Figure, float]:
    """Return by how much its figures differ, 0 within the noise; an absent phase holds nothing."""
    found: dict[Figure, float] = {}
    for figure in TOLD:
        change = phase.figures.get(figure)
        if change is None:
            continue
        if change.is_known:
            found[figure] = 0 if change.is_alike else (change.delta or 0)
        else:
            size = difference(change, phase.match) or 0
            noise = tolerance(figure, is_deep=is_deep).of(0, size)
            found[figure] = size if abs(size) > noise else 0
    return found


def _told(phases: tuple[PhaseChange, ...]) -> list[Change]:
    return [change for phase in phases for change in phase.figures.values()]
