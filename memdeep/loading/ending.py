"""Reads how a run ended: its exit, its limit on memory, and the stacks dumped before."""

from __future__ import annotations

import os
from pathlib import Path

from memdeep.errors import CaptureError
from memdeep.frozen import replace
from memdeep.heap.origins import Origins
from memdeep.model import DETACHED, Exit, MemoryLimit, Origin, StackDump, ThreadStack
from memdeep.model.statement import Statement, state
from memdeep.rundir import stacks
from memdeep.rundir.files import open_regular, read_error
from memdeep.rundir.journal import Event, decode_request
from memdeep.rundir.meta import Meta
from memdeep.rundir.stacks import Dump, DumpedThread


def exit_of(
    meta: Meta, end: Event | None, origins: Origins, offset_s: float, *, is_cut: bool = False
) -> Exit | None:
    """Return how the program ended, as seen by the parent and by the program; None if unknown.

    ``end`` is the event that the program writes when Python ends in order, after a traceback too;
    if the journal ``is_cut``, it may have been lost. ``offset_s`` is the time of the run's start by
    the clock of the parent.
    """
    if meta.verdict is None:
        return None
    evidence = [_timed(said, offset_s) for said in meta.evidence]
    is_explained = meta.was_replaced or meta.verdict == DETACHED or is_cut
    if meta.signal is None and end is None and not is_explained:
        evidence.append(state("exit.not_the_way_of_python"))
    elif end is not None and end.note is not None:
        went_on = meta.earlier_s is not None and not meta.attached
        if not went_on and meta.verdict not in ("completed", DETACHED):
            evidence.append(state("exit.uncaught", exception=end.note))
            evidence += _failed_request(end.label, origins)
        elif went_on:
            evidence.append(state("exit.left_by", exception=end.note))
            evidence += _failed_request(end.label, origins)
    return Exit(meta.exit_code, meta.signal, meta.verdict, tuple(evidence))


def _timed(said: Statement, offset_s: float) -> Statement:
    """Return what the parent said of an exec with its time in the run."""
    seen_s = said.values.get("after_s") if said.key == "exit.exec" else None
    if not isinstance(seen_s, int | float):
        return said
    return replace(said, values={**said.values, "after_s": max(0.0, seen_s - offset_s)})


def _failed_request(label: str, origins: Origins) -> list[Statement]:
    """State where memory was asked for in vain: at the innermost line of the program's own."""
    size_bytes, frames = decode_request(label)
    shown = [frame for frame in frames if origins.of(frame[0]) is not Origin.MEMDEEP]
    own = [frame for frame in shown if origins.of(frame[0]) in (Origin.USER, Origin.TOOL)]
    for filename, lineno in (own or shown)[:1]:
        place = f"{os.path.basename(origins.frame(('', filename, lineno)).filename)}:{lineno}"
        if size_bytes is None:
            return [state("exit.failed_request", place=place)]
        return [state("exit.failed_request_of", place=place, size_bytes=size_bytes)]
    return []


def limit_of(meta: Meta) -> MemoryLimit | None:
    """Return the limit on memory that was in force."""
    if meta.limit_bytes is None or meta.limit_source is None:
        return None
    return MemoryLimit(meta.limit_bytes, meta.limit_source, meta.limit_of_address_space)


def read_stack_dumps(
    path: Path, pid: int | None, origins: Origins, offset_s: float
) -> tuple[tuple[StackDump, ...], str | None]:
    """Read the dumps of process ``pid`` in the file at ``path``, if there is one.

    The second value is a sentence on dumps that were left out. ``offset_s`` is the time of the
    run's start by the clock of the file.
    """
    if not os.path.lexists(path):
        return (), None
    try:
        file, _ = open_regular(path)
        with file:
            content = file.read(stacks.MAX_CHARACTERS).decode("utf-8", "replace")
    except CaptureError as error:
        return (), error.message
    except OSError as error:
        return (), read_error(path, error).message
    dumps = stacks.decode(content)
    own = [dump for dump in dumps if pid in (None, dump.pid)]
    problem = None if len(own) == len(dumps) else f"{path} is of another run than the journal."
    return tuple(_stack_dump(dump, origins, offset_s) for dump in own), problem


def _stack_dump(dump: Dump, origins: Origins, offset_s: float) -> StackDump:
    """Convert ``dump``, without threads that ran no Python: memdeep has one itself."""
    threads = (_thread(thread, origins) for thread in dump.threads)
    return StackDump(
        reason=dump.reason,
        time_s=max(0.0, dump.time_s - offset_s),
        rss_bytes=dump.rss_bytes,
        threads=tuple(thread for thread in threads if thread.frames or thread.is_current),
    )


def _thread(thread: DumpedThread, origins: Origins) -> ThreadStack:
    frames = tuple(
        origins.frame((called.function, called.filename, called.lineno)) for called in thread.frames
    )
    own = tuple(frame for frame in frames if frame.origin is not Origin.MEMDEEP)
    return ThreadStack(thread.name, thread.is_current, own)
