"""Reads the recordings of the tracemalloc backend: the bytes of each stack at each checkpoint.

Between two checkpoints only the difference is known. Where a stack holds less than before, the
bytes it got last are taken to be those that were freed.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from memdeep.heap.lists import LifetimeList
from memdeep.heap.parts import HeapPart, Part
from memdeep.heap.stacks import StackTreeBuilder
from memdeep.model import Lifetime, Peak, RawFrame, Stretch
from memdeep.rundir import snapshots as snapshots_file
from memdeep.rundir.files import open_regular, read_error
from memdeep.sources.files import read_source

MAX_FILE_BYTES = 1 << 35
MAX_LINE_BYTES = 1 << 26
# From 3.12 on all but the first run in the frame around them.
_WITH_A_FRAME = (ast.GeneratorExp, ast.ListComp, ast.SetComp, ast.DictComp)
if sys.version_info >= (3, 12):
    _WITH_A_FRAME = _WITH_A_FRAME[:1]

Held = dict[int, tuple[int, int]]  # stack -> bytes, allocations


class _Scope(NamedTuple):
    """The first and the last line of a function or a comprehension, and its name."""

    first: int
    last: int
    name: str

    def has(self, lineno: int) -> bool:
        return self.first <= lineno <= self.last


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
                self.stacks[stack] = _named(frames)
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


def _named(frames: Sequence[tuple[str, int]]) -> list[RawFrame]:
    """Name frames, innermost first, by the source: tracemalloc does not tell their functions.

    A frame whose caller is in the same comprehension is that of the comprehension, unless as many
    of them have begun as there are.
    """
    named: list[RawFrame] = []
    caller, begun = ("", 0), 0
    for filename, lineno in reversed(frames):
        around = [
            scope.name
            for scope in _comprehensions_at(filename, lineno)
            if caller[0] == filename and scope.has(caller[1])
        ]
        begun = begun + 1 if begun < len(around) else 0
        name = around[0] if len({*around}) == 1 else "<comprehension>"
        named.append((name if begun else _function_at(filename, lineno), filename, lineno))
        caller = filename, lineno
    return named[::-1]


@cache
def _function_at(filename: str, lineno: int) -> str:
    name = "<module>"
    for scope in _scopes(filename)[0]:
        if scope.has(lineno):
            name = scope.name
    return name


@cache
def _comprehensions_at(filename: str, lineno: int) -> Sequence[_Scope]:
    return tuple(scope for scope in _scopes(filename)[1] if scope.has(lineno))


@cache
def _scopes(filename: str) -> tuple[Sequence[_Scope], Sequence[_Scope]]:
    """Find the functions, outer ones before inner ones, and the comprehensions with a frame."""
    functions, comprehensions = [], []
    try:
        tree = ast.parse(read_source(filename))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return (), ()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            functions.append(_Scope(node.lineno, node.end_lineno or node.lineno, node.name))
        elif isinstance(node, _WITH_A_FRAME):
            name = f"<{type(node).__name__.lower().replace('generatorexp', 'genexpr')}>"
            comprehensions.append(_Scope(node.lineno, node.end_lineno or node.lineno, name))
    return sorted(functions, key=lambda scope: (scope.first, -scope.last)), comprehensions
