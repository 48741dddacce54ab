"""Encodes the phases of a report, and chooses those that are listed where there are too many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from memdeep.analysis.phases import MIN_RSS_GROWTH
from memdeep.analysis.table import rows
from memdeep.frozen import asdict
from memdeep.model import Culprit, Phase, PhaseHeap, Report
from memdeep.report.json.checkpoints import MAX_LISTED, Checkpoints
from memdeep.report.json.culprits import Culprits
from memdeep.report.json.processes import Alone, Processes
from memdeep.report.json.records import Json, listed, rounded

# A phase takes the room of some fifteen checkpoints, and with `MAX_LISTED` lines of a checkpoint's
# size the document stays below 10 MB.
LINES_A_PHASE = 15
MIN_PHASES = 200


class Phases:
    """The phases of a process that are listed, and their places in the list.

    ``before`` of other processes come before them.
    """

    def __init__(self, report: Report, processes: Processes | Alone, before: int = 0) -> None:
        self._report = report
        self._processes = processes
        self._listed = listed_phases(report)
        self._places = {phase: place for place, phase in enumerate(self._listed, before)}
        table = rows(report.phases, report.patterns)
        self._folded = [row.place for row in table if row.is_pattern]
        after = before + len(self._listed)
        self._patterns = {number: place for place, number in enumerate(self._folded, after)}

    def __len__(self) -> int:
        return len(self._listed) + len(self._folded)

    @property
    def left_out(self) -> int:
        """The number of phases that are not listed."""
        return len(self._report.phases) - len(self._listed)

    @property
    def places(self) -> Sequence[int]:
        """The phases that are listed, in order."""
        return self._listed

    def place(self, phase: int | None) -> int | None:
        """Return the index in the list of ``phase``, or of the nearest listed one around it."""
        while phase is not None and phase not in self._places:
            phase = self._report.phases[phase].outline.parent
        return None if phase is None else self._places[phase]

    def listed(self, phases: Iterable[int]) -> list[int]:
        """Return the indices in the list of those of ``phases`` that are in it."""
        return [self._places[phase] for phase in phases if phase in self._places]

    def encoded(self, culprits: Culprits, points: Checkpoints) -> Iterator[Json]:
        """Yield the fields of each listed phase, then of the patterns that fold some of them."""
        for phase in (self._report.phases[place] for place in self._listed):
            yield {**self._place_fields(phase, points), **self._figures(phase, culprits)}
        for pattern in (self._report.patterns[number] for number in self._folded):
            members = self.listed(pattern.members)
            yield {
                **self._place_fields(pattern.phase, points),
                **self._figures(pattern.phase, culprits),
                "kind": "pattern",
                "members": members,
                "members_left_out": len(pattern.members) - len(members),
            } | ({} if pattern.within is None else {"parent": self._patterns[pattern.within]})

    def _place_fields(self, phase: Phase, points: Checkpoints) -> Json:
        return {
            "name": phase.name,
            "kind": phase.outline.kind.value,
            "start": points.place(phase.start),
            "end": points.place(phase.end),
            "depth": phase.outline.depth,
            "parent": self.place(phase.outline.parent),
            "process": self._processes.place(0),
            "thread": phase.outline.thread,
            "members": None,
            "repeats": phase.repeats,
            "overlaps": phase.outline.overlaps,
            "duration_s": rounded(phase.duration_s),
            "complete": phase.complete,
        }

    def _figures(self, phase: Phase, culprits: Culprits) -> Json:
        explained = phase.explained_ratio
        return {
            **_resident(phase),
            **_heap(phase.heap),
            "parts": None if phase.parts is None else asdict(phase.parts),
            "explained_ratio": rounded(None if explained is None else min(1.0, explained)),
            "named_ratio": rounded(named_ratio(phase)),
            **_lists(phase.heap, culprits),
            "trend": None if phase.trend is None else asdict(phase.trend),
            "workers": [asdict(self._processes.share(share)) for share in phase.workers],
        }


def listed_phases(report: Report) -> Sequence[int]:
    """Choose the phases to list, in order: all of them, or those that moved most memory.

    Those that a finding or the death names are always listed, and with a phase those around it.
    """
    phases = report.phases
    most = (MAX_LISTED - len(report.run.checkpoints)) // LINES_A_PHASE
    most = max(MIN_PHASES, most)
    if len(phases) <= most:
        return range(len(phases))
    by_movement = sorted(range(len(phases)), key=lambda place: -phases[place].moved_bytes)
    listed: set[int] = set()
    named = _named_phases(report)
    for place in [*named, *by_movement]:
        if len(listed) >= most and place not in named:
            break
        around: int | None = place
        while around is not None and around not in listed:
            listed.add(around)
            around = phases[around].outline.parent
    return sorted(listed)


def _named_phases(report: Report) -> dict[int, None]:
    """Return the phases that must be found in the list, in order."""
    named: dict[int, None] = {}
    for finding in report.findings:
        named[finding.phase] = None
        if finding.fate is not None:
            named.update((place, None) for place, _ in finding.fate.freed if place is not None)
    if report.death is not None:
        named.update(dict.fromkeys(report.death.phases))
        growth = report.death.last_growth
        if growth is not None and growth.phase is not None:
            named[growth.phase] = None
    return named


def named_ratio(phase: Phase) -> float | None:
    """Return the share of the growth of the program's RSS that has a name in its parts.

    None where that was not measured, or where it was workers that grew.
    """
    parts, grown = phase.parts, phase.rss_delta_bytes
    if parts is None or parts.unseen is None or parts.unknown is None:
        return None
    if phase.explained_ratio is None or grown is None or grown < MIN_RSS_GROWTH:
        return None
    return min(1.0, max(0.0, 1 - abs(parts.unseen + parts.unknown) / grown))


def _resident(phase: Phase) -> Json:
    return {
        "rss_start_bytes": phase.rss_start_bytes,
        "rss_end_bytes": phase.rss_end_bytes,
        "rss_delta_bytes": phase.rss_delta_bytes,
        "rss_worst_bytes": max((d for d in phase.rss_deltas_bytes if d is not None), default=None),
        "children_pss_delta_bytes": phase.workers_pss_delta_bytes,
    }


def _heap(heap: PhaseHeap | None) -> Json:
    return {
        "heap_start_bytes": None if heap is None else heap.start_bytes,
        "heap_end_bytes": None if heap is None else heap.end_bytes,
        "heap_delta_bytes": None if heap is None else heap.delta_bytes,
        "peak_heap_bytes": None if heap is None else heap.peak.bytes,
        "peak_time_s": None if heap is None else rounded(heap.peak.time_s),
        "rise_bytes": None if heap is None else heap.peak.bytes - heap.start_bytes,
        "kept_bytes": None if heap is None else heap.kept_bytes,
        "retained_bytes": None if heap is None else heap.retained_bytes,
        "released_bytes": None if heap is None else heap.freed_bytes,
        "allocated_bytes": None if heap is None else heap.allocated_bytes,
        "freed_bytes": None if heap is None else heap.gross_freed_bytes,
        "churn_bytes": None if heap is None else heap.churn_bytes,
        "allocations": None if heap is None else heap.allocations,
    }


def _lists(heap: PhaseHeap | None, culprits: Culprits) -> Json:
    if heap is None:
        none = dict.fromkeys(("culprits", "peak_culprits", "freed_culprits"), listed([]))
        return {
            **none,
            "largest": None,
            "culprit_totals": dict.fromkeys((*none, "largest")),
        }
    return {
        "culprits": culprits.all(heap.culprits),
        "peak_culprits": culprits.all(heap.peak_culprits),
        "freed_culprits": culprits.all(heap.freed_culprits),
        "largest": None if heap.largest is None else culprits.all(heap.largest),
        "culprit_totals": {
            "culprits": number_of_lines(heap.culprits, heap.kept_bytes),
            "peak_culprits": number_of_lines(heap.peak_culprits, heap.peak.bytes),
            "freed_culprits": number_of_lines(heap.freed_culprits, heap.freed_bytes),
            "largest": None,
        },
    }


def number_of_lines(culprits: Sequence[Culprit], total_bytes: int) -> int | None:
    """Return how many lines there are, the ones left out included; None if that is not known.

    Where those listed hold all of ``total_bytes``, none was left out.
    """
    is_whole = sum(culprit.bytes for culprit in culprits) == total_bytes
    return len(culprits) if is_whole else None
