"""`memdeep check` and `memdeep run --check` of real runs: statuses, files, and what is said."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from running import Completed, RunMemdeep, complaint, environment, memdeep_command, tree

PROGRAM = """\
import os, sys, time
from memdeep import phase

kept = []
with phase("加载config"):
    kept.append(bytearray({load}))
for number in range(5):
    with phase("epoch"):
        with phase("step"):
            kept.append(bytearray({epoch}))
with phase("scratch"):
    held = bytearray({scratch})
    time.sleep(0.2)  # so that a reading of the RSS sees it
    del held
{end}
"""
MB = 1 << 20
QUICK = ("run", "--quiet", "--no-native", "--no-report")


def record(
    run_memdeep: RunMemdeep, place: Path, name: str, *options: str, **sizes: Any
) -> Completed:
    """Record the program with these sizes into the directory ``name``."""
    values = {"load": 20 * MB, "epoch": 10, "scratch": 30 * MB, "end": "", **sizes}
    (place / "prog.py").write_text(PROGRAM.format(**values), "utf-8")
    return run_memdeep(*QUICK, "-o", name, *options, "prog.py")


def budgets(place: Path, *tables: str) -> None:
    text = "\n".join(f"[[budget]]\n{table}\n" for table in tables)
    (place / "memdeep.toml").write_text(text, "utf-8")


WITHIN = (
    'max-peak-heap = "60M"\nmax-peak-rss = "2G"\nmax-growth = "30M"\nmax-rise = "60M"',
    'phase = "加载*"\nmax-growth = "20.1M"\nmax-rise = "20.1M"\nmax-allocations = 100',
    'phase = "epoch"\nno-growth = true\nmax-growth = "1M"',
    'phase = "epoch/step"\nno-growth = 10',
    'phase = "scratch"\nmax-growth = "1M"\nmax-rise = "31M"',
    'phase = "no such"\nmax-growth = 1\noptional = true',
)


def test_a_run_within_its_budgets_passes(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    budgets(tmp_path, *WITHIN)
    assert record(run_memdeep, tmp_path, "out").returncode == 0
    before = tree(tmp_path)
    checked = run_memdeep("check", "out")
    assert (checked.returncode, checked.stderr) == (0, b"")
    assert "12 figures, all within their limits." in checked.stdout.decode()
    assert tree(tmp_path) == before
    assert run_memdeep("check", "out", "--quiet").stdout == b""


def test_the_newest_run_is_checked(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    budgets(tmp_path, WITHIN[0])
    (tmp_path / "prog.py").write_text("x = bytearray(1000)", "utf-8")
    run_memdeep(*QUICK, "prog.py")
    checked = run_memdeep("check")
    assert checked.returncode == 0
    assert b"The newest run: memdeep-runs/prog-" in checked.stderr
    (tmp_path / "memdeep.toml").write_text("", "utf-8")
    assert run_memdeep("check").returncode == 2


OVER = ('phase = "加载*"\nmax-growth = "10M"', 'phase = "lode"\nmax-growth = "10M"')


def test_a_run_over_a_budget_fails_and_names_the_line(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    budgets(tmp_path, *OVER)
    record(run_memdeep, tmp_path, "out")
    checked = run_memdeep("check", "out")
    text = checked.stdout.decode()
    assert checked.returncode == 1
    assert "加载config: growth 20.0 MB, over the limit of 10.0 MB." in text
    assert "prog.py:6 in <module> kept 20.0 MB: kept.append(bytearray(20971520))" in text
    assert "lode: no phase has this name." in text
    assert max(map(len, text.splitlines())) <= 80
    chinese = run_memdeep("check", "out", "--lang", "zh").stdout.decode()
    assert "加载config：增长 20.0 MB，超过上限 10.0 MB。" in chinese
    assert "留下 20.0 MB：kept.append(bytearray(20971520))" in chinese
    assert run_memdeep("check", "out", "--quiet").stdout.decode() == text


def test_for_a_rise_the_line_is_named_that_made_it(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    budgets(tmp_path, 'phase = "scratch"\nmax-rise = "10M"')
    record(run_memdeep, tmp_path, "out", load=90 * MB)  # which is held at the peak, too
    text = run_memdeep("check", "out").stdout.decode()
    assert "prog.py:12 in <module> held 30.0 MB at the peak: held = bytearray(" in text


def test_a_warning_is_told_and_passes(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    budgets(tmp_path, f'{OVER[0]}\nseverity = "warning"')
    record(run_memdeep, tmp_path, "out")
    checked = run_memdeep("check", "out", "--format", "github")
    assert checked.returncode == 0
    assert checked.stdout.decode().startswith("::warning file=prog.py,line=6,title=memdeep")
    last = run_memdeep("check", "out").stdout.decode().rstrip().splitlines()[-1]
    assert last == "0 over the limit, 1 over a limit that only warns, 0 not known, 0 within."


@pytest.mark.parametrize(
    ("options", "limit", "why"),
    [
        (("--backend", "rss"), "max-growth = 1", "its allocations were not traced"),
        (("--backend", "tracemalloc"), "max-allocations = 1", "allocations were not counted"),
        (("--focus", "scratch"), "max-growth = 1", "its allocations were not traced"),
        ((), 'no-growth = "1M"', "it has fewer than 3 repeats"),
    ],
)
def test_what_is_not_known_fails(
    run_memdeep: RunMemdeep, tmp_path: Path, options: tuple[str, ...], limit: str, why: str
) -> None:
    budgets(tmp_path, f'phase = "加载*"\n{limit}\nseverity = "warning"')
    record(run_memdeep, tmp_path, "out", *options)
    checked = run_memdeep("check", "out")
    assert checked.returncode == 1
    assert why in checked.stdout.decode().replace("\n", " ")


def test_the_peak_of_what_was_traced_in_part_is_no_proof(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    budgets(tmp_path, 'max-peak-heap = "900M"')
    record(run_memdeep, tmp_path, "out", "--focus", "scratch")
    checked = run_memdeep("check", "out")
    assert checked.returncode == 1
    assert "not all of the run was traced" in checked.stdout.decode().replace("\n", " ")


KILLED = "os.kill(os.getpid(), 9)"


def test_a_killed_run_never_passes(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    budgets(tmp_path, *WITHIN)
    assert record(run_memdeep, tmp_path, "out", end=KILLED).returncode == 137
    text = run_memdeep("check", "out").stdout.decode()
    assert "The run did not complete" in text
    assert "0 over the limit, 13 not known, 0 within." in text
    budgets(tmp_path, WITHIN[-1])
    assert run_memdeep("check", "out").returncode == 1
    budgets(tmp_path, 'max-peak-heap = "1M"')
    over = run_memdeep("check", "out")
    assert over.returncode == 1
    assert "1 over the limit, 0 not known" in over.stdout.decode()
    before = tree(tmp_path)
    refused = run_memdeep("check", "out", "--baseline", "b.toml", "--update")
    assert refused.returncode == 65
    assert complaint(refused)[0] == "The run did not complete: its figures make no baseline."
    assert tree(tmp_path) == before


def test_a_program_that_failed_never_passes(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    budgets(tmp_path, *WITHIN)
    assert record(run_memdeep, tmp_path, "out", end="sys.exit(3)").returncode == 3
    assert run_memdeep("check", "out").returncode == 1


@pytest.mark.parametrize(
    ("table", "end", "status"),
    [
        (WITHIN[0], "", 0),
        (OVER[0], "", 1),
        (OVER[1], "", 1),
        (OVER[0], "sys.exit(3)", 3),
        (WITHIN[0], KILLED, 137),
    ],
)
@pytest.mark.parametrize("report", [True, False])
def test_run_and_check_ends_with_the_program_s_status_first(
    run_memdeep: RunMemdeep, tmp_path: Path, table: str, end: str, status: int, report: bool
) -> None:
    budgets(tmp_path, table)
    (tmp_path / "prog.py").write_text(
        PROGRAM.format(load=20 * MB, epoch=10, scratch=MB, end=end), "utf-8"
    )
    words = ["run", "--no-native", "--check", "-o", "out", "prog.py"]
    if not report:
        words.insert(1, "--no-report")
    done = run_memdeep(*words)
    assert done.returncode == status
    assert done.stdout == b""
    text = done.stderr.decode()
    assert ("all within" in text) == (status == 0), text
    assert (tmp_path / "out" / "report.html").exists() == report


def test_run_and_check_without_a_budget_runs_nothing(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    done = record(run_memdeep, tmp_path, "out", "--check", end="open('ran', 'w')")
    assert done.returncode == 2
    assert complaint(done)[0] == "There is no budget to hold the run against."
    assert not (tmp_path / "out").exists() and not (tmp_path / "ran").exists()
    done = record(run_memdeep, tmp_path, "out", "--check", "--baseline", "b.toml")
    assert done.returncode == 2
    assert complaint(done)[1] == "Write it: memdeep check --baseline b.toml --update"


def test_the_file_may_ask_for_a_check_of_every_run(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    (tmp_path / "memdeep.toml").write_text(f"check = true\n[[budget]]\n{OVER[0]}\n", "utf-8")
    assert record(run_memdeep, tmp_path, "out").returncode == 1
    assert record(run_memdeep, tmp_path, "out2", "--no-check").returncode == 0


def baseline(run_memdeep: RunMemdeep, name: str, *options: str) -> Completed:
    return run_memdeep("check", name, "--baseline", "memory.toml", *options)


@pytest.mark.parametrize(
    ("deep", "within", "over"), [((), 1.04, 1.06), (("--deep",), 1.0005, 1.03)]
)
def test_a_baseline_finds_a_planted_rise(
    run_memdeep: RunMemdeep, tmp_path: Path, deep: tuple[str, ...], within: float, over: float
) -> None:
    load = 100 * MB
    record(run_memdeep, tmp_path, "before", *deep, load=load)
    written = baseline(run_memdeep, "before", "--update")
    assert (written.returncode, written.stdout) == (0, b"")
    assert written.stderr.decode() == "Baseline written: memory.toml\n"
    content = (tmp_path / "memory.toml").read_text("utf-8")
    assert content.count('"加载config" = { growth = 10') == 1
    assert baseline(run_memdeep, "before").returncode == 0
    record(run_memdeep, tmp_path, "alike", *deep, load=round(load * within))
    assert baseline(run_memdeep, "alike").returncode == 0
    same = baseline(run_memdeep, "alike", "--update")
    assert "The baseline stays as it is" in same.stderr.decode()
    assert (tmp_path / "memory.toml").read_text("utf-8") == content
    record(run_memdeep, tmp_path, "risen", *deep, load=round(load * over))
    found = baseline(run_memdeep, "risen")
    assert found.returncode == 1
    assert "加载config: growth 10" in found.stdout.decode()
    assert "prog.py:6 in <module> " in found.stdout.decode()
    assert "scratch: " not in found.stdout.decode()
    brought_up = baseline(run_memdeep, "risen", "--update")
    assert "加载config: growth 100.0 MB → 10" in brought_up.stderr.decode()
    assert baseline(run_memdeep, "risen").returncode == 0


def test_a_baseline_of_another_mode_is_refused_and_damaged_ones_are_kept(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    record(run_memdeep, tmp_path, "before", "--deep")
    baseline(run_memdeep, "before", "--update")
    record(run_memdeep, tmp_path, "after")
    found = baseline(run_memdeep, "after")
    assert found.returncode == 1
    assert "the baseline was recorded in another mode" in found.stdout.decode()
    (tmp_path / "memory.toml").write_text("damaged", "utf-8")
    before = tree(tmp_path)
    for options in ((), ("--update",)):
        refused = baseline(run_memdeep, "after", *options)
        assert refused.returncode == 2
        assert complaint(refused)[0] == "memory.toml is no baseline of memdeep."
    assert tree(tmp_path) == before


def test_phases_that_come_and_go(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    record(run_memdeep, tmp_path, "before", end='with phase("old"): pass')
    baseline(run_memdeep, "before", "--update")
    record(run_memdeep, tmp_path, "after", end='with phase("new"): pass')
    found = baseline(run_memdeep, "after")
    assert found.returncode == 1
    assert "old: the baseline has this phase, and the run has not." in found.stdout.decode()
    allowed = baseline(run_memdeep, "after", "--allow-missing")
    assert allowed.returncode == 0
    assert "1 phase is not in the baseline: new" in allowed.stdout.decode()


def test_every_format_goes_to_its_file(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    budgets(tmp_path, *OVER)
    record(run_memdeep, tmp_path, "out")
    names = ("github", "markdown", "junit", "sarif", "gitlab", "openmetrics", "text")
    words = [word for name in names for word in ("--format", f"{name}=told.{name}")]
    checked = run_memdeep("check", "out", *words)
    assert checked.returncode == 1
    assert "over the limit" in checked.stdout.decode()
    assert len(ElementTree.parse(tmp_path / "told.junit").findall(".//testcase")) == 2
    (run,) = json.loads((tmp_path / "told.sarif").read_bytes())["runs"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "prog.py"
    assert place["region"]["startLine"] == 6
    issues = json.loads((tmp_path / "told.gitlab").read_bytes())
    assert [one["location"]["path"] for one in issues] == ["prog.py", "memdeep.toml"]
    assert (tmp_path / "told.openmetrics").read_bytes().endswith(b"# EOF\n")
    for name in names:
        printed = run_memdeep("check", "out", "--format", name).stdout
        assert printed.strip() == (tmp_path / f"told.{name}").read_bytes().strip(), name


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--format", "sarf"), "did you mean sarif?"),
        (("--format", "xyz"), "there are text, github, "),
        (("--format", "sarif="), "there is no file behind sarif="),
        (("--format", "sarif", "--format", "junit"), "only one format can be printed"),
        (("--update",), "--update needs --baseline FILE"),
        (("--formt", "x"), "Did you mean --format?"),
    ],
)
def test_wrong_words_are_usage_errors(
    run_memdeep: RunMemdeep, words: tuple[str, ...], error: str
) -> None:
    done = run_memdeep("check", "out", *words)
    assert done.returncode == 2
    assert error in done.stderr.decode()


@pytest.mark.parametrize("place", ["/dev/stdout", "/dev/null", "/proc/self/fd/1", "."])
def test_no_device_is_replaced(run_memdeep: RunMemdeep, tmp_path: Path, place: str) -> None:
    budgets(tmp_path, *OVER)
    done = run_memdeep("check", "out", "--format", f"junit={place}")
    assert done.returncode == 125
    assert complaint(done)[0] == f"{place} is not a regular file."


def test_a_closed_output_changes_no_status(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    budgets(tmp_path, *WITHIN)
    record(run_memdeep, tmp_path, "out")
    words = shlex.join(map(str, memdeep_command("check", "out")))
    done = subprocess.run(
        f"{words} >&-", shell=True, cwd=tmp_path, env=environment(), capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_text_and_annotations_may_be_printed_together(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    budgets(tmp_path, *OVER)
    record(run_memdeep, tmp_path, "out")
    text = run_memdeep("check", "out", "--format", "text", "--format", "github").stdout.decode()
    assert text.startswith("State") and "\n::error file=" in text


def test_the_summary_of_a_job_is_appended_to_and_never_too_large(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    budgets(tmp_path, *OVER)
    record(run_memdeep, tmp_path, "out")
    summary = tmp_path / "summary.md"
    told = environment(GITHUB_STEP_SUMMARY=str(summary))
    summary.write_text("# mine\n", "utf-8")
    assert run_memdeep("check", "out", "--quiet", env=told).returncode == 1
    content = summary.read_text("utf-8")
    assert content.startswith("# mine\n### ❌ memdeep: ")
    summary.write_bytes(b"x" * ((1 << 20) - 200))
    run_memdeep("check", "out", env=told)
    assert (1 << 20) - 200 <= summary.stat().st_size <= 1 << 20
    (tmp_path / "memdeep.toml").write_text(f"[[budget]]\n{WITHIN[0]}\n", "utf-8")
    told = environment(GITHUB_STEP_SUMMARY=str(tmp_path / "no" / "such"))
    unwritable = run_memdeep("check", "out", env=told)
    assert unwritable.returncode == 0
    assert b"The summary of the job cannot be written: no such file" in unwritable.stderr


def test_runs_that_cannot_be_read(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    budgets(tmp_path, *WITHIN)
    assert run_memdeep("check", "nowhere").returncode == 66
    (tmp_path / "bad.bin").write_bytes(b"not a capture")
    assert run_memdeep("check", "bad.bin").returncode == 65
    budgets(tmp_path, "max-rice = 1")
    wrong = run_memdeep("check", "nowhere")
    assert wrong.returncode == 2
    assert complaint(wrong)[1] == "Did you mean max-rise?"


def test_paths_are_told_from_the_root_of_the_repository(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    (tmp_path / ".git").mkdir()
    inner = tmp_path / "jobs" / "daily"
    inner.mkdir(parents=True)
    budgets(tmp_path, *OVER)
    text = PROGRAM.format(load=20 * MB, epoch=1, scratch=1, end="")
    (inner / "prog.py").write_text(text, "utf-8")
    run_memdeep(*QUICK, "-o", "out", "prog.py", cwd=inner)
    told = run_memdeep("check", "out", "--format", "github", cwd=inner).stdout.decode()
    assert "::error file=jobs/daily/prog.py,line=6," in told
    assert "::error file=memdeep.toml,line=5," in told


WORKERS = """\
from multiprocessing import get_context
from memdeep import phase

def work(size):
    with phase("post"):
        kept = bytearray(size << 20)
    return kept

if __name__ == "__main__":
    with phase("go"):
        for size in (3, 9, 6):
            process = get_context("fork").Process(target=work, args=(size,))
            process.start()
            process.join()
"""


def test_phases_of_workers_are_held_to_budgets_and_exported(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    (tmp_path / "prog.py").write_text(WORKERS, "utf-8")
    assert run_memdeep(*QUICK, "-o", "out", "prog.py").returncode == 0
    budgets(tmp_path, 'phase = "post"\nmax-growth = "5M"\nmax-rise = "10M"')
    checked = run_memdeep("check", "out")
    text = " ".join(checked.stdout.decode().split())
    assert checked.returncode == 1
    assert "1 over the limit, 0 not known, 1 within." in text
    pid = text.partition("post in process ")[2].partition(":")[0]
    assert (tmp_path / "out/children" / pid).is_dir()
    assert f"post in process {pid}: growth 9.0 MB, over the limit of 5.0 MB." in text
    assert "prog.py:6 in work kept 9.0 MB: kept = bytearray(size << 20)" in text
    told = run_memdeep("check", "out", "--format", "sarif").stdout
    flow = json.loads(told)["runs"][0]["results"][0]["codeFlows"][0]["threadFlows"][0]["locations"]
    assert flow[-1]["location"]["physicalLocation"]["region"]["startLine"] == 6
    budgets(tmp_path, 'phase = "po*"\nmax-growth = "9.1M"')
    assert run_memdeep("check", "out").returncode == 0
    for word in ("post", "p?st"):
        told = run_memdeep("export", "out", "--phase", word, "-f", "csv", "-o", "-").stdout
        rows = [row.split(",")[:2] for row in told.decode().splitlines()[1:]]
        assert rows == [["1", "post"], ["2", "post"], ["3", "post"]]
        told = run_memdeep("export", "out", "--phase", word, "-f", "openmetrics", "-o", "-").stdout
        assert told.count(b"memdeep_phase_duration_seconds{") == 3
    refused = run_memdeep("export", "out", "--phase", "post", "-f", "collapsed", "-o", "-")
    assert refused.returncode == 2
    assert "post is a phase of processes that the program started" in complaint(refused)[0]
    unknown = run_memdeep("export", "out", "--phase", "pos", "-f", "csv", "-o", "-")
    assert "Did you mean post" in complaint(unknown)[1]


def test_a_baseline_that_nothing_is_held_against_is_refused(tmp_path: Path) -> None:
    command = memdeep_command("run", "--baseline", "memory.toml", "-o", "run", "-c", "pass")
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("memdeep: --baseline does nothing without --check.\n")
    assert not (tmp_path / "run").exists()
