"""`memdeep diff` on real runs of two versions of a program, and on wrong words."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from running import (
    PROGRAMS,
    ROOT,
    TESTS,
    TIMEOUT_S,
    RunMemdeep,
    complaint,
    environment,
    memdeep_command,
    tree,
)

from memdeep.errors import EXIT_BAD_DATA, EXIT_NO_INPUT, EXIT_USAGE

GOLDEN = TESTS / "golden"
SIDES = ("before", "after")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of the program before it was edited, and one of it after."""
    directory = tmp_path_factory.mktemp("runs")
    for name, version in (("before", "before"), ("again", "before"), ("after", "after")):
        how = ("--quiet", "--deep", "--no-native", "--no-report", "-o", directory / name)
        subprocess.run(
            memdeep_command("run", *how, PROGRAMS / "edited" / version / "job.py"),
            cwd=directory,
            env=environment(),
            check=True,
            timeout=TIMEOUT_S,
        )
    return directory


@pytest.mark.parametrize("name", ["text", "markdown"])
def test_an_edited_program_is_told_as_people_have_read_it(
    name: str, runs: Path, run_memdeep: RunMemdeep
) -> None:
    done = run_memdeep("diff", *SIDES, "--format", name, "--lang", "en", cwd=runs)
    assert (done.returncode, done.stderr) == (0, b"")
    # Without the figures of the whole runs, which are not the program's alone.
    rows = r"^\W*(peak heap|peak RSS|kept at the end|allocations).*\n"
    content = re.sub(rows, "", done.stdout.decode(), flags=re.MULTILINE)
    path = GOLDEN / f"diff.{name}"
    if not path.exists():
        path.write_bytes(content.encode())
        pytest.fail(f"{path} was missing and has been written: read it, then commit it")
    assert content.split("\n") == path.read_bytes().decode().split("\n")


def test_two_runs_of_one_program_are_alike(runs: Path, run_memdeep: RunMemdeep) -> None:
    limits = ("peak-heap", "peak-rss", "growth", "rise", "allocations", "line")
    words = [word for one in limits for word in ("--fail-on", one)]
    done = run_memdeep("diff", "before", "again", "--lang", "en", *words, cwd=runs)
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("The runs are alike")


def test_the_json_is_as_its_schema_says(runs: Path, run_memdeep: RunMemdeep) -> None:
    done = run_memdeep("diff", *SIDES, "--format", "json", cwd=runs)
    into_a_pipe = run_memdeep("diff", *SIDES, "--format", "json", "-o", "-", cwd=runs)
    assert (into_a_pipe.stdout, into_a_pipe.stderr) == (done.stdout, done.stderr)
    assert not (runs / "-").exists()
    fields = json.loads(done.stdout)
    schema = json.loads((ROOT / "memdeep" / "schema" / "diff-1.schema.json").read_bytes())
    Draft202012Validator(schema).validate(fields)
    matches = {phase["match"] for phase in fields["phases"]}
    assert matches == {"same", "renamed", "moved", "added", "removed"}
    assert fields["files"] == [{"before": "strategy.py", "after": "tactics.py"}]


def test_a_page_is_written(runs: Path, tmp_path: Path, run_memdeep: RunMemdeep) -> None:
    page = tmp_path / "diff.html"
    done = run_memdeep("diff", *SIDES, "--format", "html", "-o", page, cwd=runs)
    assert done.stderr.decode().split() == ["Report:", str(page)]
    assert (done.returncode, done.stdout) == (0, b"")
    assert page.read_bytes().startswith(b"<!")


def test_several_runs_a_side_stand_behind_their_options(
    runs: Path, run_memdeep: RunMemdeep
) -> None:
    words = ("--before", "before", "again", "--after", "after", "--lang", "en")
    done = run_memdeep("diff", *words, cwd=runs)
    assert done.returncode == 0
    assert "(median of 2 runs) → after" in done.stdout.decode()


def test_what_is_over_its_limit_ends_with_1_and_says_so(
    runs: Path, run_memdeep: RunMemdeep
) -> None:
    done = run_memdeep("diff", "before", "--fail-on", "growth:4MB", "after", cwd=runs)
    assert done.returncode == 1
    assert "--fail-on growth:4MB: kept bytes of audit: 7.0 MB more" in done.stderr.decode()
    assert done.stdout  # it is told all the same
    done = run_memdeep("diff", *SIDES, "--fail-on", "peak-heap:1%", cwd=runs)
    assert (done.returncode, done.stderr) == (0, b"")


def test_for_a_line_over_its_limit_it_is_said_which_of_its_figures_that_is(
    runs: Path, run_memdeep: RunMemdeep
) -> None:
    program = """
from memdeep import phase
with phase("load"):
    kept = {}
with phase("work"):
    scratch = {}
"""
    for name, sizes in (("few", (1, 2)), ("more", (1, 9)), ("most", (8, 2))):
        sized = program.format(*(f"bytearray({size} << 20)" for size in sizes))
        (runs / f"{name}.py").write_text(sized + "    del scratch\n")
        how = ("--quiet", "--deep", "--no-native", "--no-report", "-o", runs / name)
        assert run_memdeep("run", *how, runs / f"{name}.py").returncode == 0
    words = ("--fail-on", "line:4MB", "--lang", "en")
    done = run_memdeep("diff", "few", "more", *words, cwd=runs)
    assert done.returncode == 1
    told = "--fail-on line:4MB: bytes that more.py:6 held at the peak of the run: 7.0 MB more"
    assert told in done.stderr.decode()
    done = run_memdeep("diff", "few", "most", *words, cwd=runs)
    assert re.search("most.py:4 (kept in load|held at the peak)", done.stderr.decode())


def test_a_figure_that_is_not_known_is_no_pass(
    runs: Path, tmp_path: Path, run_memdeep: RunMemdeep
) -> None:
    program = PROGRAMS / "edited" / "before" / "job.py"
    words = ("--quiet", "--backend", "rss", "--no-report", "-o", tmp_path / "bare", program)
    assert run_memdeep("run", *words).returncode == 0
    limits = ("--fail-on", "peak-heap:5%")
    for sides in ((runs / "before", tmp_path / "bare"), (tmp_path / "bare", tmp_path / "bare")):
        done = run_memdeep("diff", *sides, *limits, "--lang", "en")
        assert done.returncode == 1
        assert "not known on both sides: peak heap" in " ".join(done.stderr.decode().split())
    assert "only the RSS is compared" in " ".join(done.stdout.decode().split())


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("before",),
        ("before", "after", "again"),
        ("--before", "before"),
        ("before", "after", "--before", "again", "--after", "after"),
        ("before", "after", "--fail-on", "heap:3"),
        ("before", "after", "--fail-on", "growth:much"),
        ("before", "after", "--format", "pdf"),
        ("before", "after", "--faill-on", "growth"),
    ],
)
def test_wrong_words_are_told(words: tuple[str, ...], runs: Path, run_memdeep: RunMemdeep) -> None:
    done = run_memdeep("diff", *words, cwd=runs)
    assert (done.returncode, done.stdout) == (EXIT_USAGE, b"")
    assert b"Traceback" not in done.stderr
    assert b"memdeep diff: error: " in done.stderr


def test_a_run_that_is_not_there_or_damaged_is_one_sentence(
    runs: Path, tmp_path: Path, run_memdeep: RunMemdeep
) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "meta.json").write_text("{")
    (damaged / "journal.jsonl").write_text("")
    before = tree(tmp_path)
    for path, status in ((tmp_path / "none", EXIT_NO_INPUT), (damaged, EXIT_BAD_DATA)):
        done = run_memdeep("diff", runs / "before", path, "-o", tmp_path / "out")
        assert done.returncode == status
        complaint(done)
    assert tree(tmp_path) == before


KILLED = """
import os
import signal
import sys
from memdeep import phase

kept = []
name, size = sys.argv[1], int(sys.argv[2])


def die_at(place):
    if name == place:
        os.kill(os.getpid(), signal.SIGKILL)


with phase("load"):
    kept.append(bytearray(20 << 20))
die_at("before")
with phase("work"):
    die_at("within")
    kept.append(bytearray(size << 20))
die_at("behind")
if name == "raises":
    raise ValueError
if name == "status":
    sys.exit(3)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one program by where they ended; that of ``most`` kept more, and was killed."""
    directory = tmp_path_factory.mktemp("killed")
    program = directory / "job.py"
    program.write_text(KILLED)
    ends = {"whole": "-", "before": "before", "within": "within", "behind": "behind"}
    for name, end in {**ends, "most": "behind", "raises": "raises", "status": "status"}.items():
        how = ("--quiet", "--no-native", "--no-report", "-o", directory / name)
        subprocess.run(
            memdeep_command("run", *how, program, end, "200" if name == "most" else "100"),
            cwd=directory,
            env=environment(),
            check=False,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
        )
    return directory


LIMITS = ("peak-heap:5%", "growth:4MB", "rise", "allocations", "peak-rss")


@pytest.mark.parametrize("end", ["before", "within", "behind", "raises"])
@pytest.mark.parametrize("limit", LIMITS)
def test_a_run_that_did_not_complete_passes_no_limit(
    end: str, limit: str, killed: Path, run_memdeep: RunMemdeep
) -> None:
    for sides in (("whole", end), (end, end)):
        done = run_memdeep("diff", *sides, "--fail-on", limit, "--lang", "en", cwd=killed)
        assert done.returncode == 1
        told = " ".join(done.stderr.decode().split())
        assert f"--fail-on {limit}: not known: " in told
        assert f"; {end} did not complete." in told


def test_a_run_that_ended_with_a_status_was_not_cut_off(
    killed: Path, run_memdeep: RunMemdeep
) -> None:
    done = run_memdeep(
        *("diff", "status", "status", "--fail-on", "growth:4MB", "--lang", "en"), cwd=killed
    )
    assert done.returncode == 0, done.stderr
    told = done.stdout.decode()
    assert told.startswith("The runs are alike")
    assert "status ended with status 3: if it gave up early" in told
    assert "did not complete" not in told


@pytest.mark.parametrize("end", ["before", "within"])
@pytest.mark.parametrize("name", ["text", "markdown", "json"])
def test_what_a_run_did_not_get_to_is_not_gone(
    end: str, name: str, killed: Path, run_memdeep: RunMemdeep
) -> None:
    for sides in (("whole", end), (end, "whole")):
        done = run_memdeep("diff", *sides, "--format", name, "--lang", "en", cwd=killed)
        told = done.stdout.decode()
        assert not re.search(r"gone|\bnew\b|less|removed|added|100\.0 MB (more|less)", told)
        if end == "before":
            assert ("unreached" if name == "json" else "not reached") in told
        if name != "json":
            assert f"{end} did not complete" in told.split("\n")[0].replace("`", "")


def test_a_run_that_did_not_complete_proves_growth_where_it_has_more(
    killed: Path, run_memdeep: RunMemdeep
) -> None:
    for limit in ("peak-heap:5%", "growth:4MB"):
        done = run_memdeep("diff", "whole", "most", "--fail-on", limit, "--lang", "en", cwd=killed)
        assert done.returncode == 1
        assert "100.0 MB more than before" in " ".join(done.stderr.decode().split())
    assert "work keeps 100.0 MB more than before: job.py:21." in done.stdout.decode()


def test_a_run_is_known_to_have_a_lower_peak_than_one_that_did_not_complete(
    killed: Path, run_memdeep: RunMemdeep
) -> None:
    words = ("diff", "most", "whole", "--lang", "en", "--fail-on")
    done = run_memdeep(*words, "peak-heap", cwd=killed)
    assert (done.returncode, done.stderr) == (0, b"")
    assert run_memdeep(*words, "growth", cwd=killed).returncode == 1
