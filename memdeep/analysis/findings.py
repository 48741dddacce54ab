"""Answers the question: which lines, in which phases, made the memory grow, worst first."""

from __future__ import annotations

from collections.abc import Sequence

from memdeep.analysis.advice import advise
from memdeep.analysis.culprits import Blame
from memdeep.analysis.phases import cover
from memdeep.model import Culprit, Finding, FindingKind, Heap, Phase, StackBytes
from memdeep.tally import Tally, alive_at, stacks_of

MAX_FINDINGS = 10
MIN_BYTES = 1 << 20
MIN_SHARE_OF_PEAK = 0.02
MIN_TRANSIENT_SHARE = 0.1


def findings(heap: Heap, phases: Sequence[Phase], checkpoints: int) -> tuple[Finding, ...]:
    """At most ten findings: lines whose bytes stayed, then lines whose bytes made a peak.

    Bytes are charged to the innermost phase they were allocated in, so that nested phases do not
    tell the same thing twice.
    """
    blame = Blame(heap.tree)
    least = max(MIN_BYTES, round(MIN_SHARE_OF_PEAK * (heap.peak_bytes or 0)))
    growth = _growth(heap, phases, checkpoints, blame)
    peaks = _peaks(heap, phases, blame)
    return tuple(
        [finding for finding in growth if finding.bytes >= least][:MAX_FINDINGS]
        + [finding for finding in peaks if finding.bytes >= least][: MAX_FINDINGS // 3]
    )[:MAX_FINDINGS]


def _growth(heap: Heap, phases: Sequence[Phase], checkpoints: int, blame: Blame) -> list[Finding]:
    """Lines by the bytes they allocated in a phase and left alive at its end."""
    innermost: dict[int, Tally[int]] = {}
    covering = cover([phase.outline for phase in phases], checkpoints)
    for life in heap.lifetimes:
        traced = [place for place in covering[life.born] if phases[place[0]].heap is not None]
        if not traced:
            continue
        place, _, end = max(traced, key=lambda stretch: phases[stretch[0]].outline.depth)
        if life.died is None or life.died > end:
            tally = innermost.setdefault(place, Tally())
            tally.add(life.node, life.bytes, life.allocations)
    found = []
    for place, tally in innermost.items():
        phase_heap = phases[place].heap
        retained_bytes = 0 if phase_heap is None else phase_heap.retained_bytes
        for culprit in blame.culprits(stacks_of(tally), retained_bytes):
            found.append(_finding(FindingKind.GROWTH, place, culprit, phases[place], heap))
    return sorted(found, key=lambda finding: finding.bytes, reverse=True)


def _peaks(heap: Heap, phases: Sequence[Phase], blame: Blame) -> list[Finding]:
    """Lines by the bytes alive at a phase's peak and gone at its end, in the innermost phases."""
    parents = {phase.outline.parent for phase in phases}
    least_bytes = MIN_TRANSIENT_SHARE * (heap.peak_bytes or 0)
    found: list[Finding] = []
    for place, phase in enumerate(phases):
        if place in parents or phase.heap is None or phase.heap.peak.stacks is None:
            continue
        if phase.heap.transient_bytes < least_bytes:
            continue
        alive = alive_at(heap.lifetimes, phase.end)
        gone = [
            StackBytes(
                stack.node, stack.bytes - alive.get(stack.node, (0, 0))[0], stack.allocations
            )
            for stack in phase.heap.peak.stacks
        ]
        for culprit in blame.culprits(gone, phase.heap.peak.bytes)[:1]:
            found.append(_finding(FindingKind.PEAK, place, culprit, phase, heap))
    return sorted(found, key=lambda finding: finding.bytes, reverse=True)


def _finding(kind: FindingKind, place: int, culprit: Culprit, phase: Phase, heap: Heap) -> Finding:
    return Finding(
        kind=kind,
        phase=place,
        bytes=culprit.bytes,
        share=culprit.share,
        culprit=culprit,
        advice=advise(heap.tree.stack(culprit.node), culprit.frame, phase),
    )
