"""The call sites whose native frames are named: by what they hold, and by what they allocate."""

from __future__ import annotations

import pytest
from captures import CaptureWriter
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

_replay = pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")

from memdeep.heap.replay.trace import Trace  # noqa: E402

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
