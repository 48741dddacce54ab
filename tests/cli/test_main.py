"""The command line: what it says, what it accepts, and what it makes of a recording."""

from __future__ import annotations

import json
import subprocess
import sys
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
)

import memdeep
from memdeep.cli import help

ARGUMENTS = PROGRAMS / "arguments.py"
GROWS = PROGRAMS / "grows.py"
RECORD = ("run", "--quiet", "--no-report", "--no-native")


def runs_in(place: Path) -> list[Path]:
    """The runs that lie in memdeep-runs, besides the link to one and git's file."""
    parent = place / "memdeep-runs"
    assert (parent / ".gitignore").read_text() == "*\n"
    assert (parent / "latest").resolve().parent == parent.resolve()
    return [path for path in parent.iterdir() if path.name not in ("latest", ".gitignore")]


def test_version(run_memdeep: RunMemdeep) -> None:
    completed = run_memdeep("--version")
    assert completed.returncode == 0
    assert completed.stdout.decode() == f"memdeep {memdeep.__version__}\n"
    assert run_memdeep("-V").stdout == completed.stdout


@pytest.mark.parametrize("command", [(), *((name,) for name in help.COMMANDS)])
def test_help_fits_the_terminal(run_memdeep: RunMemdeep, command: tuple[str, ...]) -> None:
    completed = run_memdeep(*command, "--help", env=environment(COLUMNS="80"))
    assert (completed.returncode, completed.stderr) == (0, b"")
    lines = completed.stdout.decode().splitlines()
    assert max(map(len, lines)) <= 80, max(lines, key=len)


@pytest.mark.parametrize("command", [name for name in help.COMMANDS if name != "help"])
def test_help_of_a_command_is_what_it_says_itself(run_memdeep: RunMemdeep, command: str) -> None:
    completed = run_memdeep("help", command)
    assert completed.returncode == 0
    assert completed.stdout == run_memdeep(command, "--help").stdout
    assert completed.stdout.startswith(f"usage: memdeep {command}".encode())


@pytest.mark.parametrize("words", [("help",), ("help", "help"), ("--help",)])
def test_help_alone_shows_the_commands(run_memdeep: RunMemdeep, words: tuple[str, ...]) -> None:
    completed = run_memdeep(*words)
    assert (completed.returncode, completed.stderr) == (0, b"")
    assert completed.stdout == run_memdeep().stdout


@pytest.mark.parametrize(
    ("words", "usage", "meant"),
    [
        (("rnu", "x.py"), "usage: memdeep [-h]", "Did you mean run?"),
        (("--verison",), "usage: memdeep [-h]", "Did you mean --version?"),
        (("run", "--memry-limit", "1G", "x.py"), "usage: memdeep run ", "--memory-limit?"),
        (("run", "--outptu=x", "x.py"), "usage: memdeep run ", "Did you mean --output?"),
        (("report", "--quite"), "usage: memdeep report ", "Did you mean --quiet?"),
        (("runs", "--kep", "3"), "usage: memdeep runs ", "Did you mean --keep?"),
    ],
)
def test_a_wrong_word_gets_the_usage_and_what_was_meant(
    run_memdeep: RunMemdeep, words: tuple[str, ...], usage: str, meant: str
) -> None:
    completed = run_memdeep(*words)
    first, *_, error, see = completed.stderr.decode().splitlines()
    assert completed.returncode == 2
    assert first.startswith(usage)
    assert error.endswith(meant)
    assert see == f"See: {usage.removeprefix('usage: ').removesuffix(' [-h]').strip()} --help"


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    command = memdeep_command("completion", "zsh")
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(TIMEOUT_S) == 141


@pytest.mark.parametrize("words", [("--version",), ("completion", "bash")])
def test_a_full_disk_behind_the_output_is_told(words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        command = memdeep_command(*words)
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=environment())
    assert done.returncode == 125
    sentence, hint = done.stderr.decode().splitlines()
    assert sentence == "memdeep: Cannot write to the standard output: no space left on device."
    assert hint.strip() == "Free some space, or send it to a file on another disk."


@pytest.mark.parametrize("command", ["run", "report"])
def test_help_has_examples_and_exit_statuses(run_memdeep: RunMemdeep, command: str) -> None:
    text = run_memdeep(command, "--help").stdout.decode()
    assert f"\n  memdeep {command} " in text.partition("examples:")[2]
    assert "exit status:" in text


def test_command_alone_shows_its_help(run_memdeep: RunMemdeep) -> None:
    completed = run_memdeep()
    assert (completed.returncode, completed.stderr) == (0, b"")
    assert completed.stdout == run_memdeep("--help").stdout


@pytest.mark.parametrize(
    "words",
    [
        ("unknown",),
        ("run", "--unknown", str(GROWS)),
        ("run", "--warning-mb", "0", str(GROWS)),
        ("run", "--critical-mb", "nan", str(GROWS)),
        ("run", "--critical-mb", "inf", str(GROWS)),
        ("run", "--sample-interval", "0", str(GROWS)),
        ("run", "--sample-interval", "0.0004", str(GROWS)),
        ("run", "--sample-interval", "0.051", str(GROWS)),
        ("run", "--sample-interval", "inf", str(GROWS)),
        ("run", "--sample-interval", "soon", str(GROWS)),
        ("report", "--unknown"),
        ("report", "run", "another"),
        ("runs", "--keep", "-1"),
        ("completion", "tcsh"),
        ("completion",),
        ("help", "unknown"),
        ("doctor", "now"),
    ],
    ids=" ".join,
)
def test_usage_errors(run_memdeep: RunMemdeep, tmp_path: Path, words: tuple[str, ...]) -> None:
    completed = run_memdeep(*words)
    assert (completed.returncode, completed.stdout) == (2, b"")
    assert b"Traceback" not in completed.stderr
    assert list(tmp_path.iterdir()) == []


def test_options_are_recorded(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    options = ("--deep", "--no-native", "--sample-interval", "0.001")
    thresholds = ("--warning-mb", "1.5", "--critical-mb", "900")
    words = ("run", "--quiet", "--no-report", "-o", "nested/run", *options, *thresholds, GROWS, "a")
    completed = run_memdeep(*words)
    assert (completed.returncode, completed.stderr) == (0, b"")
    run_dir = tmp_path / "nested/run"
    assert {path.name for path in run_dir.iterdir()} == {
        *(*RUN_FILES, *TREE_FILES, "markers"),
    }
    assert run_dir.stat().st_mode & 0o077 == 0
    meta = read_json(run_dir / "meta.json")
    assert meta["command"] == [str(GROWS), "a"]
    assert meta["name"] == "grows"
    assert (meta["native"], meta["python_allocators"]) == (False, True)
    assert meta["interval_ms"] == 1
    assert (meta["warning_bytes"], meta["critical_bytes"]) == (3 * 2**19, 900 * 2**20)
    assert (meta["exit_code"], meta["signal"], meta["verdict"]) == (0, None, "completed")


def test_defaults_are_recorded(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    assert run_memdeep("run", "-o", "run", GROWS).returncode == 0
    assert {"report.html", "report.json", *RUN_FILES} <= {
        path.name for path in (tmp_path / "run").iterdir()
    }
    meta = read_json(tmp_path / "run/meta.json")
    assert (meta["native"], meta["python_allocators"], meta["interval_ms"]) == (True, False, 50)
    assert (meta["warning_bytes"], meta["critical_bytes"]) == (None, None)


def test_run_tells_the_verdict_and_where_the_page_is(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    completed = run_memdeep("run", "--no-native", "-o", "run", GROWS)
    assert completed.stdout == b"8000000\n"
    text = completed.stderr.decode()
    assert "The program completed" in text
    assert "grows.py:" in text
    assert "Report: run/report.html" in text
    assert max(map(len, text.splitlines())) <= 80


def test_run_without_a_report_tells_the_directory(run_memdeep: RunMemdeep) -> None:
    completed = run_memdeep("run", "--no-report", "--no-native", "-o", "run", GROWS)
    assert completed.stderr == b"Recorded: run\n"


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ((str(ARGUMENTS), "--quiet", "-o", "x"), ["--quiet", "-o", "x"]),
        ((str(ARGUMENTS), "-m", "x", "-c", "y"), ["-m", "x", "-c", "y"]),
        ((str(ARGUMENTS), "--", "--help"), ["--", "--help"]),
        (("--", str(ARGUMENTS), "--", "a"), ["--", "a"]),
        (("-m", "arguments", "--deep", "-o", "x"), ["--deep", "-o", "x"]),
        (("-m", "arguments", "a", "--", "b"), ["a", "--", "b"]),
        (("-marguments", "a", "b"), ["a", "b"]),
        (("-c", "import sys; print(ascii(sys.argv))", "--", "--quiet"), ["--", "--quiet"]),
        (("-cimport sys; print(ascii(sys.argv))", "a", "-o"), ["a", "-o"]),
    ],
    ids=lambda value: " ".join(value[-3:]) if isinstance(value, tuple) else "",
)
def test_words_after_the_program_are_its_own(
    run_memdeep: RunMemdeep, work: Path, words: tuple[str, ...], arguments: list[str]
) -> None:
    completed = run_memdeep(*RECORD, "-o", "run", *words, cwd=work)
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.decode().rstrip().endswith(f", {str(arguments)[1:]}")
    assert not (work / "x").exists()


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ((str(GROWS),), "grows"),
        (("-m", "package.part"), "package.part"),
        (("-c", "pass # a/b"), "code"),
    ],
)
def test_default_directory_is_named_after_the_program(
    run_memdeep: RunMemdeep, work: Path, words: tuple[str, ...], name: str
) -> None:
    assert run_memdeep(*RECORD, *words, cwd=work).returncode == 0
    (run_dir,) = runs_in(work)
    stem, date, time = run_dir.name.rsplit("-", 2)
    assert stem == name
    assert (len(date), len(time)) == (8, 6)
    assert (date + time).isdigit()


def test_runs_of_the_same_second_do_not_collide(tmp_path: Path) -> None:
    command = memdeep_command(*RECORD, "-c", "print(1)")
    runs = [
        subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    outcomes = [(*run.communicate(timeout=TIMEOUT_S), run.returncode) for run in runs]
    assert outcomes == [(b"1\n", b"", 0)] * 3
    made = runs_in(tmp_path)
    assert len(made) == 3
    pids = {json.loads((path / "journal.jsonl").open().readline())["pid"] for path in made}
    assert len(pids) == 3


def test_report_is_the_same_each_time(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    words = ("run", "--quiet", "-o", "run", PROGRAMS / "dies.py", "SIGTERM")
    assert run_memdeep(*words).returncode == 143
    files = [tmp_path / "run/report.json", tmp_path / "run/report.html"]
    first = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    assert run_memdeep("report", "--quiet", "run").returncode == 0
    assert [file.read_bytes() for file in files] == first


def test_report_goes_where_it_is_told(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    assert run_memdeep(*RECORD, "-o", "run", GROWS).returncode == 0
    completed = run_memdeep("report", "run", "-o", "a/b")
    assert completed.returncode == 0
    assert b"Report: a/b/report.html" in completed.stderr
    assert {path.name for path in (tmp_path / "a/b").iterdir()} == {"report.html", "report.json"}
    assert not (tmp_path / "run/report.html").exists()


def test_a_report_replaces_no_other_file_unless_it_is_told_to(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        assert run_memdeep(*RECORD, "-o", name, GROWS).returncode == 0
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.html").write_text("mine")
    sentence, hint = complaint(run_memdeep("report", "one", "-o", out))
    assert sentence == f"{out}/report.html is there already, and is no report of this run."
    assert "--force" in hint
    assert (out / "report.html").read_text() == "mine"
    assert run_memdeep("report", "one", "-o", out, "--force").returncode == 0
    assert run_memdeep("report", "one", "-o", out, "--no-source").returncode == 0  # its own
    page = (out / "report.html").read_bytes()
    refused = run_memdeep("report", "two", "-o", out)
    assert refused.returncode == 125
    complaint(refused)
    assert (out / "report.html").read_bytes() == page
    assert run_memdeep("report", "two", "-o", out, "--force").returncode == 0
    assert run_memdeep("report", "two", "-o", "two").returncode == 0


def test_run_directory_may_be_moved_before_the_report(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    assert run_memdeep(*RECORD, "-o", "run", GROWS).returncode == 0
    (tmp_path / "run").rename(tmp_path / "moved [away]")
    assert run_memdeep("report", "moved [away]").returncode == 0
    assert (tmp_path / "moved [away]/report.html").exists()


@pytest.mark.parametrize(
    "options", [(), ("--no-compress",), ("--native",)], ids=["lz4", "raw", "native"]
)
def test_plain_memray_capture_is_reported(
    run_memdeep: RunMemdeep, tmp_path: Path, options: tuple[str, ...]
) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "memray", "run", "--quiet", *options),
            *("-o", "plain.bin", str(GROWS)),
        ],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        timeout=TIMEOUT_S,
        check=True,
    )
    before = (tmp_path / "plain.bin").read_bytes()
    completed = run_memdeep("report", "plain.bin")
    assert (completed.returncode, completed.stdout) == (0, b"")
    assert b"Report: plain.bin.report.html" in completed.stderr
    assert (tmp_path / "plain.bin").read_bytes() == before
    report = read_json(tmp_path / "plain.bin.report.json")
    assert [point["label"] for point in report["checkpoints"]] == ["(start)", "(end)"]
    assert report["mode"] == {
        "backend": "memray",
        "native": "--native" in options,
        "python_allocators": False,
    }
    assert report["exit"] is None
    (only,) = report["phases"]
    assert only["peak_heap_bytes"] == pytest.approx(8_000_000, rel=0.2)
    kept_or_held = only["culprits"] + only["peak_culprits"]
    assert any(_is_at(culprit, "grows.py") for culprit in kept_or_held)


def _is_at(culprit: dict[str, Any], name: str) -> bool:
    return Path(culprit["filename"]).name == name


def test_program_with_a_hostile_name_is_recorded_and_reported(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    # Not one that is no UTF-8: from Python 3.12 on, memray itself fails on it.
    name = "[red] <b> {{ ü }}\n\x1b[31m.py"
    program = tmp_path / name
    program.write_text("kept = bytearray(3_000_000)\nprint('ran')\n")
    completed = run_memdeep("run", "--no-native", name)
    assert completed.stdout == b"ran\n"
    assert completed.returncode == 0
    assert b"Traceback" not in completed.stderr
    assert b"\x1b" not in completed.stderr
    (run_dir,) = runs_in(tmp_path)
    assert (run_dir / "report.html").exists()


@pytest.mark.parametrize(
    ("cause", "status"), [("KeyboardInterrupt", 130), ("ValueError", 1)], ids=["ours", "a fault"]
)
def test_an_interrupt_while_a_class_is_made_is_one(cause: str, status: int) -> None:
    """Python wraps what `__set_name__` raises into another exception, before 3.12."""
    code = (
        "from memdeep.cli import main\n"
        "class Field:\n"
        "    def __set_name__(self, owner, name):\n"
        f"        raise {cause}\n"
        "def importing(words):\n"
        "    type('Record', (), {'field': Field()})\n"
        "main._dispatch = importing\n"
        "main.main([])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == status
    assert (done.stderr == "memdeep: interrupted.\n") is (status == 130)
