"""Runs memray's reader on captures that may be damaged, and tells what is wrong with them."""

from __future__ import annotations

import mmap
import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TypeVar

from memdeep.errors import CaptureError
from memdeep.heap import packed
from memdeep.heap.damage import HOLED, lacks, shortened, up_to_there
from memdeep.heap.header import HOLE, read_header
from memdeep.heap.memray import confined
from memdeep.heap.memray.confined import Confinement
from memdeep.heap.parts import Part
from memdeep.rundir.files import open_regular, write_error

# What reading a capture may use, by its size: far more than any sound one was seen to need.
LEAST_MEMORY_BYTES = 2 << 30
MEMORY_PER_BYTE = 64
LEAST_CPU_S = 300
BYTES_PER_CPU_S = 1_000_000
SOMETHING = re.compile(rb"[^\x00]")
Result = TypeVar("Result")


def read_confined(
    capture: Path,
    changes: Mapping[int, bytes],
    read: Callable[[Path, Confinement], Result],
    on_step: Callable[[str], None],
) -> Result:
    """Read ``capture`` with memray's reader in a process of its own. Raises CaptureError.

    ``changes`` gives, by offset, bytes to read in place of the file's: then ``read`` is given the
    path of a changed copy.
    """
    size = capture.stat().st_size
    limits = confined.Limits(
        memory_bytes=LEAST_MEMORY_BYTES + MEMORY_PER_BYTE * size,
        cpu_s=LEAST_CPU_S + size // BYTES_PER_CPU_S,
    )
    try:
        with _changed_copy(capture, changes) if changes else nullcontext() as copy:
            path = capture if copy is None else Path(f"/dev/fd/{copy.fileno()}")
            return confined.run(lambda inside: read(path, inside), limits, on_step)
    except confined.ConfinedError as error:
        raise CaptureError(
            f"{capture} cannot be read: {error}.",
            "The file is damaged beyond what memray's reader can skip; "
            "record again, or copy it again from where it was made.",
        ) from error


def _changed_copy(capture: Path, changes: Mapping[int, bytes]) -> IO[bytes]:
    """Copy ``capture`` into a file that has no name, and change it. Raises CaptureError."""
    source, _ = open_regular(capture)
    try:
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        with source:
            copy.writelines(packed.with_changes(packed.pieces(source), changes))
        copy.flush()
        return copy
    except OSError as error:
        failed = write_error(Path(tempfile.gettempdir()) / f"a copy of {capture.name}", error)
        hint = "Free some space there, or name another directory in TMPDIR."
        raise CaptureError(failed.message, hint) from error


def damage_in(part: Part, marked: int, allocations: int, said: str) -> str | None:
    """Say what is wrong with the capture, as far as memray's reader shows it.

    The reader takes whatever it does not understand for the end. It read ``allocations``, saw
    ``marked`` markers, and wrote ``said`` to stderr. The end of a capture that was never closed
    may be torn, which is no damage.
    """
    header = read_header(part.capture)
    if header.allocations is not None and lacks(part, allocations, header.allocations):
        return shortened(allocations, header.allocations)
    if header.allocations is None and said and marked < len(part.sequences):
        return up_to_there(f"its reader said “{said.removeprefix('Memray ERROR: ')}”")
    if not header.compressed and _has_hole(part.capture):
        return up_to_there(HOLED)
    return None


def _has_hole(capture: Path) -> bool:
    """Tell whether zeros lie in the midst of a capture: its records never have so many."""
    with open(capture, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        first = data.find(HOLE)
        return first >= 0 and SOMETHING.search(data, first) is not None
