"""Encodes the culprits of `report.json`: hundreds of thousands, of few lines and few stacks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from memdeep.model import Culprit, Frame, Origin, Report
from memdeep.report.json_records import Encoded, encoded, listed

MAX_STACKS = 5000  # that are kept, in case they come again: of deep stacks each may be long


class CulpritTexts:
    """The culprits of one report as JSON."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._tree = report.heap.tree
        self._lines: dict[Frame, str] = {}
        self._frames: dict[int, Encoded | None] = {}  # None for a thread
        self._stack = lru_cache(MAX_STACKS)(self._encoded_stack)

    def all(self, culprits: Sequence[Culprit]) -> Encoded:
        """``culprits`` as a list."""
        return listed(map(self.one, culprits))

    def one(self, culprit: Culprit) -> Encoded:
        """``culprit`` as an object; its stack is outermost first, without the thread."""
        return Encoded(
            f'{{{self._line(culprit.frame)},"bytes":{culprit.bytes},'
            f'"allocations":{culprit.allocations},"share":{encoded(culprit.share)},'
            f'"stack":{self._stack(culprit.node)}}}'
        )

    def _line(self, frame: Frame) -> str:
        """The fields that are the same for all culprits of a line."""
        known = self._lines.get(frame)
        if known is None:
            line = {
                "filename": frame.filename,
                "lineno": frame.lineno,
                "function": frame.function,
                "source": self._report.source(frame),
            }
            known = self._lines[frame] = encoded(line)[1:-1]
        return known

    def _encoded_stack(self, node: int) -> Encoded:
        frames = []
        while node >= 0:
            number = self._tree.frame_ids[node]
            if number not in self._frames:
                self._frames[number] = self._encoded_frame(number)
            frame = self._frames[number]
            if frame is not None:
                frames.append(frame)
            node = self._tree.parents[node]
        return listed(reversed(frames))

    def _encoded_frame(self, number: int) -> Encoded | None:
        frame = self._tree.frames[number]
        if frame.origin is Origin.THREAD:
            return None
        return encoded(
            {
                "function": frame.function,
                "filename": frame.filename,
                "lineno": frame.lineno,
                "native": frame.origin is Origin.NATIVE,
            }
        )
