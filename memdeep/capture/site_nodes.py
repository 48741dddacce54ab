"""Gives call sites of a replayed capture their nodes in the stack tree.

Stacks of Python frames alone are taken over node by node, a thread at a time, so that what two of
them share is looked at once; there may be millions, so what is known of a node is kept in arrays.
The result is that of `StackTreeBuilder.add`, which says what of a stack is the program's own; the
rules are the same, written for a walk outwards from the program's start.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from itertools import islice

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


class _Stage(IntEnum):
    """How far a stack has come, seen from its outermost frame."""

    EMPTY = 0
    SCRIPT = 1  # one frame that launches nothing: `bin/memray`, say, or the program itself
    LAUNCHER = 2  # in the frames that start the program
    LAUNCHED = 3  # past them: they are not shown
    PROGRAM = 4  # there are none


# A stage, and whether the innermost code outside the library is memdeep's; one byte each.
_STATES = [(stage, is_ours) for stage in _Stage for is_ours in (False, True)]
_LAUNCHED = {place for place, (stage, _) in enumerate(_STATES) if stage is _Stage.LAUNCHED}
_UNSEEN = -1


def site_nodes(
    trace: Trace, builder: StackTreeBuilder, hybrid: Mapping[int, Sequence[RawFrame]]
) -> Sequence[int]:
    """The node of each site; that of site 0, which is none, is -1.

    ``hybrid`` gives sites stacks with native frames among the Python ones (innermost first).
    """
    names = [_thread_name(trace, thread) for thread in range(len(trace.threads))]
    nodes = array("i", [-1]) * len(trace.sites.node)
    by_thread: dict[int, array[int]] = {}
    for site, thread in enumerate(trace.sites.thread):
        if site in hybrid:
            python = [frame.raw for frame in trace.python_stack(trace.sites.node[site])]
            nodes[site] = builder.add(python, hybrid[site], names[thread])
        elif site:
            by_thread.setdefault(thread, array("I")).append(site)
    paths = _Paths(trace, builder)
    for thread, sites in by_thread.items():
        paths.name(builder.root(names[thread]), sites, nodes)
    return nodes


def _thread_name(trace: Trace, thread: int) -> str:
    identifier, _ = trace.threads[thread]
    name = trace.thread_name(thread)
    if name is None and identifier == trace.header.main_thread:
        return "MainThread"
    return name or f"thread {identifier:#x}"


class _Paths:
    """The way from the nodes of the capture, which may be millions, to those of the tree."""

    def __init__(self, trace: Trace, builder: StackTreeBuilder) -> None:
        self._trace = trace
        self._builder = builder
        self._frames = [
            builder.python_frame(trace.frame(number).raw) for number in range(trace.frame_count)
        ]
        self._numbers = [_UNSEEN] * len(self._frames)
        self._states = self._all_states()
        # By node of the capture: its node in the tree, for the thread named last.
        self._shown = array("i", [_UNSEEN]) * len(self._states)

    def name(self, root: int, sites: Iterable[int], nodes: array[int]) -> None:
        """Give ``nodes`` those of the ``sites`` of a thread, whose stacks hang below ``root``."""
        states, shown, of_site = self._states, self._shown, self._trace.sites.node
        no_stack = own = _UNSEEN
        seen: list[int] = []
        for site in sites:
            node = of_site[site]
            stage, belongs_to_memdeep = _STATES[states[node]]
            if stage is _Stage.EMPTY:
                if no_stack == _UNSEEN:
                    no_stack = self._builder.child(root, self._builder.number(NO_STACK_FRAME))
                nodes[site] = no_stack
            elif belongs_to_memdeep:
                if own == _UNSEEN:
                    own = self._builder.child(root, self._builder.number(OWN_FRAME))
                nodes[site] = own
            else:
                if shown[node] == _UNSEEN:
                    self._show(node, root, seen)
                nodes[site] = shown[node]
        for node in seen:
            shown[node] = _UNSEEN

    def _show(self, node: int, root: int, seen: list[int]) -> None:
        """Find the tree's nodes for ``node`` and for what of its path is shown and not seen."""
        states, shown, parents = self._states, self._shown, self._trace.node_parents
        is_launched = states[node] in _LAUNCHED
        path = []
        at = root
        while node and (not is_launched or states[node] in _LAUNCHED):
            if shown[node] != _UNSEEN:
                at = shown[node]
                break
            path.append(node)
            node = parents[node]
        for inner in reversed(path):
            frame = self._trace.node_frames[inner]
            if self._frames[frame].origin is not Origin.MEMDEEP:
                number = self._numbers[frame]
                if number == _UNSEEN:
                    number = self._numbers[frame] = self._builder.number(self._frames[frame])
                at = self._builder.child(at, number)
            shown[inner] = at
        seen.extend(path)

    def _all_states(self) -> bytearray:
        """The state of each node of the capture, in which a caller has the smaller number."""
        steps = [_steps(_Kind.of(frame)) for frame in self._frames]
        states = bytearray([_STATES.index((_Stage.EMPTY, False))])
        columns = zip(self._trace.node_parents, self._trace.node_frames, strict=True)
        for parent, frame in islice(columns, 1, None):
            states.append(steps[frame][states[parent]])
        return states


@dataclass(frozen=True, slots=True)
class _Kind:
    """What of a frame the state of a stack depends on; there are few."""

    origin: Origin
    is_wrapper: bool
    is_launcher: bool

    @classmethod
    def of(cls, frame: Frame) -> _Kind:
        return cls(frame.origin, is_wrapper(frame), is_launcher(frame))


@cache
def _steps(kind: _Kind) -> bytes:
    """For each state of a stack, the one after that with such a frame innermost."""
    return bytes(_STATES.index(_after(state, kind)) for state in _STATES)


def _after(state: tuple[_Stage, bool], kind: _Kind) -> tuple[_Stage, bool]:
    stage, belongs_to_memdeep = state
    if kind.is_wrapper:
        return state
    if kind.origin is not Origin.STDLIB:
        belongs_to_memdeep = kind.origin is Origin.MEMDEEP
    if stage in (_Stage.EMPTY, _Stage.SCRIPT, _Stage.LAUNCHER):
        if kind.is_launcher:
            stage = _Stage.LAUNCHER
        elif stage is _Stage.EMPTY:
            stage = _Stage.SCRIPT
        elif stage is _Stage.SCRIPT:
            stage = _Stage.PROGRAM
        else:
            stage = _Stage.LAUNCHED
    return stage, belongs_to_memdeep
