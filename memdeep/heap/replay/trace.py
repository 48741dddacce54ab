"""The result of one pass over one capture: columns of figures by call site, and their stacks.

Knows the replay's columns (native/replay.hpp fills them); knows no checkpoint and no stack tree.
Sizes are bytes. Number 0 of a site, node, frame or native stack means none.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from functools import cached_property
from itertools import compress
from math import ceil
from typing import TYPE_CHECKING, NamedTuple, Protocol

from memdeep.errors import CaptureError
from memdeep.frozen import frozen
from memdeep.heap.header import HOLE, is_closed
from memdeep.heap.replay.blocks import BlockLook, Blocks
from memdeep.heap.replay.columns import (
    Column,
    LargeRows,
    OwnPeaks,
    Sites,
    Windows,
    long,
    packed,
    unsigned,
    unsigned_long,
)
from memdeep.heap.replay.lifetimes import ReplayedAlive, ReplayedLifetimes
from memdeep.heap.replay.ranges import Question
from memdeep.heap.replay.residency import Found
from memdeep.model import RawFrame

if TYPE_CHECKING:
    from memdeep.heap.replay._replay import Replay

CPYTHON_3_10 = 0x030A0000
UNKNOWN_FRAME: RawFrame = ("", "", 0)


class Cut(IntEnum):
    """The end of a window of a capture."""

    MEMORY = 0  # a memory record of memray's
    MARKER = 1  # the first record of a replaced marker, or a cut at a given time: a segment ends
    MARKER_END = 2  # its second record, or the same cut
    THREAD_MARKER = 3  # a marker as it was recorded: a segment ends
    END = 4
    EARLIER = 5  # the end of what was there before the capture


@frozen
class TraceHeader:
    """The head of a capture. ``python_version`` is CPython's hexversion, times since the epoch.

    ``allocations`` counts allocations and frees, once the capture was closed.
    """

    version: int
    python_version: int
    native: bool
    python_allocators: bool
    command_line: str
    pid: int
    main_thread: int
    skipped_frames: int
    start_ms: int
    end_ms: int
    allocations: int

    @property
    def is_closed(self) -> bool:
        """Tell whether the tracing came to its end."""
        return is_closed(self.start_ms, self.end_ms, self.allocations)


@frozen
class Totals:
    """Counts over the whole capture; ``calls`` by memray's number of the allocator.

    ``unknown_frees`` were of blocks of which nothing is known. What was there before is of the
    first of ``earlier_sites``, what a thread freed of it of another; there are none where it is not
    known. ``unseen_frees`` are blocks that were taken for alive until another one lay in their
    place: they were freed by then. ``late_cuts`` were made at the end, since no record that has a
    time came after them. ``truncated`` is True if it has no proper end; ``damage`` describes what
    stopped the replay before the end, and is empty if nothing did.
    """

    records: int
    heap_bytes: int
    peak_bytes: int
    allocated_bytes: int
    unknown_frees: int
    earlier_sites: tuple[int, ...]
    earlier_blocks: int
    earlier_bytes: int
    unseen_frees: int
    unseen_bytes: int
    late_cuts: int
    truncated: bool
    damage: str
    calls: tuple[int, ...]


@frozen
class PythonFrame:
    """A frame of the interpreter; ``is_entry`` if C code entered the interpreter with it."""

    raw: RawFrame
    is_entry: bool


@frozen
class Module:
    """A loaded library: its load address, and its segments (address before loading, size)."""

    filename: str
    address: int
    segments: tuple[tuple[int, int], ...]


class Lost(NamedTuple):
    """Bytes that a thread allocated without a Python frame, after it had had one.

    ``segment`` is that of the first, ``most_bytes`` were alive at one time.
    """

    thread: int
    segment: int
    bytes: int
    most_bytes: int


class NativeFrames(Protocol):
    """Names the native frames of call sites."""

    def hybrid_stacks(self, trace: Trace, sites: Sequence[int]) -> Mapping[int, Sequence[RawFrame]]:
        """Return, by site, the stack with native frames among the Python ones, innermost first.

        Sites whose native frames are not known are left out. Every Python frame of
        `Trace.python_stack` is in the stack.
        """


class Trace:
    """A capture after one pass.

    ``sequences`` holds, for each segment, the number of the marker that begins it, or -1;
    ``setters`` the identifier of the thread that set the marker, or 0.
    ``threads`` are the identifiers and names (empty if unknown) of `Sites.thread`.
    ``has_hole`` is True if zeros lie in place of the line table of a function.
    """

    def __init__(self, replay: Replay) -> None:
        head = replay.header()
        if head is None:
            raise ValueError("the capture has no header")
        self.header = TraceHeader(**head)
        columns = replay.columns()
        names = replay.names()
        totals = replay.totals()
        self.replayed = replay
        self._looks: dict[tuple[int, bool], dict[str, bytes]] | None = None
        self.totals = Totals(
            **{
                **totals,
                "calls": tuple(totals["calls"]),
                "earlier_sites": tuple(totals["earlier_sites"]),
            }
        )
        self.sites = Sites(
            node=unsigned(columns["site_node"]),
            thread=unsigned(columns["site_thread"]),
            native=unsigned(columns["site_native"]),
            generation=unsigned(columns["site_generation"]),
            memory_map=unsigned(columns["site_memory_map"]),
            asked=columns["site_asked"],
        )
        self.windows = Windows(
            cut=unsigned(columns["window_cut"]),
            segment=unsigned(columns["window_segment"]),
            time_ms=long(columns["window_time_ms"]),
            rss=unsigned_long(columns["window_rss"]),
            heap=unsigned_long(columns["window_heap"]),
            peak=unsigned_long(columns["window_peak"]),
        )
        self.sequences: Column = long(columns["segment_sequence"])
        self.setters: Column = unsigned_long(columns["segment_setter"])
        self.own_peaks = OwnPeaks(
            segment=unsigned(columns["own_segment"]),
            thread=unsigned_long(columns["own_thread"]),
            bytes=unsigned_long(columns["own_peak"]),
        )
        self.largest = LargeRows(
            site=unsigned(columns["large_site"]),
            born=unsigned(columns["large_born"]),
            died=unsigned(columns["large_died"]),
            bytes=unsigned_long(columns["large_bytes"]),
        )
        self.threads: tuple[tuple[int, str], ...] = tuple(names["threads"])
        lost = (
            unsigned(columns["lost_thread"]),
            unsigned(columns["lost_segment"]),
            unsigned_long(columns["lost_bytes"]),
            unsigned_long(columns["lost_most"]),
        )
        self.lost = tuple(map(Lost, *lost))
        self.node_parents: Column = unsigned(columns["node_parent"])
        self.node_frames: Column = unsigned(columns["node_frame"])
        self._frame_codes = unsigned(columns["frame_code"])
        self._frame_offsets = memoryview(columns["frame_offset"]).cast("i")
        self._frame_entries = columns["frame_is_entry"]
        self._native_addresses = unsigned_long(columns["native_address"])
        self._segment_natives = unsigned_long(columns["segment_natives"])
        self._native_parents = unsigned(columns["native_parent"])
        self._codes: Mapping[int, tuple[str, str, int, bytes]] = {
            code: (function, filename, first, table)
            for code, function, filename, first, table in names["codes"]
        }
        self.has_hole = any(HOLE in table for *_, table in self._codes.values())
        self._modules = names["generations"]
        self._frames: dict[int, PythonFrame] = {}

    @cached_property
    def _lines(self) -> Column:
        """Line of each frame; 0 where it has none."""
        by_code: dict[int, list[int]] = {}
        for number, code in enumerate(self._frame_codes):
            by_code.setdefault(code, []).append(number)
        found = array("q", [0]) * self.frame_count
        for code, numbers in by_code.items():
            if code in self._codes:
                *_, first, table = self._codes[code]
                offsets = map(self._frame_offsets.__getitem__, numbers)
                of_code = line_numbers(table, first, self.header.python_version, offsets)
                for number, line in zip(numbers, of_code, strict=True):
                    found[number] = line
        return found

    @cached_property
    def generations(self) -> tuple[tuple[Module, ...], ...]:
        """Modules of each generation: within one, an address belongs to one module at most."""
        return tuple(
            tuple(
                Module(filename, address, tuple(segments))
                for filename, address, segments in modules
            )
            for modules in self._modules
        )

    @property
    def frame_count(self) -> int:
        """Number of frames, including the placeholder 0."""
        return len(self._frame_codes)

    def frame(self, number: int) -> PythonFrame:
        """Return the frame of this number."""
        found = self._frames.get(number)
        if found is None:
            raw = UNKNOWN_FRAME
            code = self._codes.get(self._frame_codes[number])
            if code is not None:
                function, filename, *_ = code
                raw = function, filename, self._lines[number]
            found = self._frames[number] = PythonFrame(raw, self._frame_entries[number] != 0)
        return found

    def python_stack(self, node: int) -> list[PythonFrame]:
        """Return the frames of ``node``, innermost first."""
        frames = []
        while node:
            frames.append(self.frame(self.node_frames[node]))
            node = self.node_parents[node]
        return frames

    def native_stack(self, native: int) -> list[int]:
        """Return the instruction pointers of a native stack, innermost first."""
        addresses = []
        while 0 < native < len(self._native_addresses):
            addresses.append(self._native_addresses[native])
            native = self._native_parents[native]
        return addresses

    def end_s(self) -> float:
        """Return the time of the last record that has one, since the epoch."""
        return max([self.header.end_ms, *self.windows.time_ms]) / 1000

    def native_nodes(self) -> list[int]:
        """Return how many nodes the tracker's tree of native stacks had after each segment."""
        return [*self._segment_natives, len(self._native_addresses)]

    def native_addresses(self) -> Iterator[tuple[int, set[int]]]:
        """Yield each generation with the instruction pointers of its native stacks.

        Where there is but one, these are all that there are.
        """
        stacks: dict[int, set[int]] = {}
        for generation, native in set(zip(self.sites.generation, self.sites.native, strict=True)):
            if 0 < native < len(self._native_addresses):
                stacks.setdefault(generation, set()).add(native)
        if len(stacks) == 1:
            yield next(iter(stacks)), set(self._native_addresses[1:])
            return
        for generation, natives in stacks.items():
            seen: set[int] = set()
            for native in natives:
                while 0 < native < len(self._native_addresses) and native not in seen:
                    seen.add(native)
                    native = self._native_parents[native]
            yield generation, set(map(self._native_addresses.__getitem__, seen))

    def thread_name(self, thread: int) -> str | None:
        """Return the name of a thread of `Sites.thread`; None if the capture does not tell it."""
        identifier, name = self.threads[thread]
        if name:
            return name
        later = {known for other, known in self.threads if other == identifier and known}
        return later.pop() if len(later) == 1 else None

    def found_at(self, look: Question) -> Found | None:
        """Return what was alive at ``look``; None if its marker is not in the capture."""
        if self._looks is None:
            self._looks = {(place, name): found for place, name, found in self.replayed.looks()}
        found = self._looks.get((look.place, look.is_name))
        return None if found is None else Found.of_columns(found)

    def blocks_at(self, look: BlockLook, nodes: Sequence[int]) -> Blocks | None:
        """Return all that was alive at ``look``, by the ``nodes`` of the sites, once only.

        None if its marker is not in the capture. Raises CaptureError if there is too much.
        """
        found = self.replayed.take_listed(look.place, look.is_name, packed(nodes, "i"))
        if found is False:
            raise CaptureError(
                "More than 32 million blocks were alive at the checkpoints that were looked at.",
                "Look at fewer of them: --holders-most, --holders-at.",
            )
        if found is None:
            return None
        return Blocks(
            unsigned_long(found["address"]),
            unsigned_long(found["size"]),
            memoryview(found["node"]).cast("i"),
            found["is_mapping"],
        )

    def at_checkpoints(
        self, nodes: Sequence[int], ends: Sequence[int]
    ) -> tuple[ReplayedLifetimes, ReplayedLifetimes]:
        """Return the lifetimes by the ``nodes`` of the sites; second, those within one segment.

        ``ends[s]`` is the checkpoint that ends segment s, or `NEVER`; bytes allocated after the
        last checkpoint are dropped. ``nodes[0]`` is ignored.
        """
        kept, passed = self.replayed.at_checkpoints(packed(nodes, "i"), packed(ends, "I"))
        return ReplayedLifetimes(kept), ReplayedLifetimes(passed)

    def at_peaks(self, segments: Sequence[int], nodes: Sequence[int]) -> list[ReplayedAlive]:
        """Return the bytes held at the peaks of ``segments``, by the ``nodes`` of the sites.

        ``nodes[0]`` is ignored.
        """
        found = self.replayed.at_peaks(packed(segments, "I"), packed(nodes, "i"))
        return [ReplayedAlive(**alive) for alive in found]

    def weighty_sites(
        self, segments: Sequence[int], least_bytes: int, least_share: float
    ) -> list[int]:
        """Return the sites whose stack holds ``least_bytes`` at a peak or at the end of a segment.

        The peaks are those of ``segments``. Sites that allocated ``least_share`` of all bytes are
        returned too; without Python frames a tenth of that suffices. The bytes of all threads with
        the same stack count together.
        """
        gross = max(1, ceil(least_share * self.totals.allocated_bytes))
        found = self.replayed.weighty(
            packed(segments, "I"), least_bytes, gross, max(1, gross // 10)
        )
        return list(compress(range(len(found)), found))


def line_numbers(
    table: bytes, first_line: int, python_version: int, offsets: Iterable[int]
) -> Sequence[int]:
    """Return the line of the instruction at each of the capture's ``offsets``; 0 means none."""
    from memdeep.heap.replay._replay import lines

    packed = array("i", offsets).tobytes()
    return memoryview(lines(table, first_line, python_version, packed)).cast("q")
