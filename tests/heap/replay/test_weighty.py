"""The call sites whose native frames are named: by what they hold, and by what they allocate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from captures import START_MS, CaptureWriter
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

_replay = pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")

from memdeep.heap.origins import Origins  # noqa: E402
from memdeep.heap.parts import Part  # noqa: E402
from memdeep.heap.replay.reader import ReplayReader  # noqa: E402
from memdeep.heap.replay.trace import Trace  # noqa: E402
from memdeep.heap.stacks import StackTreeBuilder  # noqa: E402
from memdeep.model import RawFrame  # noqa: E402

SHARE = 1 / 50


@examples(100)
@given(
    turns=st.lists(
        st.tuples(st.integers(1, 6), st.booleans(), st.integers(1, 5000), st.integers(1, 9)),
        max_size=20,
    )
)
def test_a_stack_is_named_for_its_churn(turns: list[tuple[int, bool, int, int]]) -> None:
    """Each turn allocates and frees blocks one by one; none ever holds the least of bytes."""
    writer = CaptureWriter(native=True)
    gross: dict[tuple[int, bool], int] = {}
    for native in range(1, 7):
        writer.native_frame(0x1000 * native, 0)
    for native, has_frame, size, blocks in turns:
        if has_frame:
            writer.push("work")
        for _ in range(blocks):
            writer.allocate(0x100000, size, native=native)
            writer.free(0x100000)
        if has_frame:
            writer.pop()
        key = native, has_frame
        gross[key] = gross.get(key, 0) + size * blocks
    writer.trailer()
    replay = _replay.Replay()
    replay.feed(writer.content)
    replay.finish()
    trace = Trace(replay)
    found = {
        (trace.sites.native[site], trace.sites.node[site] != 0)
        for site in trace.weighty_sites([], 1 << 40, SHARE)
    }
    least = max(1, -(-sum(gross.values()) // 50))
    assert found == {
        key for key, size in gross.items() if size >= (least if key[1] else max(1, least // 10))
    }


class Names:
    """Names each native frame by its address."""

    def hybrid_stacks(self, trace: Trace, sites: Sequence[int]) -> Mapping[int, Sequence[RawFrame]]:
        called = {0x1000: "interp_exec", 0x2000: "elsewhere"}
        return {
            site: [(called[at], "", 1) for at in trace.native_stack(trace.sites.native[site])]
            + [frame.raw for frame in trace.python_stack(trace.sites.node[site])]
            for site in sites
        }


def test_bytes_of_sub_interpreters_are_those_without_python_below_their_calls(
    tmp_path: Path,
) -> None:
    writer = CaptureWriter(native=True)
    writer.native_frame(0x1000, 0)
    writer.native_frame(0x2000, 0)
    writer.allocate(0x100000, 5_000, native=1)
    writer.allocate(0x200000, 700, native=1)
    writer.free(0x200000)
    writer.allocate(0x300000, 90_000, native=2)
    writer.push("work")
    writer.allocate(0x400000, 100_000, native=1)
    writer.trailer()
    capture = tmp_path / "capture.bin"
    capture.write_bytes(writer.content)
    read = ReplayReader(capture, names=Names()).read_part(
        Part(capture, 0, 1, 0), [], StackTreeBuilder(Origins()), START_MS, lambda step: None
    )
    assert read.sub_interpreter_bytes == 5_700
