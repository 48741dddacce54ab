"""Memory that was copied for forked processes is charged once to each line, group by group."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import family_report
from hypothesis import given
from hypothesis import strategies as st

from memdeep.analysis.findings import findings
from memdeep.analysis.split import copied, split_off
from memdeep.model import Advice, Finding, FindingKind, Heap, Report, StackBytes
from memdeep.report import sentences
from memdeep.text.language import language

MB = 1 << 20
REPORT = family_report(3)


def nodes() -> list[int]:
    """The stacks of the report that end in a line of the user's."""
    return sorted({life.node for life in REPORT.heap.lifetimes})


def with_split(splits: dict[int, list[tuple[int, int]]]) -> Heap:
    """The heap of the report where processes have split off (node, bytes)."""
    heaps = [
        one._replace(
            split_off=tuple(StackBytes(node, size, 1) for node, size in splits[one.process])
        )
        if one.process in splits
        else one
        for one in REPORT.heap.processes
    ]
    return replace(REPORT.heap, processes=tuple(heaps))


def found(heap: Heap) -> list[Finding]:
    return copied(REPORT.run, heap, REPORT.phases)


SPLITS = st.dictionaries(
    st.integers(1, 4),
    st.lists(
        st.tuples(st.sampled_from(nodes()), st.integers(1, 90 * MB)),
        max_size=3,
        unique_by=lambda one: one[0],
    ),
)


@given(splits=SPLITS)
def test_each_byte_is_charged_once_for_each_process(
    splits: dict[int, list[tuple[int, int]]],
) -> None:
    heap = with_split(splits)
    known = {one.process: one for one in split_off(heap)}
    assert known.keys() == splits.keys()
    for process, parts in splits.items():
        total = sum(size for _, size in parts)
        assert known[process].bytes == total
        assert sum(one.bytes for one in known[process].culprits) == total
    every = found(heap)
    assert sum(one.bytes for one in every) == sum(one.bytes for one in known.values())
    for one in every:
        assert one.kind is FindingKind.COPIED
        assert one.resident_bytes == one.bytes
        assert one.evidence["largest_bytes"] <= one.bytes <= one.evidence["split_bytes"]
        groups = {REPORT.run.processes[place].group for place in one.processes}
        assert len(groups) == 1


def test_what_is_not_known_is_not_told() -> None:
    assert split_off(REPORT.heap) == ()
    assert found(REPORT.heap) == []
    nothing = with_split({1: []})
    assert [one.bytes for one in split_off(nothing)] == [0]
    assert found(nothing) == []


def told(sizes: dict[int, int]) -> list[Finding]:
    """The findings on copies of a report where processes have copied the program's one line."""
    heap = with_split({process: [(nodes()[0], size)] for process, size in sizes.items()})
    points = len(REPORT.run.checkpoints)
    every = findings(heap, REPORT.phases, points, of_processes=found(heap))
    return [one for one in every if one.kind is FindingKind.COPIED]


def test_processes_of_one_line_are_told_together_with_their_sum() -> None:
    (one,) = told({1: 30 * MB, 2: 40 * MB, 3: 30 * MB})
    assert (one.bytes, one.share, one.processes) == (100 * MB, 1.0, (1, 2, 3))
    assert one.evidence["split_bytes"] == 100 * MB
    assert one.evidence["largest_bytes"] == 40 * MB
    report = replace(REPORT, findings=(one,))
    said = sentences.finding(report, one, language("en"))
    assert said.startswith("At least 100.0 MB are copies of memory of ")
    assert "in 3 processes that" in said
    assert sentences.share(one, language("en")) == "100 % of all that was copied for them"


def test_large_blocks_are_copied_by_who_writes_to_them() -> None:
    """Arrays are no help there: it is an array. Arenas of Python's hold many objects each."""
    node = nodes()[0]
    for blocks, advice in ((1, Advice.WRITTEN_AFTER_FORK), (40, Advice.COPY_ON_WRITE)):
        heaps = [
            one._replace(split_off=(StackBytes(node, 40 * MB, blocks),))
            if one.process == 1
            else one
            for one in REPORT.heap.processes
        ]
        (item,) = found(replace(REPORT.heap, processes=tuple(heaps)))
        assert item.advice is advice


def test_processes_that_came_one_after_the_other_are_not_added_up() -> None:
    """As the workers of a loader of batches, which starts new ones in each epoch."""
    sizes = {1: 30, 2: 40, 3: 50, 4: 10}
    lives = {1: (2.1, 2.4), 2: (2.3, 2.5), 3: (2.6, 2.8), 4: (2.7, None)}
    processes = [
        replace(one, group=1, start_s=lives[place][0], end_s=lives[place][1])
        if place in lives
        else one
        for place, one in enumerate(REPORT.run.processes)
    ]
    run = replace(REPORT.run, processes=tuple(processes))
    heap = with_split({place: [(nodes()[0], size * MB)] for place, size in sizes.items()})
    (one,) = copied(run, heap, REPORT.phases)
    assert (one.bytes, one.processes) == (70 * MB, (1, 2))
    assert one.evidence["split_bytes"] == 70 * MB
    assert one.evidence["largest_bytes"] == 40 * MB


@pytest.mark.parametrize(
    ("words", "looked_at"),
    [
        ("en", " Looked at: 2 of the 3 forked processes that lived then; what the rest copied"),
        ("zh", "当时活着的 3 个 fork 子进程中查看了 2 个"),
    ],
)
def test_of_many_forks_it_is_said_how_many_were_looked_at(words: str, looked_at: str) -> None:
    """A fourth came later, a fifth was started anew, and the sixth belongs to another line."""
    changes: dict[int, dict[str, object]] = {
        1: {"group": 1, "start_s": 2.1, "end_s": 2.4},
        2: {"group": 1, "start_s": 2.3, "end_s": 2.5},
        3: {"group": 1, "start_s": 2.2, "end_s": 2.6, "directory": None},
        4: {"group": 1, "start_s": 2.7, "end_s": None},
        5: {"group": 1, "start_s": 2.2, "end_s": 2.6, "how": "spawn"},
        6: {"group": 6, "start_s": 2.2, "end_s": 2.6},
    }
    forked = REPORT.run.processes[1]
    processes = [REPORT.run.processes[0]]
    processes += [replace(forked, **{"how": "fork", **one}) for one in changes.values()]
    run = replace(REPORT.run, processes=tuple(processes))
    heap = with_split({place: [(nodes()[0], 30 * MB)] for place in (1, 2)})
    (one,) = copied(run, heap, REPORT.phases)
    assert (one.evidence["read"], one.evidence["forked"], one.evidence["unread"]) == (2, 3, 1)
    assert looked_at in sentences.evidence(one, language(words))
    (one,) = copied(replace(run, processes=run.processes[:3]), heap, REPORT.phases)
    assert one.evidence["unread"] == 0
    assert looked_at not in sentences.evidence(one, language(words))


def test_little_is_not_told_and_does_not_explain_the_highest_heap() -> None:
    assert told({1: MB // 2}) == []
    with_copies = with_split({1: [(nodes()[0], 90 * MB)]})
    points = len(REPORT.run.checkpoints)
    without = findings(with_copies, REPORT.phases, points)
    every = findings(with_copies, REPORT.phases, points, of_processes=found(with_copies))
    assert [one for one in every if one.kind is not FindingKind.COPIED] == list(without)


@pytest.mark.parametrize("words", ["en", "zh"])
def test_the_sentence_names_line_and_processes(words: str) -> None:
    (one,) = told({2: 30 * MB})
    report: Report = replace(REPORT, findings=(one,))
    said = sentences.finding(report, one, language(words))
    assert "30.0 MB" in said
    assert "{" not in said
