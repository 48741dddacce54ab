"""What the files of a run say about its events, read on while they grow.

The program writes an event's line, and what it read of itself there, before memray writes the
marker: whoever has met a marker in the capture finds the rest here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from memdeep.loading.journal import MAX_LINES
from memdeep.rundir import births, journal, mappings
from memdeep.rundir.condensed import NOTHING, Condensed
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.journal import Event
from memdeep.rundir.long_file import MAX_HELD_BYTES
from memdeep.rundir.mappings import Reading
from memdeep.rundir.tail import Tail

MOST = 0.9  # of what the first half of a journal may be: the beginning is read in pieces


class Known:
    """The events of the run in ``run_dir`` that were written by the last `look`.

    ``start`` is the first line of the journal, None before it is there. ``has_family`` is True once
    a process that the program started records its own memory; ``births_bytes`` grows whenever the
    program is about to start one; ``lines`` are those of the journal so far. Of its old part that
    is read which is ``left``.
    """

    def __init__(self, run_dir: RunDirectory, left: Condensed = NOTHING) -> None:
        self._journal = Tail(run_dir.journal, left.journal)
        self._mappings = Tail(run_dir.mappings, left.mappings)
        self._births = Tail(run_dir.births)
        self._events: dict[int, Event] = {}
        self._readings: dict[int, Reading] = {}
        self._decoder = mappings.Decoder()
        self.start: Event | None = None
        self.lines = 0
        self.has_family = False

    @property
    def births_bytes(self) -> int:
        return self._births.read_bytes

    @property
    def is_too_long(self) -> bool:
        """Tell if a report may leave out some of the events so far: of very many, those midway."""
        is_long = self._journal.read_bytes > MOST * MAX_HELD_BYTES // 2
        return is_long or self.lines > MOST * MAX_LINES // 2

    def look(self) -> None:
        """Read on, to the end of what is there."""
        for lines in _all(self._births):
            found, _ = births.decode(lines)
            self.has_family |= any(
                isinstance(one, births.Birth) and one.directory is not None for one in found
            )
        for lines in _all(self._mappings):
            for reading in self._decoder.take(lines):
                self._readings[reading.sequence] = reading
        for lines in _all(self._journal):
            for event in journal.decode(lines)[0]:
                self._events.setdefault(event.sequence, event)
                self.lines += 1
                if event.kind == journal.START and self.start is None:
                    self.start = event

    def take(self, sequence: int) -> tuple[Event | None, Reading | None]:
        """Give away the event with this number and the mappings there; None for what is not."""
        return self._events.pop(sequence, None), self._readings.pop(sequence, None)

    def forget(self, sequences: Iterable[int]) -> None:
        """Forget these events, of which no journal tells any more, and what was read there."""
        for sequence in sequences:
            self.take(sequence)

    def close(self) -> None:
        for tail in (self._births, self._mappings, self._journal):
            tail.close()


def _all(tail: Tail) -> Iterator[bytes]:
    """Yield what there is to read of a file, piece by piece."""
    while True:
        lines = tail.next_lines()
        if lines:
            yield lines
        if not tail.is_behind:
            return
