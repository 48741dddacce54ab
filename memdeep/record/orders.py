"""Orders of the parent, to stop tracing or to make a checkpoint, awaited without cost to the run.

An order is one line of text: the reason as a sentence, `CHECKPOINT` and a label, or `ENDED`. It
comes through a pipe that the program has inherited. The processes that it starts share another one,
which has a name: each takes one order, which is filled up to MAX_BYTES there. The end of the parent
is no order: the program and its recording go on.
"""

import os
from _thread import allocate_lock, start_new_thread
from collections import deque
from contextlib import suppress
from functools import partial
from itertools import chain, takewhile
from stat import S_ISSOCK

from memdeep.record.descriptors import close, moved_up
from memdeep.record.fork_warning import own_threads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHECKPOINT = "checkpoint "
ENDED = "(ended)"  # the recording has, of a run that this process outlives
MAX_BYTES = 1000  # less than PIPE_BUF: written, and so read, in one piece
MOST_S, LEAST_S = 1.0, 0.01  # to wait for a thread that has nothing more to read


class Orders:
    """Reading end of the pipe."""

    __slots__ = ("_descriptor", "_has_ended")

    def __init__(self, descriptor: int) -> None:
        """Raises OSError if there is no such descriptor."""
        self._descriptor = moved_up(descriptor)
        self._has_ended = allocate_lock()

    @classmethod
    def named(cls, path: str) -> "Orders":
        """Open the pipe at ``path``. Raises OSError."""
        # For writing as well: nobody else need have it open for that yet.
        return cls(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))

    def pending(self) -> "str | None":
        """Return the order if it has come already, else None. Raises OSError."""
        os.set_blocking(self._descriptor, False)
        try:
            return _text(os.read(self._descriptor, MAX_BYTES)) or None
        except BlockingIOError:
            return None
        finally:
            os.set_blocking(self._descriptor, True)

    def listen(self, on_order: "Callable[[str], None]") -> None:
        """Call ``on_order`` in a thread of its own for each order. Raises RuntimeError.

        The thread sleeps in a `read` until then: no timer wakes it, so it never asks the program
        for the interpreter. It runs no Python code, only nested functions in C, and
        has no `threading.Thread`; so it is in no list of threads or frames that a program can see.
        """

        def obey(line: bytes) -> bool:
            orders = _text(line).split("\n")
            for order in orders:
                on_order(order)
            return ENDED not in orders  # the others there are for other processes

        def end() -> "Iterator[None]":
            own_threads(-1)
            self._has_ended.release()
            yield None

        read = partial(os.read, self._descriptor, MAX_BYTES)
        own_threads(1)
        self._has_ended.acquire()
        obeyed = takewhile(bool, map(obey, iter(read, b"")))
        start_new_thread(deque, (chain(obeyed, end()), 0))

    def close(self, *, waits: bool) -> bool:
        """Await no order any more; tell if the other end is there still.

        Where this is a socket of a pair, the other one reads its end; with ``waits`` it may do its
        last work first, and close it. The thread has ended then, but for its last few instructions.
        Nobody can end the one that sleeps in a pipe with a name.
        """
        if not S_ISSOCK(os.fstat(self._descriptor).st_mode):
            return False
        patience_s = MOST_S if waits else 0.0
        if not self._has_ended.locked():
            self.listen(lambda order: None)  # so that its end is awaited the same way
            patience_s = max(patience_s, LEAST_S)
        if waits:
            _shut(self._descriptor, writing_only=True)
        is_there = not self._has_ended.acquire(timeout=patience_s)
        if is_there:
            _shut(self._descriptor, writing_only=False)
            self._has_ended.acquire(timeout=MOST_S)
        close(self._descriptor)
        return is_there


def _shut(descriptor: int, *, writing_only: bool) -> None:
    """Shut down a socket of a pair."""
    import socket

    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as ours:
        ours.shutdown(socket.SHUT_WR if writing_only else socket.SHUT_RDWR)


def _text(order: bytes) -> str:
    return order.decode("utf-8", "replace").rstrip()
