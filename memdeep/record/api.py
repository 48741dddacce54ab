"""`checkpoint` and `phase`: what a program calls. Outside `memdeep run` both do nothing.

This module imports nothing, so that a program may keep the calls in production.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from types import TracebackType
    from typing import Any, TypeVar

    from memdeep.record.recorder import Recorder

    Function = TypeVar("Function", bound=Callable[..., Any])

_recorder: "Recorder | None" = None

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
    """A named stretch of the program, as a context manager or as a decorator.

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
            self._end(_recorder)

    def __call__(self, function: "Function") -> "Function":
        wrapped: Function = _wrapped(self._label, function)
        return wrapped

    def _begin(self, recorder: "Recorder") -> None:
        if not hasattr(self, "_open"):
            self._open: dict[int, list[int]] = {}
        self._open.setdefault(recorder.thread_id(), []).append(recorder.begin(self._label))

    def _end(self, recorder: "Recorder") -> None:
        spans = self._open.get(recorder.thread_id()) if hasattr(self, "_open") else None
        if spans:
            recorder.end(self._label, spans.pop())


def start(recorder: "Recorder | None") -> None:
    """Send the checkpoints of this process to ``recorder`` from now on; None stops it."""
    global _recorder
    _recorder = recorder


def _wrapped(label: str, function: "Any") -> "Any":
    """``function`` with its calls inside a phase, of the same kind (coroutine, generator, ...)."""
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(_wrapped(label, function.__func__))
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    if flags & _COROUTINE:
        wrapper: Any = _around_coroutine(label, function)
    elif flags & _ASYNC_GENERATOR:
        wrapper = _around_async_generator(label, function)
    elif flags & _GENERATOR:
        wrapper = _around_generator(label, function)
    else:
        wrapper = _around_call(label, function)
    for attribute in ("__module__", "__name__", "__qualname__", "__doc__", "__annotations__"):
        if hasattr(function, attribute):
            setattr(wrapper, attribute, getattr(function, attribute))
    wrapper.__dict__.update(getattr(function, "__dict__", {}))
    wrapper.__wrapped__ = function
    return wrapper


def _around_call(label: str, function: "Any") -> "Any":
    def wrapper(*args: "Any", **kwargs: "Any") -> "Any":
        with phase(label):
            return function(*args, **kwargs)

    return wrapper


def _around_coroutine(label: str, function: "Any") -> "Any":
    async def wrapper(*args: "Any", **kwargs: "Any") -> "Any":
        with phase(label):
            return await function(*args, **kwargs)

    return wrapper


def _around_generator(label: str, function: "Any") -> "Any":
    def wrapper(*args: "Any", **kwargs: "Any") -> "Generator[Any, Any, Any]":
        with phase(label):
            return (yield from function(*args, **kwargs))

    return wrapper


def _around_async_generator(label: str, function: "Any") -> "Any":
    async def wrapper(*args: "Any", **kwargs: "Any") -> "AsyncGenerator[Any, Any]":
        with phase(label):
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
