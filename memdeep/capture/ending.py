"""Reads how a run ended: its exit, the limit it ran under, and the stacks written down before."""

from __future__ import annotations

from pathlib import Path

from memdeep import stack_dumps
from memdeep.capture.origins import Origins
from memdeep.journal import Event
from memdeep.model import Exit, Frame, MemoryLimit, Origin, StackDump, ThreadStack
from memdeep.observation import Meta
from memdeep.stack_dumps import DumpedThread


def exit_of(meta: Meta, end: Event | None) -> Exit | None:
    """How the program ended, by the parent's word and by ``end``, the program's own; None: unknown.

    The program writes ``end`` when Python ends as it should, after a traceback too.
    """
    if meta.verdict is None:
        return None
    evidence = list(meta.evidence)
    if meta.signal is None and end is None:
        evidence.append(
            "Python's own ending did not run: it ended by os._exit, in native code, or in another "
            "program that was put in its place (exec)."
        )
    elif end is not None and end.note is not None and meta.verdict != "completed":
        evidence.append(f"Nobody caught {end.note}.")
    return Exit(meta.exit_code, meta.signal, meta.verdict, tuple(evidence))


def limit_of(meta: Meta) -> MemoryLimit | None:
    """The limit on memory that was in force."""
    if meta.limit_bytes is None:
        return None
    return MemoryLimit(meta.limit_bytes, meta.limit_source or "", meta.limit_of_address_space)


def read_stack_dumps(path: Path, origins: Origins, offset_s: float) -> tuple[StackDump, ...]:
    """The dumps in the file at ``path``, if there is one; ``offset_s`` is the run's zero in it."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            content = file.read(stack_dumps.MAX_CHARACTERS)
    except OSError:
        return ()
    return tuple(
        StackDump(
            reason=dump.reason,
            time_s=max(0.0, dump.time_s - offset_s),
            rss_bytes=dump.rss_bytes,
            threads=tuple(_thread(thread, origins) for thread in dump.threads),
        )
        for dump in stack_dumps.decode(content)
    )


def _thread(thread: DumpedThread, origins: Origins) -> ThreadStack:
    frames = tuple(
        Frame(called.function, called.filename, called.lineno, origins.of(called.filename))
        for called in thread.frames
    )
    own = tuple(frame for frame in frames if frame.origin is not Origin.MEMDEEP)
    return ThreadStack(thread.name, thread.is_current, own)
