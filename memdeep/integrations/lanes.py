"""Charges each coroutine of an event loop with its own memory, though all run in one thread."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from itertools import count
from typing import Any


class OnLane(Awaitable[Any]):
    """A coroutine in whose steps the thread bears the name of a lane that nobody else is on.

    It is ``name`` and a number.

    Lanes are taken again: there are as many as coroutines were open at one time.
    """

    _next = count(1)
    _free: list[int] = []

    def __init__(self, coroutine: Coroutine[Any, Any, Any], name: str) -> None:
        self._coroutine = coroutine
        self._name = name

    def __await__(self) -> Generator[Any, Any, Any]:
        lane = heappop(self._free) if self._free else next(self._next)
        step: Callable[[Any], Any] = self._coroutine.send
        sent = None
        try:
            while True:
                try:
                    with _named(f"{self._name}-{lane}"):
                        awaited = step(sent)
                except StopIteration as end:
                    return end.value
                try:
                    sent = yield awaited
                    step = self._coroutine.send
                except BaseException as error:
                    sent, step = error, self._coroutine.throw
        finally:
            heappush(self._free, lane)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Let this thread bear a name, which memray writes into its trace.

    By its attribute: the operating system is not told.
    """
    thread: Any = threading.current_thread()
    before = thread._name
    thread._name = name
    try:
        yield
    finally:
        thread._name = before
