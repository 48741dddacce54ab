"""The line that each stack of a capture is charged to, found as the capture grows.

The rules are those of a report: `heap.replay.nodes` says which frames of a stack are shown, and
`analysis.culprits` which of these is charged. Each node of the replay is looked at once.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from memdeep.analysis.culprits import CHARGE_ORDER
from memdeep.heap.origins import Origins
from memdeep.heap.replay.nodes import IS_TAIL, STAND_INS, steps
from memdeep.heap.stacks import NO_STACK_FRAME
from memdeep.model import Frame, Origin, RawFrame

_RANKS = {origin: rank for rank, origin in enumerate(CHARGE_ORDER)}
_NO_FRAME = -1


class ChargedNodes:
    """The line of each node of the replay's tree: `lines`, a number in `frames`.

    ``frames`` has for each line the frame by which it was first met. Native frames are not named
    while a program runs: what was allocated without a Python stack is one line.
    """

    def __init__(self, origins: Origins) -> None:
        self._origins = origins
        self.frames: list[Frame] = []
        self._numbers: dict[tuple[str, int, bool], int] = {}
        self._frames: list[Frame] = []  # of the replay
        self._ranks: list[int] = []
        self._steps: list[bytes] = []
        self._of_frames = array("i")  # the line of each
        self._states = bytearray()
        self._charged = array("i")  # the frame that is charged, of each node
        self._stand_ins = [None if one is None else self._line(one) for one in STAND_INS]
        self._no_stack = self._line(NO_STACK_FRAME)
        self.lines = array("I")

    @property
    def nodes(self) -> int:
        """The number of nodes that are known."""
        return len(self.lines)

    @property
    def known_frames(self) -> int:
        """The number of the replay's frames that are known."""
        return len(self._frames)

    def add_frames(self, raw: Iterable[RawFrame]) -> None:
        """Add the next frames of the replay; number 0 is that of no frame."""
        for one in raw:
            frame = self._origins.frame(one)
            self._frames.append(frame)
            self._ranks.append(_RANKS[frame.origin])
            self._steps.append(steps(frame))
            self._of_frames.append(self._line(frame))

    def add_nodes(self, parents: Sequence[int], frames: Sequence[int]) -> None:
        """Add the next nodes of the replay; number 0 is that of no stack, a caller comes first."""
        for parent, number in zip(parents, frames, strict=True):
            if not self._states:
                self._states.append(0)
                self._charged.append(_NO_FRAME)
            else:
                state = self._steps[number][self._states[parent]]
                best = self._charged[parent]
                if IS_TAIL[state] and not IS_TAIL[self._states[parent]]:
                    best = _NO_FRAME  # what is outside of it is not shown
                is_shown = self._frames[number].origin is not Origin.MEMDEEP
                if is_shown and (best == _NO_FRAME or self._ranks[number] <= self._ranks[best]):
                    best = number
                self._states.append(state)
                self._charged.append(best)
            self.lines.append(self._charged_line())

    def _charged_line(self) -> int:
        """Return the line of the last node."""
        stand_in, best = self._stand_ins[self._states[-1]], self._charged[-1]
        if stand_in is not None:
            return stand_in
        return self._no_stack if best == _NO_FRAME else self._of_frames[best]

    def _line(self, frame: Frame) -> int:
        """Return the number of the line that ``frame`` is on."""
        key = frame.filename, frame.lineno, frame.origin is Origin.MEMDEEP
        number = self._numbers.setdefault(key, len(self._numbers))
        if number == len(self.frames):
            self.frames.append(frame)
        return number
