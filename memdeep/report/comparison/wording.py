"""Words a comparison for people to read: its answer, names, figures, cautions. Formats nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from memdeep.analysis.compare.telling import Telling, difference, telling
from memdeep.frozen import frozen
from memdeep.model import Phase
from memdeep.model.comparison import (
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
from memdeep.text.safe import plain

ALIKE = "~"
OF_RUN = (Figure.PEAK_HEAP, Figure.PEAK_RSS, Figure.GROWTH, Figure.ALLOCATIONS)
WHOLE_PERCENT = 0.095

Mark = Callable[[str], str]  # makes a name, or a place in code, fit for its format


@frozen
class Wording:
    """The words of one comparison in one language; ``mark`` is used on all that programs named."""

    comparison: Comparison
    language: Language
    mark: Mark = plain

    def answer(self) -> str:
        """Return the first sentence: what differs most, or that nothing does."""
        comparison, say = self.comparison, self.language.say
        told = telling(comparison)
        if told:
            return self.told(told[0])
        for figure in OF_RUN:
            change = comparison.figures.get(figure)
            if change is not None and change.is_known and not change.is_alike:
                key = "diff.run_more" if (change.delta or 0) > 0 else "diff.run_less"
                size = value(figure, abs(change.delta or 0))
                sentence = say(key, figure=self.figure(figure), size=size)
                lines = comparison.peak_lines if figure is Figure.PEAK_HEAP else ()
                if not lines:
                    return say("diff.sentence", sentence=sentence)
                return say("diff.sentence_at", sentence=sentence, line=self.way(lines[0]))
        if self.unfinished() is not None:
            return say("diff.unfinished", run=self.mark(self.unfinished() or ""))
        if not any(change.is_known for change in comparison.figures.values()):
            return say("diff.unknown")
        if not is_calm(comparison):
            return say("diff.alike_known")
        others = sum(change.match is not Match.SAME for change in comparison.phases)
        return say("diff.alike_but", n=others) if others else say("diff.identical")

    def unfinished(self) -> str | None:
        """Return the name of a run that did not complete; None if all did."""
        for side in (self.comparison.after, self.comparison.before):
            for number in side.unfinished:
                return side.names[number]
        return None

    def told(self, one: Telling) -> str:
        """Return a sentence on a phase that differs, with the line that explains it."""
        sentence = self.claim(one)
        if one.line is None:
            return self.language.say("diff.sentence", sentence=sentence)
        return self.language.say("diff.sentence_at", sentence=sentence, line=self.way(one.line))

    def claim(self, one: Telling) -> str:
        """Return by how much a phase differs, in words, without a full stop."""
        change = self.comparison.phases[one.phase]
        size_bytes = round(abs(one.delta))
        return self.language.say(_key(change, one), phase=self.name(change), size_bytes=size_bytes)

    def name(self, change: PhaseChange) -> str:
        """Return the name of a phase as it is after, or was before if it is gone."""
        return self._label(change, is_after=change.after is not None)

    def note(self, change: PhaseChange) -> str:
        """Return how a phase was found again, and its repeats if they differ; "" for neither."""
        parts = []
        if change.match is not Match.SAME:
            name = "" if change.before is None else self._label(change, is_after=False)
            parts.append(self.language.say(f"diff.match_{change.match.value}", name=name))
        if change.before is not None and change.after is not None:
            old, new = (self._phase(change, is_after=side) for side in (False, True))
            if old.repeats != new.repeats:
                parts.append(self.language.say("diff.times", n=new.repeats, before=old.repeats))
        note, *more = parts or [""]
        return self.language.say("diff.notes", note=note, more=more[0]) if more else note

    def way(self, line: LineChange) -> str:
        """Return the place of a line before and after, in short."""
        old, new = line.before, line.after
        if old is None or new is None or place(old) == place(new):
            return self.where(line)
        return f"{self.mark(place(old))} → {self.mark(_beside(new, old))}"

    def where(self, line: LineChange) -> str:
        """Return the place of a line, and what became of it."""
        old, new = line.before, line.after
        here = self.mark(place(new or old))
        if line.match is Match.UNREACHED:
            return here
        if old is None or new is None:
            key = "diff.line_added" if old is None else "diff.line_removed"
            return self.language.say(key, line=here)
        is_edited = line.match is Match.EDITED
        if place(old) == place(new):
            return self.language.say("diff.line_edited_here", line=here) if is_edited else here
        key = "diff.line_edited" if is_edited else "diff.line_was"
        return self.language.say(key, line=here, was=self.mark(_beside(old, new)))

    def figure(self, figure: Figure) -> str:
        """Return the name of a figure of a whole run."""
        return self.language.say(f"diff.figure_{figure.name.lower()}")

    def files(self) -> list[str]:
        """Return a sentence for each file that was renamed."""
        return [
            self.language.say("diff.file", before=self.mark(old), after=self.mark(new))
            for old, new in self.comparison.files.items()
        ]

    def cautions(self) -> list[str]:
        """Return a sentence for each reason to doubt the comparison."""
        return [
            self.language.say(
                caution.key, **{name: self.mark(text) for name, text in caution.values.items()}
            )
            for caution in self.comparison.cautions
        ]

    def sides(self) -> str:
        """Return the names of the runs."""
        names = []
        for side in (self.comparison.before, self.comparison.after):
            name, count = self.mark(side.name), len(side.names)
            say = self.language.say
            names.append(name if count == 1 else say("diff.median_of", run=name, n=count))
        return f"{names[0]} → {names[1]}"

    def _label(self, change: PhaseChange, *, is_after: bool) -> str:
        side = self.comparison.after if is_after else self.comparison.before
        phase = self._phase(change, is_after=is_after)
        label = sentences.phase_label(side.report.run, phase, self.language)
        return self.mark(sentences.short(label))

    def _phase(self, change: PhaseChange, *, is_after: bool) -> Phase:
        side = self.comparison.after if is_after else self.comparison.before
        number = change.after if is_after else change.before
        assert number is not None
        return side.report.phases[number]


def table_figure(comparison: Comparison) -> Figure:
    """Return the figure that phases are told by: their growth, of the RSS if that is all."""
    has_heap = any(Figure.GROWTH in change.figures for change in comparison.phases)
    return Figure.GROWTH if has_heap or not comparison.phases else Figure.RSS_GROWTH


def differing(comparison: Comparison) -> list[int]:
    """Return the phases (indices) that are not alike, in order."""
    return [place for place, one in enumerate(comparison.phases) if not one.is_alike]


def is_calm(comparison: Comparison) -> bool:
    """Tell if no figure of the whole runs differs, nor is known on one side only."""
    known = [comparison.figures[figure] for figure in OF_RUN if figure in comparison.figures]
    return all(change.is_alike for change in known)


def phase_change(comparison: Comparison, change: PhaseChange, figure: Figure) -> str:
    """Return by how much a phase differs, ``~`` within the noise, a dash if it is not known."""
    delta = difference(change, figure, is_deep=comparison.is_deep)
    if delta is None:
        return units.UNKNOWN
    return ALIKE if delta == 0 else _signed(figure, delta, _before(change.figures[figure]))


def figure_change(change: Change) -> str:
    """Return by how much a figure differs, ``~`` within the noise, a dash if it is not known."""
    if change.delta is None:
        return units.UNKNOWN
    return ALIKE if change.is_alike else _signed(change.figure, change.delta, _before(change))


def value(figure: Figure, amount: float | None) -> str:
    """Return a figure as people read it."""
    if figure is Figure.ALLOCATIONS:
        return units.UNKNOWN if amount is None else f"{round(amount):,}"
    if figure is Figure.DURATION:
        return units.duration(amount)
    return units.size(None if amount is None else round(amount))


def middle(figure: Figure, values: Sequence[float]) -> str:
    """Return the median of the runs of one side."""
    return value(figure, median(values) if values else None)


def spread(figure: Figure, values: Sequence[float]) -> str:
    """Return the range of several runs; "" of one."""
    if len(values) < 2:
        return ""
    return f"{value(figure, min(values))} … {value(figure, max(values))}"


def place(line: LineAt | None) -> str:
    """Return the path and the number of a line, or the function where no file is known."""
    if line is None:
        return units.UNKNOWN
    if not line.path:
        return line.frame.function
    return f"{line.path}:{line.frame.lineno}" if line.frame.lineno else line.path


def _beside(line: LineAt, other: LineAt) -> str:
    """Return the place of ``line`` beside that of ``other``: the number where the file is one."""
    return f":{line.frame.lineno}" if line.path == other.path else place(line)


def _before(change: Change) -> float:
    return median(change.before) if change.before and change.after else 0


def _signed(figure: Figure, delta: float, before: float) -> str:
    sign = "+" if delta > 0 else units.MINUS
    text = f"{sign}{value(figure, abs(delta))}"
    if before <= 0:
        return text
    share = abs(delta) / before
    return f"{text} {sign}{share * 100:.{0 if share >= WHOLE_PERCENT else 1}f} %"


def _key(change: PhaseChange, one: Telling) -> str:
    known = change.figures[one.figure]
    is_rise, is_more = one.figure is Figure.RISE, one.delta > 0
    if change.match is Match.ADDED:
        return "diff.new_rises" if is_rise else "diff.new_keeps"
    if change.match is Match.REMOVED:
        return "diff.gone_rose" if is_rise else "diff.gone_kept"
    if one.figure is Figure.RSS_GROWTH:
        return "diff.rss_more" if is_more else "diff.rss_less"
    if is_rise:
        return "diff.rises_more" if is_more else "diff.rises_less"
    if median(known.before) < 0 and median(known.after) < 0:
        return "diff.frees_less" if is_more else "diff.frees_more"
    return "diff.keeps_more" if is_more else "diff.keeps_less"
