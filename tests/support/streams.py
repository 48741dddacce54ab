"""Captures of any records in any order, and all that the replay tells of one, to be compared."""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from captures import CALLOC, MAIN_THREAD, MALLOC, CaptureWriter
from hypothesis import strategies as st

if TYPE_CHECKING:
    from memdeep.heap.replay._replay import Replay

PAGE = 4096
MOST_SEQUENCES = 60
Program = list[tuple[Any, ...]]

_places = st.integers(1, 14).map(lambda number: number * 3 * PAGE)
_sizes = st.one_of(st.integers(0, 3 * PAGE), st.integers(20_000, 80_000))
_pages = st.integers(0, 16).map(lambda number: number * PAGE)
_functions = st.sampled_from(["alpha", "beta", "gamma"])

# Blocks and mappings lie over one another, frees are of the unknown, threads lose their frames,
# markers come twice, and modules lie where others were.
steps = st.one_of(
    st.tuples(st.just("malloc"), _places, _sizes, st.sampled_from([MALLOC, CALLOC, 10])),
    st.tuples(st.just("malloc"), _places, _sizes, st.sampled_from([MALLOC, CALLOC, 10])),
    st.tuples(st.just("free"), _places),
    st.tuples(st.just("mmap"), _places, _pages),
    st.tuples(st.just("munmap"), st.tuples(_places, _pages).map(sum), _pages),
    st.tuples(st.just("push"), _functions, st.booleans()),
    st.tuples(st.just("pop")),
    st.tuples(st.just("switch"), st.integers(1, 3)),
    st.tuples(st.just("name"), st.sampled_from(["MainThread", "worker", "arbeit-ä"])),
    st.tuples(st.just("memory"), st.integers(0, 99)),
    st.tuples(st.just("marker")),
    st.tuples(st.just("again")),
    st.tuples(st.just("aligned")),
    st.tuples(st.just("native"), st.integers(0, 3)),
    st.tuples(st.just("modules"), st.integers(0, 2)),
)
# The longer ones fill more than one batch of the replay's.
programs = st.builds(
    lambda program, times: program * times, st.lists(steps, max_size=60), st.sampled_from([1, 1, 5])
)


def written(program: Iterable[tuple[Any, ...]], version: int = 13) -> CaptureWriter:
    """Write a capture of ``program``."""
    writer = CaptureWriter(version=version, native=True)
    depths: Counter[int] = Counter()
    thread, sequence, natives, time_ms = MAIN_THREAD, 0, 0, 0
    for step, *words in program:
        if step == "malloc":
            writer.allocate(*words, native=natives)
        elif step == "free":
            writer.free(words[0])
        elif step == "mmap":
            writer.allocate(*words, 14, native=natives)
        elif step == "munmap":
            writer.allocate(*words, 15, native=natives)
        elif step == "push":
            depths[thread] += 1
            writer.push(words[0], is_entry=words[1])
        elif step == "pop" and depths[thread]:
            depths[thread] -= 1
            writer.pop()
        elif step == "switch":
            thread = words[0]
            writer.switch(thread)
        elif step == "name":
            writer.name_thread(words[0])
        elif step == "memory":
            time_ms += words[0]
            writer.memory(PAGE * words[0], time_ms)
        elif step in ("marker", "again"):
            sequence += step == "marker"
            writer.marker(sequence)
        elif step == "aligned":
            time_ms += 1
            writer.aligned_marker(PAGE * 7, time_ms)
        elif step == "native":
            writer.native_frame(0x400000 + 64 * words[0], min(words[0], natives))
            natives += 1
        elif step == "modules":
            library = (f"/lib/{words[0]}.so", 0x7F0000, [(0, 0x1000), (0x2000, 0x800)])
            writer.modules(("/bin/python", 0x400000, [(0, 0x1000)]), library)
    writer.trailer()
    return writer


def everything(replay: Replay) -> dict[str, Any]:
    """Finish ``replay``; return all that it tells, byte for byte."""
    replay.finish()
    columns = replay.columns()
    names = replay.names()
    names["codes"] = sorted(names["codes"])  # in no order
    count = len(columns["site_node"]) // 4
    segments = len(columns["segment_sequence"]) // 8
    numbers = array("I", range(count)).tobytes()
    ends = array("I", range(segments)).tobytes()
    kept, passed = replay.at_checkpoints(numbers, ends)
    moments = [(name, place) for name in (False, True) for place in range(MOST_SEQUENCES)]
    return {
        "header": replay.header(),
        "columns": columns,
        "names": names,
        "totals": replay.totals(),
        "kept": kept.columns(),
        "passed": passed.columns(),
        "peaks": replay.at_peaks(ends, numbers),
        "looks": replay.looks(),
        "listed": [replay.take_listed(place, name, numbers) for name, place in moments],
        "position": replay.position(),
    }


def saved(replay: Replay) -> bytes:
    """What `save` writes."""
    file = os.memfd_create("state")
    try:
        replay.save(file)
        return os.pread(file, os.fstat(file).st_size, 0)
    finally:
        os.close(file)


def loaded(state: bytes) -> Replay:
    """The replay of a saved state."""
    file = os.memfd_create("state")
    try:
        os.write(file, state)
        from memdeep.heap.replay import _replay

        return _replay.load(file)
    finally:
        os.close(file)
