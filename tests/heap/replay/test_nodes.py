"""Stacks taken over node by node end where whole stacks would."""

from __future__ import annotations

import captures
import pytest
from captures import CaptureWriter
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

import memdeep
from memdeep.heap.origins import Origins
from memdeep.heap.replay.nodes import site_nodes
from memdeep.heap.replay.trace import Trace
from memdeep.heap.stacks import StackTreeBuilder, thread_frame
from memdeep.model import RawFrame

_replay = pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")

OWN = memdeep.__file__.replace("__init__", "record/api")
FUNCTIONS = [
    ("run", OWN),
    ("wrapper", OWN),
    ("_run_code", "<frozen runpy>"),
    ("main", "/env/lib/python3.11/site-packages/memray/__main__.py"),
    ("load", "/env/lib/python3.11/site-packages/pandas/io.py"),
    ("dumps", "/usr/lib/python3.11/json/__init__.py"),
    ("main", "/home/me/program.py"),
    ("step", "/home/me/program.py"),
]
ORIGINS = Origins(["/usr/lib/python3.11"], ["/env/lib/python3.11/site-packages"])
WORKER = captures.MAIN_THREAD + 1
NATIVE: RawFrame = ("malloc", "/src/malloc.c", 7)

# A thread, its stack of functions (outermost first; each entered from C or not), and whether the
# stack is given with native frames.
CALLS = st.lists(
    st.tuples(
        st.sampled_from([captures.MAIN_THREAD, WORKER]),
        st.lists(st.tuples(st.sampled_from(FUNCTIONS), st.booleans()), max_size=7),
        st.booleans(),
    ),
    max_size=6,
)


def traced(calls: list[tuple[int, list[tuple[tuple[str, str], bool]], bool]]) -> Trace:
    """A capture in which each of ``calls`` allocates once."""
    writer = CaptureWriter()
    for place, (thread, stack, _) in enumerate(calls):
        writer.switch(thread)
        if thread == WORKER:
            writer.name_thread("worker")
        for (function, filename), is_entry in stack:
            writer.push(function, filename=filename, is_entry=is_entry)
        writer.allocate(0x1000 * (place + 1), 10)
        if stack:
            writer.pop(len(stack))
    writer.trailer()
    replay = _replay.Replay()
    replay.feed(writer.content)
    replay.finish()
    return Trace(replay)


def python_stack(trace: Trace, site: int) -> list[RawFrame]:
    return [frame.raw for frame in trace.python_stack(trace.sites.node[site])]


def stack_by_stack(
    trace: Trace, builder: StackTreeBuilder, hybrid: dict[int, list[RawFrame]]
) -> list[int]:
    """The nodes of the sites: those of hybrid stacks first, then a thread at a time."""
    threads = list(trace.sites.thread)
    nodes = [-1] * len(threads)

    def order(site: int) -> tuple[int, int]:
        others = [one for one in range(1, len(threads)) if one not in hybrid]
        first = next((one for one in others if threads[one] == threads[site]), 0)
        return (0, site) if site in hybrid else (first, site)

    for site in sorted(range(1, len(threads)), key=order):
        thread = thread_frame(trace.thread_name(threads[site]) or "MainThread")
        nodes[site] = builder.add(python_stack(trace, site), hybrid.get(site), thread)
    return nodes


@examples(500)
@given(st.lists(CALLS, min_size=1, max_size=3))
def test_node_by_node_is_as_stack_by_stack(
    parts: list[list[tuple[int, list[tuple[tuple[str, str], bool]], bool]]],
) -> None:
    one, other = StackTreeBuilder(ORIGINS), StackTreeBuilder(ORIGINS)
    for calls in parts:
        trace = traced(calls)
        hybrid = {
            site: [NATIVE, *python_stack(trace, site)]
            for site in range(1, len(trace.sites.node))
            if calls[site % len(calls)][2]
        }
        nodes = site_nodes(trace, one, hybrid, ())
        assert list(nodes) == stack_by_stack(trace, other, hybrid)
        assert one.build() == other.build()
    assert one.add([("late", "/home/me/program.py", 1)], None) == other.add(
        [("late", "/home/me/program.py", 1)], None
    )


def test_tables_that_do_not_fit_are_refused() -> None:
    replay = traced([(WORKER, [(FUNCTIONS[6], True)], False)]).replayed
    # Frames: none and one. Threads: the main one's id, the worker's, and the worker's name.
    one, two, three, none = b"\0" * 4, b"\0" * 8, b"\0" * 12, b"\xff" * 4
    good = (b"", b"", 0, 1, two, three, b"\0\0", none, b"\0", none * 2)
    assert replay.site_nodes(*good)["node"] == none + b"\1\0\0\0"
    refused = {
        0: [(one, "not of one length"), (b"\0", "cut off")],
        2: [(2, "a frame has no name")],
        4: [(one, "a frame has no name"), (b"\1" * 8, "a frame has no name")],
        5: [(b"", "a thread has no name"), (none * 3, "a thread has no name")],
        6: [(b"\0", "makes no step"), (b"\0\1", "leads to no state")],
        7: [(b"", "a state is not known"), (b"\1" * 4, "a state is not known")],
        8: [(b"\0\0", "a state is not known")],
        9: [(none, "a site has no node"), (two, "a node is not in the tree")],
    }
    for place, cases in refused.items():
        for value, sentence in cases:
            with pytest.raises(ValueError, match=sentence):
                replay.site_nodes(*good[:place], value, *good[place + 1 :])
    with pytest.raises(ValueError, match="a tail is left again"):
        replay.site_nodes(*good[:6], b"\0\0\0\0", none * 2, b"\0\1", good[9])
    with pytest.raises(ValueError, match="a parent comes later"):
        replay.site_nodes(one, one, 1, *good[3:])
    with pytest.raises(ValueError, match="a node has no frame"):
        replay.site_nodes(none, one, 0, *good[3:])
