"""The newest run is found, and nothing but the files of runs is ever removed."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from running import tree

from memdeep.errors import EXIT_NO_INPUT, CaptureError
from memdeep.rundir import directory, journal, runs
from memdeep.rundir.directory import RunDirectory

NOW = datetime(2025, 11, 20, 10, 30, 45)


def make_run(path: Path, epoch_ns: int = 1) -> RunDirectory:
    """A run directory of a program that is long gone."""
    run_dir = directory.create(path, force=False)
    run_dir.journal.write_bytes(journal.encode_start(2**22 + 1, (10, 1), 0, epoch_ns))
    return run_dir


def test_the_newest_run_is_the_one_that_started_last(tmp_path: Path) -> None:
    parent = tmp_path / directory.DEFAULT_PARENT
    make_run(parent / "b", epoch_ns=3_000)
    make_run(parent / "a", epoch_ns=5_000)
    make_run(parent / "c", epoch_ns=4_000)
    (parent / "c" / "report.html").touch()
    (parent / "other").mkdir()
    (parent / "file").touch()
    assert runs.newest(parent).path == parent / "a"


def test_a_run_that_has_just_been_made_is_the_newest(tmp_path: Path) -> None:
    make_run(tmp_path / "a", epoch_ns=int(datetime(2020, 1, 1).timestamp() * 1e9))
    directory.create(tmp_path / "b", force=False)
    assert runs.newest(tmp_path).path == tmp_path / "b"


@pytest.mark.parametrize("make", [False, True])
def test_without_a_run_there_is_an_error(tmp_path: Path, make: bool) -> None:
    parent = tmp_path / directory.DEFAULT_PARENT
    if make:
        parent.mkdir()
    with pytest.raises(CaptureError) as caught:
        runs.newest(parent)
    assert caught.value.exit_status == EXIT_NO_INPUT
    assert caught.value.message == f"There is no run in {parent}."
    assert "memdeep run" in caught.value.hint


def test_links_are_no_runs_and_the_newest_comes_first(tmp_path: Path) -> None:
    for name, at in (("a", 2_000), ("b", 3_000), ("c", 1_000)):
        make_run(tmp_path / name, at)
    (tmp_path / "d").symlink_to("a", target_is_directory=True)
    assert [run_dir.path.name for run_dir in runs.found(tmp_path)] == ["b", "a", "c"]


def test_latest_leads_to_the_newest_and_git_sees_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parent = tmp_path / directory.DEFAULT_PARENT
    for _ in range(2):
        made = directory.create_default("etl", NOW)
        assert (parent / "latest").resolve() == made.path.resolve()
    assert (parent / ".gitignore").read_text() == "*\n"
    assert sorted(path.name for path in parent.iterdir())[:2] == [".gitignore", made.path.name[:-2]]


def test_what_is_there_already_under_these_names_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    latest = tmp_path / directory.DEFAULT_PARENT / "latest"
    latest.mkdir(parents=True)
    directory.create_default("etl", NOW)
    assert latest.is_dir()
    assert not latest.is_symlink()
    assert not (latest.parent / ".gitignore").exists()  # the directory was there before


def test_a_run_is_removed_with_its_processes_and_latest_leads_to_the_one_before(
    tmp_path: Path,
) -> None:
    make_run(tmp_path / "a", 1_000)
    newer = make_run(tmp_path / "b", 2_000)
    make_run(newer.child("17").path)
    directory.link_latest(tmp_path, newer)
    assert runs.remove(newer)
    assert not newer.path.exists()
    assert (tmp_path / "latest").resolve() == (tmp_path / "a").resolve()
    assert runs.remove(RunDirectory(tmp_path / "a"))
    assert list(tmp_path.iterdir()) == []


def test_files_of_others_stay_with_their_directory(tmp_path: Path) -> None:
    run_dir = make_run(tmp_path / "run")
    (run_dir.path / "thesis.txt").write_text("years of work")
    assert not runs.remove(run_dir)
    assert list(tree(tmp_path)) == ["run", "run/thesis.txt"]


def test_no_link_is_followed_when_a_run_is_removed(tmp_path: Path) -> None:
    other = make_run(tmp_path / "other")
    before = tree(other.path)
    by_child, by_children = make_run(tmp_path / "x"), make_run(tmp_path / "y")
    (by_child.path / "children").mkdir()
    (by_child.path / "children" / "1").symlink_to(other.path, target_is_directory=True)
    (tmp_path / "all").mkdir()
    other.path.rename(tmp_path / "all" / "1")
    (by_children.path / "children").symlink_to(tmp_path / "all", target_is_directory=True)
    (by_child.path / "children" / "1").unlink()
    (by_child.path / "children" / "1").symlink_to(tmp_path / "all" / "1")
    runs.remove(by_child)
    runs.remove(by_children)
    assert tree(tmp_path / "all" / "1") == before


@pytest.mark.parametrize("name", ["none", "folder", "file", "odd"])
def test_what_is_no_run_is_not_removable(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "odd" / "journal.jsonl").mkdir(parents=True)
    with pytest.raises(CaptureError):
        runs.removable(tmp_path / name)


def test_a_held_run_is_known_to_be(tmp_path: Path) -> None:
    run_dir = make_run(tmp_path / "run")
    assert not runs.is_held(run_dir)
    with runs.held(run_dir):
        assert runs.is_held(run_dir)
    assert not runs.is_held(run_dir)
