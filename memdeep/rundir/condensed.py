"""`condensed-N.json`: what is left of the old part of a run's files when its detail was merged.

A flight recorder keeps the detail of the last minutes. Of the files that grow with the program it
keeps the new part as it is, and of the old one a few lines, here: those of what is still open, and
readings of the memory that show its course. Number N goes with the state of the replay in which
segments were merged N times. Knows neither what is merged nor when.
"""

from __future__ import annotations

import json
from contextlib import suppress

from memdeep.errors import CaptureError
from memdeep.frozen import frozen
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import read_regular, write_atomically
from memdeep.rundir.journal import MAX_TIME_S, count
from memdeep.rundir.long_file import ALL, Left

SCHEMA = 1
MAX_BYTES = 1 << 28
FILES = ("journal", "mappings", "samples")


@frozen
class Condensed:
    """The old part of a run, up to ``until_us`` of its journal.

    Of it ``checkpoints`` were merged, and so many ``events`` in all left out of the journal. Of the
    readings of its memory, ``samples`` moments were left out: one or two stay in ``period_ms``.
    """

    until_us: int = 0
    checkpoints: int = 0
    events: int = 0
    samples: int = 0
    period_ms: int = 0
    journal: Left = ALL
    mappings: Left = ALL
    samples_left: Left = ALL


NOTHING = Condensed()  # of a run all of whose detail is there


def write(run_dir: RunDirectory, number: int, condensed: Condensed) -> None:
    """Write it under its number. Raises OutputError."""
    lefts = {
        name: {"content": _text(left.content), "offset": left.offset}
        for name, left in zip(FILES, _lefts(condensed), strict=True)
    }
    counts = {
        name: getattr(condensed, name)
        for name in ("until_us", "checkpoints", "events", "samples", "period_ms")
    }
    content = json.dumps({"schema": SCHEMA, **counts, "left": lefts}, separators=(",", ":"))
    write_atomically(run_dir.condensed(number), content.encode("ascii"))


def read(run_dir: RunDirectory, number: int) -> Condensed:
    """Read what goes with the state in which segments were merged ``number`` times.

    Raises CaptureError if it cannot be read: then what the state tells belongs to no checkpoint.
    """
    if not number:
        return NOTHING
    path = run_dir.condensed(number)
    content = read_regular(path, MAX_BYTES)
    try:
        fields = json.loads(content)
        if fields["schema"] != SCHEMA:
            raise ValueError("another schema")
        lefts = [
            Left(_bytes(fields["left"][name]["content"]), count(fields["left"][name]["offset"]))
            for name in FILES
        ]
        return Condensed(
            count(fields["until_us"], MAX_TIME_S * 1_000_000),
            count(fields["checkpoints"]),
            count(fields["events"]),
            count(fields["samples"]),
            count(fields["period_ms"]),
            *lefts,
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CaptureError(
            f"{path} is damaged.",
            "It stands for the old part of the run. Restore it from a copy.",
        ) from error


def newest(run_dir: RunDirectory) -> Condensed:
    """Return what is left at this moment of a run that goes on; NOTHING if that cannot be read."""
    numbers = run_dir.condensed_numbers()
    with suppress(CaptureError):
        return read(run_dir, max(numbers, default=0))
    return NOTHING


def _lefts(condensed: Condensed) -> tuple[Left, Left, Left]:
    return condensed.journal, condensed.mappings, condensed.samples_left


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
