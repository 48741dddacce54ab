"""By which allocators a stack asked for its bytes: the replay, memray's reader, and the program."""

from __future__ import annotations

from collections.abc import Iterable

import captures
import pytest
from captures import CaptureWriter
from hypothesis import given
from hypothesis import strategies as st
from memray import AllocatorType, FileReader
from properties import examples

from memdeep.heap.memray.reader import asked_by
from memdeep.heap.origins import Origins
from memdeep.heap.replay.trace import Trace
from memdeep.heap.stacks import StackTreeBuilder
from memdeep.model import Asked

_replay = pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")

PYTHONS = range(AllocatorType.PYMALLOC_MALLOC, AllocatorType.FREE)
C = range(AllocatorType.MALLOC, AllocatorType.MMAP)
PAGE = 4096
Step = tuple[str, int]
Program = list[Step]

allocations = st.sampled_from([*PYTHONS, *C, AllocatorType.MMAP]).map(lambda one: ("ask", one))
others = st.one_of(
    st.tuples(st.just("push"), st.integers(0, 2)),
    st.tuples(st.sampled_from(["pop", "free", "marker"]), st.just(0)),
    st.tuples(st.just("switch"), st.integers(1, 3)),
)
programs = st.lists(st.one_of(allocations, allocations, others), max_size=60)
Asks = dict[tuple[str, ...], int]


def written(program: Iterable[Step]) -> tuple[bytes, Asks]:
    """Write a capture of ``program``; return the families that each stack asked, too."""
    writer = CaptureWriter()
    stacks: dict[int, list[str]] = {}
    asks: Asks = {}
    thread, address, sequence = captures.MAIN_THREAD, PAGE, 0
    for step, word in program:
        stack = stacks.setdefault(thread, [])
        if step == "ask":
            address += PAGE
            if word == AllocatorType.MMAP:
                writer.mmap(address, PAGE)
                family = Asked.MMAP
            else:
                writer.allocate(address, 8, word)
                family = Asked.PYMALLOC if word in PYTHONS else Asked.MALLOC
            key = tuple(reversed(stack))
            asks[key] = asks.get(key, 0) | family
        elif step == "free":
            writer.free(address)
        elif step == "push":
            stack.append(f"f{word}")
            writer.push(stack[-1])
        elif step == "pop" and stack:
            stack.pop()
            writer.pop()
        elif step == "switch":
            thread = word
            writer.switch(word)
        elif step == "marker":
            sequence += 1
            writer.marker(sequence)
    writer.trailer()
    return writer.content, asks


@examples(300)
@given(program=programs)
def test_each_site_has_the_allocators_of_its_records(
    tmp_path_factory: pytest.TempPathFactory, program: Program
) -> None:
    content, asks = written(program)
    replay = _replay.Replay()
    replay.feed(content)
    replay.finish()
    trace = Trace(replay)
    found: Asks = {}
    for site, flags in enumerate(trace.sites.asked):
        if site:
            stack = trace.python_stack(trace.sites.node[site])
            key = tuple(frame.raw[0] for frame in stack)
            found[key] = found.get(key, 0) | flags
    assert found == asks
    path = tmp_path_factory.getbasetemp() / "asked.bin"
    path.write_bytes(content)
    memrays: Asks = {}
    with FileReader(path) as reader:
        for record in reader.get_allocation_records():
            if record.allocator not in (AllocatorType.FREE, AllocatorType.MUNMAP):
                key = tuple(function for function, _, _ in record.stack_trace())
                memrays[key] = memrays.get(key, 0) | asked_by(record.allocator)
    assert memrays == asks


@given(
    asked=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 7)), max_size=12),
)
def test_a_node_has_all_that_its_stacks_asked(asked: list[tuple[int, int]]) -> None:
    builder = StackTreeBuilder(Origins())
    expected: dict[int, int] = {}
    for function, flags in asked:
        node = builder.add([(f"f{function}", "/program.py", 1), ("main", "/program.py", 2)], None)
        builder.ask([node, -1], [flags, 7])
        expected[node] = expected.get(node, 0) | flags
    tree = builder.build()
    assert len(tree.asked) == len(tree.parents)
    assert {node: flags for node, flags in enumerate(tree.asked) if flags} == {
        node: flags for node, flags in expected.items() if flags
    }
    builder.add([("late", "/program.py", 3)], None)
    assert len(builder.build().asked) in (0, len(builder.build().parents))
