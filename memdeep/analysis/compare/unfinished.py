"""How far runs came that did not complete: what they did not get to is not gone, nor is it less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from memdeep.analysis.compare.phases import PhasePair
from memdeep.analysis.death import is_unfinished
from memdeep.model import Phase, Report
from memdeep.model.comparison import Match, Side


def did_not_complete(report: Report) -> bool:
    """Tell if a run did not complete; of a mere capture that was closed nobody would know."""
    run = report.run
    is_whole_capture = run.exit is None and run.python is None and not run.problems
    return is_unfinished(run) and not is_whole_capture and not ended_by_itself(report)


def ended_by_itself(report: Report) -> bool:
    """Tell if a run chose its end and a status for it: no exception, and no phase was cut off."""
    end, death = report.run.exit, report.death
    if end is None or end.code is None or end.verdict != "failed":
        return False
    is_ordered = not end.evidence and not report.run.problems
    return is_ordered and death is not None and not death.phases


def completed_repeats(report: Report) -> Sequence[int]:
    """Return how often each phase of a run that did not complete was completed: 0 if cut off.

    An exception that ended the program has closed its phases on the way out: they are cut off, too.
    """
    phases = report.phases
    cut = {place for place, phase in enumerate(phases) if not phase.outline.stretches[-1].complete}
    above: list[int | None] = [] if report.death is None else [*report.death.phases]
    while above:
        place = above.pop()
        if place is not None:
            cut.add(place)
            above.append(phases[place].outline.parent)
    return [0 if place in cut else phase.repeats for place, phase in enumerate(phases)]


def fewest_repeats(side: Side, members: Sequence[Mapping[int, int]]) -> Sequence[int] | None:
    """Return how often each phase of a side was completed by all runs that did not complete.

    ``members`` has for each run, by the index of a phase in the run that stands for the side, what
    it is there. None where all runs completed.
    """
    known = {number: completed_repeats(side.reports[number]) for number in side.unfinished}
    if not known:
        return None
    return [
        min(
            times[members[number][place]] if place in members[number] else 0
            for number, times in known.items()
        )
        for place in range(len(side.report.phases))
    ]


def with_unreached(sides: tuple[Side, Side], pairs: Sequence[PhasePair]) -> list[PhasePair]:
    """Return ``pairs``; what one side has alone is unreached where the other stopped before it."""
    found = [*pairs]
    for side, other in ((0, 1), (1, 0)):
        if sides[other].chosen not in sides[other].unfinished:
            continue
        report = sides[side].report
        ends: dict[str | None, int] = {}  # where the last phase of both begins, by thread
        for pair in pairs:
            if pair.before is not None and pair.after is not None:
                phase = report.phases[pair[side]]  # type: ignore[index]
                thread = _thread(report, phase)
                ends[thread] = max(phase.start, ends.get(thread, -1))
        for number, pair in enumerate(found):
            here = pair[side]
            if pair[other] is None and isinstance(here, int):
                phase = report.phases[here]
                if phase.start >= ends.get(_thread(report, phase), -1):
                    found[number] = pair._replace(match=Match.UNREACHED)
    return found


def _thread(report: Report, phase: Phase) -> str | None:
    return report.run.checkpoints[phase.start].thread
