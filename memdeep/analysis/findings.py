"""Finds the lines that made the memory grow, and the phases in which they did, worst first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from memdeep.analysis.advice import Case, advise
from memdeep.analysis.beyond_heap import beyond_heap
from memdeep.analysis.culprits import ChargedLines
from memdeep.analysis.freed import (
    PhasesAround,
    alive_and_freed,
    innermost,
    phases_around,
)
from memdeep.model import (
    Culprit,
    Fate,
    Finding,
    FindingKind,
    Heap,
    Lifetime,
    Phase,
    PhaseKind,
    StackBytes,
)
from memdeep.model.sums import Tally, stacks_of

MAX_FINDINGS = 10
MAX_PEAKS = 3
MAX_SEGMENT_SHARE = 0.5  # of a span's bytes of one line; with more, the segment is named
MIN_BYTES = 1 << 20
MIN_SHARE_OF_PEAK = 0.02
MIN_TRANSIENT_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class _Ground:
    """The input of every search for findings; those below ``least_bytes`` are left out."""

    heap: Heap
    phases: Sequence[Phase]
    around: PhasesAround
    lines: ChargedLines
    least_bytes: int


def findings(
    heap: Heap, phases: Sequence[Phase], checkpoints: int, *, sees_malloc: bool = True
) -> tuple[Finding, ...]:
    """Find at most ten findings, most important first; at most three of them are peaks.

    Bytes that stayed count twice as much as those that were there at a peak only.

    Bytes are charged to the innermost phase they were allocated in, so that nested phases do not
    tell the same thing twice. A peak made by a line that is blamed for growth in the same phase
    comes after all that is new. Where the tracer does not see all that malloc hands out, RSS
    beyond the heap tells nothing.
    """
    ground = _Ground(
        heap=heap,
        phases=phases,
        around=phases_around([phase.outline for phase in phases], checkpoints),
        lines=ChargedLines(heap.tree),
        least_bytes=max(MIN_BYTES, round(MIN_SHARE_OF_PEAK * (heap.peak_bytes or 0))),
    )
    growth = _growth(ground)
    blamed = {_line_in_phase(finding) for finding in growth}
    peaks = _peaks(ground)
    known = [peak for peak in peaks if _line_in_phase(peak) in blamed]
    new = [peak for peak in peaks if _line_in_phase(peak) not in blamed]
    beyond = beyond_heap(heap, phases) if sees_malloc else []
    ranked = sorted(growth + new + beyond, key=_importance, reverse=True)
    return tuple((ranked + known)[:MAX_FINDINGS])


def _importance(finding: Finding) -> int:
    return finding.bytes * (1 if finding.kind is FindingKind.PEAK else 2)


def _line_in_phase(finding: Finding) -> tuple[int, str, int] | None:
    if finding.culprit is None:
        return None
    return finding.phase, finding.culprit.frame.filename, finding.culprit.frame.lineno


def _growth(ground: _Ground) -> list[Finding]:
    """Find lines by the bytes they allocated in a phase and left alive at its end."""
    kept: dict[int, list[Lifetime]] = {}
    homes: dict[int, tuple[int, int] | None] = {}
    for life in ground.heap.lifetimes:
        if life.born not in homes:
            homes[life.born] = _home(ground, life.born)
        home = homes[life.born]
        if home is not None and _outlives(life, home[1]):
            kept.setdefault(home[0], []).append(life)
    found: list[tuple[int, Culprit]] = []
    charged = _charged_where_it_adds_up(ground, kept)
    for place, lifetimes in charged.items():
        phase_heap = ground.phases[place].heap
        retained_bytes = 0 if phase_heap is None else phase_heap.retained_bytes
        culprits = ground.lines.culprits(_stacks(lifetimes), retained_bytes)
        found += [(place, culprit) for culprit in culprits if culprit.bytes >= ground.least_bytes]
    found.sort(key=lambda item: item[1].bytes, reverse=True)
    return [
        _growth_finding(ground, place, culprit, charged[place])
        for place, culprit in found[:MAX_FINDINGS]
    ]


def _home(ground: _Ground, segment: int) -> tuple[int, int] | None:
    """Find the innermost traced phase around a segment, and where its stretch there ends."""
    around = [item for item in ground.around[segment] if ground.phases[item[0]].heap is not None]
    place = innermost(around, ground.phases)
    return None if place is None else (place, _end_of(place, around))


def _end_of(place: int, around: Sequence[tuple[int, int, int]]) -> int:
    return next(end for phase, _, end in around if phase == place)


def _outlives(life: Lifetime, end: int) -> bool:
    """Tell whether bytes born before checkpoint ``end`` are alive there."""
    return life.died is None or life.died > end


def _charged_where_it_adds_up(
    ground: _Ground, kept: Mapping[int, Sequence[Lifetime]]
) -> Mapping[int, list[Lifetime]]:
    """Charge to a span what one line kept in many of its segments; leave the rest of ``kept``.

    A loop with a checkpoint in each round would otherwise be many small findings.
    """
    by_line: dict[tuple[int, tuple[str, int]], dict[int, list[Lifetime]]] = {}
    charged: dict[int, list[Lifetime]] = {}
    for place, lifetimes in kept.items():
        outline = ground.phases[place].outline
        for life in lifetimes:
            if outline.kind is PhaseKind.SEGMENT and outline.parent is not None:
                line = (outline.parent, ground.lines.line(life.node))
                by_line.setdefault(line, {}).setdefault(place, []).append(life)
            else:
                charged.setdefault(place, []).append(life)
    for (span, _), by_segment in by_line.items():
        sizes = [sum(life.bytes for life in lifetimes) for lifetimes in by_segment.values()]
        if max(sizes) > MAX_SEGMENT_SHARE * sum(sizes):
            for place, lifetimes in by_segment.items():
                charged.setdefault(place, []).extend(lifetimes)
            continue
        charged.setdefault(span, []).extend(
            life
            for lifetimes in by_segment.values()
            for life in lifetimes
            if _outlives(life, _end_of(span, ground.around[life.born]))
        )
    return charged


def _stacks(lifetimes: Sequence[Lifetime]) -> tuple[StackBytes, ...]:
    tally: Tally[int] = Tally()
    for life in lifetimes:
        tally.add(life.node, life.bytes, life.allocations)
    return stacks_of(tally)


def _growth_finding(
    ground: _Ground, place: int, culprit: Culprit, lifetimes: Sequence[Lifetime]
) -> Finding:
    line = (culprit.frame.filename, culprit.frame.lineno)
    own = [life for life in lifetimes if ground.lines.line(life.node) == line]
    return _finding(
        FindingKind.GROWTH,
        place,
        Case(ground.heap, ground.phases[place], culprit, own),
        alive_and_freed(own, ground.phases, ground.around),
    )


def _finding(kind: FindingKind, place: int, case: Case, end: Fate) -> Finding:
    suggestion = advise(case)
    return Finding(
        kind=kind,
        phase=place,
        bytes=case.culprit.bytes,
        share=case.culprit.share,
        culprit=case.culprit,
        advice=None if suggestion is None else suggestion.advice,
        evidence={} if suggestion is None else suggestion.evidence,
        fate=end,
    )


def _peaks(ground: _Ground) -> list[Finding]:
    """Find lines by the bytes alive at an innermost phase's peak and gone at its end."""
    found: list[Finding] = []
    for most_bytes, place in _risen(ground):
        if len(found) >= MAX_PEAKS and most_bytes < sorted(map(_importance, found))[-MAX_PEAKS]:
            break
        phase = ground.phases[place]
        if phase.heap is None or phase.heap.peak.stacks is None:
            continue
        held = {stack.node: stack.bytes for stack in ground.heap.lifetimes.alive_at(phase.end)}
        gone = [
            StackBytes(stack.node, stack.bytes - held.get(stack.node, 0), stack.allocations)
            for stack in phase.heap.peak.stacks
        ]
        for culprit in ground.lines.culprits(gone, phase.heap.peak.bytes)[:1]:
            if culprit.bytes >= ground.least_bytes:
                case = Case(ground.heap, phase, culprit, ())
                end = Fate(0, ((place, culprit.bytes),))
                found.append(_finding(FindingKind.PEAK, place, case, end))
    found.sort(key=lambda finding: finding.phase)
    return sorted(found, key=_importance, reverse=True)[:MAX_PEAKS]


def _risen(ground: _Ground) -> list[tuple[int, int]]:
    """List the innermost phases whose peak rose high above their ends.

    Each comes with the bytes that its largest line held at the peak; the largest first.
    """
    parents = {phase.outline.parent for phase in ground.phases}
    least_rise = MIN_TRANSIENT_SHARE * (ground.heap.peak_bytes or 0)
    risen: list[tuple[int, int]] = []
    for place, phase in enumerate(ground.phases):
        if place in parents or phase.heap is None or phase.heap.peak.stacks is None:
            continue
        if phase.heap.transient_bytes >= least_rise:
            lines = ground.lines.culprits_alive(phase.heap.peak.stacks, phase.heap.peak.bytes)
            risen += [(largest.bytes, place) for largest in lines[:1]]
    return sorted(risen, key=lambda item: (-item[0], item[1]))
