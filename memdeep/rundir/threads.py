"""Names the threads of a run so that no two share a name: the second of a name is `name (2)`."""

from __future__ import annotations

from memdeep.rundir.journal import Event

MAX_NAMES = 10_000  # the latest; a program may start threads without end


class ThreadNames:
    """Names threads in the order in which their checkpoints come.

    Threads of one name are told apart by their identifiers, which the journal has for all but the
    main thread. An identifier that is given again to a thread of the same name is the same thread.
    """

    __slots__ = ("_counts", "_names")

    def __init__(self) -> None:
        self._names: dict[tuple[int | None, str], str] = {}
        self._counts: dict[str, int] = {}

    def of(self, event: Event) -> str | None:
        """Return the name of the thread that set a checkpoint; None if it is unknown."""
        if event.thread is None:
            return None
        key = (event.thread_id, event.thread)
        if key not in self._names:
            number = self._counts[event.thread] = self._counts.get(event.thread, 0) + 1
            self._names[key] = event.thread if number == 1 else f"{event.thread} ({number})"
            if len(self._names) > MAX_NAMES:
                _, oldest = oldest_key = next(iter(self._names))
                del self._names[oldest_key]
                self._counts.pop(oldest, None)
        return self._names[key]
