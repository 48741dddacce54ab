"""What the replay tells while it goes on: what is alive now, and how its stack tree has grown."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from captures import START_MS, CaptureWriter
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from running import PROGRAMS
from streams import PAGE, everything, programs, written

from memdeep.heap.replay.columns import NEVER, long, unsigned

if TYPE_CHECKING:
    from memdeep.heap.replay._replay import Replay

_replay = pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")

Key = tuple[int, int]


def alive(replay: Replay) -> dict[Key, tuple[int, int]]:
    """Bytes and allocations alive now, by node and segment of birth."""
    found = replay.alive()
    keys = list(zip(unsigned(found["node"]), unsigned(found["born"]), strict=True))
    assert len(set(keys)) == len(keys)
    return dict(
        zip(keys, zip(long(found["bytes"]), long(found["count"]), strict=True), strict=True)
    )


def survivors(content: bytes) -> dict[Key, tuple[int, int]]:
    """The same of the end of ``content``, as the results have it."""
    replay = _replay.Replay()
    replay.feed(content)
    told = everything(replay)
    nodes = unsigned(told["columns"]["site_node"])
    kept = told["kept"]
    sums: Counter[Key] = Counter()
    counts: Counter[Key] = Counter()
    for site, born, died, size, count in zip(
        unsigned(kept["place"]),
        unsigned(kept["born"]),
        unsigned(kept["died"]),
        long(kept["bytes"]),
        long(kept["count"]),
        strict=True,
    ):
        if died == NEVER:
            sums[nodes[site], born] += size
            counts[nodes[site], born] += count
    assert sum(sums.values()) == told["totals"]["heap_bytes"]
    return {key: (sums[key], counts[key]) for key in counts}


@examples(150)
@given(data=st.data(), program=programs)
def test_what_is_alive_is_what_would_survive_if_it_ended_now(
    data: st.DataObject, program: list[tuple[Any, ...]]
) -> None:
    writer = written(program)
    ends = list(writer.ends_of_records())
    stops = sorted(set(data.draw(st.lists(st.sampled_from(ends), max_size=6))))
    replay = _replay.Replay()
    done = 0
    for stop in stops:
        replay.feed(writer.content[done:stop])
        done = stop
        found = alive(replay)
        assert found == survivors(writer.content[:stop])
        assert sum(size for size, _ in found.values()) == replay.now()["heap_bytes"]
        assert replay.position() == stop
    replay.feed(writer.content[done:])
    whole = _replay.Replay()
    whole.feed(writer.content)
    assert everything(replay) == everything(whole)  # to ask changes nothing


@examples(100)
@given(data=st.data(), program=programs)
def test_the_tree_is_given_in_parts(data: st.DataObject, program: list[tuple[Any, ...]]) -> None:
    writer = written(program)
    content = writer.content
    stops = data.draw(st.lists(st.integers(0, len(content)), max_size=6).map(sorted))
    replay = _replay.Replay()
    parts: dict[str, bytes] = {}
    codes: dict[int, Any] = {}
    sequences = b""
    done = 0
    for stop in [*stops, len(content)]:
        replay.feed(content[done:stop])
        done = stop
        nodes = len(parts.get("node_parent", b"")) // 4
        grown = replay.tree(nodes, len(parts.get("frame_code", b"")) // 4)
        codes.update((code, told) for code, *told in grown.pop("codes"))
        for name, column in grown.items():
            parts[name] = parts.get(name, b"") + column
        sequences += replay.sequences(len(sequences) // 8)
    assert replay.now()["segments"] == len(sequences) // 8
    told = everything(replay)
    assert {name: told["columns"][name] for name in parts} == parts
    assert {code: told for code, *told in told["names"]["codes"]} == codes
    assert told["columns"]["segment_sequence"] == sequences
    empty = replay.tree(1 << 40, 1 << 40)
    assert not any(empty.values())


def test_the_time_and_the_rss_are_those_of_the_last_record() -> None:
    writer = CaptureWriter()
    writer.memory(5 * PAGE, 17)
    writer.allocate(0x1000, 100)
    replay = _replay.Replay()
    none = {"height_ms": b"", "height_heap": b"", "height_peak": b""}
    assert replay.now() == {**none, "heap_bytes": 0, "time_ms": 0, "rss": 0, "segments": 1}
    replay.feed(writer.content + bytes([2]))  # another one begins
    now = {"heap_bytes": 100, "time_ms": START_MS + 17, "rss": 5 * PAGE, "segments": 1}
    assert replay.now().items() >= now.items()


@given(
    steps=st.lists(st.tuples(st.integers(0, 250), st.integers(0, 5000)), min_size=1, max_size=30),
    asks=st.sets(st.integers(0, 30)),
)
@examples(80)
def test_the_heights_are_those_of_every_tenth_of_a_second(
    steps: list[tuple[int, int]], asks: set[int]
) -> None:
    """However often they are asked for, each moment's highest heap is in one of them."""
    writer, fed = CaptureWriter(), 0
    replay = _replay.Replay()
    heights: list[tuple[int, int, int]] = []

    def ask() -> None:
        found = replay.now()
        columns = [memoryview(found[name]).cast("q") for name in ("height_ms", "height_heap")]
        heights.extend(zip(*columns, memoryview(found["height_peak"]).cast("q"), strict=True))

    time_ms, highest = 0, {}
    for number, (wait_ms, size) in enumerate(steps):
        writer.allocate(0x1000, size)
        writer.free(0x1000)
        time_ms += wait_ms
        writer.memory(PAGE, time_ms)
        tenth = (START_MS + time_ms) // 100
        highest[tenth] = max(highest.get(tenth, 0), size)
        if number in asks:
            replay.feed(writer.content[fed:])
            fed = len(writer.content)
            ask()
    replay.feed(writer.content[fed:] + bytes([2]))
    ask()
    found: dict[int, int] = {}
    for at_ms, heap_bytes, peak_bytes in heights:
        assert heap_bytes == 0
        found[at_ms // 100] = max(found.get(at_ms // 100, 0), peak_bytes)
    assert found == highest


def test_the_heap_of_a_real_program_at_any_time(tmp_path: Path) -> None:
    capture = tmp_path / "capture.bin"
    command = [sys.executable, "-m", "memray", "run", "--quiet", "--no-compress", "--native"]
    words = ["--trace-python-allocators", "-o", capture, PROGRAMS / "threads_allocate.py"]
    subprocess.run([*command, *words], check=True, capture_output=True)
    content = capture.read_bytes()
    replay = _replay.Replay()
    step = len(content) // 3
    for start in range(0, len(content), step):
        replay.feed(content[start : start + step])
        found = alive(replay)
        assert sum(size for size, _ in found.values()) == replay.now()["heap_bytes"]
    assert found == survivors(content)
    assert replay.now()["heap_bytes"] > 0
