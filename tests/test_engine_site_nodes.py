"""Stacks taken over node by node end where whole stacks would."""

from __future__ import annotations

import captures
from hypothesis import given, settings
from hypothesis import strategies as st

import memdeep
from memdeep.capture.origins import Origins
from memdeep.capture.site_nodes import site_nodes
from memdeep.capture.stacks import RawFrame, StackTreeBuilder
from memdeep.capture.trace import PythonFrame

OWN = memdeep.__file__.replace("__init__", "record/api")
FRAMES: list[RawFrame] = [
    ("run", OWN, 1),
    ("wrapper", OWN, 2),
    ("_run_code", "<frozen runpy>", 3),
    ("main", "/env/lib/python3.11/site-packages/memray/__main__.py", 4),
    ("load", "/env/lib/python3.11/site-packages/pandas/io.py", 5),
    ("dumps", "/usr/lib/python3.11/json/__init__.py", 6),
    ("main", "/home/me/program.py", 7),
    ("step", "/home/me/program.py", 8),
]
ORIGINS = Origins(["/usr/lib/python3.11"], ["/env/lib/python3.11/site-packages"])


class Stacks:
    """As much of a trace as `SiteNodes` looks at; each stack is one site."""

    class header:
        main_thread = captures.MAIN_THREAD

    class sites:
        node: list[int]
        thread: list[int]

    threads = ((1, ""), (2, "worker"))
    frame_count = len(FRAMES)

    def __init__(self, stacks: list[list[int]]) -> None:
        self.node_parents, self.node_frames = [0], [0]
        nodes: dict[tuple[int, int], int] = {}
        self.sites.node, self.sites.thread = [0], [0]
        for place, stack in enumerate(stacks):
            node = 0
            for frame in stack:
                child = nodes.setdefault((node, frame), len(self.node_parents))
                if child == len(self.node_parents):
                    self.node_parents.append(node)
                    self.node_frames.append(frame)
                node = child
            self.sites.node.append(node)
            self.sites.thread.append(place % 2)

    def frame(self, number: int) -> PythonFrame:
        return PythonFrame(FRAMES[number], True)

    def thread_name(self, thread: int) -> str | None:
        return self.threads[thread][1] or None


@settings(max_examples=500)
@given(st.lists(st.lists(st.integers(0, len(FRAMES) - 1), max_size=7), max_size=6))
def test_node_by_node_is_as_stack_by_stack(stacks: list[list[int]]) -> None:
    one, other = StackTreeBuilder(ORIGINS), StackTreeBuilder(ORIGINS)
    nodes = site_nodes(Stacks(stacks), one, {})  # type: ignore[arg-type]
    for site in sorted(range(len(stacks)), key=lambda site: site % 2):  # a thread at a time
        found = nodes[1 + site]
        raw = [FRAMES[frame] for frame in reversed(stacks[site])]
        expected = other.add(raw, None, "worker" if site % 2 else "MainThread")
        assert one.build().stack(found) == other.build().stack(expected)
    assert one.build() == other.build()
