"""Merges the native frames of a stack with the Python ones it ran.

A pure function. One call of the interpreter's evaluation loop is one native frame; the Python
frames that it evaluated take its place. Since Python 3.11 a call may evaluate several: the first is
the *entry frame*, the others were entered without leaving the loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from memdeep.model import RawFrame

EVAL_LOOP = "_PyEval_EvalFrameDefault"  # anywhere in the name: compilers write `.cold`, `.lto_priv`
TAIL_CALL = "_TAIL_CALL_"  # what the functions of 3.14's tail-calling interpreter begin with


@lru_cache(maxsize=1024)  # a deep stack has it once a frame
def is_eval_loop(function: str) -> bool:
    """Tell if the native ``function`` is the interpreter's evaluation loop."""
    return EVAL_LOOP in function or function.startswith(TAIL_CALL)


def merge(
    python: Sequence[RawFrame],
    entries: Sequence[bool],
    native: Sequence[RawFrame],
) -> list[RawFrame]:
    """Merge two stacks into one; all are innermost first.

    ``entries`` is True for each Python frame that is an entry frame.

    Loops and entry frames are paired from the outermost on: the innermost loop may have allocated
    before its frame was recorded, and then has none. If loops are missing (an interpreter without
    symbols), the pairs are unknown, and only the Python frames are returned.
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
