"""Chooses the reader of a capture: the compiled replay, or memray's own reader where it cannot.

Knows, alone, that there is a fallback; it must not be imported before it is needed, since the
replay works where memray is not installed.

The environment variable MEMDEEP_ENGINE decides otherwise: "memray" for its reader, "replay" for
the replay and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from memdeep.errors import EXIT_BAD_DATA, EXIT_USAGE, CaptureError, EngineError
from memdeep.heap import native_names
from memdeep.heap.header import read_header
from memdeep.heap.reader import CaptureReader
from memdeep.heap.replay import engine, saved
from memdeep.heap.replay.trace import NativeFrames
from memdeep.rundir.mappings import Reading

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
    capture: Path,
    reason: str | None,
    changes: Mapping[int, bytes] | None = None,
    names: NativeFrames | None = None,
    readings: Mapping[int, Reading] | None = None,
) -> CaptureReader:
    """Return memray's reader of ``capture`` if there is a ``reason`` for it, otherwise the replay.

    ``changes`` gives, by offset, bytes to read in place of the file's. ``names`` are the names of
    native frames that were stored with the run. ``readings`` are those of the mappings by
    checkpoint, of which memray's reader makes nothing.
    """
    changes = changes or {}
    if reason is not None:
        from memdeep.heap.memray.reader import MemrayReader

        return MemrayReader(capture, changes)
    from memdeep.heap.replay.reader import ReplayReader

    if names is None and not native_names.is_installed():
        names = _memrays_names(capture, changes)
    return ReplayReader(capture, changes, names, readings)


def _memrays_names(capture: Path, changes: Mapping[int, bytes]) -> NativeFrames | None:
    try:
        from memdeep.heap.memray.native_names import MemrayNativeFrames
    except ImportError:  # the replay needs no memray
        return None
    return MemrayNativeFrames(capture, changes)


def reason_for_memray(capture: Path) -> str | None:
    """Say why memray's reader must read ``capture``; None if the replay can.

    Raises CaptureError, or EngineError if the environment asks for what is not there.
    """
    if (is_memray_forced() or not engine.is_built()) and not saved.is_readable_by_memray(capture):
        raise CaptureError(
            f"{capture} was given back or compressed as far as it had been replayed: memray cannot "
            "read it.",
            "Read it with memdeep's replay engine, or record with --keep-capture.",
        )
    if is_memray_forced():
        return f"memray's reader was used, as {VARIABLE} demands."
    if not engine.is_built():
        return NOT_BUILT
    head = read_header(capture)
    if head.version is None:
        return PACKED
    return None if engine.knows(head) else TOO_OLD


def is_memray_forced() -> bool:
    """Tell whether the environment asks for memray's reader.

    Raises EngineError if it asks for what is not there.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted not in ("", MEMRAY, REPLAY):
        raise EngineError(
            f"{VARIABLE} is set to {wanted!r}, which is no engine.",
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
