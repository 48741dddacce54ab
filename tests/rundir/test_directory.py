"""A run directory is made empty and private, and nobody else's files are touched."""

from __future__ import annotations

import stat
from datetime import datetime
from pathlib import Path

import pytest

from memdeep.errors import EXIT_NO_INPUT, EXIT_NOT_STARTED, CaptureError, OutputError
from memdeep.rundir import directory
from memdeep.rundir.directory import RunDirectory

NOW = datetime(2025, 11, 20, 10, 30, 45)


def test_the_default_path_names_program_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = directory.create_default("etl", NOW)
    assert made.path == Path("memdeep-runs/etl-20251120-103045")


def test_the_default_path_is_never_one_that_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [directory.create_default("etl", NOW).path.name for _ in range(3)]
    assert names == ["etl-20251120-103045", "etl-20251120-103045-2", "etl-20251120-103045-3"]


def test_all_files_lie_in_the_directory_under_names_of_their_own(tmp_path: Path) -> None:
    for name in ("capture.bin", "capture-2.bin", "markers", "markers-2"):
        (tmp_path / name).touch()
    files = RunDirectory(tmp_path).files()
    assert len({file.name for file in files}) == len(files) == 33
    assert all(file.parent == tmp_path for file in files)


def test_a_new_directory_is_private_and_has_an_empty_journal(tmp_path: Path) -> None:
    run_dir = directory.create(tmp_path / "deep" / "run", force=False)
    assert stat.S_IMODE(run_dir.path.stat().st_mode) == 0o700
    assert run_dir.journal.read_bytes() == b""
    assert [file.name for file in run_dir.path.iterdir()] == ["journal.jsonl"]


def test_of_two_runs_started_at_once_one_gets_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one has looked into the directory before there was anything in it."""
    directory.create(tmp_path, force=False)
    monkeypatch.setattr(Path, "iterdir", lambda _path: iter(()))
    monkeypatch.setattr(RunDirectory, "files", lambda _run_dir: ())
    with pytest.raises(OutputError) as caught:
        directory.create(tmp_path, force=False)
    assert "is not empty" in caught.value.message


def test_an_empty_directory_may_be_used(tmp_path: Path) -> None:
    assert directory.create(tmp_path, force=False).journal.is_file()


def test_a_directory_with_something_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError) as caught:
        directory.create(tmp_path, force=False)
    assert str(tmp_path) in caught.value.message
    assert "--force" in caught.value.hint
    assert caught.value.exit_status == EXIT_NOT_STARTED
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_force_removes_the_old_run_and_nothing_else(tmp_path: Path) -> None:
    for file in RunDirectory(tmp_path).files():
        file.write_bytes(b"old")
    (tmp_path / "thesis.txt").write_text("years of work")
    run_dir = directory.create(tmp_path, force=True)
    assert {file.name for file in tmp_path.iterdir()} == {"journal.jsonl", "thesis.txt"}
    assert run_dir.journal.read_bytes() == b""
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_file_in_the_place_of_the_directory_is_an_error_with_the_path(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_text("a file")
    with pytest.raises(OutputError) as caught:
        directory.create(path, force=True)
    assert str(path) in caught.value.message
    assert path.read_text() == "a file"


def test_an_existing_run_is_known_by_its_journal(tmp_path: Path) -> None:
    directory.create(tmp_path, force=False)
    assert directory.existing(tmp_path).path == tmp_path


@pytest.mark.parametrize("name", ["", "missing"])
def test_a_directory_without_a_journal_is_no_run(tmp_path: Path, name: str) -> None:
    with pytest.raises(CaptureError) as caught:
        directory.existing(tmp_path / name)
    assert ("no file" if name else "no journal.jsonl") in caught.value.message
    assert caught.value.exit_status == EXIT_NO_INPUT


def test_with_force_the_processes_of_the_earlier_run_go_and_other_files_stay(
    tmp_path: Path,
) -> None:
    run_dir = directory.create(tmp_path / "run", force=False)
    for name in ("11", "12"):
        child = run_dir.child(name)
        child.path.mkdir(parents=True)
        child.journal.touch()
        child.capture().touch()
    (run_dir.child("12").path / "mine.txt").touch()
    assert [child.path.name for child in run_dir.children()] == ["11", "12"]
    assert [file.parent.name for file in run_dir.growing()] == ["11", "12"]
    directory.create(run_dir.path, force=True)
    left = sorted(path.name for path in run_dir.path.rglob("*") if path.is_file())
    assert left == ["journal.jsonl", "mine.txt"]


def test_reports_that_were_made_meanwhile_go_with_their_run(tmp_path: Path) -> None:
    run_dir = directory.create(tmp_path / "run", force=False)
    frozen = run_dir.frozen("20251120-103045")
    frozen.path.mkdir(parents=True)
    for file in (frozen.html, frozen.json, run_dir.live):
        file.touch()
    directory.clear(run_dir)
    assert list(run_dir.path.iterdir()) == []
