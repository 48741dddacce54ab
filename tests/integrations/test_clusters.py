"""The rows of a cluster in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from memdeep.integrations import cluster_summary
from memdeep.integrations.clusters import LOST, RUNNING, ClusterWorker
from memdeep.objects.across import Row, Share
from memdeep.objects.stacks import Line
from memdeep.text.language import language

MB = 1024 * 1024


def row(path: str, tasks: dict[str, int], *lines: Line, **more: Any) -> Row:
    figures: dict[str, Any] = {"retained": None, "resident": None, "peak": None} | more
    peak = figures.pop("peak")
    shares = tuple(
        Share(place, name, count, None, None, peak)
        for place, (name, count) in enumerate(tasks.items())
    )
    nothing = dict.fromkeys(("other", "growth", "allocated", "freed", "allocations"))
    count = sum(tasks.values())
    return Row(
        *(path, count, 1.0, True, False),
        **figures,  # type: ignore[arg-type]
        **nothing,
        shares=shares,
        lines=lines,
    )


def line(name: str, size: int, resident: int | None = None) -> Line:
    return Line(name, None, 7, "f", None, size, 1, 1.0, resident, (), None, 1)


ROWS = [
    row("load", {"0": 3, "1": 1}, line("/a/b.py", 4 * MB), retained=5 * MB, peak=9 * MB),
    row("load/in", {"0": 2}, line("/a/\033[1m.py", 6 * MB), retained=6 * MB),
    row("sum", {"1": 1}),
]
WORKERS = [
    ClusterWorker("0", "tcp://a", 1, 2, 10 * MB, 5 * MB, 4 * MB, RUNNING),
    ClusterWorker("1", "tcp://b", 2, 2, None, None, None, LOST),
]


def test_the_figure_comes_first_then_the_line() -> None:
    most, load, within, unknown, first, second = cluster_summary.lines(
        ROWS, WORKERS, language("en")
    )
    assert most.startswith("6.0 MB were kept by ") and most.count("load/in on 1 worker:") == 1
    assert load == (
        "   5.0 MB kept         – in use    9.0 MB peak   "
        "tasks:      4   workers:   2   load  b.py:7"
    )
    assert "\033" not in within
    assert unknown == (
        "        – kept         – in use         – peak   tasks:      1   workers:   1   sum"
    )
    assert first == "   5.0 MB peak RSS, 50.0 % of the limit   10.0 MB  worker 0: running"
    assert second.endswith("worker 1: lost; how it ended is not known")


def test_many_are_not_all_listed() -> None:
    said = cluster_summary.lines(ROWS[2:] * 21, WORKERS[:1] * 30, language("zh"))
    assert said[20] == "另有 1 行任务。" and said[-1] == "另有 10 个工作进程。"
    assert cluster_summary.lines([], [], language("en")) == []


def test_what_was_reserved_and_never_used_does_not_come_first() -> None:
    pool = row("pool", {"0": 1}, line("p.py", 1000 * MB, MB), retained=1000 * MB, resident=MB)
    most, first, *_ = cluster_summary.lines([*ROWS, pool], [], language("en"))
    assert most.startswith("6.0 MB were kept")
    assert (pool.resident, ROWS[0].resident) == (MB, None)


def test_a_row_counts_its_tasks_by_the_names_of_workers() -> None:
    twice = row("load", {"0": 3}, line("/a/b.py", MB), peak=9 * MB)
    shares = (*twice.shares, Share(1, "0", 2, None, None, 7 * MB), Share(2, "1", 1, None, None, 1))
    both = replace(twice, shares=shares)
    assert (both.tasks, both.peak, both.rise) == ({"0": 5, "1": 1}, 9 * MB, None)
    assert repr(both) == "<Row load: 3 of 3 workers, – retained, rise –, b.py:7>"
