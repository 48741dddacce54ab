"""Names the frames of ours that stand between the program's code and what it calls.

Such a frame is neither the program's nor the recording's: what is allocated beneath it belongs to
the line that called, and a traceback should not show it. Their file names say so.
"""

from __future__ import annotations

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


def between(function: Function, filename: str = FILENAME) -> Function:
    """``function``, which calls for the program; its frames are in ``filename`` from now on."""
    target: Any = function
    target.__code__ = target.__code__.replace(co_filename=filename)
    return function


def unlink_between(error: BaseException) -> None:
    """Take such frames out of the tracebacks of ``error`` and of all the errors it comes from."""
    todo: list[BaseException | None] = [error]
    seen = set()
    while todo:
        current = todo.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        todo += [current.__cause__, current.__context__]
        kept: list[TracebackType] = []
        traceback = current.__traceback__
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename != FILENAME:
                kept.append(traceback)
            traceback = traceback.tb_next
        for outer, inner in zip(kept, [*kept[1:], None], strict=False):
            outer.tb_next = inner
        current.__traceback__ = kept[0] if kept else None
