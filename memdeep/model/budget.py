"""Budgets of memory, the baseline of an earlier run, and the verdicts on a run by both.

Sizes are bytes. Knows no file format and no wording.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from memdeep.frozen import frozen
from memdeep.model.comparison import Figure
from memdeep.model.phase import Culprit
from memdeep.model.report import Report


class Check(Enum):
    """A check of one figure, by the name of its key in a budget.

    NO_GROWTH is of the growth from repeat to repeat after the warm-up. BASELINE stands for the
    comparison with a baseline as a whole, where that cannot be made.
    """

    PEAK_HEAP = "max-peak-heap"
    PEAK_RSS = "max-peak-rss"
    GROWTH = "max-growth"
    RISE = "max-rise"
    ALLOCATIONS = "max-allocations"
    NO_GROWTH = "no-growth"
    BASELINE = "baseline"

    @property
    def is_count(self) -> bool:
        """Tell if its figure is a number of allocations, and not of bytes."""
        return self is Check.ALLOCATIONS


OF_FIGURE = {
    Figure.PEAK_HEAP: Check.PEAK_HEAP,
    Figure.PEAK_RSS: Check.PEAK_RSS,
    Figure.GROWTH: Check.GROWTH,
    Figure.RISE: Check.RISE,
    Figure.ALLOCATIONS: Check.ALLOCATIONS,
}
OF_RUN = (Check.PEAK_HEAP, Check.PEAK_RSS, Check.GROWTH, Check.RISE, Check.ALLOCATIONS)
OF_PHASE = (
    *(Check.PEAK_HEAP, Check.GROWTH, Check.RISE, Check.ALLOCATIONS),
    Check.NO_GROWTH,
)


class Severity(Enum):
    """The weight of a budget: an exceeded one of ERROR fails the check, one of WARNING is told."""

    ERROR = "error"
    WARNING = "warning"


class State(Enum):
    """The outcome of a check; UNKNOWN is never taken for WITHIN."""

    OVER = "over"
    UNKNOWN = "unknown"
    WITHIN = "within"


class Unknown(Enum):
    """The reason why it is not known if a figure is within its limit.

    UNFINISHED and PARTLY: what is known is the least that it was, since the run did not complete,
    or not all of it was traced.
    """

    UNMATCHED = "unmatched"
    UNFINISHED = "unfinished"
    PARTLY = "partly"
    UNTRACED = "untraced"
    NO_RSS = "no_rss"
    NO_COUNT = "no_count"
    FEW_REPEATS = "few_repeats"
    GONE = "gone"
    OTHER_MODE = "other_mode"
    OTHER_PYTHON = "other_python"


@frozen
class Rule:
    """The place where a budget stands; ``line`` is None where it could not be told.

    ``path`` is that of the file; ``number`` counts the budgets of the file from 1.
    """

    path: str
    line: int | None = None
    number: int = 1


@frozen
class Budget:
    """The limits of the run, or of all phases that the glob ``phase`` matches.

    A limit is the highest figure that is allowed; that of NO_GROWTH is None for the noise of a
    repeat. An ``optional`` one need not match any phase.
    """

    limits: Mapping[Check, int | None]
    rule: Rule
    phase: str | None = None
    severity: Severity = Severity.ERROR
    optional: bool = False


@frozen
class Baseline:
    """The figures of an earlier run: of the whole, and of its phases by their unique paths.

    ``mode`` says how it was recorded. ``python`` is the version without its last number.
    """

    python: str | None
    memray: str | None
    mode: str
    run: Mapping[Figure, int]
    phases: Mapping[str, Mapping[Figure, int]]


@frozen
class Verdict:
    """The verdict on one figure of the run, or of a phase (its index in the report).

    ``name`` is the unique path of the phase, the glob or the path that no phase has, or "" for the
    run. ``value`` is the figure where it is known, or the least that it was if the state is
    UNKNOWN. ``before`` is that of the baseline, for a comparison with one. ``culprit`` is the line
    to blame. For a phase of a process that the program started, ``own`` is the report of that
    process, of which phase and culprit are.
    """

    check: Check
    name: str
    state: State
    rule: Rule
    severity: Severity = Severity.ERROR
    phase: int | None = None
    limit: int | None = None
    value: int | None = None
    before: int | None = None
    why: Unknown | None = None
    culprit: Culprit | None = None
    own: Report | None = None

    @property
    def fails(self) -> bool:
        """Tell if the whole check fails by this verdict."""
        is_error = self.severity is Severity.ERROR
        return self.state is State.UNKNOWN or (self.state is State.OVER and is_error)

    @property
    def excess(self) -> float:
        """The figure as a multiple of its limit; 0 where one of them is not known."""
        if self.value is None or self.limit is None or self.value <= 0:
            return 0.0
        return self.value / self.limit if self.limit > 0 else float("inf")


class NoteKind(Enum):
    """The kind of a note, something that is told and fails nothing."""

    UNFINISHED = "unfinished"
    UNRECORDED = "unrecorded"
    LESS = "less"
    NEW = "new"
    GONE = "gone"
    OTHER_MEMRAY = "other_memray"


@frozen
class Note:
    """Something to tell beside the verdicts; ``values`` are put into its words."""

    kind: NoteKind
    values: Mapping[str, str | int]


@frozen
class Gate:
    """The verdicts on a run, worst first, and what is to be told beside them.

    ``roots`` are the names of the directory that paths are told from: of the repository, or else
    the one that was worked in.
    """

    report: Report
    verdicts: tuple[Verdict, ...]
    notes: tuple[Note, ...]
    roots: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Tell if every figure is known and none exceeds a limit that fails the check."""
        return not any(verdict.fails for verdict in self.verdicts)

    def report_of(self, verdict: Verdict) -> Report:
        """Return the report that the phase and the culprit of a verdict are of."""
        return verdict.own or self.report

    def of_state(self, state: State) -> tuple[Verdict, ...]:
        """Return the verdicts of ``state``, worst first."""
        return tuple(verdict for verdict in self.verdicts if verdict.state is state)
