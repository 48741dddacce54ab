"""Runs the compiled replay over a capture file, raw or LZ4, and tells whether it can.

memray grows a raw capture in zero-filled steps, and after a kill the zeros stay. As memray's own
reader does, the zeros at its end are taken as never written: no record's type is a zero.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from memdeep.errors import CaptureError
from memdeep.frozen import field, frozen
from memdeep.heap import packed
from memdeep.heap.front import Front
from memdeep.heap.header import HEAD_BYTES, CaptureHeader
from memdeep.heap.parts import TimeCut
from memdeep.heap.replay.blocks import BlockLook
from memdeep.heap.replay.ranges import Question
from memdeep.heap.replay.trace import CPYTHON_3_10, Trace
from memdeep.rundir.files import open_regular, read_error

if TYPE_CHECKING:
    from memdeep.heap.replay._replay import Replay

STEP_BYTES = 64 << 20  # progress is told after each of these


@frozen
class Earlier:
    """What was allocated before the capture began, as `memdeep.rundir.earlier` has it."""

    content: bytes


def is_built() -> bool:
    """Tell whether this installation has the compiled replay."""
    return find_spec("memdeep.heap.replay._replay") is not None


def knows(head: CaptureHeader) -> bool:
    """Tell whether the replay understands the line tables of the Python that wrote the capture."""
    return head.python_version is not None and head.python_version >= CPYTHON_3_10


def begin(capture: Path, *, in_family: bool = False) -> Replay:
    """Return a replay that goes on from the state beside ``capture``, or else begins.

    What comes before was replayed with its changes, looks and cuts. ``in_family`` says in which way
    it is read: see `memdeep.rundir.directory.state_of`. Raises CaptureError.
    """
    from memdeep.heap.replay import saved
    from memdeep.heap.replay._replay import Replay

    return saved.load(capture, in_family=in_family) or Replay()


@frozen
class Work:
    """What to do with a capture: see `begin`, then `replay` or `advance`.

    ``changes`` gives, by offset in what is not compressed, bytes to read in place of the file's.
    The replay finds what is alive at each of ``looks``, and is divided at ``cuts`` too. Among the
    looks may be what was there before the capture.
    """

    changes: Mapping[int, bytes] = field(default_factory=dict)
    looks: Sequence[Question | Earlier] = ()
    cuts: Sequence[TimeCut] = ()

    def ask(self, engine: Replay) -> None:
        """Ask for the looks and for the cuts, before anything more is fed to ``engine``."""
        for cut in self.cuts:
            engine.cut(cut.time_ms, cut.after, -1 if cut.before is None else cut.before)
        for look in self.looks:
            if isinstance(look, Earlier):
                if not engine.position():
                    engine.put_in_earlier(look.content)
            elif isinstance(look, BlockLook):
                engine.list_at(look.place, look.is_name)
            elif not engine.has_found(look.place, look.is_name):
                engine.look(look.place, look.is_name, *look.columns())


def replay(
    capture: Path,
    on_step: Callable[[str], None],
    work: Work | None = None,
    engine: Replay | None = None,
) -> Trace:
    """Pass over what ``engine`` has not seen of ``capture``; see `begin`. Raises CaptureError."""
    work, engine = work or Work(), engine or begin(capture)
    begun = engine.position()
    work.ask(engine)
    file, _ = open_regular(capture)
    try:
        with file:
            if packed.is_packed(file):
                for piece in packed.with_changes(packed.unpacked(file), work.changes):
                    engine.feed(piece)
            else:
                front = Front(capture)
                size = _written(engine, file, front)
                _feed(engine, file, front, work.changes, size, on_step)
                if begun:
                    engine.reread_head(os.pread(file.fileno(), HEAD_BYTES, 0))
    except OSError as error:
        raise read_error(capture, error) from error
    engine.finish()
    if engine.header() is None:
        raise CaptureError(
            f"{capture} is cut off within its header.",
            "Nothing can be read from it; copy it again from where it was made.",
        )
    return Trace(engine)


def advance(engine: Replay, capture: Path, work: Work, stop: int) -> None:
    """Replay an uncompressed ``capture`` up to this byte of it, or to just before a change there.

    Nothing more is asked of it than was met by then. Raises CaptureError or OSError.
    """
    changed = (offset for offset, new in work.changes.items() if offset < stop < offset + len(new))
    stop = min([stop, *changed])
    work.ask(engine)
    file, _ = open_regular(capture)
    with file:
        front = Front(capture)
        if stop > engine.position():
            _feed(engine, file, front, work.changes, stop, lambda _step: None)
    engine.forget_future()


def _written(engine: Replay, file: BinaryIO, front: Front) -> int:
    """Return how many bytes of an uncompressed capture are written, with what is in its front."""
    begun = max(engine.position(), front.end)
    return packed.written_behind(file, begun) if begun else packed.written_size(file)


def _feed(
    engine: Replay,
    file: BinaryIO,
    front: Front,
    changes: Mapping[int, bytes],
    size: int,
    on_step: Callable[[str], None],
) -> None:
    """Feed an uncompressed capture of ``size`` bytes, with ``changes`` made, from where it is."""
    front.check_rest(file)
    done = engine.position()
    steps = range(STEP_BYTES, size, STEP_BYTES)
    for stop in sorted({*steps, *changes, size}):
        if not done <= stop <= size:
            continue
        _feed_between(engine, file, front, (done, stop))
        done = stop
        if stop in steps:
            on_step(f"Replaying the trace ({100 * stop // size} %)")
        if stop in changes:
            # A marker ends with a zero, which counts as never written at the end of a file.
            engine.feed(changes[stop][: size - stop])
            done = stop + len(changes[stop])


def _feed_between(engine: Replay, file: BinaryIO, front: Front, between: tuple[int, int]) -> None:
    """Feed the bytes of a capture ``between`` two offsets, those in its front from there."""
    done, stop = between
    while done < stop:
        piece = front.read(done, stop - done)
        if piece:
            engine.feed(piece)
            done += len(piece)
        else:
            end = min(stop, front.start) if done < front.start else stop
            os.lseek(file.fileno(), done, os.SEEK_SET)
            engine.read(file.fileno(), end - done)
            done = end
