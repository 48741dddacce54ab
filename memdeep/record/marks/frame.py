"""File names for our frames that stand between the program's code and the functions it calls.

Allocations beneath such a frame belong to the line of the program that called, and a traceback
should not show it. The file name tells these frames from the program's and the recording's.
"""

from __future__ import annotations

import builtins
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])

# The report takes frames of this file out of the stacks; there is no source to show for them.
FILENAME = "<frozen memdeep>"
# CPython takes frames of this file out of tracebacks wherever it takes out those of an import
# (remove_importlib_frames in Python/import.c).
IMPORT_FILENAME = "<frozen importlib._bootstrap_external>"
_RECORDING = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_GROUP: Any = getattr(builtins, "BaseExceptionGroup", ())  # from Python 3.11 on


def between(function: Function, filename: str = FILENAME) -> Function:
    """Put the frames of ``function``, which calls for the program, into ``filename``."""
    target: Any = function
    target.__code__ = target.__code__.replace(co_filename=filename)
    return function


def is_own(filename: str) -> bool:
    """Tell if ``filename`` is that of frames of ours."""
    return filename == FILENAME or filename.startswith(_RECORDING)


def unlink_own(error: BaseException) -> None:
    """Take the frames of recording out of the tracebacks of ``error`` and all that led to it.

    They may be anywhere: around the program, between its functions (a decorator's), and last, where
    Ctrl-C came in the midst of a checkpoint.
    """
    todo: list[BaseException | None] = [error]
    seen = set()
    while todo:
        current = todo.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        todo += [current.__cause__, current.__context__]
        if isinstance(current, _GROUP):
            todo += current.exceptions
        kept: list[TracebackType] = []
        traceback = current.__traceback__
        while traceback is not None:
            if not is_own(traceback.tb_frame.f_code.co_filename):
                kept.append(traceback)
            traceback = traceback.tb_next
        for outer, inner in zip(kept, [*kept[1:], None], strict=False):
            outer.tb_next = inner
        current.__traceback__ = kept[0] if kept else None
