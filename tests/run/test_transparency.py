"""A program under `memdeep run` does what it does under plain python: output, errors, status."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running import TIMEOUT_S, Outcome, RunMemdeep, environment, memdeep_command, outcome, read_json

from memdeep.rundir import journal

SAFE_PATH_SINCE = (3, 11)


def memdeep_outcome(words: tuple[Any, ...], work: Path, **options: Any) -> Outcome:
    options_of_ours = (
        "--quiet",
        "--no-report",
        "--no-native",
        "--force",
        "-o",
        work.parent / "run",
    )
    return outcome(memdeep_command("run", *options_of_ours, *words), work, **options)


def assert_same(words: tuple[Any, ...], work: Path, **options: Any) -> Outcome:
    """``words`` have the same outcome after `python` and after `memdeep run`; returns it."""
    plain = outcome([sys.executable, *words], work, **options)
    assert memdeep_outcome(words, work, **options) == plain
    return plain


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--quiet", "-o", "x", "--force", "--help", "-m", "-c"),
        ("--", "a", "--", "b"),
        ("ünïcödé", "☃", "", " ", "a b", "'\"\n"),
        (b"\xff\xfe not utf-8",),
        ("x" * 100_000,),
    ],
    ids=["none", "options like ours", "double dashes", "unicode", "bytes", "long"],
)
def test_arguments_are_the_programs_own(work: Path, arguments: tuple[Any, ...]) -> None:
    assert_same(("arguments.py", *arguments), work)


def test_main_module_is_the_programs_own(work: Path) -> None:
    assert_same(("main_module.py",), work)


@pytest.mark.parametrize("script", ["./main_module.py", "elsewhere/../main_module.py"])
def test_file_is_the_path_as_given(work: Path, script: str) -> None:
    assert_same((script,), work)


def test_program_may_be_named_by_an_absolute_path(work: Path) -> None:
    assert_same((str(work / "main_module.py"),), work.parent)


def test_program_may_be_a_link(work: Path) -> None:
    (work / "linked.py").symlink_to("elsewhere/uses_sibling.py")
    assert_same(("linked.py",), work)


def test_stdin_goes_to_the_program(work: Path) -> None:
    content = bytes(range(256)) * 2000
    assert assert_same(("copies_stdin.py",), work, input=content).stdout == content


@pytest.mark.parametrize(
    "status",
    ["nothing", "three", "text", "minus one", "tuple"],
)
def test_exit_status_and_exit_order_are_the_same(work: Path, status: str) -> None:
    assert_same(("exits.py", status), work)


@pytest.mark.parametrize(
    "kind",
    [
        "plain",
        "cause",
        "new cause",
        "context",
        "suppressed",
        "syntax",
        "import",
        "unprintable",
        "interrupt",
    ],
)
def test_traceback_is_the_same(work: Path, kind: str) -> None:
    assert_same(("raises.py", kind), work)


def test_interrupt_ends_the_program_by_signal(work: Path) -> None:
    assert memdeep_outcome(("raises.py", "interrupt"), work).status == 130
    assert read_json(work.parent / "run/meta.json")["signal"] == "SIGINT"


@pytest.mark.parametrize(
    "program",
    [
        "threads.py",
        "own_excepthook.py",
        "os_exit.py",
        "pickles.py",
        "forks.py",
        "replaces_streams.py",
        "warns.py",
        "shows_source.py",
        "elsewhere/uses_sibling.py",
    ],
)
def test_program_behaves_the_same(work: Path, program: str) -> None:
    assert_same((program,), work)


def test_forked_child_leaves_the_recording_alone(work: Path) -> None:
    memdeep_outcome(("forks.py",), work)
    events, damaged = journal.decode((work.parent / "run/journal.jsonl").read_bytes())
    labels = [event.label for event in events if event.kind == journal.POINT]
    assert labels == ["before the fork", "after the fork"]
    assert [event.kind for event in events].count(journal.EXIT) == 1
    assert damaged == 0


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works(work: Path, method: str) -> None:
    assert b"'__mp_main__'" in assert_same(("pool.py", method), work).stdout or method == "fork"


def test_environment_is_unchanged(work: Path) -> None:
    env = environment(SOME_VARIABLE="ünïcödé", EMPTY="", PYTHONHASHSEED="7")
    assert_same(("environment.py",), work, env=env)


def test_inherited_descriptor_stays_open(work: Path) -> None:
    reading, writing = os.pipe()
    try:
        assert_same(("inherited_descriptor.py", str(writing)), work, pass_fds=(writing,))
    finally:
        os.close(writing)
    with open(reading, "rb") as pipe:
        assert pipe.read() == b"through the inherited descriptor" * 2


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "package", "-o", "x", "--", "--quiet"),
        ("-m", "package.part", "ü", "-m"),
        ("-m", "package.part", "fail"),
        ("-m", "arguments", "a"),
        ("-m", "timeit", "-n", "1", "-r", "1", "-s", "print('setup')", "-h"),
    ],
    ids=["package", "submodule", "failing", "file", "standard library"],
)
def test_module_runs_the_same(work: Path, words: tuple[str, ...]) -> None:
    assert_same(words, work)


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "pip", "--version"),
        ("-m", "pytest", "-q", "-p", "no:cacheprovider", "own_tests.py"),
        ("-m", "unittest", "-q", "no_such_test"),
        ("-m", "json.tool", "--help"),
    ],
    ids=lambda words: words[1],
)
def test_well_known_modules_run_the_same(work: Path, words: tuple[str, ...]) -> None:
    plain = outcome([sys.executable, *words], work)
    ours = memdeep_outcome(words, work)
    assert (ours.status, _timeless(ours)) == (plain.status, _timeless(plain))


def _timeless(seen: Outcome) -> bytes:
    return re.sub(rb"in [0-9.]+s", b"in some time", seen.stdout + seen.stderr)


SHOW = "import sys; print(sys.argv, sys.path, sorted(globals()), __name__, __doc__, __package__)"


@pytest.mark.parametrize(
    "words",
    [
        ("-c", SHOW, "-o", "x", "--", "-c"),
        ("-c", "print(type(__loader__), __spec__, __builtins__)"),
        ("-c", "def fail():\n    raise ValueError('ü')\nfail()"),
        ("-c", "import neighbourless"),
        ("-c", ""),
    ],
    ids=["namespace", "loader", "failing", "import error", "empty"],
)
def test_code_runs_the_same(work: Path, words: tuple[str, ...]) -> None:
    assert_same(words, work)


@pytest.mark.skipif(sys.version_info < SAFE_PATH_SINCE, reason="there is no safe path yet")
@pytest.mark.parametrize(
    "words",
    [
        ("main_module.py",),
        ("elsewhere/uses_sibling.py",),
        ("-c", SHOW),
        ("-m", "timeit", "-n1", "-r1", "-s", "import sys; print(sys.path)", "-h"),
        ("-m", "package"),
    ],
    ids=["script", "sibling", "code", "module", "module that is only here"],
)
def test_safe_path_is_respected(work: Path, words: tuple[str, ...]) -> None:
    assert_same(words, work, env=environment(PYTHONSAFEPATH="1"))


def assert_same_by_command(words: tuple[str, ...], work: Path) -> Outcome:
    """As `assert_same`, by the command itself: `python -m memdeep` looks into the directory too."""
    plain = outcome([sys.executable, *words], work)
    command = Path(sys.executable).with_name("memdeep")
    options_of_ours = ("--quiet", "--no-native", "-o", work.parent / "run")
    assert outcome([command, "run", *options_of_ours, *words], work) == plain
    return plain


@pytest.mark.parametrize("name", ["json", "memray", "typing"])
def test_modules_of_the_working_directory_are_not_ours(work: Path, name: str) -> None:
    (work / f"{name}.py").write_text("raise SystemExit('the wrong module was imported')\n")
    assert assert_same_by_command(("elsewhere/uses_sibling.py",), work).status == 0


@pytest.mark.parametrize("name", ["json", "numbers", "copy"])
def test_modules_beside_the_program_shadow_the_standard_library(work: Path, name: str) -> None:
    (work / f"{name}.py").write_text("print('the neighbour of the program', __name__)\n")
    (work / "shadowed.py").write_text(f"import {name}\nprint({name}.__file__)\n")
    assert b"neighbour" in assert_same_by_command(("shadowed.py",), work).stdout


def test_program_that_closes_all_descriptors_keeps_its_files(work: Path) -> None:
    plain = outcome([sys.executable, "closes_descriptors.py"], work)
    expected = {path.name: path.read_bytes() for path in work.glob("own-*.txt")}
    run = memdeep_outcome(("closes_descriptors.py",), work)
    # That tracing has ended may be said; the program itself must not notice.
    assert (run.stdout, run.status) == (plain.stdout, plain.status)
    assert b"Traceback" not in run.stderr
    assert len(expected) == 12
    assert {path.name: path.read_bytes() for path in work.glob("own-*.txt")} == expected
    events, damaged = journal.decode((work.parent / "run/journal.jsonl").read_bytes())
    assert len([event for event in events if event.kind == journal.POINT]) == 202
    assert damaged == 0


def test_program_may_change_its_directory(work: Path, run_memdeep: RunMemdeep) -> None:
    plain = outcome([sys.executable, "changes_directory.py"], work)
    command = memdeep_command("run", "--quiet", "-o", "relative/run", "changes_directory.py")
    assert outcome(command, work) == plain
    report = read_json(work / "relative/run/report.json")
    labels = [point["label"] for point in report["checkpoints"]]
    assert labels == ["(start)", "at home", "away", "(end)"]


def test_closed_streams_are_no_obstacle(work: Path) -> None:
    """As under a daemon: `prog >&- 2>&- <&-`."""
    for number, redirection in enumerate((">&-", "2>&-", "<&-", ">&- 2>&- <&-")):
        script = f'"$0" -m memdeep run --no-native -o "$1" exits.py three {redirection}'
        directory = work.parent / f"run-{number}"
        completed = subprocess.run(
            ["/bin/sh", "-c", script, sys.executable, directory],
            cwd=work,
            env=environment(),
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert (redirection, completed.returncode) == (redirection, 3)
        assert b"Traceback" not in completed.stderr


def test_full_stderr_does_not_change_the_exit_status(work: Path) -> None:
    """What memdeep itself has to say is lost, not the status that the caller waits for."""
    with open("/dev/full", "wb") as full:
        completed = subprocess.run(
            memdeep_command("run", "-o", work.parent / "run", "--no-native", "grows.py"),
            cwd=work,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=full,
            timeout=TIMEOUT_S,
            check=False,
        )
    assert (completed.returncode, completed.stdout) == (0, b"8000000\n")
    assert (work.parent / "run/report.html").exists()
