"""Gives call sites of a replayed capture their nodes in the stack tree.

Stacks with native frames are added one by one. There may be millions of stacks of Python frames
alone: the replay walks through these, a thread at a time, by a table of each frame made here. The
result is that of `StackTreeBuilder.add`, which holds the rules on which frames are the program's
own; here they are written for a walk inwards from the outermost frame.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Mapping, Sequence
from enum import IntEnum
from functools import cache

from memdeep.frozen import frozen
from memdeep.heap.replay.columns import packed
from memdeep.heap.replay.trace import Trace
from memdeep.heap.stacks import (
    NO_STACK_FRAME,
    OWN_FRAME,
    Owner,
    StackTreeBuilder,
    is_launcher,
    is_wrapper,
    thread_frame,
)
from memdeep.model import MAIN_THREAD, Frame, Origin, RawFrame


class _Stage(IntEnum):
    """The progress through a stack, from its outermost frame inwards."""

    EMPTY = 0
    SCRIPT = 1  # one frame that launches nothing: `bin/memray`, say, or the program itself
    LAUNCHER = 2  # in the frames that start the program
    LAUNCHED = 3  # past them: they are not shown
    PROGRAM = 4  # there are none


# A stage, and a flag: the innermost code outside the standard library is memdeep's. Number 0 is the
# state of a stack without frames.
_STATES = [(stage, is_ours) for stage in _Stage for is_ours in (False, True)]
_NONE = -1


def site_nodes(
    trace: Trace,
    builder: StackTreeBuilder,
    hybrid: Mapping[int, Sequence[RawFrame]],
    names_of_threads: Collection[tuple[int, str]],
    owner: Owner | None = None,
) -> Sequence[int]:
    """Return the node of each site; that of the placeholder 0 is -1.

    ``hybrid`` gives sites stacks with native frames among the Python ones (innermost first).
    ``names_of_threads`` are those that threads have at checkpoints, with their identifiers.
    ``owner`` is the process whose threads they are, None for the program's own.
    """
    named = [
        # A process that a thread has forked still has the name of that one for its main thread.
        MAIN_THREAD
        if owner is not None and trace.threads[thread][0] == trace.header.main_thread
        else thread_name(trace, thread, names_of_threads)
        for thread in range(len(trace.threads))
    ]
    threads = [thread_frame(name, owner) for name in named]
    nodes = array("i", [_NONE]) * len(trace.sites.node)
    earlier = trace.totals.earlier_sites
    for place, site in enumerate(earlier):
        nodes[site] = builder.earlier(threads[trace.sites.thread[site]] if place else None)
    for site in sorted(hybrid.keys() - {*earlier}):
        python = [frame.raw for frame in trace.python_stack(trace.sites.node[site])]
        nodes[site] = builder.add(python, hybrid[site], threads[trace.sites.thread[site]])
    tree = builder.build()
    names = {frame: number for number, frame in enumerate(tree.frames)}

    def name(frame: Frame) -> int:
        return names.setdefault(frame, len(names))

    frames = [builder.python_frame(trace.frame(number).raw) for number in range(trace.frame_count)]
    shown = [_NONE if frame.origin is Origin.MEMDEEP else name(frame) for frame in frames]
    roots = list(map(name, threads))
    stand_ins = [_NONE if frame is None else name(frame) for frame in STAND_INS]
    found = trace.replayed.site_nodes(
        packed(tree.parents, "i"),
        packed(tree.frame_ids, "i"),
        len(tree.frames),
        len(names),
        packed(shown, "i"),
        packed(roots, "i"),
        b"".join(map(steps, frames)),
        packed(stand_ins, "i"),
        IS_TAIL,
        packed(nodes, "i"),
    )
    known = list(names)
    builder.extend(
        [known[number] for number in array("i", found["added_name"])],
        found["added_parent"],
        found["added_frame"],
    )
    return array("i", found["node"])


def thread_name(trace: Trace, thread: int, known: Collection[tuple[int, str]]) -> str:
    """Return the name that a thread of `Sites.thread` is shown by: no other thread has it.

    ``known`` are the names that threads have at checkpoints, with their identifiers.
    """
    identifier, _ = trace.threads[thread]
    name = trace.thread_name(thread)
    if name is None:
        is_main = identifier == trace.header.main_thread
        return MAIN_THREAD if is_main else f"thread {identifier:#x}"
    for other, shown in known:
        if other == identifier and (shown == name or shown.startswith(f"{name} (")):
            return shown
    is_taken = any(shown == name for _, shown in known)
    return f"{name} {identifier:#x}" if is_taken else name


def _stand_in(state: tuple[_Stage, bool]) -> Frame | None:
    """Return the frame that is shown in place of a stack in ``state``; None if it is shown."""
    stage, belongs_to_memdeep = state
    if stage is _Stage.EMPTY:
        return NO_STACK_FRAME
    return OWN_FRAME if belongs_to_memdeep else None


@frozen
class _Kind:
    """The properties of a frame that change the state of a stack; there are few kinds."""

    origin: Origin
    is_wrapper: bool
    is_launcher: bool

    @classmethod
    def of(cls, frame: Frame) -> _Kind:
        return cls(frame.origin, is_wrapper(frame), is_launcher(frame))


def steps(frame: Frame) -> bytes:
    """Return, for each state of a stack, the state after ``frame`` is added innermost."""
    return _steps(_Kind.of(frame))


@cache
def _steps(kind: _Kind) -> bytes:
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


# For each state: what is shown in place of such a stack, None if that is the stack itself; and
# whether only the frames are shown that led to such states, which are never left again.
STAND_INS = tuple(map(_stand_in, _STATES))
IS_TAIL = bytes(stage is _Stage.LAUNCHED for stage, _ in _STATES)
