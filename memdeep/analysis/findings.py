"""Finds the lines that made the memory grow, and the phases in which they did, worst first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain

from memdeep.analysis.advice.case import Case
from memdeep.analysis.advice.judges import advise, as_traced
from memdeep.analysis.advice.patterns import TellingCalls
from memdeep.analysis.beyond_heap import beyond_heap, in_pool, pool_of
from memdeep.analysis.callers import callers
from memdeep.analysis.charges import ByHome, Charge, charges, judged_at, outlives
from memdeep.analysis.charging import Charging
from memdeep.analysis.culprits import ChargedLines
from memdeep.analysis.earlier import Replaced
from memdeep.analysis.freed import alive_and_freed, first_calls, outlived_bytes
from memdeep.analysis.ground import ALL_SEEN, Ground, Seen, outside
from memdeep.analysis.moved import Rooms
from memdeep.analysis.reserved import by_line_in_use, highest_peak, is_reservation, peak_in_use
from memdeep.analysis.resident import ResidentHeap
from memdeep.analysis.touched import touched
from memdeep.analysis.weights import arena_bytes
from memdeep.analysis.workers import processes_of
from memdeep.frozen import replace
from memdeep.model import (
    Culprit,
    Fate,
    Finding,
    FindingKind,
    Heap,
    Lifetime,
    Phase,
    StackBytes,
    Stretch,
)
from memdeep.model.sums import Tally, by_stack

MAX_FINDINGS = 10
MAX_PEAKS = 3
MIN_BYTES = 1 << 20
MIN_SHARE_OF_PEAK = 0.02
MIN_TRANSIENT_SHARE = 0.1
MIN_SHARE_OF_HIGHEST = 0.2  # of the heap at its highest point: who held more is always named

# What stayed counts more than what was there at a peak, or what the kernel can take back. What is
# only reserved costs nothing yet.
_WEIGHTS = {
    FindingKind.GROWTH: 2.0,
    FindingKind.TOUCHED: 2.0,
    FindingKind.SHARED: 2.0,
    FindingKind.COPIED: 2.0,
    FindingKind.UNRECORDED: 1.0,
    FindingKind.UNTRACKED: 2.0,
    FindingKind.FILE: 1.5,
    FindingKind.PEAK: 1.0,
    FindingKind.HELD: 1.0,
    FindingKind.RESERVED: 0.0,
}
MOST_OF_PEAK = 0.8  # of what a line held at the highest heap: a lower peak of it is a part of that
MUCH_OF_PEAK = 0.2  # what of it stayed, if that is less, does not tell of the rest
MADE_BY_A_LINE = 0.5  # of freed memory that stayed: the line that had most of it leads


def findings(
    heap: Heap,
    phases: Sequence[Phase],
    checkpoints: int,
    seen: Seen = ALL_SEEN,
    of_processes: Sequence[Finding] = (),
) -> tuple[Finding, ...]:
    """Find at most ten findings, most important first; at most three innermost peaks among them.

    Bytes that stayed count twice as much as those that were there at a peak only, or that the
    program gave back; a peak counts half if its line is blamed for growth in the same phase. Every
    line that held a fifth of the heap at the run's highest point is in a finding.

    Bytes are charged to the innermost phase they were allocated in, so that nested phases do not
    tell the same thing twice. Where the tracer does not see all that malloc hands out, RSS beyond
    the heap tells nothing: ``seen`` says so. ``of_processes`` was found beside the heap.
    """
    resident = ResidentHeap(heap)
    peak_bytes = peak_in_use(heap, phases, resident)
    lines = ChargedLines(heap.tree)
    ground = Ground(
        heap=heap,
        phases=phases,
        charging=Charging(heap.tree, [phase.outline for phase in phases], checkpoints),
        first_calls=first_calls(phases),
        lines=lines,
        telling=TellingCalls(heap.tree, lines.frame_ids),
        resident=resident,
        rooms=Rooms(heap),
        peak_bytes=peak_bytes,
        highest_rss_bytes=seen.highest_rss_bytes,
        least_bytes=max(MIN_BYTES, round(MIN_SHARE_OF_PEAK * peak_bytes)),
        holders=seen.holders,
    )
    growth = _growth(ground)
    blamed = {(place, _line_of(finding)) for finding in growth for place in finding.phases}

    def importance(finding: Finding) -> float:
        is_known = (finding.phase, _line_of(finding)) in blamed
        is_peak = finding.kind is FindingKind.PEAK
        return _importance(finding) * (0.5 if is_peak and is_known else 1)

    used_later = _touched(ground)
    found = _still_reserved(growth, used_later) + used_later + _peaks(ground)
    if seen.malloc:
        found += beyond_heap(heap, phases, python_allocators=seen.python_allocators)
    ranked = sorted(found, key=importance, reverse=True)
    explaining = _explaining_the_highest_heap(ground, ranked)
    others = [finding for finding in ranked if finding not in explaining]
    others += [finding for finding in of_processes if finding.bytes >= ground.least_bytes]
    others.sort(key=importance, reverse=True)
    chosen = explaining + others[: MAX_FINDINGS - len(explaining)]
    if seen.copies_texts:
        chosen = list(map(as_traced, chosen))
    return _led_by_a_line(sorted(chosen, key=importance, reverse=True))


def _still_reserved(growth: Sequence[Finding], used_later: Sequence[Finding]) -> list[Finding]:
    """Leave out the reservations of which a later phase used most: that is told instead."""
    used: dict[tuple[str, int] | None, int] = {}
    for finding in used_later:
        if finding.kind is FindingKind.TOUCHED:
            line = _line_of(finding)
            used[line] = used.get(line, 0) + finding.bytes
    return [
        finding
        for finding in growth
        if finding.kind is not FindingKind.RESERVED
        or used.get(_line_of(finding), 0) < 0.5 * finding.bytes
    ]


def _led_by_a_line(ranked: Sequence[Finding]) -> tuple[Finding, ...]:
    """Put a line first if the leading finding names none and the line explains more.

    Freed memory that stayed was once allocated: a line of the phase that had most of as much, or
    any that had more, explains it.
    """
    if not ranked or ranked[0].culprit is not None:
        return tuple(ranked)
    headline = ranked[0]
    share = MADE_BY_A_LINE if headline.kind is FindingKind.HELD else 1.0
    lines = [one for one in ranked if one.culprit is not None]
    of_phase = (
        one
        for one in lines
        if headline.phase in one.phases and one.bytes_in_use > share * headline.bytes
    )
    others = (one for one in lines if one.bytes_in_use > headline.bytes)
    first = next(chain(of_phase, others), headline)
    return first, *(one for one in ranked if one is not first)


def _importance(finding: Finding) -> float:
    return max(0, finding.bytes_in_use - finding.moved_bytes) * _WEIGHTS[finding.kind]


def _explaining_the_highest_heap(ground: Ground, ranked: Sequence[Finding]) -> list[Finding]:
    """Find or make a finding for each line that held a fifth of the heap at its highest point."""
    at_top = highest_peak(ground.phases, ground.resident)
    if at_top is None:
        return []
    place, peak, in_use = at_top
    if ground.peak_bytes < ground.least_bytes:
        return []
    is_attached = ground.heap.earlier is not None
    explaining = []
    for culprit in ground.lines.culprits(in_use, min(peak.bytes, ground.peak_bytes)):
        if culprit.share < MIN_SHARE_OF_HIGHEST:
            break
        found = next((item for item in ranked if _tells(item, culprit)), None)
        if found is None and is_attached:  # it has only taken the place of what was there before
            continue
        if found is None:
            held = _of_line(ground, culprit, in_use)
            case = ground.case((ground.phases[place],), culprit, held)
            found = _peak_finding(ground, place, case)
        explaining.append(found)
    return explaining


def _tells(finding: Finding, culprit: Culprit) -> bool:
    """Tell if a finding is of the line of ``culprit``, and of much of what it held there.

    Each of several threads has a peak of its own: none of them tells what all held together.
    """
    share = MOST_OF_PEAK if finding.kind is FindingKind.PEAK else MUCH_OF_PEAK
    return _line_of(finding) == culprit.line and finding.bytes >= share * culprit.bytes


def _most_in_use(
    ground: Ground, place: int, stacks: Iterable[StackBytes], total_bytes: int
) -> Sequence[Culprit]:
    """Find the line that held most of ``stacks``, without what was not in use; or none."""
    parts = ground.resident.in_use(stacks, ground.phases[place].end)
    return ground.lines.culprits(parts, total_bytes, most=1)


def _line_of(finding: Finding) -> tuple[str, int] | None:
    return None if finding.culprit is None else finding.culprit.line


def _growth(ground: Ground) -> list[Finding]:
    """Find lines by the bytes they allocated in a phase and left alive at its end.

    A phase that repeats ends with its last repeat: what a later repeat freed was not kept.
    """
    kept: dict[int, list[Lifetime]] = {}
    ends = judged_at(ground.phases)
    for life in ground.heap.lifetimes:
        home = ground.home(life)
        if home is None or not outlives(life, ends[home]):
            continue
        if not ground.resident.is_mapping(life, ends[home]):
            kept.setdefault(home, []).append(life)
    replaced = Replaced(ground.heap, ground.phases, ground.charging)
    found = [
        (own, culprit)
        for charge in charges(ground.phases, kept, ground.lines, ground.first_calls)
        for own, culprit in by_line_in_use(ground, charge)
        if culprit.bytes >= ground.least_bytes
        and replaced.may_be_growth(charge, culprit.bytes, ground.least_bytes)
    ]
    found.sort(key=lambda item: (item[1].bytes_in_use, item[1].bytes), reverse=True)
    found = found[:MAX_FINDINGS]
    totals = _kept_bytes(ground, [charge for charge, _ in found], kept)
    return [
        replace(
            _growth_finding(
                ground, charge, replace(culprit, share=culprit.bytes / total if total else 0.0)
            ),
            replaced_bytes=replaced.at_most(charge, culprit.bytes, ground.least_bytes),
        )
        for (charge, culprit), total in zip(found, totals, strict=True)
    ]


def _kept_bytes(ground: Ground, charges: Sequence[Charge], kept: ByHome) -> list[int]:
    """Return all that the phases of each charge allocated and that was alive at its end.

    A phase knows it of itself, unless not all of it was traced. Of phases of several threads each
    has only a part of what was allocated in it: of these ``kept`` tells, by the innermost phase.
    """
    known: dict[tuple[int, ...], int] = {}
    unknown: dict[tuple[int, ...], Sequence[Stretch]] = {}
    for charge in charges:
        places = charge.places
        phases = [ground.phases[place] for place in places]
        if len(phases) == 1 and phases[0].heap is not None:
            known[places] = phases[0].heap.kept_bytes
        elif not ground.charging.partial.isdisjoint(places):
            within = frozenset(places)
            inside = [
                home
                for home in kept
                if not within.isdisjoint((home, *outside(ground.phases, home)))
            ]
            lives = chain.from_iterable(kept[home] for home in inside)
            known[places] = sum(life.bytes for life in lives if outlives(life, charge.end))
        else:
            stretches = [stretch for phase in phases for stretch in phase.outline.stretches]
            unknown[places] = sorted(stretches, key=lambda stretch: stretch.end)
    moved = ground.heap.lifetimes.moved(list(unknown.values()), ground.lines.groups)
    known.update(zip(unknown, (one.kept_bytes for one in moved), strict=True))
    return [known[charge.places] for charge in charges]


def _of_line(ground: Ground, culprit: Culprit, stacks: Iterable[StackBytes]) -> list[StackBytes]:
    """Return those of ``stacks`` that are charged to the line of ``culprit``."""
    line = culprit.line
    return [s for s in stacks if s.bytes > 0 and ground.lines.line(s.node) == line]


def _growth_finding(ground: Ground, charge: Charge, culprit: Culprit) -> Finding:
    own = charge.lifetimes
    largest = charge.places[0]
    if len(charge.places) > 1:
        by_home: Tally[int | None] = Tally()
        for life in own:
            by_home.add(ground.home(life), life.bytes, life.allocations)
        largest = max(charge.places, key=lambda place: by_home.get(place, (0, 0)))
    phases = [ground.phases[place] for place in charge.places]
    holders = None if ground.holders is None else ground.holders.at_end(culprit.line, phases[-1])
    case = ground.case(phases, culprit, by_stack(own), own, holders)
    is_reserved = is_reservation(culprit.bytes, culprit.bytes_in_use, ground.least_bytes)
    kind = FindingKind.RESERVED if is_reserved else FindingKind.GROWTH
    moved = ground.rooms.moved_in(own, phases)
    return replace(
        _finding(kind, largest, case),
        phases=charge.places,
        pattern=charge.pattern,
        fate=_fate(ground, own, charge.end),
        arena_bytes=arena_bytes(ground.heap.tree, own),
        moved_bytes=moved if moved >= ground.least_bytes else 0,
    )


def _fate(ground: Ground, lifetimes: Sequence[Lifetime], end: int) -> Fate:
    """Find what became of ``lifetimes``, which were alive at the checkpoint ``end``.

    What is alive but became less resident later was given back by an allocator that keeps the
    addresses.
    """
    fate = alive_and_freed(lifetimes, ground.heap, ground.phases, ground.charging)
    fate = replace(fate, moved_bytes=ground.rooms.moved_on(lifetimes))
    alive = [life for life in lifetimes if life.died is None]
    before = ground.resident.untouched_bytes(alive, end)
    after = ground.resident.untouched_bytes(alive, len(ground.heap.at_checkpoints) - 1)
    if before is None or after is None:
        return fate
    given_back = max(0, after - before)
    return replace(
        fate,
        alive_bytes=fate.alive_bytes - given_back,
        given_back_bytes=given_back,
        unused_bytes=min(before, after),
    )


def _peak_finding(ground: Ground, place: int, case: Case) -> Finding:
    """Return the finding of bytes at a peak; no more of them was in use than the RSS ever had."""
    found = _finding(FindingKind.PEAK, place, case)
    most = ground.highest_rss_bytes
    return found if most is None or most >= found.bytes else replace(found, resident_bytes=most)


def _finding(kind: FindingKind, place: int, case: Case) -> Finding:
    suggestion = advise(case)
    return Finding(
        kind=kind,
        phase=place,
        phases=(place,),
        bytes=case.culprit.bytes,
        share=case.culprit.share,
        culprit=case.culprit,
        advice=None if suggestion is None else suggestion.advice,
        evidence={} if suggestion is None else suggestion.evidence,
        resident_bytes=case.culprit.resident_bytes,
        called_by=callers(case.heap, case.lines, case.phases[0], case.culprit),
        processes=processes_of(case.heap, case.stacks),
    )


def _touched(ground: Ground) -> list[Finding]:
    """Find lines by what became resident of memory that they mapped, or had reserved before.

    And pools of libraries, of which no line is known.
    """
    if not ground.heap.residency:
        return []
    heap, phases = ground.heap, ground.phases
    found, pools = touched(ground, partial(pool_of, heap))
    by_line = [
        Finding(
            kind=kind,
            phase=max(charge.places, key=lambda p: phases[p].rss_delta_bytes or 0),
            phases=charge.places,
            bytes=culprit.bytes,
            share=culprit.share,
            culprit=culprit,
            advice=None,
            pattern=charge.pattern,
            resident_bytes=culprit.bytes,
        )
        for kind, charge, culprit in found
    ]
    in_pools = (in_pool(one.phase, phases[one.phase], heap, *one[1:]) for one in pools)
    return by_line + [finding for finding in in_pools if finding is not None]


def _peaks(ground: Ground) -> list[Finding]:
    """Find lines by the bytes alive at an innermost phase's peak and gone at its end.

    Of each line only the highest is told: a loop would make a finding of every round.
    """
    highest: dict[tuple[str, int] | None, Finding] = {}
    for most_bytes, place in _risen(ground):
        sizes = sorted(map(_importance, highest.values()), reverse=True)
        if len(sizes) >= MAX_PEAKS and most_bytes < sizes[MAX_PEAKS - 1]:
            break
        phase = ground.phases[place]
        if phase.heap is None or phase.heap.peak.stacks is None:
            continue
        left = ground.heap.lifetimes.alive_at(phase.peak_stretch.end).by_node()
        gone = [
            StackBytes(stack.node, stack.bytes - left.get(stack.node, 0), stack.allocations)
            for stack in phase.heap.peak.stacks
        ]
        for culprit in _most_in_use(ground, place, gone, phase.heap.peak.bytes):
            if culprit.bytes >= ground.least_bytes:
                held_by = _of_line(ground, culprit, gone)
                case = ground.case((phase,), culprit, held_by)
                moved = ground.rooms.moved_to(held_by, _made(ground, phase, left))
                end = Fate(0, ((place, culprit.bytes),), moved_bytes=moved)
                found = replace(
                    _peak_finding(ground, place, case),
                    fate=end,
                    spans_repeats=_spans_repeats(ground, phase, held_by),
                )
                best = highest.setdefault(_line_of(found), found)
                if (found.bytes, -found.phase) > (best.bytes, -best.phase):
                    highest[_line_of(found)] = found
    in_order = sorted(highest.values(), key=lambda finding: finding.phase)
    return sorted(in_order, key=_importance, reverse=True)[:MAX_PEAKS]


def _made(ground: Ground, phase: Phase, left: Mapping[int, int]) -> Iterator[StackBytes]:
    """Yield what of the bytes ``left`` by stack was not there as the repeat with the peak began."""
    before = ground.heap.lifetimes.alive_at(phase.peak_stretch.start).by_node()
    for node, size in left.items():
        more = size - before.get(node, 0)
        if more > 0:
            yield StackBytes(node, more, 1)


def _spans_repeats(ground: Ground, phase: Phase, stacks: Iterable[StackBytes]) -> bool:
    """Tell whether much of ``stacks`` outlived the repeat of a phase that allocated it."""
    if phase.repeats == 1:
        return False
    nodes = {stack.node for stack in stacks}
    at = None if phase.peak is None else phase.peak.checkpoint
    lives = (
        life
        for life in ground.heap.lifetimes.without(ground.heap.tree.all_but(nodes))
        if at is None or life.born <= at <= (life.died or at)
    )
    return outlived_bytes(lives, phase) >= ground.least_bytes


def _risen(ground: Ground) -> list[tuple[int, int]]:
    """List the innermost phases whose peak rose high above their ends.

    Each comes with the bytes that its largest line held at the peak; the largest first.
    """
    parents = {phase.outline.parent for phase in ground.phases}
    least_rise = MIN_TRANSIENT_SHARE * ground.peak_bytes
    risen: list[tuple[int, int]] = []
    for place, phase in enumerate(ground.phases):
        if place in parents or phase.heap is None or phase.heap.peak.stacks is None:
            continue
        if ground.transient_bytes(phase, phase.heap) >= least_rise:
            lines = _most_in_use(ground, place, phase.heap.peak.stacks, phase.heap.peak.bytes)
            risen += [(largest.bytes, place) for largest in lines]
    return sorted(risen, key=lambda item: (-item[0], item[1]))
