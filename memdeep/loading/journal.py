"""Reads a run's journal, of any length and however damaged, and tells what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from memdeep.frozen import frozen
from memdeep.model import Merged
from memdeep.rundir import journal
from memdeep.rundir.condensed import NOTHING, Condensed
from memdeep.rundir.journal import Event
from memdeep.rundir.long_file import read_lines
from memdeep.rundir.threads import ThreadNames

# The report of a run with more checkpoints could not be opened. The first and the last ones tell
# most.
MAX_LINES = 200_000
# Lines that are no checkpoints say how the others are to be read. A quotation mark within a label
# has a backslash before it, so that this matches no label.
_ALWAYS = re.compile(rb'"k":"[^CBE"]')
MAX_NAMED = 5
_NO_LOOK = re.compile(
    "who holds the objects at (.*) is not known: the looks before it were still on", re.DOTALL
)


@frozen
class Journal:
    """The events in the order they were written, each sequence number once.

    No two of their threads share a name. ``missing`` is the number of those that are not there.
    """

    events: tuple[Event, ...]
    problems: tuple[str, ...]
    missing: int = 0

    def missing_problem(self, in_flight: int) -> str | None:
        """Return the sentence on events that are missing; those ``in_flight`` are not."""
        missing = self.missing - in_flight
        if missing <= 0:
            return None
        return (
            f"{_lines(missing, 'event')} {_were(missing)} never written to the journal, or "
            f"{'its line is' if missing == 1 else 'their lines are'} lost."
        )


def read_journal(path: Path, condensed: Condensed = NOTHING) -> Journal:
    """Read the journal at ``path``, as far as it can be read. Raises CaptureError.

    Of its old part what is left is read that ``condensed`` has.
    """
    lines = read_lines(path, MAX_LINES, _ALWAYS, condensed.journal)
    decoded, damaged = journal.decode(lines.content)
    first: dict[int, Event] = {}
    for event in decoded:
        first.setdefault(event.sequence, event)
    events = tuple(first.values())
    names = ThreadNames()
    for event in events:
        event.thread = names.of(event)
    repeated = len(decoded) - len(events)
    missing = _missing(events) - condensed.events if not lines.left_out else 0
    problems = tuple(_problems(lines.left_out, damaged, repeated))
    return Journal(events, problems, missing)


def merged(condensed: Condensed) -> tuple[Merged | None, str | None]:
    """Return what was merged, and the sentence on it; None where all detail is there."""
    if condensed == NOTHING:
        return None, None
    found = Merged(condensed.until_us / 1e6, condensed.checkpoints, condensed.samples)
    minutes, seconds = divmod(int(found.until_s), 60)
    time = f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return found, (
        f"Only the detail of the last minutes was kept: the first {time} were merged, without "
        f"{found.checkpoints:,} checkpoints and {found.readings:,} readings of the RSS. What was "
        "allocated then, what is left of it and the highest heap are exact."
    )


def told_problems(events: Sequence[Event]) -> list[str]:
    """Return what the program said could not be recorded; looks left out are one sentence."""
    found = [event.label for event in events if event.kind == journal.PROBLEM]
    looks = [look for one in found if (look := _NO_LOOK.fullmatch(one))]
    if len(looks) < 2:
        return found
    names = list(dict.fromkeys(look[1] for look in looks))
    named = ", ".join(names[:MAX_NAMED]) + ", …" * (len(names) > MAX_NAMED)
    folded = (
        f"who holds the objects at {len(looks):,} checkpoints ({named}) is not known: "
        "the looks before it were still on"
    )
    return [*(one for one in found if not _NO_LOOK.fullmatch(one)), folded]


def _missing(events: Sequence[Event]) -> int:
    """Count the sequence numbers that the journal skips."""
    numbers = [event.sequence for event in events if event.sequence]
    return max(numbers, default=0) - len(numbers)


def _problems(left_out: int, damaged: int, repeated: int) -> Iterator[str]:
    if left_out:
        yield (
            f"The journal is too long to be shown: {left_out:,} checkpoints in its middle were "
            "left out. The growth across them is exact."
        )
    if damaged:
        yield f"{_lines(damaged, 'damaged line')} of the journal {_were(damaged)} left out."
    if repeated:
        yield (
            f"{_lines(repeated, 'line')} of the journal {_were(repeated)} left out: another line "
            "has the same number."
        )


def _lines(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
