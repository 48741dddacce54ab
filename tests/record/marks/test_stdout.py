"""`--mark-stdout`: lines become checkpoints, and the output stays as it was, to the byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from marking import (
    QUICKLY,
    assert_same_output,
    run_marked,
    run_plainly,
    terminal_output,
)
from running import environment, memdeep_command

BRACKETS = ["--mark-stdout", r"\[(\w+)\]"]


@pytest.mark.parametrize(
    "way",
    [
        "plain",
        "ends",
        "pieces",
        "colours",
        "carriage_returns",
        "buffer",
        "order",
        "reconfigured",
        "replaced",
        "detached",
        "wrapped",
        "patched",
        "errors",
        "closed",
        "long_lines",
        "forks",
        "hard_exit",
    ],
)
def test_lines_are_marked_and_bytes_stay(work: Path, way: str) -> None:
    assert assert_same_output(work, BRACKETS, "marks_prints.py", way).labels == ["one", "two"]


def test_stream_looks_the_same(work: Path) -> None:
    assert assert_same_output(work, BRACKETS, "marks_prints.py", "looks").labels == ["one", "two"]


def test_unbuffered_python(work: Path) -> None:
    env = environment(PYTHONUNBUFFERED="1")
    for way in ("ends", "buffer", "order"):
        marked = assert_same_output(work, BRACKETS, "marks_prints.py", way, env=env)
        assert marked.labels == ["one", "two"]


def test_each_thread_prints_its_own_lines(work: Path) -> None:
    marked = run_marked(work, BRACKETS, "marks_prints.py", "threads")
    assert sorted(marked.labels) == sorted("abcd" * 50)


@pytest.mark.parametrize("seed", range(3))
def test_random_output_to_a_pipe_is_the_same(work: Path, seed: int) -> None:
    assert assert_same_output(work, BRACKETS, "marks_random.py", str(seed)).labels


def test_random_output_to_a_file_is_the_same(work: Path) -> None:
    for name, run in (("plain", run_plainly), ("marked", None)):
        with open(work / name, "wb") as file:
            if run is not None:
                run(work, "marks_random.py", "7", stdout=file)
            else:
                run_marked(work, BRACKETS, "marks_random.py", "7", stdout=file)
    assert (work / "plain").read_bytes() == (work / "marked").read_bytes() != b""


@pytest.mark.parametrize(
    "program",
    [("marks_random.py", "8"), ("marks_prints.py", "order"), ("marks_prints.py", "looks")],
    ids=["random", "order", "looks"],
)
def test_terminal_output_is_the_same(work: Path, program: tuple[str, ...]) -> None:
    plain = terminal_output([sys.executable, *program], work)
    command = memdeep_command("run", *QUICKLY, "-o", work.parent / "run", *BRACKETS, *program)
    assert terminal_output(command, work) == plain != b""


def test_without_a_group_the_line_is_the_label(work: Path) -> None:
    marks = ["--mark-stdout", "one|two", "--mark-stdout", "be(t)|never(x)", "--mark-stdout", "."]
    marked = run_marked(work, marks, "marks_prints.py", "plain")
    assert marked.labels == ["[one]", "t", "[two]"], "a line is one checkpoint"
    assert marked.problems == []


def test_an_empty_group_leaves_the_line(work: Path) -> None:
    marked = run_marked(work, ["--mark-stdout", "o(x)?ne"], "marks_prints.py", "plain")
    assert marked.labels == ["[one]"]


def test_a_pattern_that_matched_nothing_is_told(work: Path) -> None:
    marked = run_marked(work, [*BRACKETS, "--mark-stdout", "【x】"], "marks_prints.py", "plain")
    assert marked.problems == ["--mark-stdout '【x】' matched no line"]


def test_checkpoint_comes_when_print_is_called(work: Path) -> None:
    """And not when a buffer is flushed: before what the program does next."""
    program = work / "next.py"
    program.write_text(
        "import memdeep\nprint('[one]')\nmemdeep.checkpoint('after one')\n"
        "print('[two]', end='')\nmemdeep.checkpoint('line not ended')\nprint()\n"
    )
    marked = run_marked(work, BRACKETS, "next.py")
    assert marked.labels == ["one", "after one", "line not ended", "two"]


def test_a_reader_that_goes_away_is_met_as_before(work: Path) -> None:
    """The traceback of a broken pipe has no frame of ours."""
    program = work / "floods.py"
    program.write_text("import sys\nfor n in range(100_000):\n    print(n)\n")
    for command in (
        [sys.executable, "floods.py"],
        memdeep_command("run", *QUICKLY, "-o", work.parent / "run", *BRACKETS, "floods.py"),
    ):
        process = subprocess.Popen(
            command, cwd=work, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        errors = process.stderr.read()
        process.stderr.close()
        process.wait()
        assert b"BrokenPipeError" in errors
        assert b"memdeep>" not in errors
        assert errors.count(b"File ") == 1


def test_closed_stdout_is_no_obstacle(work: Path) -> None:
    script = '"$0" -m memdeep run --backend rss --no-report -o "$1" --mark-stdout x exits.py three'
    completed = subprocess.run(
        ["/bin/sh", "-c", f"{script} >&-", sys.executable, work.parent / "closed"],
        cwd=work,
        env=environment(),
        stderr=subprocess.PIPE,
    )
    assert completed.returncode == 3
    assert b"Traceback" not in completed.stderr
