"""Chooses what reads a capture: the compiled replay, or memray's own reader where it cannot.

The environment variable MEMDEEP_ENGINE decides otherwise: "memray" for its reader, "replay" for
the replay and nothing else.
"""

from __future__ import annotations

import os
from pathlib import Path

from memdeep.errors import EXIT_BAD_DATA, EXIT_USAGE, EngineError
from memdeep.heap.reader import CaptureReader
from memdeep.heap.replay import engine
from memdeep.heap.replay.trace import NativeFrames

VARIABLE = "MEMDEEP_ENGINE"
MEMRAY = "memray"
REPLAY = "replay"

NOT_BUILT = (
    "memdeep's replay engine is not built in this installation, so memray's reader was used: it is "
    "slower, and cannot tell what a phase allocated and freed again."
)
PACKED = (
    "The capture is compressed and lz4 is not installed, so memray's reader was used: it is "
    "slower, and cannot tell what a phase allocated and freed again."
)
TOO_OLD = (
    "The program ran on a Python older than 3.10, so memray's reader was used: it is slower, and "
    "cannot tell what a phase allocated and freed again."
)


def reader_of(
    capture: Path, *, for_memray: bool, names: NativeFrames | None = None
) -> CaptureReader:
    """What reads ``capture``; ``for_memray`` if there is a reason for memray's reader.

    ``names`` are those of the native frames of its run, where they were stored.
    """
    if not for_memray:
        from memdeep.heap.replay.reader import ReplayReader

        return ReplayReader(capture, names)
    # Here and not above: it must work without memray where the replay does.
    from memdeep.heap.memray.reader import MemrayReader

    return MemrayReader(capture)


def reason_for_memray(capture: Path) -> str | None:
    """Why memray's reader must read ``capture``; None if the replay can.

    Raises CaptureError, or EngineError if the environment asks in vain.
    """
    if is_memray_forced():
        return f"memray's reader was used, as {VARIABLE} demands."
    if not engine.is_built():
        return NOT_BUILT
    head = engine.read_head(capture)
    if head is None:
        return PACKED
    return None if engine.knows(head) else TOO_OLD


def is_memray_forced() -> bool:
    """Whether the environment asks for memray's reader. Raises EngineError if it asks in vain."""
    wanted = os.environ.get(VARIABLE, "")
    if wanted not in ("", MEMRAY, REPLAY):
        raise EngineError(
            f"{VARIABLE} is {wanted!r}.",
            f'Set it to "{REPLAY}" or to "{MEMRAY}", or leave it unset.',
            EXIT_USAGE,
        )
    if wanted == REPLAY and not engine.is_built():
        raise EngineError(
            "memdeep's replay engine is not built in this installation.",
            f"Install memdeep again where there is a C++ compiler, or unset {VARIABLE}.",
            EXIT_BAD_DATA,
        )
    return wanted == MEMRAY
