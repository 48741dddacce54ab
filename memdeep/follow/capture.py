"""Follows one capture while it grows: replays what is written, and gives back what is replayed.

A report reads a capture as if each marker had been replaced (`heap.markers`). So does the one who
follows: in place of a marker it feeds what will be read there, so that a report that goes on from
its state has the same figures as one that begins at the start, to the byte.

memray writes through a window that moves on, into a file that it grows by steps filled with
zeros. What was written last may not be all there yet: a little is left until more has come.
"""

from __future__ import annotations

import errno
import os
from array import array
from collections.abc import Sequence

from memdeep.errors import CaptureError
from memdeep.follow.known import Known
from memdeep.heap.front import KEPT_BYTES, Front
from memdeep.heap.header import read_header
from memdeep.heap.markers import (
    MARKER,
    RECORD_BYTES,
    THREAD_RECORD,
    Marker,
    encode_records,
    read_places,
)
from memdeep.heap.packed import written_pages
from memdeep.heap.replay import saved
from memdeep.heap.replay._replay import Replay, punch
from memdeep.heap.replay.residency import Look, pieces
from memdeep.heap.replay.saved import to_disk
from memdeep.loading.checkpoints import KINDS
from memdeep.loading.traced import figures_of
from memdeep.rundir import journal, marker
from memdeep.rundir.directory import RunDirectory, state_of
from memdeep.rundir.files import open_regular, write_atomically

CHUNK_BYTES = 1 << 20
BEHIND_BYTES = 4096  # of what is written, left for the next time
_MARKER_HEAD = bytes([THREAD_RECORD]) + marker.PREFIX.encode()
GIVEN_BACK_BYTES = 1 << 20  # pieces of the file of this size


class FollowedCapture:
    """The capture ``number`` of a run, replayed as far as it was followed.

    ``path`` is its file. Goes on from the state that lies beside it, if there is one. ``engine`` is
    the replay, and ``position`` the byte up to which it has come; ``saved_at`` that of the state on
    the disk. Raises CaptureError if the capture, or that state, cannot be read.
    """

    def __init__(self, run_dir: RunDirectory, number: int, known: Known) -> None:
        self._run_dir = run_dir
        self._known = known
        self.path = run_dir.capture(number)
        self._places_path = run_dir.markers(number)
        self._state = state_of(self.path)
        self._header = read_header(self.path)
        if 0 in (self._header.start_ms, self._header.pid):
            raise CaptureError(f"The head of {self.path} is just being written.", "")
        self._file, _ = open_regular(self.path)
        self._front = Front(self.path)
        self._places: list[Marker] = []
        self._seen: set[int] = set()
        self.replaced = array("q")  # the events whose markers were replaced, in order
        self._begun, self._paired = array("q"), 0  # by segment, and how many were replaced of them
        self.engine = Replay()
        self.position = self.saved_at = 0
        self.state_bytes = 0
        self._gone: set[int] = set()  # merged away; still among the places
        self._quiet_at = -1  # the end of what was written, when it did not become more
        engine = saved.load(self.path)
        if engine is not None:
            self._go_on(engine)

    def _go_on(self, engine: Replay) -> None:
        self.engine = engine
        self.position = self.saved_at = engine.position()
        self.state_bytes = self._state.stat().st_size
        self._known.look()
        for offset, sequence in read_places(self._places_path):
            if offset < self.position:
                self._note(offset, sequence)
                event, _ = self._known.take(sequence)
                if event is None:
                    self._gone.add(sequence)
                elif event.kind in KINDS:
                    self.replaced.append(sequence)

    def behind_bytes(self) -> int:
        """Return how much was written that was not replayed yet, to a page."""
        start = max(self.position, self._front.end)
        return written_pages(self._file, start) - self.position

    @property
    def blocks_bytes(self) -> int:
        """What the capture takes of the disk."""
        return os.fstat(self._file.fileno()).st_blocks * 512

    @property
    def damage(self) -> str:
        """What stopped the replay; empty if nothing did."""
        return str(self.engine.totals()["damage"])

    def close(self) -> None:
        self._file.close()

    def advance(self, most_bytes: int) -> int:
        """Replay what is written by now, about ``most_bytes`` of it; return how many it was."""
        begun = self.position
        while self.position - begun < most_bytes and self._step(BEHIND_BYTES):
            pass
        if self.position == begun:
            # What has not become more since the last time is all there.
            written = begun + self._written()
            if written == self._quiet_at:
                self._step(0)
            self._quiet_at = written
        return self.position - begun

    def complete(self) -> None:
        """Replay all that is left: nobody writes any more."""
        while self._step(BEHIND_BYTES):
            pass
        while self._step(0, is_over=True):
            pass

    def _step(self, behind_bytes: int, *, is_over: bool = False) -> bool:
        """Replay the next piece, but for its last bytes; return False if there is none."""
        written = self._written()
        end = written - behind_bytes
        if end <= 0:
            return False
        # Again: what was written during the first look may be after zeros that it has met.
        content = self._read(written + 1)
        self._known.look()
        if not is_over:
            end = min(end, _begun_marker(content[:written]))
        done = 0
        # The name in a marker ends with a zero, which may be the last that was written: at the end
        # of a capture it counts as never written, as for all who read it.
        for found in MARKER.finditer(content):
            start, sequence = found.start(), int(found[1])
            if start >= end:
                break
            instead = self._instead(self.position + start, sequence)
            if instead is not None:
                self.engine.feed(content[done:start])
                self.engine.feed(instead[: written - start])
                done = start + RECORD_BYTES
                end = max(end, min(done, written))
        self.engine.feed(content[done:end])
        self.position += end
        return end > 0

    def _written(self) -> int:
        """Return how much of the next piece is written, as it seems."""
        return len(self._read(CHUNK_BYTES).rstrip(b"\0"))

    def _read(self, size: int) -> bytes:
        content = b""
        while size > len(content):
            at = self.position + len(content)
            piece = self._front.read(at, size - len(content))
            if not piece:
                return content + os.pread(self._file.fileno(), size - len(content), at)
            content += piece
        return content

    def _instead(self, offset: int, sequence: int) -> bytes | None:
        """Return what is read in place of a marker; None if it is read as it is."""
        if sequence in self._seen:
            return None
        self._note(offset, sequence)
        event, reading = self._known.take(sequence)
        if event is None or self._known.start is None:
            return None
        is_checkpoint = event.kind in KINDS
        if is_checkpoint or event.kind == journal.EXIT:
            if is_checkpoint:
                self.replaced.append(sequence)
            place = len(self.replaced) if is_checkpoint else sequence
            if reading is not None:
                split = pieces(reading.groups)
                look = Look(0, place, not is_checkpoint, split, reading.allocated_blocks)
                self.engine.look(place, not is_checkpoint, *look.columns())
            if self._run_dir.graph(sequence).exists():
                self.engine.list_at(place, not is_checkpoint)
        if not is_checkpoint:
            return None
        start_ms = self._known.start.epoch_ns // 1_000_000
        return encode_records(figures_of(event, start_ms, self._header))

    def _note(self, offset: int, sequence: int) -> None:
        self._seen.add(sequence)
        self._places.append((offset, sequence))

    def begun(self) -> Sequence[int]:
        """Return the number of the event that began each segment, -1 where none is known.

        None began the first, nor those after a cut. The engine does not know those whose markers
        were replaced.
        """
        for sequence in array("q", self.engine.sequences(len(self._begun))):
            if sequence == -1 and self._begun and self._paired < len(self.replaced):
                sequence = self.replaced[self._paired]
                self._paired += 1
            self._begun.append(max(-1, sequence))
        return self._begun

    def merge(self, until: int, starts: Sequence[int], period_ms: int) -> None:
        """Make one segment of those below ``until``, but for those that begin at ``starts``.

        Of the readings of time there one stays in ``period_ms``. What was merged away before leaves
        the places only now: until the next state is saved, there is one that knows it.
        """
        begun = self.begun()
        self._places = [place for place in self._places if place[1] not in self._gone]
        self._seen = {sequence for _, sequence in self._places}
        stay = {begun[segment] for segment in (*starts, *range(until, len(begun)))}
        self._gone = set(begun[1:until]) - stay
        self.replaced = array("q", (one for one in self.replaced if one in stay))
        self.engine.merge(until, array("I", starts).tobytes(), period_ms)
        self._begun, self._paired = array("q"), 0

    def save(self) -> None:
        """Write the state of the replay, so that it is there even if the machine stops now.

        Raises OSError or OutputError; then the state before it is still there.
        """
        write_atomically(self._places_path, marker.encode_places(self._places))
        to_disk(self._places_path)
        saved.save(self.engine, self.path)
        self.saved_at = self.position
        self.state_bytes = self._state.stat().st_size

    def give_back(self) -> None:
        """Give back the blocks of what the state covers. Raises OSError where that cannot be.

        So where another file has the capture's name by now.
        """
        end = self.saved_at // GIVEN_BACK_BYTES * GIVEN_BACK_BYTES
        if end <= KEPT_BYTES:
            return
        descriptor = os.open(self.path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if not os.path.sameopenfile(descriptor, self._file.fileno()):
                raise FileNotFoundError(errno.ENOENT, "it is another file now")
            punch(descriptor, KEPT_BYTES, end)
        finally:
            os.close(descriptor)


def _begun_marker(content: bytes) -> int:
    """Return where a marker begins that is not all there at the end of ``content``, or its size."""
    start = content.rfind(_MARKER_HEAD[:1], max(0, len(content) - RECORD_BYTES + 1))
    while start >= 0:
        found = content[start:]
        digits = found[len(_MARKER_HEAD) :]
        if _MARKER_HEAD.startswith(found[: len(_MARKER_HEAD)]) and (not digits or digits.isdigit()):
            return start
        start = content.rfind(_MARKER_HEAD[:1], max(0, len(content) - RECORD_BYTES + 1), start)
    return len(content)
