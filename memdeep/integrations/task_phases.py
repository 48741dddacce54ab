"""Makes phases of the tasks of a worker, of whatever framework, up to a number."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import AbstractContextManager, nullcontext

from memdeep.record import api

# Of one worker, so that its journal and the report have a bound: a report reads 200,000 lines.
MOST_TASKS = 90_000
MOST_OF_ONE = 45_000  # of them that have one name


class TaskPhases:
    """The phases of tasks, up to a number."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.begin()

    def begin(self) -> None:
        """Count from zero."""
        self._counts: Counter[str] = Counter()
        self._left = MOST_TASKS
        self._told: set[str] = set()

    def of(self, name: str) -> AbstractContextManager[object]:
        """Return the phase of one more task, or none after many; once, the report is told so."""
        if not api.is_recording():
            return nullcontext()
        with self._lock:
            if self._left and self._counts[name] < MOST_OF_ONE:
                self._counts[name] += 1
                self._left -= 1
                return api.phase(name)
            sentence = (
                f"only the first {MOST_OF_ONE:,} tasks {name} of a worker are phases"
                if self._left
                else f"only the first {MOST_TASKS:,} tasks of a worker are phases"
            )
            is_told = sentence in self._told
            self._told.add(sentence)
        if not is_told:
            api.problem(sentence)
        return nullcontext()
