"""Small makers of comparisons for tests: programs that keep some megabytes in each phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from factories import MB, analysed, frame, lifetime, run, tree

from memdeep.analysis.compare.compare import compare
from memdeep.model import Report, Sample
from memdeep.model.comparison import Comparison


def compared(before: Report, after: Report) -> Comparison:
    """Two reports compared, by the names ``before`` and ``after``."""
    return compare([("before", before)], [("after", after)])


def job(sizes: Mapping[str, int], inside: Sequence[str] = (), shift: int = 0) -> Report:
    """A program of phases one after another, each keeping so many MB in a line of its own.

    Those ``inside`` lie in the phase before them. ``shift`` moves all its lines down.
    """
    names = list(sizes)
    steps: list[str] = []
    open_name = ""
    for name in names:
        if open_name and name not in inside:
            steps.append(f"-{open_name}")
            open_name = ""
        steps.append(f"+{name}")
        if name in inside:
            steps.append(f"-{name}")
        else:
            open_name = name
    steps.extend([f"-{open_name}"] if open_name else [])
    main = frame("main", lineno=1 + shift)
    called = [frame(f"do_{name}", lineno=10 + 5 * n + shift) for n, name in enumerate(names)]
    stacks, nodes = tree(*([main, one, frame("grow", lineno=3 + shift)] for one in called))
    recorded = run(*steps)
    begins = {point.label: point.index for point in reversed(recorded.checkpoints)}
    lives = [
        lifetime(node, begins[name] + 1, bytes=sizes[name] * MB, allocations=sizes[name])
        for name, node in zip(names, nodes, strict=True)
        if sizes[name]
    ]
    sources = {(one.filename, one.lineno): f"{one.function}(data)" for one in (main, *called)}
    sources[main.filename, 3 + shift] = "rows.append(bytes(1 << 20))"
    made = analysed(recorded, stacks, lives, sources)
    heights = [0, *[size or 0 for size in made.heap.at_checkpoints[1:]]]
    points = tuple(
        replace(point, rss_bytes=30 * MB + height, thread="MainThread")
        for point, height in zip(recorded.checkpoints, heights, strict=True)
    )
    curve = tuple(Sample(point.time_s, point.rss_bytes or 0) for point in points)
    seen = replace(
        recorded, checkpoints=points, rss_curve=curve, peak_rss_bytes=max(s.bytes for s in curve)
    )
    return analysed(seen, stacks, lives, sources)
