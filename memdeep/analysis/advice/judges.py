"""Judges a finding, each judge by one kind of evidence; the order is that of `_JUDGES`.

A judge adds up the bytes of the stacks that show its cause, and is silent unless they are most of
the finding.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from memdeep.analysis.advice import patterns
from memdeep.analysis.advice.case import MOST, Case, Evidence, Suggestion
from memdeep.analysis.trend import trend
from memdeep.frozen import replace
from memdeep.model import Advice, Finding, LargeAllocation, Origin, Stretch
from memdeep.model.holders import Cause
from memdeep.model.sums import Tally

MIN_REPEATS = 5
MIN_DEPTH = 100  # calls of one function that have not returned: of a tree there are fewer
STEADY_SHARE = 0.8  # of the repeats must have grown to call the growth steady
MIN_COPIED = 3  # times what was kept was allocated where a value is made anew in each round
# Of equal sizes the mean is the largest one; of a value that grows evenly it is half of that.
MAX_MEAN_OF_GROWING = 0.75
MAX_MODULES = 3
# Such a call takes, or makes, a whole thing: of many calls each has a part, and to keep what they
# all made is the cause.
_OF_ONE_CALL = (
    Advice.WHOLE_PARSE,
    Advice.WHOLE_FILE,
    Advice.WHOLE_TEXT,
    Advice.WHOLE_PICKLE,
    Advice.UNPICKLE,
    Advice.ALL_ROWS,
)

_ADVICE_ON = {
    Cause.METHOD_CACHE: Advice.CACHED_ON_METHOD,
    Cause.UNBOUNDED_CACHE: Advice.UNBOUNDED_CACHE,
    Cause.BOUNDED_CACHE: Advice.BOUNDED_CACHE,
    Cause.TRACEBACK: Advice.TRACEBACKS,
    Cause.SUSPENDED: Advice.SUSPENDED,
    Cause.LOG_RECORD: Advice.LOG_RECORDS,
}

K = TypeVar("K", bound=Hashable)


def _bytes_by(case: Case, key: Callable[[int], K | None]) -> list[tuple[K, int]]:
    """Add up the bytes of the stacks by ``key`` of their nodes, most first; None is left out."""
    tally: Tally[K] = Tally()
    for stack in case.stacks:
        found = key(stack.node)
        if found is not None:
            tally.add(found, stack.bytes, stack.allocations)
    sizes = [(found, size) for found, (size, _) in tally.items()]
    return sorted(sizes, key=lambda item: item[1], reverse=True)


def _telling_call(case: Case) -> Suggestion | None:
    """Judge by the call that explains most of the bytes; calls of one advice are added up."""
    stayed = bool(case.lifetimes)
    found = _bytes_by(case, lambda node: case.telling.of(node, stayed=stayed))
    sizes: dict[Advice, int] = {}
    for item, size in found:
        sizes[item.advice] = sizes.get(item.advice, 0) + size
    if not sizes:
        return None
    advice = max(sizes, key=lambda kind: sizes[kind])
    calls = [(item.call, size) for item, size in found if item.advice is advice]
    if advice is Advice.IMPORT:
        calls = calls[:MAX_MODULES]
    held = sum(size for _, size in calls)
    if not case.is_most(held):
        return None
    if stayed and advice in _OF_ONE_CALL and _calls(case, calls[0][0]) >= MIN_REPEATS:
        return None
    named = ", ".join(call for call, _ in calls) if advice is Advice.IMPORT else calls[0][0]
    evidence: Evidence = {
        "call": named,
        "held_bytes": held,
        "held_share": held / case.culprit.bytes,
    }
    return Suggestion(advice, evidence)


def _calls(case: Case, call: str) -> int:
    """Return how many calls, of which ``call`` is one, have surely made what stayed.

    Those of different repeats are different ones, and so are those that each leave one block.
    """
    if call in patterns.OF_ONE_BLOCK:
        return sum(stack.allocations for stack in case.stacks)
    born = {life.born for life in case.lifetimes}
    return sum(
        not born.isdisjoint(stretch.segments)
        for phase in case.phases
        for stretch in phase.outline.stretches
    )


def _holder(case: Case) -> Suggestion | None:
    """Judge by the objects that hold the bytes, or by that nothing does but the collector."""
    if case.holders is None or not case.lifetimes:
        return None
    for one in case.holders.causes:
        held = case.surely_held(one.bytes - case.holders.shared_bytes)
        if case.is_most(held) and one.path and (one.what or one.cause is not Cause.SUSPENDED):
            evidence: Evidence = {"held_bytes": held, "path": one.path}
            if one.what:
                evidence = {**evidence, "call": one.what}
            return Suggestion(_ADVICE_ON[one.cause], evidence)
    held = case.surely_held(case.holders.garbage_bytes - case.holders.shared_bytes)
    if not case.is_most(held):
        return None
    at = case.holders.checkpoint
    looks = [one for one in case.heap.snapshots if one.checkpoint == at]
    if any(one.gc_enabled for one in looks):
        return Suggestion(Advice.GARBAGE, {"held_bytes": held})
    turned_off = next((one.gc_off_at for one in looks if one.gc_off_at), "")
    place = {"place": turned_off.rpartition("/")[2]} if turned_off else {}
    return Suggestion(Advice.GARBAGE_GC_OFF, {"held_bytes": held, **place})


def _cached_results(case: Case) -> Suggestion | None:
    """Judge bytes that stayed and were allocated while a function ran whose results are kept.

    That is a guess where it is not known who holds them.
    """
    if case.holders is not None and case.holders.paths:
        return None
    within = case.heap.tree.nodes_through(patterns.is_cached_call) if case.lifetimes else None
    if within is None:
        return None
    found = _bytes_by(case, lambda node: _cached_function(case, node) if within[node] else None)
    if not found or not case.is_most(found[0][1]):
        return None
    (function, is_bounded), held = found[0]
    advice = Advice.BOUNDED_RESULTS if is_bounded else Advice.CACHED_RESULTS
    return Suggestion(advice, {"call": function, "held_bytes": held})


def _cached_function(case: Case, node: int) -> tuple[str, bool] | None:
    """Return the name of the innermost function of ``node`` whose results are kept.

    With it, whether so many of them only.
    """
    stack = case.heap.tree.stack(node)
    callers = [place for place, frame in enumerate(stack) if patterns.is_cached_call(frame)]
    within = stack[callers[-1] :] if callers else ()
    code = next((frame.function for frame in within if frame.origin is not Origin.NATIVE), None)
    return None if code is None else (code, patterns.is_bounded_call(within[0]))


def _made_anew(case: Case) -> Suggestion | None:
    """Judge a value that is joined with another in each round, and so copied again and again.

    Its sizes grow: values of one size, made in each round, are no copies of one another.
    """
    found = _bytes_by(case, lambda node: patterns.joined(case.called(node)))
    if not found or not case.is_most(found[0][1]) or case.heap.largest is None:
        return None
    call, held = found[0]
    made: Tally[int] = Tally()
    line = case.culprit.line
    for life in case.heap.born_in(_segments(case)):
        if case.lines.line(life.node) == line:
            made.add(life.node, life.bytes, life.allocations)
    sums = [
        (node, size, count)
        for node, (size, count) in made.items()
        if patterns.joined(case.called(node)) == call
    ]
    if not sums:
        return None
    # Of what is made at once each part has a stack of its own, as a table and its index.
    allocated = sum(size for _, size, _ in sums)
    node, size, count = max(sums, key=lambda item: item[1])
    largest = max((one.bytes for one in _large(case) if one.node == node), default=0)
    if count < MIN_REPEATS or allocated < MIN_COPIED * held:
        return None
    if size > MAX_MEAN_OF_GROWING * count * largest:
        return None
    return Suggestion(
        Advice.MADE_ANEW,
        {"call": call, "times": count, "allocated_bytes": allocated, "held_bytes": held},
    )


def _large(case: Case) -> Iterable[LargeAllocation]:
    segments = _segments(case)
    return (one for one in case.heap.largest or () if one.born in segments)


def _segments(case: Case) -> frozenset[int]:
    return frozenset().union(*(phase.outline.segments for phase in case.phases))


def _repeated_growth(case: Case) -> Suggestion | None:
    """Judge a line that grew in nearly every round and whose bytes were still there at the last.

    Rounds are the repeats of the phases, or the segments of one phase that has no repeats.
    """
    if any(phase.outline.overlaps for phase in case.phases):
        return None  # which of them allocated what is not known
    stretches = [stretch for phase in case.phases for stretch in phase.outline.stretches]
    if len(stretches) == 1:
        whole = stretches[0]
        stretches = [Stretch(place, place + 1) for place in range(whole.start, whole.end)]
    if len(stretches) < MIN_REPEATS:
        return None
    by_segment: dict[int, int] = {}
    for life in case.lifetimes:
        by_segment[life.born] = by_segment.get(life.born, 0) + life.bytes
    grown = [sum(by_segment.get(place, 0) for place in stretch.segments) for stretch in stretches]
    course = trend(grown)
    end = max(phase.end for phase in case.phases)
    alive = sum(life.bytes for life in case.lifetimes if life.is_alive_at(end))
    if course is None or course.slope_bytes <= 0 or alive < STEADY_SHARE * sum(grown):
        return None
    if course.growing < STEADY_SHARE * course.repeats or not case.is_most(sum(grown)):
        return None
    if course.slope_bytes * course.repeats < MOST * (sum(grown) - course.warm_up_bytes):
        return None  # one round had most of it: what the others left is not worth the words
    return Suggestion(
        Advice.REPEATED_GROWTH,
        {
            "repeats": course.repeats,
            "growing": course.growing,
            "slope_bytes": course.slope_bytes,
            "warm_up_bytes": course.warm_up_bytes,
        },
    )


def _recursion(case: Case) -> Suggestion | None:
    """Judge the frames of a function that calls itself very often before any call returns."""
    found = [one for one in case.stacks if patterns.is_for_frames(case.own(one.node))]
    held = sum(one.bytes for one in found)
    if not case.is_most(held):
        return None
    line = case.culprit.frame
    stack = case.heap.tree.stack(max(one.node for one in found))  # a deeper one comes later
    is_same = [(one.function, one.filename) == (line.function, line.filename) for one in stack]
    if sum(is_same) < MIN_DEPTH:
        return None
    evidence: Evidence = {"call": line.function, "times": sum(is_same), "held_bytes": held}
    return Suggestion(Advice.RECURSION, evidence)


def _pool(case: Case) -> Suggestion | None:
    """Judge bytes that the pool of a library took from the system."""
    found = _bytes_by(case, lambda node: patterns.pool(case.called(node)))
    if not found or not case.is_most(found[0][1]):
        return None
    advice, held = found[0]
    return Suggestion(advice, {"held_bytes": held})


def _untouched(case: Case) -> Suggestion | None:
    """Judge a reservation: what was measured, or of what is not resident what is no other's.

    The other lines of the phase may have some of it. So may memory that was resident and free at
    its start: what is allocated there adds nothing to the RSS, though it is touched.
    """
    if len(case.phases) != 1 or not case.lifetimes or case.phases[0].repeats > 1:
        return None
    (phase,) = case.phases
    if phase.parts is None or phase.rss_delta_bytes is None or phase.heap is None:
        return None
    if phase.rss_start_bytes is None:
        return None
    if case.culprit.resident_bytes is not None:
        untouched = case.culprit.bytes - case.culprit.resident_bytes
    else:
        others = max(0, phase.heap.kept_bytes - case.culprit.bytes)
        free = max(0, phase.rss_start_bytes - phase.heap.start_bytes)
        untouched = phase.parts.not_resident - others - free
        if phase.parts.not_resident > case.culprit.bytes:
            return None
    untouched = _never_touched(case, phase.end, untouched)
    if not case.is_most(untouched):
        return None
    return Suggestion(
        Advice.UNTOUCHED,
        {
            "heap_bytes": phase.heap.delta_bytes,
            "rss_bytes": phase.rss_delta_bytes,
            "untouched_bytes": untouched,
        },
    )


def _never_touched(case: Case, end: int, untouched: int) -> int:
    """Return how much of what was ``untouched`` at the end of the phase was so until it was freed.

    At least that much was touched later of which a reading finds less, or may have been.
    """
    nodes = {stack.node for stack in case.stacks}
    last = len(case.heap.at_checkpoints) - 1
    until = min((life.died - 1 for life in case.lifetimes if life.died is not None), default=last)
    readings = case.heap.residency
    ends = [*(reading.checkpoint for reading in readings[1:]), last + 1]
    for reading, following in zip(readings, ends, strict=False):
        if reading.checkpoint <= until and end < following:
            doubted = reading.doubted(until)
            left = sum(
                stack.bytes
                for stack in reading.untouched
                if stack.node in nodes and stack.node not in doubted
            )
            untouched = min(untouched, left)
    return untouched


def _growing_container(case: Case) -> Suggestion | None:
    """Judge what the line itself put into a container."""
    found = _bytes_by(case, lambda node: patterns.container(case.own(node)))
    if not found or not case.is_most(found[0][1]):
        return None
    (container, call), held = found[0]
    return Suggestion(
        Advice.GROWING_CONTAINER, {"container": container, "call": call, "held_bytes": held}
    )


_JUDGES = (
    _holder,
    _telling_call,
    _cached_results,
    _made_anew,
    _recursion,
    _repeated_growth,
    _pool,
    _untouched,
    _growing_container,
)


def advise(case: Case) -> Suggestion | None:
    """Find the first advice that the evidence supports; the more telling kinds are tried first."""
    for judge in _JUDGES:
        suggestion = judge(case)
        if suggestion is not None:
            return suggestion
    return None


def as_traced(finding: Finding) -> Finding:
    """Judge copies of texts that only the tracing may have made.

    CPython appends in place to local variables: the code of a module has none.
    """
    culprit, call = finding.culprit, finding.evidence.get("call")
    if finding.advice is not Advice.MADE_ANEW or culprit is None or call != "str +":
        return finding
    is_local = culprit.frame.function != "<module>"
    return replace(finding, advice=Advice.MADE_ANEW_TRACED) if is_local else finding
