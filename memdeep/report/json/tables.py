"""The tables of frames and stacks of `report.json`: each is stored once and named by its index.

A deep stack that repeats itself is folded: each of its frames stays a few times, and what is left
out is counted by an entry in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from memdeep.model import Frame, Origin, StackTree
from memdeep.model.paths import path_of
from memdeep.report.json.records import Encoded, Json, listed, record

DEEP = 100  # stacks of more frames are folded where they repeat
MAX_REPEATS = 3  # of one frame in a deep stack, outside of its two ends
ENDS = 16  # frames at each end of a deep stack that are never left out
MIN_LEFT_OUT = 10  # frames that follow one another; fewer are not worth an entry of their own
ORIGINS = {Origin.TOOL: Origin.USER}  # a program is the user's code wherever it is installed
MAX_NAMES = 3  # of the functions whose frames were left out

# The stack of a culprit: its index, the name of its thread where that is known, and its process.
Placed = tuple[int, str | None, int]


class Tables:
    """Frames and stacks in the order of their first use; ``roots`` are where user paths begin."""

    def __init__(self, roots: Sequence[str]) -> None:
        self._roots = roots
        self._frames: dict[Encoded, int] = {}
        self._functions: list[str] = []
        self._stacks: dict[Encoded, int] = {}

    def frames(self) -> Iterator[Encoded]:
        """Yield the frames that the stacks name, in order."""
        return iter(self._frames)

    def stacks(self) -> Iterator[Encoded]:
        """Yield the stacks, each outermost frame first, in order."""
        return iter(self._stacks)

    def add(self, frames: Sequence[Frame]) -> int:
        """Return the index of a stack that is none of a heap's."""
        return self.stack([self.frame(frame) for frame in frames])

    def stack(self, frames: Sequence[int]) -> int:
        """Return the index of a stack of these frames, outermost first."""
        text = listed(Encoded(str(place)) for place in self._folded(frames))
        return self._stacks.setdefault(text, len(self._stacks))

    def frame(self, frame: Frame) -> int:
        """Return the index of ``frame``."""
        fields = {
            "function": frame.function,
            "filename": frame.filename or None,
            "path": path_of(frame, self._roots),
            "lineno": frame.lineno or None,
            "origin": ORIGINS.get(frame.origin, frame.origin).value,
        }
        return self._entry(fields, frame.function)

    def _entry(self, fields: Json, function: str) -> int:
        place = self._frames.setdefault(record(fields), len(self._frames))
        if place == len(self._functions):
            self._functions.append(function)
        return place

    def _folded(self, frames: Sequence[int]) -> Sequence[int]:
        if len(frames) <= DEEP:
            return frames
        folded: list[int] = []
        runs = groupby(zip(kept_frames(frames), frames, strict=True), itemgetter(0))
        for is_kept, run in runs:
            places = [place for _, place in run]
            is_short = len(places) < MIN_LEFT_OUT
            folded += places if is_kept or is_short else [self._left_out(places)]
        return folded

    def _left_out(self, places: Sequence[int]) -> int:
        """Return the index of the entry that stands for the frames ``places``."""
        names = dict.fromkeys(self._functions[place] for place in dict.fromkeys(places))
        title = left_out(len(places), tuple(names))
        fields = {
            "function": title,
            "filename": None,
            "path": None,
            "lineno": None,
            "origin": Origin.MEMDEEP.value,
            "left_out": len(places),
        }
        return self._entry(fields, title)


def kept_frames(frames: Sequence[int]) -> list[bool]:
    """Tell for each frame of a deep stack if it is kept: at an end, or not yet there often."""
    seen: dict[int, int] = {}
    kept = []
    for place, frame in enumerate(frames):
        seen[frame] = times = seen.get(frame, 0) + 1
        is_at_end = place < ENDS or place >= len(frames) - ENDS
        kept.append(is_at_end or times <= MAX_REPEATS)
    return kept


def left_out(number: int, functions: Sequence[str]) -> str:
    """Name what stands for ``number`` frames of ``functions``."""
    named = ", ".join(functions[:MAX_NAMES])
    others = len(functions) - MAX_NAMES
    return f"… {number:,} more frames of {named}" + (f" and {others:,} others" * (others > 0))


class TreeStacks:
    """The stacks of one heap in the tables."""

    def __init__(self, tables: Tables, tree: StackTree) -> None:
        self._tables = tables
        self._tree = tree
        self._numbers: dict[int, int] = {}  # the index of a frame by its number in the tree
        self._nodes: dict[int, Placed] = {}

    def of(self, node: int) -> Placed:
        """Return the index of the stack of ``node``, the thread that ran it, and its process."""
        known = self._nodes.get(node)
        if known is None:
            known = self._nodes[node] = self._placed(node)
        return known

    def _placed(self, node: int) -> Placed:
        frames = []
        thread, process = None, 0
        while node >= 0:
            number = self._tree.frame_ids[node]
            place = self._numbers.get(number)
            if place is None:
                frame = self._tree.frames[number]
                if frame.origin is Origin.THREAD:
                    process = frame.lineno
                    # That of another process has the process before it.
                    thread = frame.function.split(" ", 2)[-1] if process else frame.function
                    break
                place = self._numbers[number] = self._tables.frame(frame)
            frames.append(place)
            node = self._tree.parents[node]
        return self._tables.stack(frames[::-1]), thread, process
