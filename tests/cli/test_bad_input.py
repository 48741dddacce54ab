"""Whatever is wrong with what memdeep is given: one sentence, one hint, nothing overwritten."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import (
    PROGRAMS,
    RUN_FILES,
    TIMEOUT_S,
    TREE_FILES,
    RunMemdeep,
    complaint,
    environment,
    memdeep_command,
    read_json,
    tree,
)

from memdeep.errors import (
    EXIT_BAD_DATA,
    EXIT_NO_INPUT,
    EXIT_NOT_FOUND,
    EXIT_NOT_RUNNABLE,
    EXIT_NOT_STARTED,
    EXIT_USAGE,
)

GROWS = PROGRAMS / "grows.py"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `grows.py` without a report, and in `raw.bin` a plain memray capture of it."""
    directory = tmp_path_factory.mktemp("recorded")
    recording = ("run", "--quiet", "--no-native", "--no-report", "-o", directory / "run", GROWS)
    memray = (sys.executable, "-m", "memray", "run", "--quiet", "--no-compress", "-o", "raw.bin")
    for command in (memdeep_command(*recording), [*memray, str(GROWS)]):
        subprocess.run(
            command,
            cwd=directory,
            env=environment(),
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=TIMEOUT_S,
        )
    return directory


@pytest.fixture
def run_dir(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded / "run", tmp_path / "run"))


@pytest.fixture
def capture(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(recorded / "raw.bin", tmp_path / "raw.bin"))


@pytest.fixture
def refused(tmp_path: Path, run_memdeep: RunMemdeep) -> Callable[..., tuple[str, str]]:
    """Runs memdeep with ``args``, which must end with ``status`` and change no file."""

    def run(status: int, *args: object, **options: Any) -> tuple[str, str]:
        before = tree(tmp_path)
        completed = run_memdeep(*args, **options)
        assert completed.returncode == status, completed.stderr
        assert completed.stdout == b""
        assert tree(tmp_path) == before
        return complaint(completed)

    return run


Refused = Callable[..., tuple[str, str]]


# The program


@pytest.mark.parametrize("words", [(), ("--",), ("-m",), ("-c",), ("--quiet", "-o", "d")])
def test_no_program(refused: Refused, words: tuple[str, ...]) -> None:
    sentence, hint = refused(EXIT_USAGE, "run", *words)
    assert sentence == "There is no program to run."
    assert "--help" in hint


@pytest.mark.parametrize("name", ["no/such/directory/missing.py", "[bold]x.py"])
def test_missing_program(refused: Refused, name: str) -> None:
    sentence, _ = refused(EXIT_NOT_FOUND, "run", name)
    assert name in sentence


@pytest.mark.parametrize("name", ["x\x1b[31m.py", "two\nlines.py", b"\xff.py"])
def test_hostile_name_is_shown_harmlessly(refused: Refused, name: str | bytes) -> None:
    sentence, _ = refused(EXIT_NOT_FOUND, "run", name)
    assert sentence.isprintable()


def test_directory_as_program(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    sentence, hint = refused(EXIT_NOT_RUNNABLE, "run", "folder")
    assert "folder is a directory" in sentence
    assert "-m" in hint


def test_path_below_a_file_as_program(refused: Refused) -> None:
    refused(EXIT_NOT_RUNNABLE, "run", GROWS / "main.py")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_program(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "secret.py").touch(mode=0)
    refused(EXIT_NOT_RUNNABLE, "run", "secret.py")


def test_syntax_error_in_program(refused: Refused) -> None:
    sentence, _ = refused(EXIT_NOT_RUNNABLE, "run", PROGRAMS / "syntax_error.py")
    assert "syntax_error.py" in sentence
    assert "line 3" in sentence


@pytest.mark.parametrize(
    "content",
    [
        b"\x00" * 1000,
        b"print(1)\x00\n",
        b"# coding: no-such-coding\n",
        b"print('\xff')\n",
        b"(" * 100_000,
        b"'''never closed",
    ],
    ids=[
        "null bytes",
        "one null byte",
        "coding",
        "not utf-8",
        "deep",
        "open string",
    ],
)
def test_file_that_is_no_program(refused: Refused, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "program.py").write_bytes(content)
    sentence, _ = refused(EXIT_NOT_RUNNABLE, "run", "program.py")
    assert "program.py" in sentence


def test_wrong_files_and_words_are_called_by_their_names(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "wrapper").write_text("#!/bin/sh\nexec python x.py 2>&1\n")
    assert "for sh, not for Python" in refused(EXIT_NOT_RUNNABLE, "run", "wrapper")[0]
    assert "compiled program" in refused(EXIT_NOT_RUNNABLE, "run", "/bin/ls", "-l")[0]
    assert "compiled program" in refused(EXIT_NOT_RUNNABLE, "run", "ls", "-l")[0]
    refused(EXIT_NOT_FOUND, "run", "python9.9", "x.py")
    assert refused(EXIT_NOT_FOUND, "run", sys.executable, "x.py")[0] == "There is no file x.py."
    refused(EXIT_USAGE, "run", sys.executable, "--version")
    refused(EXIT_USAGE, "run", sys.executable)


@pytest.mark.parametrize("code", ["def broken(:", "return"])
def test_syntax_error_in_code(refused: Refused, code: str) -> None:
    refused(EXIT_NOT_RUNNABLE, "run", "-c", code)


@pytest.mark.parametrize(
    "module",
    ["no_such_module", "json.no_such_module", "os.path.x", "..", "a b", ""],
)
def test_missing_module(refused: Refused, module: str) -> None:
    sentence, _ = refused(EXIT_NOT_FOUND, "run", "-m", module)
    assert repr(module) in sentence


# The output


@pytest.mark.parametrize("output", ["file", "file/below", "/dev/full", "/proc/memdeep"])
def test_output_that_cannot_be_a_directory(refused: Refused, tmp_path: Path, output: str) -> None:
    (tmp_path / "file").write_text("kept")
    sentence, hint = refused(EXIT_NOT_STARTED, "run", "-o", output, GROWS)
    assert output in sentence
    assert "you may write to" in hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_output_in_a_directory_that_is_read_only(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    refused(EXIT_NOT_STARTED, "run", "-o", "locked/run", GROWS)
    refused(EXIT_NOT_STARTED, "run", "-o", "locked", GROWS)


def test_directory_in_use_is_refused(refused: Refused, run_dir: Path) -> None:
    sentence, hint = refused(EXIT_NOT_STARTED, "run", "-o", run_dir, GROWS)
    assert str(run_dir) in sentence
    assert "--force" in hint


def test_force_replaces_the_run_and_keeps_the_rest(run_memdeep: RunMemdeep, run_dir: Path) -> None:
    (run_dir / "notes.txt").write_text("mine")
    (run_dir / "folder").mkdir()
    for name in ("report.html", "report.json", "markers"):
        (run_dir / name).write_text("old")
    old = tree(run_dir)
    completed = run_memdeep("run", "--no-report", "--force", "-o", run_dir, GROWS, "again")
    assert completed.returncode == 0
    new = tree(run_dir)
    made = {*RUN_FILES, *TREE_FILES, "markers"}
    assert set(new) - {"symbols"} == made | {"notes.txt", "folder"}
    assert new["notes.txt"] == b"mine"
    assert all(new[name] != old[name] for name in (*RUN_FILES, "markers"))
    assert read_json(run_dir / "meta.json")["command"] == [str(GROWS), "again"]


def test_force_removes_nothing_before_the_program_is_found(refused: Refused, run_dir: Path) -> None:
    refused(EXIT_NOT_FOUND, "run", "--force", "-o", run_dir, "missing.py")
    refused(EXIT_NOT_RUNNABLE, "run", "--force", "-o", run_dir, PROGRAMS / "syntax_error.py")


def test_report_into_a_file_is_refused(refused: Refused, capture: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(EXIT_NOT_STARTED, "report", capture, "-o", "file")
    refused(EXIT_NOT_STARTED, "report", capture, "-o", "/dev/full")


# Captures


@pytest.mark.parametrize("length", [0, 5, 20, 100])
def test_capture_cut_off_in_its_header(refused: Refused, capture: Path, length: int) -> None:
    os.truncate(capture, length)
    sentence, _ = refused(EXIT_BAD_DATA, "report", capture)
    assert str(capture) in sentence


def test_capture_cut_in_half_is_reported_as_far_as_it_goes(
    run_memdeep: RunMemdeep, capture: Path
) -> None:
    """So ends the capture of a program that was killed."""
    os.truncate(capture, capture.stat().st_size // 2)
    before = capture.read_bytes()
    completed = run_memdeep("report", "--quiet", capture)
    assert (completed.returncode, completed.stdout, completed.stderr) == (0, b"", b"")
    assert capture.read_bytes() == before


def test_aligned_run_with_a_capture_cut_later_is_never_extended(
    run_memdeep: RunMemdeep, run_dir: Path
) -> None:
    assert run_memdeep("report", "--quiet", run_dir).returncode == 0
    capture = run_dir / "capture.bin"
    size = len(capture.read_bytes().rstrip(b"\0")) // 2
    os.truncate(capture, size)
    completed = run_memdeep("report", "--quiet", run_dir)
    assert capture.stat().st_size == size
    assert completed.returncode in (0, EXIT_BAD_DATA)
    if completed.returncode:
        complaint(completed)


def test_restored_capture_is_aligned_after_a_failed_report(
    run_memdeep: RunMemdeep, run_dir: Path
) -> None:
    capture = run_dir / "capture.bin"
    whole = capture.read_bytes()
    os.truncate(capture, len(whole.rstrip(b"\0")) // 4)
    run_memdeep("report", "--quiet", run_dir)
    capture.write_bytes(whole)
    assert run_memdeep("report", "--quiet", run_dir).returncode == 0
    phases = read_json(run_dir / "report.json")["phases"]
    prepare = next(phase for phase in phases if phase["name"] == "PREPARE")
    assert prepare["retained_bytes"] == pytest.approx(2_000_000, rel=0.1)


def test_markers_of_another_capture_do_not_destroy_this_one(
    run_memdeep: RunMemdeep, run_dir: Path
) -> None:
    assert run_memdeep("report", "--quiet", run_dir).returncode == 0
    markers, capture = run_dir / "markers", run_dir / "capture.bin"
    lines = [line.split("\t") for line in markers.read_text().splitlines()]
    markers.write_text("".join(f"{int(at) - 25}\t{number}\n" for at, number in lines))
    before = capture.read_bytes()
    completed = run_memdeep("report", "--quiet", run_dir)
    assert capture.read_bytes() == before
    assert completed.returncode in (0, EXIT_BAD_DATA)


def test_text_as_capture(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no capture at all\n" * 100)
    sentence, _ = refused(EXIT_BAD_DATA, "report", "notes.txt")
    assert "not a memray capture" in sentence


def test_lz4_frame_that_holds_no_capture(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "other.bin").write_bytes(b"\x04\x22\x4d\x18" + bytes(100))
    refused(EXIT_BAD_DATA, "report", "other.bin")


@pytest.mark.parametrize("version", [11, 99])
def test_capture_of_another_version(refused: Refused, capture: Path, version: int) -> None:
    with open(capture, "r+b") as stream:
        stream.seek(7)
        stream.write(version.to_bytes(4, "little"))
    sentence, _ = refused(EXIT_BAD_DATA, "report", capture)
    assert str(version) in sentence


def test_missing_capture(refused: Refused) -> None:
    refused(EXIT_NO_INPUT, "report", "missing.bin")


def test_bad_capture_leaves_no_output_directory(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "text.bin").write_text("text")
    refused(EXIT_NO_INPUT, "report", "missing.bin", "-o", "out")
    refused(EXIT_BAD_DATA, "report", "text.bin", "-o", "out")


# Run directories


def test_directory_without_a_run(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    sentence, _ = refused(EXIT_NO_INPUT, "report", "empty")
    assert "not a run directory" in sentence


@pytest.mark.parametrize("name", ["meta.json", "journal.jsonl"])
def test_missing_file_of_a_run(refused: Refused, run_dir: Path, name: str) -> None:
    (run_dir / name).unlink()
    refused(EXIT_NO_INPUT, "report", run_dir)


@pytest.mark.parametrize("name", ["meta.json", "journal.jsonl"])
def test_directory_in_place_of_a_file_of_a_run(refused: Refused, run_dir: Path, name: str) -> None:
    (run_dir / name).unlink()
    (run_dir / name).mkdir()
    refused(EXIT_NO_INPUT, "report", run_dir)


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"{}", b'{"schema": 1}', b"\xff", b"[" * 100_000],
    ids=["empty", "null", "object", "schema", "bytes", "deep"],
)
def test_damaged_meta(refused: Refused, run_dir: Path, content: bytes) -> None:
    (run_dir / "meta.json").write_bytes(content)
    sentence, hint = refused(EXIT_BAD_DATA, "report", run_dir)
    assert "meta.json" in sentence
    assert "capture.bin" in hint


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", 2),
        ("spawned_ns", "text"),
        ("duration_s", "text"),
        ("started", "not a date"),
        ("verdict", ["list"]),
        ("verdict", "unheard of"),
        ("command", None),
        ("processes", [None]),
        ("warning_bytes", "many"),
    ],
)
def test_meta_with_a_wrong_value_causes_no_traceback(
    run_memdeep: RunMemdeep, run_dir: Path, field: str, value: object
) -> None:
    meta = run_dir / "meta.json"
    meta.write_text(json.dumps(read_json(meta) | {field: value}))
    completed = run_memdeep("report", run_dir)
    assert b"Traceback" not in completed.stderr
    assert completed.returncode in (0, EXIT_BAD_DATA)


DAMAGED_LINES = (
    b"{",
    b"\xff\xfe",
    b"null",
    b"[]",
    b'{"n":-1,"k":"C","t":0}',
    b'{"n":1.5,"k":[],"t":1e9}',
    b"[" * 50_000,
)


def test_damaged_lines_of_the_journal_are_left_out_and_said(
    run_memdeep: RunMemdeep, run_dir: Path
) -> None:
    path = run_dir / "journal.jsonl"
    start, trace, _, fourth, *others = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([start, trace, *DAMAGED_LINES, fourth, *others]) + b"\n")
    completed = run_memdeep("report", "--quiet", run_dir)
    assert (completed.returncode, completed.stderr) == (0, b"")
    points = read_json(run_dir / "report.json")["checkpoints"]
    labels = [point["label"] for point in points]
    assert labels == ["(start)", "PREPARE_END", *["repeat"] * 6, "finished", "(end)"]
    page = (run_dir / "report.html").read_text("utf-8")
    assert f"{len(DAMAGED_LINES)} damaged lines" in page


def test_torn_last_line_of_the_journal_is_no_damage(run_memdeep: RunMemdeep, run_dir: Path) -> None:
    path = run_dir / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert run_memdeep("report", "--quiet", run_dir).returncode == 0
    assert "damaged lines" not in (run_dir / "report.html").read_text("utf-8")


@pytest.mark.parametrize("content", [b"", b"nonsense\nmore\n"])
def test_journal_without_a_start(refused: Refused, run_dir: Path, content: bytes) -> None:
    (run_dir / "journal.jsonl").write_bytes(content)
    refused(EXIT_NO_INPUT, "report", run_dir)


def test_damaged_samples_are_left_out(run_memdeep: RunMemdeep, run_dir: Path) -> None:
    (run_dir / "samples").write_bytes(b"\xff\n1\t2\nx\ty\tz\n\t\t\n99999999999999999999\t1\t1\n5")
    completed = run_memdeep("report", "--quiet", run_dir)
    assert (completed.returncode, completed.stderr) == (0, b"")


# Full disks


def limit_file_size(limit_bytes: int) -> Callable[[], None]:
    """Python ignores SIGXFSZ, so a longer write fails as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))


def test_report_that_cannot_be_written_keeps_the_old_one(
    run_memdeep: RunMemdeep, run_dir: Path
) -> None:
    assert run_memdeep("report", "--quiet", run_dir).returncode == 0
    before = tree(run_dir)
    completed = run_memdeep("report", run_dir, preexec_fn=limit_file_size(30_000))
    assert completed.returncode == EXIT_NOT_STARTED
    sentence, _ = complaint(completed)
    assert "report.html" in sentence
    after = tree(run_dir)
    assert after.keys() == before.keys()
    assert after["report.html"] == before["report.html"]


def test_report_that_cannot_be_written_does_not_change_the_exit_status(
    run_memdeep: RunMemdeep,
) -> None:
    words = ("run", "--quiet", "--no-native", "-o", "run", "-c", "raise SystemExit(3)")
    completed = run_memdeep(*words, preexec_fn=limit_file_size(30_000))
    assert completed.returncode == 3
    sentence, _ = complaint(completed)
    assert "report.html" in sentence


def test_program_runs_though_nothing_can_be_traced(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    """The first page of the capture is more than may be written."""
    words = ("run", "--quiet", "--no-report", "-o", "run", GROWS)
    completed = run_memdeep(*words, preexec_fn=limit_file_size(2_000))
    assert (completed.returncode, completed.stdout) == (0, b"8000000\n")
    lines = completed.stderr.decode().splitlines()
    assert [line[:37] for line in lines] == ["memdeep: allocations are not traced: "]
    # What was seen from outside is reported all the same, and that the rest is not known.
    again = run_memdeep("report", "run")
    assert again.returncode == 0
    report = read_json(tmp_path / "run/report.json")
    assert (report["peak_heap_bytes"], report["findings"]) == (None, [])
    assert report["phases"][0]["rss_delta_bytes"] > 0
    assert "not traced" in (tmp_path / "run/report.html").read_text("utf-8")


@pytest.mark.parametrize(
    "words", [("runs",), ("runs", "--rm"), ("watch",), ("open",), ("report",)], ids=" ".join
)
def test_a_path_that_is_not_there(refused: Refused, words: tuple[str, ...]) -> None:
    sentence, hint = refused(EXIT_NO_INPUT, *words, "no/such")
    assert (sentence, hint) == ("There is no file no/such.", "Check the path.")


def test_a_warning_above_what_is_critical(refused: Refused) -> None:
    thresholds = ("--warning-mb", "900", "--critical-mb", "100")
    sentence, _ = refused(EXIT_USAGE, "run", *thresholds, "-c", "pass")
    assert sentence == "--warning-mb is above --critical-mb."
