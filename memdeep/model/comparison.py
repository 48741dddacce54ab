"""The comparison of two programs' memory: figures before and after, phases and lines matched.

Sizes are bytes, times are seconds. Knows no file format and no wording.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from memdeep.frozen import field, frozen
from memdeep.model.heap import Frame
from memdeep.model.report import Report


class Figure(Enum):
    """A figure of a run, or of a phase, that two runs are compared by.

    GROWTH: the heap's, from the start of a phase to its end. RISE: the peak of the heap in a phase
    less the heap at its start. LINE: what one line kept, or held at the peak.
    """

    PEAK_HEAP = "peak heap"
    PEAK_RSS = "peak RSS"
    GROWTH = "growth"
    RISE = "rise"
    ALLOCATIONS = "allocations"
    RSS_GROWTH = "RSS growth"
    DURATION = "duration"
    LINE = "line"


# What there is at an end may be less than what was there before: until then no least is known.
_AT_THE_END = (Figure.GROWTH, Figure.RSS_GROWTH)


class Match(Enum):
    """How something of one run was found again in the other.

    UNREACHED: the other did not complete, and did not get there.
    """

    SAME = "same"
    MOVED = "moved"
    RENAMED = "renamed"
    EDITED = "edited"
    ADDED = "added"
    REMOVED = "removed"
    UNREACHED = "unreached"


@frozen
class Change:
    """A figure before and after, with one value for each run of a side where it is known.

    Differences of up to ``noise`` are seen between runs of one and the same program. ``least``
    tells of each side if its values are the least that they may have been: its run did not
    complete.
    """

    figure: Figure
    before: tuple[float, ...]
    after: tuple[float, ...]
    noise: float
    least: tuple[bool, bool] = (False, False)

    @property
    def is_known(self) -> bool:
        """Tell if there is a difference that both sides prove."""
        return self.delta is not None

    @property
    def delta(self) -> float | None:
        """The median after less the one before; None where a side is not known.

        It is not known either where a run that did not complete has less, or no more: it might
        have had more.
        """
        if not (self.before and self.after):
            return None
        from statistics import median  # only here: it takes long to import

        more = median(self.after) - median(self.before)
        if any(self.least) and self.figure in _AT_THE_END:
            return None
        if self.least[0] and more >= -self.noise:
            return None
        return None if self.least[1] and more <= self.noise else more

    @property
    def is_unproven(self) -> bool:
        """Tell if both sides have a value, and the difference may be another for all that."""
        return bool(self.before and self.after) and self.delta is None

    @property
    def is_alike(self) -> bool:
        """Tell if the difference is within the noise, or the ranges of several runs overlap.

        Where both sides have three runs or more, one of all may lie apart from the others of its
        side: ranges that overlap by that one alone do not count as overlapping.
        """
        delta = self.delta
        if delta is None:
            return False
        if abs(delta) <= self.noise:
            return True
        if len(self.before) == 1 or len(self.after) == 1:
            return False
        low, high = sorted(self.before), sorted(self.after)
        if delta < 0:
            low, high = high, low
        is_apart = low[-1] < high[0]
        if len(low) > 2 and len(high) > 2:
            is_apart = is_apart or low[-2] < high[0] or low[-1] < high[1]
        return not is_apart


@frozen
class LineAt:
    """A line as one run has it: ``path`` is that of `paths.path_of`; ``text`` None if unknown."""

    frame: Frame
    path: str
    text: str | None


@frozen
class LineChange:
    """A line on both sides; one of them is None for a line that was added or removed."""

    match: Match
    before: LineAt | None
    after: LineAt | None
    bytes: Change


@frozen
class PhaseChange:
    """A phase on both sides: indices into the phases of their representatives, or None.

    ``parent`` is an index into the comparison's phases, ``lines`` are those that kept bytes in it,
    largest change first; there are none where neither its growth nor its rise changed.
    ``peak_lines`` are those behind its rise, where that changed and the stacks at the peak are
    known: what each held then beyond what it held at the start.
    """

    match: Match
    before: int | None
    after: int | None
    parent: int | None
    depth: int
    figures: Mapping[Figure, Change]
    lines: tuple[LineChange, ...] = ()
    peak_lines: tuple[LineChange, ...] = ()

    @property
    def is_alike(self) -> bool:
        """Tell if it is on both sides, in its place, and neither its growth nor its rise differ.

        Without a heap on either side it is the growth of its RSS that counts.
        """
        told = (Figure.GROWTH, Figure.RISE)
        known = [self.figures[figure] for figure in told if figure in self.figures]
        if not known and Figure.RSS_GROWTH in self.figures:
            known = [self.figures[Figure.RSS_GROWTH]]
        both = (one for one in known if one.before and one.after)
        return self.match is Match.SAME and all(one.is_alike for one in both)


@frozen
class Side:
    """The runs of one side with their names; ``chosen`` is the one whose peak is the median.

    ``unfinished`` are those that did not complete.
    """

    names: tuple[str, ...]
    reports: tuple[Report, ...]
    chosen: int = 0
    unfinished: tuple[int, ...] = ()

    @property
    def report(self) -> Report:
        """The report that stands for the side."""
        return self.reports[self.chosen]

    @property
    def name(self) -> str:
        """The name of the run that stands for the side."""
        return self.names[self.chosen]


@frozen
class Caution:
    """A reason to doubt the comparison; ``key`` is that of its words, ``values`` are put there."""

    key: str
    values: Mapping[str, str]


@frozen
class Comparison:
    """Two sides compared.

    ``figures`` are those of the whole runs, ``phases`` come in the order of the runs after, with
    those that are gone where they were. ``peak_lines`` are the lines that held the heap at its
    peak. ``files`` has by its path before the path after of each file that was renamed. ``is_deep``
    is True if both sides traced every small object: only then lines are exact enough for a gate.
    """

    before: Side
    after: Side
    is_deep: bool
    figures: Mapping[Figure, Change]
    phases: tuple[PhaseChange, ...]
    peak_lines: tuple[LineChange, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    cautions: tuple[Caution, ...] = ()
