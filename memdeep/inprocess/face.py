"""`memdeep.recording`: what a program calls to record itself for a while."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from threading import RLock
from types import FrameType, TracebackType
from typing import Any, TypeVar

from memdeep.frozen import replace
from memdeep.inprocess.recording import DEFAULTS, Options, Recording
from memdeep.inprocess.run import Run
from memdeep.record import api
from memdeep.record.how import ALL, MEMRAY

Function = TypeVar("Function", bound=Callable[..., Any])

_beginning = RLock()  # of two threads, one begins a recording
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class recording:  # noqa: N801 - used like a function, as `memdeep.phase` is
    """Recording of this process, as a context manager or as a decorator.

    ``dir`` is the run directory, memdeep-runs/NAME-DATE-TIME unless it is given; it must be empty,
    or ``force`` be set. ``name`` is the title, by default that of the calling file or of the
    function. ``native``, ``deep``, ``backend`` and ``children`` are as in `memdeep run`. Within
    another recording, also that of `memdeep run`, it is a phase of it.

    As a decorator it records each call; ``recording.run`` of the function is the last one.
    """

    def __init__(
        self,
        dir: str | os.PathLike[str] | None = None,  # noqa: A002 - what it is to the caller
        *,
        name: str | None = None,
        native: bool = True,
        deep: bool = False,
        backend: str = MEMRAY,
        children: str = ALL,
        force: bool = False,
    ) -> None:
        self._options = Options(
            DEFAULTS.but(
                native=native, trace_python_allocators=deep, backend=backend, children=children
            ),
            None if dir is None else Path(dir),
            name or "",
            force,
        )
        self._open: list[Recording | api.phase] = []
        self.run: Run | None = None

    def __enter__(self) -> Run:
        caller = caller_of_memdeep()
        options = self._options
        name = options.name or _name(caller)
        with _beginning:
            if not api.is_recording():
                begun = Recording(replace(options, name=name), caller)
                self._open.append(begun)
                self.run = begun.run
                return begun.run
        phase = api.phase(name)
        phase.__enter__()
        self._open.append(phase)
        self.run = Run(name, None)
        return self.run

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        opened = self._open.pop()
        if isinstance(opened, Recording):
            opened.stop(error)
        else:
            opened.__exit__(kind, error, traceback)

    def __call__(self, function: Function) -> Function:
        options = self._options
        name = getattr(function, "__qualname__", None) or type(function).__name__
        named = replace(options, name=options.name or name.rpartition("<locals>.")[2])
        numbers = count(1)

        def open_span(args: Any, kwargs: Any) -> _Call:
            number = next(numbers)
            path = options.path
            if path is not None and number > 1:  # each call has a directory of its own
                path = path.with_name(f"{path.name}-{number}")
            return _Call(self, replace(named, path=path))

        wrapped: Function = api.wrap(function, open_span)
        wrapped.recording = self  # type: ignore[attr-defined]
        return wrapped


class _Call(recording):
    """Recording of one call of a function, which ``whole`` decorates."""

    def __init__(self, whole: recording, options: Options) -> None:
        self._whole = whole
        self._options = options
        self._open = []
        self.run = None

    def __enter__(self) -> Run:
        self._whole.run = super().__enter__()
        return self._whole.run


def caller_of_memdeep() -> FrameType | None:
    """Return the frame of the program that has called memdeep."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_PACKAGE) and file != contextlib.__file__:
            return frame
        frame = frame.f_back
    return None


def _name(caller: FrameType | None) -> str:
    """Return the name of the file of ``caller``."""
    file = "" if caller is None else os.path.basename(caller.f_code.co_filename)
    return os.path.splitext(file)[0].strip("<>") or "recording"
