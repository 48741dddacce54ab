"""Gives call sites of a replayed capture their nodes in the stack tree.

Stacks of Python frames alone are taken over node by node, so that what two of them share is looked
at once. The result is that of `StackTreeBuilder.add`, which says what of a stack is the program's
own; the rules are the same, written for a walk outwards from the program's start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from memdeep.capture.stacks import (
    NO_STACK_FRAME,
    OWN_FRAME,
    RawFrame,
    StackTreeBuilder,
    is_launcher,
    is_wrapper,
)
from memdeep.capture.trace import Trace
from memdeep.model import Frame, Origin


class _Stage(Enum):
    """How far a stack has come, seen from its outermost frame."""

    EMPTY = 0
    SCRIPT = 1  # one frame that launches nothing: `bin/memray`, say, or the program itself
    LAUNCHER = 2  # in the frames that start the program
    LAUNCHED = 3  # past them: they are not shown
    PROGRAM = 4  # there are none


def site_nodes(
    trace: Trace, builder: StackTreeBuilder, hybrid: Mapping[int, Sequence[RawFrame]]
) -> list[int]:
    """The node of each site; that of site 0, which is none, is -1.

    ``hybrid`` gives sites stacks with native frames among the Python ones (innermost first).
    """
    frames = _Frames(trace, builder)
    names = [_thread_name(trace, thread) for thread in range(len(trace.threads))]
    by_thread: dict[int, _Paths] = {}
    nodes = [-1]
    columns = zip(trace.sites.node, trace.sites.thread, strict=True)
    for site, (node, thread) in enumerate(columns):
        if not site:
            continue
        stack = hybrid.get(site)
        if stack is not None:
            python = [frame.raw for frame in trace.python_stack(node)]
            nodes.append(builder.add(python, stack, names[thread]))
            continue
        paths = by_thread.get(thread)
        if paths is None:
            paths = by_thread[thread] = _Paths(trace, builder, builder.root(names[thread]), frames)
        nodes.append(paths.tree_node(node))
    return nodes


def _thread_name(trace: Trace, thread: int) -> str:
    identifier, _ = trace.threads[thread]
    name = trace.thread_name(thread)
    if name is None and identifier == trace.header.main_thread:
        return "MainThread"
    return name or f"thread {identifier:#x}"


class _Frames:
    """The capture's frames as the tree's."""

    def __init__(self, trace: Trace, builder: StackTreeBuilder) -> None:
        self._trace = trace
        self._builder = builder
        self._known: dict[int, Frame] = {}
        self._numbers: dict[int, int] = {}

    def __getitem__(self, number: int) -> Frame:
        known = self._known.get(number)
        if known is None:
            raw = self._trace.frame(number).raw
            known = self._known[number] = self._builder.python_frame(raw)
        return known

    def in_tree(self, number: int) -> int:
        """The number in the tree of a frame of the capture; -1 if it is not shown."""
        found = self._numbers.get(number)
        if found is None:
            frame = self[number]
            is_shown = frame.origin is not Origin.MEMDEEP
            found = self._numbers[number] = self._builder.number(frame) if is_shown else -1
        return found


class _Paths:
    """The stacks of one thread: from the nodes of the capture to those of the tree."""

    def __init__(self, trace: Trace, builder: StackTreeBuilder, root: int, frames: _Frames) -> None:
        self._builder = builder
        self._root = root
        self._parents = trace.node_parents
        self._node_frames = trace.node_frames
        self._frames = frames
        # By node: its stage, and whether its innermost code outside the library is memdeep's.
        self._states: dict[int, tuple[_Stage, bool]] = {0: (_Stage.EMPTY, False)}
        self._whole: dict[int, int] = {}  # the tree's node with all frames, and without launcher
        self._launched: dict[int, int] = {}

    def tree_node(self, node: int) -> int:
        """The node in the tree of a node of the capture."""
        stage, belongs_to_memdeep = self._state(node)
        if stage is _Stage.EMPTY:
            return self._builder.child(self._root, self._builder.number(NO_STACK_FRAME))
        if belongs_to_memdeep:
            return self._builder.child(self._root, self._builder.number(OWN_FRAME))
        return self._show(node, launched=stage is _Stage.LAUNCHED)

    def _state(self, node: int) -> tuple[_Stage, bool]:
        unseen = []
        while node not in self._states:
            unseen.append(node)
            node = self._parents[node]
        state = self._states[node]
        for inner in reversed(unseen):
            frame = self._frames[self._node_frames[inner]]
            state = self._states[inner] = _after(state, frame)
        return state

    def _show(self, node: int, *, launched: bool) -> int:
        """The tree's node for the frames of ``node`` that are not hidden."""
        known = self._launched if launched else self._whole
        path = []
        while node and node not in known:
            if launched and self._states[node][0] is not _Stage.LAUNCHED:
                break
            path.append(node)
            node = self._parents[node]
        shown = known.get(node, self._root)
        for inner in reversed(path):
            number = self._frames.in_tree(self._node_frames[inner])
            if number >= 0:
                shown = self._builder.child(shown, number)
            known[inner] = shown
        return shown


def _after(state: tuple[_Stage, bool], frame: Frame) -> tuple[_Stage, bool]:
    """The state of a stack with ``frame`` innermost, after that of the stack without it."""
    stage, belongs_to_memdeep = state
    if is_wrapper(frame):
        return state
    if frame.origin is not Origin.STDLIB:
        belongs_to_memdeep = frame.origin is Origin.MEMDEEP
    if stage in (_Stage.EMPTY, _Stage.SCRIPT, _Stage.LAUNCHER):
        if is_launcher(frame):
            stage = _Stage.LAUNCHER
        elif stage is _Stage.EMPTY:
            stage = _Stage.SCRIPT
        elif stage is _Stage.SCRIPT:
            stage = _Stage.PROGRAM
        else:
            stage = _Stage.LAUNCHED
    return stage, belongs_to_memdeep
