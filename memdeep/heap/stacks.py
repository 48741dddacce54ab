"""Builds the stack tree: interns frames, and removes memdeep's own from the user's stacks."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import PurePath
from typing import NamedTuple

from memdeep.heap.origins import Origins
from memdeep.model import EARLIER_FRAME, Frame, Origin, RawFrame, StackTree
from memdeep.model.heap import NO_STACK

OWN_FRAME = Frame("recording by memdeep", "", 0, Origin.MEMDEEP)
# Libraries that run what somebody typed; a notebook's loop lies between them.
_LAUNCHERS = ("/memray/", "/ipykernel", "/IPython/", "/tornado/", "/traitlets/", "/zmq/")
_BETWEEN = "/integrations/futures.py"  # all of it stands between an executor and its user
NO_STACK_FRAME = Frame(NO_STACK, "", 0, Origin.NATIVE)


class Owner(NamedTuple):
    """The process of a capture: its index in the run, and the name that tells it from others."""

    process: int
    name: str


class StackTreeBuilder:
    """Collects stacks and hands out their nodes."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins
        self._frames: dict[Frame, int] = {}
        self._nodes: dict[int, int] = {}  # by parent and frame in one number: there may be millions
        # Many stacks have the same frames: each is made and numbered once.
        self._python: dict[RawFrame, Frame] = {}
        self._native: dict[RawFrame, Frame] = {}
        self._numbers: dict[int, int] = {}  # by `id`: of frames that are never dropped
        self._parents = array("i")
        self._frame_ids = array("i")
        self._asked = bytearray()  # shorter than the others, or empty, where nothing is known

    def add(
        self,
        python: Sequence[RawFrame],
        hybrid: Sequence[RawFrame] | None,
        thread: Frame | None = None,
    ) -> int:
        """Add a stack in memray's form, innermost frame first; return its node.

        ``hybrid`` is the same stack with native frames among the Python ones, where known;
        ``thread`` is the frame of the thread that ran it, where known.
        """
        frames = self._python_frames(python) if hybrid is None else self._mixed(python, hybrid)
        node = self._root(thread)
        numbers, nodes = self._numbers, self._nodes
        for frame in without_own(frames):
            number = numbers.get(id(frame))
            if number is None:
                number = numbers[id(frame)] = self._number(frame)
            known = nodes.get(node << 32 | number)  # as most are: a call for each takes longer
            node = self._child(node, number) if known is None else known
        return node

    def earlier(self, thread: Frame | None) -> int:
        """Return the node of what was there before memdeep was, and was freed by ``thread``."""
        return self._child(self._root(thread), self._number(EARLIER_FRAME))

    def build(self) -> StackTree:
        """Return the tree of everything added."""
        unknown = bytes(len(self._parents) - len(self._asked)) if self._asked else b""
        return StackTree(
            tuple(self._frames), self._parents, self._frame_ids, bytes(self._asked + unknown)
        )

    def ask(self, nodes: Iterable[int], asked: Iterable[int]) -> None:
        """Note the `Asked` by which the stacks of ``nodes`` allocated; a node of -1 is none."""
        known = self._asked
        known.extend(bytes(len(self._parents) - len(known)))
        for node, flags in zip(nodes, asked, strict=True):
            if node >= 0:
                known[node] |= flags

    def recordings(self) -> bytes:
        """Mark with 1 each node that stands for the recording by memdeep."""
        own = self._frames.get(OWN_FRAME)
        return bytes([frame_id == own for frame_id in self._frame_ids])

    def python_frame(self, raw: RawFrame) -> Frame:
        """Return a Python frame with its origin."""
        found = self._python.get(raw)
        if found is None:
            found = self._python[raw] = self._origins.frame(raw)
        return found

    def extend(self, frames: Iterable[Frame], parents: bytes, frame_ids: bytes) -> None:
        """Append frames and nodes that were added to a copy of the tree.

        ``parents`` and ``frame_ids`` are the new nodes' columns, of 32 bits.
        """
        for frame in frames:
            self._number(frame)
        self._parents.frombytes(parents)
        self._frame_ids.frombytes(frame_ids)

    def _root(self, thread: Frame | None) -> int:
        """Return the node above all stacks of ``thread``; -1 without one."""
        return -1 if thread is None else self._child(-1, self._number(thread))

    def _python_frames(self, python: Sequence[RawFrame]) -> list[Frame]:
        return [self.python_frame(raw) for raw in reversed(python)]

    def _mixed(self, python: Sequence[RawFrame], hybrid: Sequence[RawFrame]) -> list[Frame]:
        """Mark the frames of ``hybrid`` as Python's, which are in order, or as native."""
        frames = []
        remaining = list(python)
        for raw in reversed(hybrid):
            if remaining and raw == remaining[-1]:
                remaining.pop()
                frames.append(self.python_frame(raw))
            else:
                frames.append(self._native_frame(raw))
        return frames

    def _native_frame(self, raw: RawFrame) -> Frame:
        found = self._native.get(raw)
        if found is None:
            found = self._native[raw] = Frame(*raw, Origin.NATIVE)
        return found

    def _number(self, frame: Frame) -> int:
        """Return the number of ``frame`` among the tree's frames."""
        return self._frames.setdefault(frame, len(self._frames))

    def _child(self, parent: int, frame_id: int) -> int:
        """Return the node of frame number ``frame_id`` below ``parent``; -1 means outermost."""
        for node in range(len(self._nodes), len(self._parents)):  # taken over since the last look
            self._nodes[self._parents[node] << 32 | self._frame_ids[node]] = node
        key = parent << 32 | frame_id
        node = self._nodes.get(key, len(self._parents))
        if node == len(self._parents):
            self._nodes[key] = node
            self._parents.append(parent)
            self._frame_ids.append(frame_id)
        return node


def thread_frame(name: str, owner: Owner | None = None) -> Frame:
    """Return the outermost frame of all stacks of a thread; it has the index of its process."""
    if owner is None:
        return Frame(name, "", 0, Origin.THREAD)
    return Frame(f"{owner.name} {name}", "", owner.process, Origin.THREAD)


def without_own(frames: list[Frame]) -> list[Frame]:
    """Return ``frames`` (outermost first) without those that start and wrap the program."""
    memdeep = Origin.MEMDEEP
    frames = [frame for frame in frames if frame.origin is not memdeep or not is_wrapper(frame)]
    innermost = next((frame for frame in reversed(frames) if _tells_whose(frame)), None)
    if innermost is None and all(map(_is_native, frames)):
        return frames or [NO_STACK_FRAME]
    if innermost is not None and innermost.origin is memdeep:
        return [OWN_FRAME]
    first = _end_of_launcher(frames)
    return [frame for frame in frames[first:] if frame.origin is not memdeep]


def is_wrapper(frame: Frame) -> bool:
    """Tell whether ``frame`` is the wrapper between a caller and a function that is a phase."""
    return frame.origin is Origin.MEMDEEP and (
        frame.function == "wrapper" or frame.filename.endswith(_BETWEEN)
    )


def _tells_whose(frame: Frame) -> bool:
    """Tell whether a stack with ``frame`` as its innermost of such is memdeep's, if that one is."""
    return frame.origin is not Origin.NATIVE and frame.origin is not Origin.STDLIB


def _end_of_launcher(frames: list[Frame]) -> int:
    """Count the outermost frames that only start the program: memdeep's, memray's, runpy's.

    The first frame of code may be a script such as `bin/memray`.
    """
    end = 0
    is_first = True
    for position, frame in enumerate(frames):
        if _is_native(frame):
            continue
        if is_launcher(frame):
            end = position + 1
        elif end or not is_first:
            break
        is_first = False
    if not end or end == len(frames):
        return 0  # no launcher, or nothing else: then what it allocated itself is shown as it is
    # Between the launcher and the program lie only the interpreter's own frames.
    program = (place for place in range(end, len(frames)) if not _is_native(frames[place]))
    return next(program, end)


def _is_native(frame: Frame) -> bool:
    return frame.origin is Origin.NATIVE


def is_launcher(frame: Frame) -> bool:
    """Tell whether ``frame`` may belong to the code that starts the program."""
    if frame.origin is Origin.MEMDEEP:
        return True
    if frame.origin is Origin.STDLIB:
        return _is_launcher_of_stdlib(frame.filename)
    return frame.origin is Origin.LIBRARY and any(part in frame.filename for part in _LAUNCHERS)


@cache
def _is_launcher_of_stdlib(filename: str) -> bool:
    path = PurePath(filename.strip("<>").replace("frozen ", ""))
    return path.stem == "runpy" or path.parent.name == "asyncio"
