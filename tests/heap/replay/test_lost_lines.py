"""A thread that had Python frames and allocates without any has lost its lines."""

from __future__ import annotations

import html
import re
import sys
from collections import defaultdict
from pathlib import Path

import captures
import pytest
from captures import CaptureWriter
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from running import RunMemdeep, read_json

_replay = pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")

from memdeep.heap.replay.trace import Trace  # noqa: E402

PAGE = 4096

steps = st.one_of(
    st.tuples(st.just("malloc"), st.integers(0, 99)),
    st.tuples(st.just("mmap"), st.integers(0, 9).map(lambda number: number * PAGE)),
    st.tuples(st.just("free"), st.integers(0, 9)),
    st.tuples(st.just("push"), st.just(0)),
    st.tuples(st.just("pop"), st.just(0)),
    st.tuples(st.just("switch"), st.integers(1, 3)),
    st.tuples(st.just("marker"), st.just(0)),
)


@examples(200)
@given(program=st.lists(steps, max_size=60))
def test_what_was_allocated_after_the_last_frame_was_left(program: list[tuple[str, int]]) -> None:
    writer = CaptureWriter()
    depths: defaultdict[int, int] = defaultdict(int)
    alive: defaultdict[int, int] = defaultdict(int)
    had: set[int] = set()
    expected: dict[int, list[int]] = {}  # by thread: the first segment, bytes, most at one time
    blocks: list[tuple[int, int | None, int]] = []  # address, the thread that lost its line, bytes
    thread, segment = captures.MAIN_THREAD, 0
    for place, (step, value) in enumerate(program, 1):
        if step in ("malloc", "mmap"):
            address = place << 20
            (writer.allocate if step == "malloc" else writer.mmap)(address, value)
            is_lost = thread in had and not depths[thread]
            if step == "malloc":
                blocks.append((address, thread if is_lost else None, value))
            if is_lost:
                figures = expected.setdefault(thread, [segment, 0, 0])
                figures[1] += value
                alive[thread] += value
                figures[2] = max(figures[2], alive[thread])
        elif step == "free" and value < len(blocks):
            address, owner, size = blocks.pop(value)
            writer.free(address)
            if owner is not None:
                alive[owner] -= size
        elif step == "push":
            had.add(thread)
            depths[thread] += 1
            writer.push("work")
        elif step == "pop" and depths[thread]:
            depths[thread] -= 1
            writer.pop()
        elif step == "switch":
            thread = value
            writer.switch(thread)
        elif step == "marker":
            segment += 1
            writer.aligned_marker()
    writer.trailer()
    replay = _replay.Replay()
    replay.feed(writer.content)
    replay.finish()
    trace = Trace(replay)
    found = {
        trace.threads[lost.thread][0]: [lost.segment, lost.bytes, lost.most_bytes]
        for lost in trace.lost
    }
    assert found == expected


REMOVED = "sys.setprofile(None)"
ENABLED = "profiler = cProfile.Profile(); profiler.enable(); profiler.disable()"
HARMLESS = "atexit.register(work)"


TAKES_ITS_PLACE = sys.version_info < (3, 12)  # later ones have a hook of their own for cProfile


@pytest.mark.parametrize(
    ("deed", "is_said"), [(REMOVED, True), (ENABLED, TAKES_ITS_PLACE), (HARMLESS, False)]
)
@pytest.mark.parametrize("native", ["--native", "--no-native"])
def test_lost_lines_are_said_and_dated(
    deed: str, is_said: bool, native: str, run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import atexit, cProfile, sys\n"
        "from memdeep import checkpoint\n"
        "kept = []\n"
        "def work():\n"
        "    kept.append(bytearray(3_000_000))\n"
        "checkpoint('first')\n"
        f"{deed}\n"
        "checkpoint('second')\n"
        "work()\n"
        "checkpoint('third')\n"
    )
    out = tmp_path / "run"
    done = run_memdeep("run", native, "-o", str(out), str(program))
    said = [problem for problem in read_json(out / "report.json")["problems"] if "line" in problem]
    if not is_said:
        assert said == []
        return
    (problem,) = said
    # A reading of the mappings allocates too, where there is one: a MB, but in pieces of 8 KB.
    figure, _, rest = problem.partition(
        " MB at a time, allocated by the main thread, have no Python"
    )
    assert 2.8 < float(figure.removeprefix("Up to ")) < 3.2
    (place,) = re.findall("between the checkpoints (.+?):", rest)
    assert place == "second and third" or place == "first and second"
    assert "have no Python line" in " ".join(done.stderr.decode().split())
    assert problem.split(":")[0] in html.unescape((out / "report.html").read_text("utf-8"))
