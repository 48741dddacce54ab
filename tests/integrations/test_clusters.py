"""The rows of a cluster in words."""

from __future__ import annotations

from memdeep.integrations import cluster_summary
from memdeep.integrations.clusters import LOST, RUNNING, ClusterWorker, HeldLine, Prefix
from memdeep.text.language import language

MB = 1024 * 1024
ROWS = [
    Prefix("load", {"0": 3, "1": 1}, 5 * MB, 9, (HeldLine("/a/b.py", 7, "f", 4 * MB),)),
    Prefix("load/in", {"0": 2}, 6 * MB, 9, (HeldLine("/a/\033[1m.py", 8, "g", 6 * MB),)),
    Prefix("sum", {"1": 1}),
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
    assert load == "   5.0 MB kept         – in use   tasks:      4   workers:   2   load  b.py:7"
    assert "\033" not in within
    assert unknown == "        – kept         – in use   tasks:      1   workers:   1   sum"
    assert first == "   5.0 MB peak RSS, 50.0 % of the limit   10.0 MB  worker 0: running"
    assert second.endswith("worker 1: lost; how it ended is not known")


def test_many_are_not_all_listed() -> None:
    said = cluster_summary.lines(ROWS[2:] * 21, WORKERS[:1] * 30, language("zh"))
    assert said[20] == "另有 1 行任务。" and said[-1] == "另有 10 个工作进程。"
    assert cluster_summary.lines([], [], language("en")) == []


def test_what_was_reserved_and_never_used_does_not_come_first() -> None:
    pool = Prefix("pool", {"0": 1}, 1000 * MB, 1, (HeldLine("p.py", 1, "f", 1000 * MB, MB),))
    most, first, *_ = cluster_summary.lines([*ROWS, pool], [], language("en"))
    assert most.startswith("6.0 MB were kept")
    assert (pool.resident, ROWS[0].resident) == (MB, None)
