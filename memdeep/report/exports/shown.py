"""Names for what an export shows: paths of phases, frames, threads and processes of stacks.

All of them are safe to print. Files are named as they are on every machine where that is known.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from memdeep.model import Frame, Origin, Phase, Report
from memdeep.model.paths import path_of, roots_of
from memdeep.report.processes import rank
from memdeep.text.safe import plain

SEPARATOR = "/"
NO_STACK = "(stack not known)"


class ShownFrame(NamedTuple):
    """A frame as it is shown; ``lineno`` is 0 where it is not known."""

    function: str
    path: str
    lineno: int
    origin: Origin

    @property
    def text(self) -> str:
        """The function and the line, for formats in which a frame is one text."""
        if not self.path:
            return self.function
        where = f"{self.path}:{self.lineno}" if self.lineno else self.path
        return f"{self.function} ({where})"


class ShownStacks:
    """The stacks of a report: the numbers of their frames, which `frame` shows.

    A stack without code, and that of the node -1, is one frame that says so.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._tree = report.heap.tree
        self._roots = roots_of(report)
        self._frames: dict[int, ShownFrame] = {}
        self._is_thread = [frame.origin is Origin.THREAD for frame in self._tree.frames]
        self.no_stack = len(self._tree.frames)

    def frames(self, node: int) -> Sequence[int]:
        """Return the numbers of the frames of a node, outermost first."""
        found = []
        parents, numbers = self._tree.parents, self._tree.frame_ids
        while node >= 0:
            number = numbers[node]
            if not self._is_thread[number]:
                found.append(number)
            node = parents[node]
        return found[::-1] or [self.no_stack]

    def frame(self, number: int) -> ShownFrame:
        """Return the frame of a number."""
        shown = self._frames.get(number)
        if shown is None:
            if number == self.no_stack:
                shown = ShownFrame(NO_STACK, "", 0, Origin.MEMDEEP)
            else:
                shown = shown_frame(self._tree.frames[number], self._roots)
            self._frames[number] = shown
        return shown

    def thread(self, node: int) -> str:
        """Return the name of the thread of a node; "" where it is not known."""
        return self._threads[self._outermost[node]] if node >= 0 else ""

    def process(self, node: int) -> int:
        """Return the index of the process of a node; 0 is the program."""
        frame = self._tree.frames[self._outermost[node]] if node >= 0 else None
        return frame.lineno if frame is not None and frame.origin is Origin.THREAD else 0

    @cached_property
    def _outermost(self) -> Sequence[int]:
        """The number of the outermost frame of each node."""
        found = array("I")
        for parent, number in zip(self._tree.parents, self._tree.frame_ids, strict=True):
            found.append(found[parent] if parent >= 0 else number)
        return found

    @cached_property
    def _threads(self) -> Sequence[str]:
        return [
            _thread(frame) if is_thread else ""
            for frame, is_thread in zip(self._tree.frames, self._is_thread, strict=True)
        ]


def _thread(frame: Frame) -> str:
    # That of another process has the process before it.
    return plain(frame.function.split(" ", 2)[-1] if frame.lineno else frame.function)


def shown_frame(frame: Frame, roots: Sequence[str]) -> ShownFrame:
    """Return ``frame`` as it is shown; ``roots`` are where the paths of the user's code begin."""
    path = path_of(frame, roots) or frame.filename
    return ShownFrame(plain(frame.function), plain(path), max(0, frame.lineno), frame.origin)


def process_name(report: Report, process: int) -> str:
    """Return what a process is called: by its rank, the program by its number, or how it began."""
    known = report.run.processes
    if process < len(known) and (part := rank(known[process])):
        return f"{part} {known[process].pid}"
    if process and process < len(known):
        return f"{known[process].how or 'process'} {known[process].pid}"
    pids = (point.pid for point in report.run.checkpoints if point.pid is not None)
    pid = known[0].pid if known else next(pids, None)
    return "program" if pid is None else f"program {pid}"


def paths_of(phases: Sequence[Phase]) -> Sequence[str]:
    """Return the path of each phase: the names of all around it, and its own.

    Phases of one path have a number behind it.
    """
    paths: list[str] = []
    for phase in phases:
        parent, name = phase.outline.parent, plain(phase.name)
        paths.append(name if parent is None else f"{paths[parent]}{SEPARATOR}{name}")
    times, seen = Counter(paths), Counter[str]()
    found = []
    for path in paths:
        seen[path] += 1
        found.append(path if times[path] == 1 else f"{path} #{seen[path]}")
    return found
