"""The laws of what a finding may say, over real runs of programs made by chance."""

from __future__ import annotations

import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from running import environment, memdeep_command, read_json

MB = 1 << 20
# Python takes room for its small objects in arenas of 1 MiB, which count for the line that is
# executing.
NOISE = 3 * MB // 2
LINES = 4
NAMES = ("加载", "day {n}", "epoch {n}", "fold {n}", "train")

# Line k + 2 of the program allocates for the slot k.
HEAD = ["from memdeep import phase"]
HEAD += [f"def line{k}(size): return bytearray(size)" for k in range(LINES)]
HEAD += ["kept = [[] for _ in range(4)]", "slot = [None] * 4"]


@dataclass
class Model:
    """The text of a program and what it holds: a careful reader's account of its memory."""

    lines: list[str] = field(default_factory=lambda: list(HEAD))
    slots: dict[int, int] = field(default_factory=dict)
    kept: Counter[int] = field(default_factory=Counter)
    at_ends: list[Counter[int]] = field(default_factory=list)  # by line, at each checkpoint
    highest: Counter[int] = field(default_factory=Counter)
    phases: int = 0

    def alive(self) -> Counter[int]:
        return self.kept + Counter(self.slots)

    def hold(self, alive: Counter[int]) -> None:
        if alive.total() > self.highest.total():
            self.highest = alive

    def checkpoint(self) -> None:
        self.at_ends.append(self.alive())


def steps(depth: int = 0) -> st.SearchStrategy[list[tuple[object, ...]]]:
    """Allocations, frees, and phases, some of them in loops, with steps inside."""
    allocate = st.tuples(
        st.sampled_from(["keep", "put"]), st.integers(0, LINES - 1), st.integers(1, 12)
    )
    free = st.tuples(st.sampled_from(["clear", "drop"]), st.integers(0, LINES - 1))
    kinds = [allocate, allocate, free]
    if depth < 2:
        loop = st.tuples(
            st.just("loop"), st.sampled_from(NAMES), st.integers(1, 5), steps(depth + 1)
        )
        kinds += [loop, loop]
    return st.lists(st.one_of(kinds), min_size=1, max_size=4)


def write(model: Model, todo: list[tuple[object, ...]], indent: str) -> None:
    """Add ``todo`` to the program, every loop rolled out."""
    for kind, *words in todo:
        if kind == "loop":
            name, times, inside = words
            for n in range(times):
                model.lines.append(f"{indent}with phase({name.format(n=n)!r}):")
                model.checkpoint()
                write(model, inside, indent + " ")
                model.checkpoint()
            continue
        line = words[0]
        if kind == "keep":
            model.lines.append(f"{indent}kept[{line}].append(line{line}({words[1] * MB}))")
            model.kept[line] += words[1] * MB
        elif kind == "put":
            model.lines.append(f"{indent}slot[{line}] = line{line}({words[1] * MB})")
            model.hold(model.alive() + Counter({line: words[1] * MB}))  # the old one is still there
            model.slots[line] = words[1] * MB
        elif kind == "clear":
            model.lines.append(f"{indent}kept[{line}].clear()")
            model.kept[line] = 0
        else:
            model.lines.append(f"{indent}slot[{line}] = None")
            model.slots.pop(line, None)
        model.hold(model.alive())


@given(steps())
@examples(12)
def test_what_is_said_of_a_program_made_by_chance_is_true(todo: list[tuple[object, ...]]) -> None:
    model = Model()
    model.checkpoint()  # the start
    write(model, todo, "")
    model.checkpoint()  # the end
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "program.py").write_text("\n".join(model.lines), encoding="utf-8")
        words = ("run", "--quiet", "--no-native", "-o", "run", "program.py")
        subprocess.run(memdeep_command(*words), cwd=directory, env=environment(), check=True)
        report = read_json(Path(directory) / "run" / "report.json")
    points, phases = report["checkpoints"], report["phases"]
    assert len(points) == len(model.at_ends)
    by_moment: Counter[int] = Counter()
    named = Counter[int]()
    for finding in report["findings"]:
        assert finding["bytes"] <= report["peak_heap_bytes"]
        line = finding["culprit"] and finding["culprit"]["lineno"] - 2
        named[line] += 1
        if finding["kind"] == "growth":
            end = max(phases[place]["end"] for place in finding["phases"])
            by_moment[end] += finding["bytes"]
            if line in range(LINES):
                assert finding["bytes"] <= model.at_ends[end][line] + NOISE
    for end, said in by_moment.items():
        assert said <= points[end]["heap_bytes"]
    highest = model.highest.total()
    for line, size in model.highest.items():
        if size >= 10 * MB and size >= 0.25 * highest:
            assert named[line], (line, size, highest)
    left = model.at_ends[-1]
    for line, size in left.items():
        if size >= 10 * MB and size >= 0.4 * highest:
            grown = [f for f in report["findings"] if f["kind"] == "growth"]
            assert line in {f["culprit"]["lineno"] - 2 for f in grown}, (line, size)
