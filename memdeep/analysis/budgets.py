"""Holds a run against its budgets: each figure with its limit, and the line to blame.

What is not known is never within a limit. What is known of a run that did not complete, or that
was not traced to its end, is the least that it was: it can be over a limit, and not within one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from memdeep.analysis import noise
from memdeep.analysis.blame import line_of_allocations, line_of_rise
from memdeep.analysis.charges import WITHIN
from memdeep.analysis.culprits import ChargedLines
from memdeep.analysis.death import is_unfinished
from memdeep.analysis.trend import MIN_REPEATS
from memdeep.frozen import replace
from memdeep.model import Culprit, FindingKind, Phase, Report, Stretch
from memdeep.model.alive import alive_of
from memdeep.model.budget import Budget, Check, Note, NoteKind, State, Unknown, Verdict
from memdeep.model.sums import Tally

BLANK = "(blank label)"
PEAK_SHARE = 0.95  # of the run's peak, at least, is that of the phase which tells its lines

_SURROGATES = re.compile("[\ud800-\udfff]")  # which no file can hold


class Reading(NamedTuple):
    """A figure as far as it is known: ``why`` tells why it is not, or why it is only the least."""

    value: int | None
    why: Unknown | None = None
    culprit: Culprit | None = None


def checked(report: Report, budgets: Sequence[Budget]) -> tuple[Verdict, ...]:
    """Return a verdict for each limit of each phase that a budget is for, worst first.

    Phases of processes that the program started are held to it in each process; of those with one
    path the worst is told.
    """
    figures = Readings(report)
    others: list[Readings] = []
    if any(budget.phase is not None for budget in budgets):
        others = [Readings(own) for own in _own_reports(report)]
    found = (one for budget in budgets for one in _checked(figures, budget, others))
    return worst_first(blamed(report, one) for one in found)


def noted(report: Report) -> Iterator[Note]:
    """Yield what is to be told of the figures of a run, whatever their limits are."""
    if is_unfinished(report.run):
        yield Note(NoteKind.UNFINISHED, {})
    unrecorded = [one.bytes for one in report.findings if one.kind is FindingKind.UNRECORDED]
    if unrecorded:
        yield Note(NoteKind.UNRECORDED, {"most_bytes": max(unrecorded)})


def blamed(report: Report, verdict: Verdict) -> Verdict:
    """Return ``verdict`` with the line to blame, where a limit is exceeded."""
    if verdict.state is not State.OVER:
        return verdict
    report, line = verdict.own or report, None
    if verdict.check is Check.ALLOCATIONS:
        line = line_of_allocations(report, verdict.phase)
    elif verdict.check is Check.RISE and verdict.phase is not None:
        line = line_of_rise(report, verdict.phase)
    return verdict if line is None else replace(verdict, culprit=line)


def worst_first(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """Order verdicts: what fails, what is unknown, what is warned of, and all that is within."""

    def place(verdict: Verdict) -> tuple[int, float]:
        if verdict.state is State.OVER:
            return 0 if verdict.fails else 2, -verdict.excess
        return 1 if verdict.state is State.UNKNOWN else 3, -verdict.excess

    return tuple(sorted(verdicts, key=place))


def leak(report: Report, place: int) -> Culprit | None:
    """Return the line that leaves most in each repeat of a phase, None if it is not known.

    What the first repeat left is warm-up, and what only the last one left may be replaced by the
    next.
    """
    stretches = report.phases[place].outline.stretches
    if len(stretches) < MIN_REPEATS:
        return None
    first, before, last = stretches[0], stretches[-2], stretches[-1]
    left: Tally[int] = Tally()
    for life in report.heap.lifetimes:
        if first.end < life.born <= before.end and life.is_alive_at(last.end):
            left.add(life.node, life.bytes, life.allocations)
    lines = ChargedLines(report.heap.tree)
    return next(iter(lines.culprits_alive(alive_of(left), left.total_bytes(), 1)), None)


def paths(report: Report) -> tuple[str, ...]:
    """Return for each phase the names of those around it and its own, outermost first.

    No two are the same: of phases of one path all but the first get a number.
    """
    found: list[str] = []
    taken: dict[str, int] = {}
    whole: list[str] = []
    for phase in report.phases:
        parent = phase.outline.parent
        name = _SURROGATES.sub("\ufffd", phase.name) if phase.name.strip() else BLANK
        path = name if parent is None else f"{whole[parent]}{WITHIN}{name}"
        whole.append(path)
        unique = path
        while unique in taken:
            taken[path] += 1
            unique = f"{path} #{taken[path]}"
        taken[unique] = 1
        found.append(unique)
    return tuple(found)


def _own_reports(report: Report) -> Iterator[Report]:
    """Yield the reports of the processes that set checkpoints, those that were not kept, too."""
    yield from report.own_reports.values()
    for left_out in report.own_left_out.values():
        own = left_out.load()
        if own is not None:
            yield own


def _checked(figures: Readings, budget: Budget, others: Sequence[Readings]) -> Iterator[Verdict]:
    if budget.phase is None:
        for check, limit in budget.limits.items():
            reading = figures.of_run(check)
            yield _verdict(budget, check, "", reading, limit if limit is not None else 0)
        return
    of_program = [*_of_phases(figures, budget)]
    by_path: dict[tuple[str, Check], list[Verdict]] = {}
    for own in others:
        for one in _of_phases(own, budget):
            by_path.setdefault((one.name, one.check), []).append(replace(one, own=own.report))
    yield from of_program
    yield from (worst_first(same)[0] for same in by_path.values())
    is_matched = of_program or by_path
    # Of a run that did not complete, the phase may have been still to come.
    if not is_matched and (not budget.optional or figures.is_unfinished):
        check = next(iter(budget.limits))
        yield _verdict(budget, check, budget.phase, Reading(None, Unknown.UNMATCHED), None)


def _of_phases(figures: Readings, budget: Budget) -> Iterator[Verdict]:
    for place, path in enumerate(figures.paths):
        if not figures.matches(place, budget.phase or ""):
            continue
        for check, limit in budget.limits.items():
            reading = figures.of_phase(place, check)
            most = figures.noise_of_repeat(place) if limit is None else limit
            yield _verdict(budget, check, path, reading, most, place)


def _verdict(
    budget: Budget,
    check: Check,
    name: str,
    reading: Reading,
    limit: int | None,
    phase: int | None = None,
) -> Verdict:
    return Verdict(
        check=check,
        name=name,
        state=state_of(reading, limit),
        rule=budget.rule,
        severity=budget.severity,
        phase=phase,
        limit=limit,
        value=reading.value,
        why=reading.why,
        culprit=reading.culprit,
    )


def state_of(reading: Reading, limit: float | None) -> State:
    """Judge a figure by its limit, which is within it."""
    if reading.value is not None and limit is not None and reading.value > limit:
        return State.OVER
    return State.UNKNOWN if reading.why is not None or limit is None else State.WITHIN


class Readings:
    """The figures of a report, of the whole run and of its phases, as far as they are known."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.paths = paths(report)
        self.is_unfinished = is_unfinished(report.run)
        last = len(report.run.checkpoints) - 1
        self._is_whole = report.heap.is_traced(Stretch(0, last))

    def matches(self, place: int, glob: str) -> bool:
        """Tell if ``glob`` is for the phase at ``place``: for its name, or for its path."""
        path = self.paths[place]
        known = (self.report.phases[place].name, path, path.replace(WITHIN, "/"))
        return glob in known or any(fnmatchcase(name, glob) for name in known)

    def noise_of_repeat(self, place: int) -> int:
        """Return the growth of a repeat of the phase at ``place`` that is noise."""
        repeats = self.report.phases[place].repeats
        return noise.of_repeat(repeats, is_deep=self.report.run.mode.python_allocators)

    def of_run(self, check: Check) -> Reading:
        """Read a figure of the whole run."""
        heap = self.report.heap
        if check is Check.PEAK_RSS:
            peak = self.report.run.peak_rss_bytes
            reading = Reading(peak, Unknown.NO_RSS if peak is None else None, self._of_peak())
        elif check is Check.PEAK_HEAP:
            reading = self._partly(Reading(heap.peak_bytes, None, self._of_peak()))
        elif check is Check.ALLOCATIONS:
            reading = self._partly(Reading(self._allocations()))
            if heap.transients is None and heap.peak_bytes is not None:
                reading = Reading(None, Unknown.NO_COUNT)
        else:
            reading = self._change_of_run(check)
        return self._so_far(reading)

    def of_phase(self, place: int, check: Check) -> Reading:
        """Read a figure of the phase at ``place``."""
        return self._so_far(_of_phase(self.report.phases[place], check))

    def _so_far(self, reading: Reading) -> Reading:
        is_known = reading.value is not None and reading.why is None
        if is_known and self.is_unfinished:
            return reading._replace(why=Unknown.UNFINISHED)
        return reading

    def _partly(self, reading: Reading) -> Reading:
        if reading.value is None:
            return reading._replace(why=Unknown.UNTRACED)
        return reading if self._is_whole else reading._replace(why=Unknown.PARTLY)

    def _change_of_run(self, check: Check) -> Reading:
        heap = self.report.heap
        start, end = heap.at_checkpoints[0], heap.at_checkpoints[-1]
        if not self._is_whole or start is None or end is None:
            return Reading(None, Unknown.UNTRACED)
        if check is Check.RISE:
            peak = heap.peak_bytes
            return Reading(None if peak is None else peak - start, None, self._of_peak())
        return Reading(end - start, None, self._of_end(end))

    def _of_peak(self) -> Culprit | None:
        """Return the line that held most at the peak of the heap."""
        with_lines = (one for one in self.report.phases if one.heap and one.heap.peak_culprits)
        ranked = sorted(with_lines, key=lambda one: (one.highest_bytes or 0, one.outline.depth))
        top = ranked[-1] if ranked else None
        least = PEAK_SHARE * (self.report.heap.peak_bytes or 0)
        if top is None or top.heap is None or (top.highest_bytes or 0) < least:
            return None
        return top.heap.peak_culprits[0]

    def _of_end(self, end_bytes: int) -> Culprit | None:
        """Return the line that holds most at the end."""
        heap = self.report.heap
        alive = heap.lifetimes.alive_at(len(heap.at_checkpoints) - 1)
        return next(iter(ChargedLines(heap.tree).culprits_alive(alive, end_bytes, 1)), None)

    def _allocations(self) -> int | None:
        heap = self.report.heap
        if heap.transients is None:
            return None
        all_in_one = [0] * len(heap.tree.parents)
        both = (heap.lifetimes, heap.transients)
        return sum(life.allocations for one in both for life in one.charged_to(all_in_one))


def _of_phase(phase: Phase, check: Check) -> Reading:
    heap = phase.heap
    if heap is None:
        return Reading(None, Unknown.UNTRACED)
    kept, held = phase.main_culprit, next(iter(heap.peak_culprits), None)
    if check is Check.PEAK_HEAP:
        return Reading(heap.peak.bytes, None, held)
    if check is Check.RISE:
        return Reading(heap.peak.bytes - heap.start_bytes, None, held)
    if check is Check.ALLOCATIONS:
        is_unknown = heap.allocations is None
        return Reading(heap.allocations, Unknown.NO_COUNT if is_unknown else None)
    if check is Check.NO_GROWTH:
        if phase.trend is None:
            return Reading(None, Unknown.FEW_REPEATS)
        return Reading(phase.trend.slope_bytes, None, kept)
    return Reading(heap.delta_bytes, None, kept)
