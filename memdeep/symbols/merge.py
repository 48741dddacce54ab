"""Merges the native frames of a stack with the Python ones it ran.

A pure function. One call of the interpreter's evaluation loop is a native frame; Python's own
frames take its place. Since Python 3.11 one call evaluates a whole row of them: those after the
first, the *entry frame*, were entered without leaving the loop.
"""

from __future__ import annotations

from collections.abc import Sequence

from memdeep.model import RawFrame

EVAL_LOOP = "_PyEval_EvalFrameDefault"  # anywhere in the name: compilers write `.cold`, `.lto_priv`
TAIL_CALL = "_TAIL_CALL_"  # what the functions of 3.14's tail-calling interpreter begin with


def is_eval_loop(function: str) -> bool:
    """Whether the native ``function`` is the interpreter's loop."""
    return EVAL_LOOP in function or function.startswith(TAIL_CALL)


def merge(
    python: Sequence[RawFrame],
    entries: Sequence[bool],
    native: Sequence[RawFrame],
) -> list[RawFrame]:
    """One stack of both, innermost first like the two that are given.

    ``entries`` says of each Python frame whether C code entered the loop anew for it.

    Loops and entry frames are paired from the outermost on: the innermost loop may have allocated
    before it told anybody of its frame, and then has none. If loops are missing (an interpreter
    without symbols), nobody knows which frames belong together, and only Python's are given.
    """
    outermost_first: list[RawFrame] = []
    left = len(python)  # Python frames that are still to come
    for frame in reversed(native):
        if not left or not is_eval_loop(frame[0]):
            outermost_first.append(frame)
            continue
        while True:
            left -= 1
            outermost_first.append(python[left])
            if not left or entries[left - 1]:
                break
    if left:
        return list(python)
    outermost_first.reverse()
    return outermost_first
