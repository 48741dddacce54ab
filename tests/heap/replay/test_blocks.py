"""All that is alive at a checkpoint is listed by address; its sum is the heap of the checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from captures import START_MS, CaptureWriter
from graphs import Thing, graph
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.errors import CaptureError
from memdeep.heap.origins import Origins
from memdeep.heap.parts import HeapPart, Part, TimeCut, Walked, damage_of
from memdeep.heap.replay.blocks import BlockLook, Blocks, block_looks
from memdeep.heap.replay.trace import Trace
from memdeep.heap.stacks import StackTreeBuilder
from memdeep.model.graph import Graph
from memdeep.model.holders import Joined

_replay = pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")
from memdeep.heap.replay.engine import Work, replay  # noqa: E402
from memdeep.heap.replay.reader import ReplayReader  # noqa: E402

PAGE = 4096
SLOT = 1 << 20
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["allocate", "free", "mmap", "munmap", "mark"]),
        st.integers(1, 12),
        st.sampled_from([0, 1, 100, PAGE, 40_000, 70 * PAGE]),
    ),
    max_size=40,
)


def written(path: Path, steps: list[tuple[str, int, int]], *, is_aligned: bool) -> int:
    """Write a capture of these steps; return how many checkpoints it has."""
    writer = CaptureWriter()
    marks = 0
    for number, (step, slot, size) in enumerate(steps):
        writer.push(f"f{number % 3}")
        at = slot * SLOT if step in ("allocate", "free") else (slot + 100) * SLOT
        if step == "allocate":
            writer.allocate(at, size)
        elif step == "free":
            writer.free(at)
        elif step == "mmap":
            writer.mmap(at, size)
        elif step == "munmap":
            writer.munmap(at + PAGE, size)
        else:
            marks += 1
            writer.aligned_marker() if is_aligned else writer.marker(marks)
        writer.pop()
    writer.trailer()
    path.write_bytes(writer.content)
    return marks


def unreadable() -> Graph:
    raise CaptureError("holders-1 is damaged.", "")


def part_of(capture: Path, marks: int, cuts: tuple[TimeCut, ...] = ()) -> Part:
    walked = {number: Walked(number, unreadable) for number in range(1, marks + 1)}
    sequences = frozenset(range(1, marks + 1))
    return Part(capture, 0, marks + 1, marks + len(cuts), sequences, cuts=cuts, walked=walked)


def listed(capture: Path, looks: list[BlockLook]) -> list[Blocks | None]:
    trace: Trace = replay(capture, lambda step: None, Work(looks=looks))
    nodes = range(len(trace.sites.node))
    return [trace.blocks_at(look, nodes) for look in looks]


@examples(60, share_fixtures=True)
@given(steps=STEPS, is_aligned=st.booleans())
def test_the_blocks_of_a_checkpoint_are_its_heap(
    tmp_path: Path, steps: list[tuple[str, int, int]], *, is_aligned: bool
) -> None:
    capture = tmp_path / "capture.bin"
    marks = written(capture, steps, is_aligned=is_aligned)
    part = part_of(capture, marks if is_aligned else 0)
    looks = [
        BlockLook(number, number, not is_aligned)  # either way a marker is known by a number
        for number in range(1, marks + 1)
    ]
    if is_aligned:
        assert looks == list(block_looks(part))
    trace = replay(capture, lambda step: None)
    lifetimes, _ = trace.at_checkpoints(
        range(len(trace.sites.node)), range(1, len(trace.sequences) + 1)
    )
    heap = lifetimes.heap_at(marks + 2)
    for number, blocks in enumerate(listed(capture, looks), 1):
        assert blocks is not None
        assert blocks.bytes == heap[number]
        assert list(blocks.address) == sorted(blocks.address)
        by_node: dict[int, int] = {}
        for node, size in zip(blocks.node, blocks.size, strict=True):
            by_node[node] = by_node.get(node, 0) + size
        alive = {stack.node: stack.bytes for stack in lifetimes.alive_at(number) if stack.bytes}
        assert {node: size for node, size in by_node.items() if size} == alive


def test_mappings_are_told_from_blocks(tmp_path: Path) -> None:
    capture = tmp_path / "capture.bin"
    steps = [("allocate", 1, 100), ("mmap", 1, 70 * PAGE), ("munmap", 1, PAGE), ("mark", 1, 0)]
    written(capture, steps, is_aligned=True)
    (blocks,) = listed(capture, [BlockLook(1, 1, False)])
    assert blocks is not None
    assert list(zip(blocks.address, blocks.size, blocks.is_mapping, strict=True)) == [
        (SLOT, 100, 0),
        (101 * SLOT, PAGE, 1),
        (101 * SLOT + 2 * PAGE, 68 * PAGE, 1),
    ]


def test_they_are_given_once_and_only_where_the_marker_was_met(tmp_path: Path) -> None:
    capture = tmp_path / "capture.bin"
    written(capture, [("allocate", 1, 100), ("mark", 1, 0)], is_aligned=True)
    there, behind = BlockLook(1, 1, False), BlockLook(2, 2, False)
    trace = replay(capture, lambda step: None, Work(looks=[there, behind]))
    nodes = range(len(trace.sites.node))
    assert trace.blocks_at(behind, nodes) is None
    assert trace.blocks_at(there, nodes) is not None
    assert trace.blocks_at(there, nodes) is None
    with pytest.raises(ValueError, match="a site has no node"):
        trace.blocks_at(there, [])


def test_objects_that_cannot_be_read_make_no_snapshot(tmp_path: Path) -> None:
    capture = tmp_path / "capture.bin"
    marks = written(capture, [("allocate", 1, 100), ("mark", 1, 0)], is_aligned=True)
    heap: HeapPart = ReplayReader(capture).read_part(
        part_of(capture, marks), [], StackTreeBuilder(Origins()), START_MS, lambda step: None
    )
    assert heap.at_checkpoints == (0, 100, 100)
    assert heap.snapshots == ()
    assert damage_of(heap) == ("holders-1 is damaged. Who held memory there is not known.",)


def test_the_bytes_of_a_snapshot_are_the_heap_of_its_checkpoint(tmp_path: Path) -> None:
    capture = tmp_path / "capture.bin"
    steps = [("allocate", 1, 100), ("allocate", 2, 40_000), ("mark", 1, 0), ("free", 1, 0)]
    marks = written(capture, steps, is_aligned=True)
    things = [Thing(SLOT + 16, words=(2 * SLOT,), size=40_100)]
    walked = {1: Walked(1, lambda: graph(things))}
    heap = ReplayReader(capture).read_part(
        replace(part_of(capture, marks), walked=walked),
        [],
        StackTreeBuilder(Origins()),
        START_MS,
        lambda step: None,
    )
    (snapshot,) = heap.snapshots
    assert snapshot.checkpoint == 1
    assert sum(snapshot.held.bytes) == heap.at_checkpoints[1] == 40_100
    assert [(one.how, one.bytes) for one in snapshot.held] == [
        (Joined.OWN, 100),
        (Joined.OWNED, 40_000),
    ]
