"""Reads the recordings of the tracemalloc backend: the bytes of each stack at each checkpoint.

Between two checkpoints only the difference is known. Where a stack holds less than before, the
bytes it got last are taken to be those that were freed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from memdeep.heap.lists import LifetimeList
from memdeep.heap.parts import HeapPart, Part
from memdeep.heap.stacks import StackTreeBuilder
from memdeep.model import Lifetime, Peak, RawFrame, Stretch
from memdeep.rundir import snapshots as snapshots_file
from memdeep.rundir.files import open_regular, read_error
from memdeep.sources.files import read_source

MAX_FILE_BYTES = 1 << 35
MAX_LINE_BYTES = 1 << 26

Held = dict[int, tuple[int, int]]  # stack -> bytes, allocations


class _Snapshots:
    """The file's lines, by checkpoint; ``stacks`` gives the frames of a stack.

    ``damaged`` counts the lines that were left out: their checkpoints keep the figures of the ones
    before.
    """

    def __init__(self, path: Path, places: Mapping[int, int]) -> None:
        """Read the file at ``path``. Raises CaptureError if there is none."""
        self.held: dict[int, Held] = {}
        self.peaks: dict[int, int] = {}
        self.stacks: dict[int, list[RawFrame]] = {}
        self.damaged = 0
        last: Held = {}
        for line in _lines(path):
            try:
                snapshot = snapshots_file.decode(line)
            except ValueError:
                self.damaged += line.endswith(b"\n")  # otherwise it is the last one, torn
                continue
            for stack, frames in snapshot.new.items():
                self.stacks[stack] = [_frame(*frame) for frame in frames]
            if snapshot.held is not None:
                last = snapshot.held
            if snapshot.sequence in places:
                place = places[snapshot.sequence]
                self.held[place] = last
                self.peaks[place] = snapshot.peak_bytes


def _lines(path: Path) -> Iterator[bytes]:
    file, left = open_regular(path, MAX_FILE_BYTES)
    with file:
        try:
            while left > 0 and (line := file.readline(min(left, MAX_LINE_BYTES))):
                left -= len(line)
                yield line
        except OSError as error:
            raise read_error(path, error) from error


def read_snapshots(
    path: Path,
    places: Mapping[int, int],
    groups: Sequence[Sequence[Stretch]],
    builder: StackTreeBuilder,
) -> HeapPart | None:
    """Read the heap as far as it was recorded; None if no line can be read. Raises CaptureError.

    ``places`` gives the checkpoint of a sequence number. Peaks have a height but no stacks.
    """
    snapshots = _Snapshots(path, places)
    if not snapshots.held:
        return None
    last = max(snapshots.held)
    nodes = {
        stack: builder.add(frames, None) for stack, frames in snapshots.stacks.items() if frames
    }
    lifetimes = LifetimeList(tuple(_lifetimes(snapshots, nodes, last)))
    at_checkpoints = tuple(lifetimes.heap_at(last + 1))
    part = Part(path, 0, last, markers=last)
    heights = [max(at, snapshots.peaks.get(k, 0)) for k, at in enumerate(at_checkpoints)]
    return HeapPart(
        part=part,
        at_checkpoints=at_checkpoints,
        lifetimes=lifetimes,
        peaks={
            place: Peak(_highest(heights, inside), None, None)
            for place, stretches in enumerate(groups)
            if (inside := [stretch for stretch in stretches if part.holds(stretch)])
        },
        curve=(),
        peak_bytes=max(heights),
        damage=None
        if not snapshots.damaged
        else f"{snapshots.damaged:,} of its lines cannot be read; a checkpoint without a line has "
        "the figures of the one before",
    )


def _highest(heights: Sequence[int], stretches: Sequence[Stretch]) -> int:
    return max(max(heights[s.start + 1 : s.end + 1]) for s in stretches)


def _lifetimes(snapshots: _Snapshots, nodes: Mapping[int, int], last: int) -> list[Lifetime]:
    """Divide the bytes of each stack into lifetimes, last in, first out."""
    alive: dict[int, list[list[int]]] = {}  # node -> [born, bytes, allocations], oldest first
    lifetimes = []
    before: Held = {}
    for place in range(1, last + 1):
        held = snapshots.held.get(place, before)
        if held is before:
            continue
        for stack in {*before, *held}:
            node = nodes.get(stack)
            if node is None:
                continue
            now, then = held.get(stack, (0, 0)), before.get(stack, (0, 0))
            size, count = now[0] - then[0], now[1] - then[1]
            blocks = alive.setdefault(node, [])
            if size > 0:
                blocks.append([place, size, max(count, 0)])
            while size < 0 and blocks:
                newest = blocks[-1]
                freed = min(newest[1], -size)
                share = newest[2] * freed // newest[1]
                lifetimes.append(Lifetime(node, newest[0], place, freed, share))
                newest[1] -= freed
                newest[2] -= share
                size += freed
                if not newest[1]:
                    blocks.pop()
        before = held
    for node, blocks in alive.items():
        lifetimes.extend(Lifetime(node, born, None, size, count) for born, size, count in blocks)
    return lifetimes


def _frame(filename: str, lineno: int) -> RawFrame:
    """Return the frame of a line; the source tells its function, which tracemalloc does not."""
    return _function_at(filename, lineno), filename, lineno


@cache
def _function_at(filename: str, lineno: int) -> str:
    name = "<module>"
    for first, last, function in _functions(filename):
        if first <= lineno <= last:
            name = function
    return name


@cache
def _functions(filename: str) -> tuple[tuple[int, int, str], ...]:
    """Find the first line, last line and name of each function, outer ones before inner ones."""
    try:
        tree = ast.parse(read_source(filename))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    found = [
        (node.lineno, node.end_lineno or node.lineno, node.name)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    return tuple(sorted(found, key=lambda place: (place[0], -place[1])))
