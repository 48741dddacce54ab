"""Finds the lines whose memory was copied for forked processes, which RSS does not show.

A page that one of two processes writes to is copied; it does not tell which of them wrote. What
is known is a least: of many forks at once not each is looked at, and none in its last moments.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate

from memdeep.analysis.culprits import ChargedLines
from memdeep.analysis.workers import phase_that_started
from memdeep.frozen import frozen
from memdeep.model import (
    Advice,
    Finding,
    FindingKind,
    Heap,
    Phase,
    ProcessHeap,
    Run,
    SplitOff,
    StackBytes,
)
from memdeep.model.sums import Tally, stacks_of


def split_off(heap: Heap) -> tuple[SplitOff, ...]:
    """Return what is known of the pages of forked processes, by line."""
    lines = ChargedLines(heap.tree)
    found = []
    for one in heap.processes:
        if one.split_off is not None:
            total = sum(stack.bytes for stack in one.split_off)
            found.append(SplitOff(one.process, total, lines.culprits(one.split_off, total)))
    return tuple(found)


def copied(run: Run, heap: Heap, phases: Sequence[Phase]) -> list[Finding]:
    """Find the lines of which most was copied for the processes that one line started.

    They are told of the phase in which the process began for which most of it was copied. Of
    processes that came one after the other only those count that lived together with most copied.
    """
    read = {one.process: one for one in heap.processes if one.split_off is not None}
    groups: dict[int, list[int]] = {}
    for place, process in enumerate(run.processes):
        if process.is_forked or place in read:
            groups.setdefault(place if process.group is None else process.group, []).append(place)
    lines = ChargedLines(heap.tree)
    return [
        finding
        for members in groups.values()
        if any(read[one].split_off for one in members if one in read)
        for finding in _of_group(run, phases, lines, _together(run, members, read))
    ]


# More than an arena of Python's, 1 MB: so large a block is one object, whose count of references
# is in its first page, and so only who writes to the rest copies that.
LARGE_BLOCK_BYTES = 2 << 20
MOST = 0.9


@frozen
class _Copies:
    """What was ``read`` of forked processes that lived at one moment, ``forked`` in all."""

    read: Sequence[ProcessHeap]
    forked: int


def _together(run: Run, members: Sequence[int], read: Mapping[int, ProcessHeap]) -> _Copies:
    """Return those of ``members`` that lived at the moment when most was copied for all of them."""
    lives, changes = [], []
    for place in members:
        process = run.processes[place]
        start_s = process.start_s or 0.0
        end_s = math.inf if process.end_s is None else max(start_s, process.end_s)
        lives.append((start_s, end_s, place))
        if place in read:
            size = sum(part.bytes for part in read[place].split_off or ())
            changes += [(start_s, -size), (end_s, size)]  # births come first
    sums = list(accumulate(change for _, change in sorted(changes)))
    moment_s = sorted(changes)[sums.index(min(sums))][0]
    there = [place for start_s, end_s, place in lives if start_s <= moment_s <= end_s]
    return _Copies([read[place] for place in there if place in read], len(there))


def _of_group(
    run: Run, phases: Sequence[Phase], lines: ChargedLines, copies: _Copies
) -> list[Finding]:
    tally: Tally[int] = Tally()
    of_lines: dict[tuple[str, int], dict[int, int]] = {}
    in_blocks: dict[tuple[str, int], int] = {}
    for one in copies.read:
        for stack in one.split_off or ():
            tally.add(stack.node, stack.bytes, stack.allocations)
            line = lines.line(stack.node)
            by_process = of_lines.setdefault(line, {})
            by_process[one.process] = by_process.get(one.process, 0) + stack.bytes
            if stack.bytes > LARGE_BLOCK_BYTES * stack.allocations:
                in_blocks[line] = in_blocks.get(line, 0) + stack.bytes
    total = tally.total_bytes()
    stacks: tuple[StackBytes, ...] = stacks_of(tally)
    found = []
    for culprit in lines.culprits(stacks, total):
        by_process = of_lines[culprit.line]
        most = max(by_process, key=lambda process: (by_process[process], -process))
        phase = phase_that_started(run, phases, run.processes[most])
        if phase is not None:
            found.append(
                Finding(
                    kind=FindingKind.COPIED,
                    phase=phase,
                    phases=(phase,),
                    bytes=culprit.bytes,
                    share=culprit.share,
                    culprit=culprit,
                    advice=Advice.WRITTEN_AFTER_FORK
                    if in_blocks.get(culprit.line, 0) >= MOST * culprit.bytes
                    else Advice.COPY_ON_WRITE,
                    evidence={
                        "split_bytes": total,
                        "largest_bytes": by_process[most],
                        "read": len(copies.read),
                        "forked": copies.forked,
                        "unread": copies.forked - len(copies.read),
                    },
                    resident_bytes=culprit.bytes,
                    processes=tuple(sorted(by_process)),
                )
            )
    return found
