"""Blocks in whose place another one lies were freed; held against a plain list of live blocks."""

from __future__ import annotations

import captures
import pytest
from captures import CALLOC, MALLOC, CaptureWriter
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.heap.replay.trace import Cut, Trace

_replay = pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")

PAGE = 4096
BIG = 32 << 10
PYMALLOC = 2

Step = tuple[str, int, int, int]  # what is done, address, size, allocator


def replayed(writer: CaptureWriter) -> Trace:
    writer.trailer()
    replay = _replay.Replay()
    replay.feed(writer.content)
    replay.finish()
    return Trace(replay)


class Model:
    """Live blocks and mapped pages, in the simplest form."""

    def __init__(self) -> None:
        self.blocks: dict[int, int] = {}
        self.mapped: set[int] = set()
        self.lost: dict[int, int] = {}  # taken for freed: bytes by address
        self.lost_bytes = self.lost_count = 0

    def heap(self) -> int:
        return sum(self.blocks.values()) + PAGE * len(self.mapped)

    def drop(self, start: int, end: int) -> None:
        for address, size in [*self.blocks.items()]:
            if size >= BIG and address < end and start < address + size:
                self.lose(address)

    def lose(self, address: int) -> None:
        self.lost[address] = self.blocks.pop(address)
        self.lost_bytes += self.lost[address]
        self.lost_count += 1

    def apply(self, step: str, address: int, size: int, allocator: int) -> None:
        if step == "malloc":
            if size and (size >= BIG or allocator != PYMALLOC):
                self.drop(address, address + size)
            if address in self.blocks:
                self.lose(address)
            self.blocks[address] = size
        elif step == "free" and address in self.blocks:
            del self.blocks[address]
        elif step == "free" and address in self.lost:
            self.lost_count -= 1
            self.lost_bytes -= self.lost.pop(address)
        elif step == "mmap":
            if size:
                self.drop(address, address + size)
            self.mapped |= pages_of(address, size)
        elif step == "munmap":
            self.mapped -= pages_of(address, size)


def pages_of(address: int, size: int) -> set[int]:
    return set(range(address // PAGE, (address + size) // PAGE))


def write(writer: CaptureWriter, step: str, address: int, size: int, allocator: int) -> None:
    if step == "malloc":
        writer.allocate(address, size, allocator)
    elif step == "free":
        writer.free(address)
    else:
        getattr(writer, step)(address, size)


places = st.integers(1, 40).map(lambda number: number * 2 * PAGE)
sizes = st.one_of(
    st.integers(0, PAGE),
    st.integers(BIG - 8, BIG + 8),
    st.integers(0, 40).map(lambda number: number * PAGE),
    st.just(20 << 30),  # more than the pages of which there is a count
)
pages = st.integers(0, 16).map(lambda number: number * PAGE)
steps = st.one_of(
    st.tuples(
        st.just("malloc"),
        st.one_of(places, st.tuples(places, st.just(16)).map(sum)),
        sizes,
        st.sampled_from([MALLOC, CALLOC, PYMALLOC]),
    ),
    st.tuples(st.just("free"), places, st.just(0), st.just(0)),
    st.tuples(st.sampled_from(["mmap", "munmap"]), places, pages, st.just(0)),
)


@examples(150)
@given(program=st.lists(steps, max_size=40))
def test_what_is_overlapped_is_not_alive(program: list[Step]) -> None:
    writer, model = CaptureWriter(), Model()
    heaps = []
    for step in program:
        write(writer, *step)
        writer.aligned_marker()
        model.apply(*step)
        heaps.append(model.heap())
    trace = replayed(writer)
    windows = zip(trace.windows.cut, trace.windows.heap, strict=True)
    assert [heap for cut, heap in windows if cut == Cut.MARKER] == heaps
    assert (trace.totals.unseen_frees, trace.totals.unseen_bytes) == (
        model.lost_count,
        model.lost_bytes,
    )
    assert max([trace.totals.peak_bytes, *heaps]) == trace.totals.peak_bytes
    kept, _ = captures.lifetimes(trace)
    assert list(kept.heap_at(len(heaps))) == heaps


def test_an_address_given_out_again_without_a_free_was_freed() -> None:
    writer = CaptureWriter()
    writer.allocate(0x1000, 100)
    writer.marker(1)
    writer.allocate(0x1000, 30)
    trace = replayed(writer)
    assert (trace.totals.unseen_frees, trace.totals.unseen_bytes) == (1, 100)
    assert trace.totals.heap_bytes == 30
    kept, _ = captures.lifetimes(trace)
    assert list(kept) == [(1, 0, 1, 100, 1), (1, 1, None, 30, 1)]


def test_a_block_that_begins_within_another_took_its_place_and_no_peak_has_both() -> None:
    writer = CaptureWriter()
    for turn in range(50):
        writer.allocate(0x1000000 + 16 * turn * PAGE, 40 << 20)
    trace = replayed(writer)
    assert trace.totals.heap_bytes == trace.totals.peak_bytes == 40 << 20
    assert trace.totals.unseen_frees == 49


def test_the_free_of_a_realloc_may_come_late() -> None:
    writer = CaptureWriter()
    writer.allocate(0x1000000, 1 << 20)
    writer.switch(2)  # gets the memory from within the other's realloc
    writer.allocate(0x1000000 + PAGE, 64 << 10)
    writer.switch(captures.MAIN_THREAD)
    writer.free(0x1000000)
    writer.allocate(0x9000000, 2 << 20)
    trace = replayed(writer)
    assert trace.totals.heap_bytes == (2 << 20) + (64 << 10)
    assert (trace.totals.unseen_frees, trace.totals.unseen_bytes) == (0, 0)
    assert trace.totals.unknown_frees == 0


def test_a_mapping_over_a_mapping_replaces_it() -> None:
    writer = CaptureWriter()
    writer.mmap(0x100000, 10 * PAGE)
    writer.mmap(0x100000 + 4 * PAGE, 2 * PAGE)
    trace = replayed(writer)
    assert trace.totals.heap_bytes == trace.totals.peak_bytes == 10 * PAGE
    assert trace.totals.unseen_frees == 0
