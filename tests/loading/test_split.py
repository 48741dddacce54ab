"""Of the pages of many forked processes the largest are looked at, and the others are counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import event, process

from memdeep.loading.split import MAX_FORKS, find_split, with_pages
from memdeep.model import Process
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.journal import START
from memdeep.rundir.pages import SplitPages, encode_pages

PAGE = 4096
TIMES_S = (0.0, 1.0, 2.0, 3.0)
START_EVENT = event(START, 0, None)


def forked(place: int, **changes: object) -> Process:
    fields = {"parent": 0, "how": "fork", "start_s": 1.5, "directory": f"children/{place}"}
    return process(100 + place, **{**fields, **changes})


def write(run_dir: Path, place: int, content: bytes) -> None:
    (run_dir / f"children/{place}").mkdir(parents=True)
    (run_dir / f"children/{place}/pages").write_bytes(content)


def pages(count: int) -> SplitPages:
    return SplitPages(
        START_EVENT.monotonic_ns + 2_500_000_000, PAGE, ((PAGE, PAGE + count * PAGE),)
    )


def test_captures_are_asked_at_the_fork_and_at_the_reading(tmp_path: Path) -> None:
    family = [process(1, how="run"), forked(1), forked(2, parent=1, start_s=1.7)]
    write(tmp_path, 2, encode_pages(pages(3)))
    split = find_split(RunDirectory(tmp_path), family, START_EVENT, TIMES_S, 7)
    (fork,) = split.forks
    assert (fork.process, fork.born, fork.read) == (2, (7, 8), 9)
    asked = {
        place: [(one.number, one.segment, one.time_s, what.by_stack) for one, what in questions]
        for place, questions in split.questions.items()
    }
    assert asked == {
        1: [(7, 2, 1.7, True)],
        0: [(8, 2, 1.5, True)],
        2: [(9, 3, pytest.approx(2.5), False)],
    }
    known = with_pages(family, split.forks)
    assert [one.peak_uss_bytes for one in known] == [None, None, 3 * PAGE]


@pytest.mark.parametrize(
    "changes", [{"how": "spawn"}, {"how": "exec"}, {"directory": None}, {"parent": None}]
)
def test_only_recorded_forks_are_looked_at(tmp_path: Path, changes: dict[str, object]) -> None:
    write(tmp_path, 1, encode_pages(pages(3)))
    family = [process(1, how="run"), forked(1, **changes)]
    assert find_split(RunDirectory(tmp_path), family, START_EVENT, TIMES_S, 0).forks == ()


@pytest.mark.parametrize("content", [b"", b"P 1 4096 0\n1 1\n", encode_pages(SplitPages(1, 1, ()))])
def test_without_a_whole_reading_nothing_is_known(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, 1, content)
    family = [process(1, how="run"), forked(1), forked(2)]
    assert find_split(RunDirectory(tmp_path), family, START_EVENT, TIMES_S, 0).forks == ()


def test_of_too_many_the_largest_are_looked_at_and_the_others_counted(tmp_path: Path) -> None:
    count = MAX_FORKS + 5
    family = [process(1, how="run"), *(forked(place) for place in range(1, count + 1))]
    for place in range(1, count + 1):
        write(tmp_path, place, encode_pages(pages(place)))
    split = find_split(RunDirectory(tmp_path), family, START_EVENT, TIMES_S, 0)
    assert [fork.process for fork in split.forks] == list(range(6, count + 1))
    (problem,) = split.problems
    assert "5 further forked processes" in problem
