"""`checkpoint` and `phase`, which a program calls. Outside `memdeep run` both do nothing.

This module imports next to nothing, so that a program may keep the calls in production.
"""

from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Any, TypeVar

    from memdeep.record.focus import Focus
    from memdeep.record.recorder import Recorder

    Function = TypeVar("Function", bound=Callable[..., Any])
    OpenSpan = Callable[[tuple[Any, ...], dict[str, Any]], AbstractContextManager[object]]

_recorder: "Recorder | Focus | None" = None
_lock = RLock()  # a signal handler may enter a phase while its thread is entering one

_GENERATOR = 0x20  # the CO_* flags of code objects, as in the `inspect` module
_COROUTINE = 0x80
_ASYNC_GENERATOR = 0x200


def checkpoint(label: str, note: "str | None" = None) -> None:
    """Mark this point of the program: the report shows what grew since the previous one.

    ``label`` names the point; ``X_START`` and ``X_END``, or ``X_BEFORE`` and ``X_AFTER``, together
    make a span named ``X``. ``note`` is any text to keep beside it. Never raises because of
    memdeep; does nothing unless the program runs under `memdeep run`.
    """
    if _recorder is not None:
        _recorder.checkpoint(label, note)


class phase:  # noqa: N801 - used like a function, as `contextlib.suppress` is
    """Named stretch of the program, as a context manager or as a decorator.

    May be nested, entered again while open, and used from any thread. As a decorator it takes
    functions, methods, coroutine functions and generators: a generator's phase is open from its
    first step to its last. Does nothing unless the program runs under `memdeep run`.
    """

    __slots__ = ("_label", "_open")

    def __init__(self, label: str) -> None:
        self._label = label

    def __enter__(self) -> "phase":
        if _recorder is not None:
            self._begin(_recorder)
        return self

    def __exit__(
        self,
        exception_type: "type[BaseException] | None",
        exception: "BaseException | None",
        traceback: "TracebackType | None",
    ) -> None:
        if _recorder is not None:
            self._end(_recorder, exception_type)

    def __call__(self, function: "Function") -> "Function":
        label = self._label

        def open_span(args: "Any", kwargs: "Any") -> phase:
            return phase(label)

        wrapped: Function = wrap(function, open_span, only_recording=True)
        return wrapped

    def _begin(self, recorder: "Recorder | Focus") -> None:
        span = recorder.begin(self._label)
        with _lock:
            if not hasattr(self, "_open"):
                self._open: dict[int, list[int]] = {}
            self._open.setdefault(recorder.thread_id(), []).append(span)

    def _end(
        self, recorder: "Recorder | Focus", exception_type: "type[BaseException] | None"
    ) -> None:
        with _lock:
            by_thread = self._open if hasattr(self, "_open") else {}
            spans = by_thread.get(recorder.thread_id())
            if not spans:  # a generator may be begun in one thread and ended in another
                spans = next((others for others in by_thread.values() if others), None)
            span = spans.pop() if spans else None
        if span is not None:
            recorder.end(self._label, span, exception_type)


def start(recorder: "Recorder | Focus | None") -> None:
    """Send the checkpoints of this process to ``recorder`` from now on; None stops it."""
    global _recorder
    _recorder = recorder


def is_recording() -> bool:
    """Tell if the checkpoints of this process are recorded."""
    return _recorder is not None


def problem(sentence: str) -> None:
    """Keep, for the report, a sentence on what is not recorded of this process."""
    if _recorder is not None:
        _recorder.problem(sentence)


def wrap(function: "Any", open_span: "OpenSpan", *, only_recording: bool = False) -> "Any":
    """Wrap ``function`` so that each call runs in a context; coroutines, generators etc. stay such.

    ``open_span`` makes the context manager of a call from its arguments. With ``only_recording`` no
    context is opened, and its cost is saved, while nothing records.
    """
    if isinstance(function, (staticmethod, classmethod)):
        inner = wrap(function.__func__, open_span, only_recording=only_recording)
        return type(function)(inner)
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    if flags & _COROUTINE:
        wrapper: Any = _around_coroutine(function, open_span)
    elif flags & _ASYNC_GENERATOR:
        wrapper = _around_async_generator(function, open_span)
    elif flags & _GENERATOR:
        wrapper = _around_generator(function, open_span)
    else:
        wrapper = _around_call(function, open_span, only_recording)
    # From Python 3.14 on, reading `__annotations__` evaluates them; `__annotate__` does not.
    annotations = "__annotate__" if hasattr(wrapper, "__annotate__") else "__annotations__"
    for attribute in ("__module__", "__name__", "__qualname__", "__doc__", annotations):
        if hasattr(function, attribute):
            setattr(wrapper, attribute, getattr(function, attribute))
    wrapper.__dict__.update(getattr(function, "__dict__", {}))
    wrapper.__wrapped__ = function
    return wrapper


def _around_call(function: "Any", open_span: "OpenSpan", only_recording: bool) -> "Any":
    def wrapper(*args: "Any", **kwargs: "Any") -> "Any":
        if only_recording and _recorder is None:
            return function(*args, **kwargs)
        with open_span(args, kwargs):
            return function(*args, **kwargs)

    return wrapper


def _around_coroutine(function: "Any", open_span: "OpenSpan") -> "Any":
    async def wrapper(*args: "Any", **kwargs: "Any") -> "Any":
        with open_span(args, kwargs):
            return await function(*args, **kwargs)

    return wrapper


def _around_generator(function: "Any", open_span: "OpenSpan") -> "Any":
    def wrapper(*args: "Any", **kwargs: "Any") -> "Generator[Any, Any, Any]":
        with open_span(args, kwargs):
            return (yield from function(*args, **kwargs))

    return wrapper


def _around_async_generator(function: "Any", open_span: "OpenSpan") -> "Any":
    async def wrapper(*args: "Any", **kwargs: "Any") -> "AsyncGenerator[Any, Any]":
        with open_span(args, kwargs):
            generator = function(*args, **kwargs)
            try:
                value = await generator.__anext__()
                while True:
                    try:
                        sent = yield value
                    except GeneratorExit:
                        await generator.aclose()
                        raise
                    except BaseException as error:
                        value = await generator.athrow(error)
                    else:
                        value = await generator.asend(sent)
            except StopAsyncIteration:
                return

    return wrapper
