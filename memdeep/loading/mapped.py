"""Reads the program's memory mappings at its checkpoints, and tells what is missing of them.

Knows nothing of the heap that lies in them.
"""

from __future__ import annotations

from collections.abc import Mapping

from memdeep.errors import CaptureError
from memdeep.rundir import mappings
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.long_file import Left, read_left
from memdeep.rundir.mappings import Reading

MAX_BYTES = 1 << 28


def read_mappings(
    run_dir: RunDirectory, places: Mapping[int, int], left: Left
) -> tuple[dict[int, Reading], list[str]]:
    """Return the readings by checkpoint, and sentences on those that are damaged.

    ``places`` are the checkpoints of the sequence numbers. Of the old readings those are read that
    were ``left``. A run without the file is one of before, or of a system that tells no mappings.
    A damaged reading costs those after it that refer to what stood in it.
    """
    try:
        content = read_left(run_dir.mappings, left, MAX_BYTES)
    except CaptureError as error:
        return {}, [f"{error.message} How much of the heap was resident is not known."]
    found, damaged = mappings.decode(content)
    at = {0: 0, **places}  # the first line of the journal, which is the program's start
    readings = {at[one.sequence]: one for one in found if one.sequence in at}
    problems: list[str] = []
    if damaged == 1:
        problems = [
            "1 reading of the memory mappings is damaged and was left out, "
            "with those that refer to it."
        ]
    elif damaged:
        problems = [
            f"{damaged:,} readings of the memory mappings are damaged and were left out, "
            "with those that refer to them."
        ]
    return readings, problems
