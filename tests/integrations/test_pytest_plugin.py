"""`pytest --memdeep`: results stay what they are, and one page tells of all tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytests import phases, recorded, report, run, write

from memdeep.text import units

ALL_OUTCOMES = """
import pytest, unittest, warnings

@pytest.fixture
def broken():
    raise ValueError("setup")

@pytest.fixture
def breaks_later():
    yield
    raise ValueError("teardown")

@pytest.fixture(scope="module")
def table():
    yield bytearray(30_000_000)

def test_passes(table): print("out")
def test_fails(table):
    large = bytearray(5_000_000)
    assert 1 == 2
def test_skips(): pytest.skip("no")
def test_in_setup(broken): pass
def test_in_teardown(breaks_later): pass
@pytest.mark.xfail
def test_xfails(): assert 0
@pytest.mark.xfail
def test_xpasses(): pass
@pytest.mark.parametrize("name", ["加载", "<b>&", "a/b › c"])
def test_named(name): warnings.warn("once")

class TestUnit(unittest.TestCase):
    def test_of_unittest(self): self.assertEqual(1, 1)
"""
LAST_LINE = -1


def counts(told: str) -> str:
    """The counts in the last line, without the time."""
    return told.strip().splitlines()[LAST_LINE].rpartition(" in ")[0]


@pytest.fixture
def all_outcomes(tmp_path: Path) -> Path:
    write(tmp_path, test_some=ALL_OUTCOMES)
    return tmp_path


def test_results_stay_as_they_are(all_outcomes: Path) -> None:
    without, with_it = run(all_outcomes), recorded(all_outcomes)
    assert with_it.status == without.status == 1
    assert with_it.outcomes == without.outcomes
    assert counts(with_it.told) == counts(without.told)
    assert "3 warnings" in counts(with_it.told)


def test_the_page_and_the_summary_tell_of_tests_and_fixtures(all_outcomes: Path) -> None:
    told = recorded(all_outcomes, "--memdeep-deep").told
    found = phases(all_outcomes)
    table = found["fixture table [module]"]
    assert 30_000_000 <= table["heap_delta_bytes"] < 31_000_000
    assert table["culprits"][0]["lineno"] == 15
    # The traceback of a failed test holds what the test had.
    assert 5_000_000 <= found["test_some.py::test_fails"]["heap_delta_bytes"] < 6_000_000
    assert "=== memdeep ===" in told
    line = next(line for line in told.splitlines() if line.endswith("test_some.py:15"))
    passes = found["test_some.py::test_passes"]["heap_delta_bytes"]
    assert 30_000_000 <= passes < 31_000_000
    assert units.signed_size(passes) in line and "test_some.py::test_passes" in line
    assert (
        str(all_outcomes / "out/report.html") in told
        and (all_outcomes / "out/report.html").exists()
    )


def test_a_run_in_the_directory_is_replaced_and_nothing_else(all_outcomes: Path) -> None:
    for _ in range(2):
        assert recorded(all_outcomes, "-k", "passes").status == 0
    (all_outcomes / "notes").mkdir()
    (all_outcomes / "notes/mine").write_text("mine")
    done = run(all_outcomes, "--memdeep=notes")
    assert done.status == pytest.ExitCode.USAGE_ERROR
    assert "notes exists already, and is no run of memdeep's" in done.told
    assert os.listdir(all_outcomes / "notes") == ["mine"]


@pytest.mark.parametrize(
    ("body", "words", "status"),
    [
        ("assert 0", ("-x",), 1),
        ("raise KeyboardInterrupt", (), 2),
        ("pytest.exit('enough', 7)", (), 7),
    ],
)
def test_a_session_that_is_cut_short_has_its_page(
    tmp_path: Path, body: str, words: tuple[str, ...], status: int
) -> None:
    source = f"import pytest\ndef test_first(): bytearray(9_000_000)\ndef test_end(): {body}\n"
    write(tmp_path, test_some=f"{source}\ndef test_later(): pass\n")
    assert recorded(tmp_path, *words).status == status
    assert phases(tmp_path)["test_some.py::test_first"]["rise_bytes"] >= 9_000_000
    assert "test_some.py::test_later" not in phases(tmp_path)


def test_what_a_process_had_recorded_when_a_test_ended_it_can_be_reported(tmp_path: Path) -> None:
    source = "import os\ndef test_first(): bytearray(9_000_000)\ndef test_end(): os._exit(3)\n"
    write(tmp_path, test_some=source)
    assert recorded(tmp_path).status == 3
    command = [sys.executable, "-m", "memdeep", "report", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert phases(tmp_path)["test_some.py::test_first"]["allocated_bytes"] >= 9_000_000


def test_the_workers_of_xdist_make_one_report(all_outcomes: Path) -> None:
    without, with_it = run(all_outcomes, "-n2"), recorded(all_outcomes, "-n2")
    assert (with_it.status, with_it.outcomes) == (without.status, without.outcomes)
    found = report(all_outcomes)
    tests = {phase["name"] for phase in found["phases"] if phase["process"]}
    assert {"test_some.py::test_passes", "test_some.py::test_named[<b>&]"} <= tests
    merged = [phase for phase in found["phases"] if phase["process"] is None and not phase["depth"]]
    found_twice = {"(collection)"}
    assert {row["name"] for row in merged} - found_twice == {name for name in tests if "::" in name}
    assert {share["process"] for row in merged for share in row["shares"]} == {1, 2}
    assert "Tests of worker 2: " in with_it.told
    assert len([*all_outcomes.glob("out/children/*/report.html")]) == 2
    assert [one["traced"] for one in found["processes"]] == [False, True, True]
    assert "test_some.py::test_passes  test_some.py:15" in with_it.told


def test_a_worker_that_crashes_costs_the_page_nothing_else(tmp_path: Path) -> None:
    source = "import os\ndef test_first(): bytearray(9_000_000)\ndef test_end(): os._exit(3)\n"
    write(tmp_path, test_some=source + "def test_last(): pass\n")
    without, with_it = run(tmp_path, "-n1"), recorded(tmp_path, "-n1")
    assert (with_it.status, with_it.outcomes) == (without.status, without.outcomes)
    assert phases(tmp_path)["test_some.py::test_first"]["rise_bytes"] >= 9_000_000


def test_the_plugin_imports_nothing_unless_it_is_asked_for(tmp_path: Path) -> None:
    source = (
        "import sys\ndef test_it(): print(*[m for m in sys.modules if 'memdeep' in m], sep='@')"
    )
    write(tmp_path, test_some=source)
    told = run(tmp_path, "-s").told
    line = next(line for line in told.splitlines() if "@" in line)
    assert set(line.split("@")) - {"memdeep"} == {
        "memdeep.record",
        "memdeep.record.api",
        "memdeep.integrations",
        "memdeep.integrations.pytest_plugin",
    }


def test_tests_may_fork_and_trace_as_ever(tmp_path: Path) -> None:
    body = """
import memray, multiprocessing, os, pytest, threading
limited = pytest.mark.memdeep(max_growth="10 MB")

def forks(tmp_path):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(len, ["a", "bb"]) == [1, 2]
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, 0)
    thread = threading.Thread(target=bytearray, args=(1000,))
    thread.start()
    thread.join()

def traces(tmp_path):
    with memray.Tracker(tmp_path / "capture"):
        bytearray(1000)

def test_forks(tmp_path): forks(tmp_path)
@limited
def test_forks_apart(tmp_path): forks(tmp_path)
@limited
def test_traces_apart(tmp_path): traces(tmp_path)
def test_traces(tmp_path): traces(tmp_path)
"""
    write(tmp_path, test_some=body)
    done = recorded(tmp_path)
    assert {name: kinds for name, kinds in done.outcomes.items() if kinds} == {
        "test_traces_apart": ["failure"]
    }, done.told
    assert "not traced" in done.failures["test_traces_apart"]


OTHERS_HOLD_MORE = """
import pytest

KEPT = []

@pytest.fixture(scope="module")
def big():
    yield bytearray(30_000_000)

@pytest.fixture
def small():
    yield bytearray(9_000_000)

def test_sets_up(big): pass
def test_keeps_and_rises(small):
    KEPT.append(bytearray(6_000_000))
def test_keeps():
    KEPT.append(bytearray(5_000_000))
def test_rises(big):
    bytearray(4_000_000)
@pytest.mark.memdeep(max_growth="9 MB")
def test_apart():
    KEPT.append(bytearray(100))
def test_rises_in_the_next_part(small):
    KEPT.append(bytearray(3_000_000))
"""


def test_the_summary_names_what_a_test_kept_and_what_made_its_heap_rise(tmp_path: Path) -> None:
    write(tmp_path, test_some=OTHERS_HOLD_MORE)
    told = recorded(tmp_path).told
    rows = {
        line.split("::")[1].split("  ")[0]: line.split("::")[1].split("  ", 1)[1]
        for line in told.splitlines()
        if " rise " in line
    }
    assert rows["test_keeps_and_rises"] == "test_some.py:16 (rise: test_some.py:12)"
    assert rows["test_keeps"] == "test_some.py:18"
    assert rows["test_rises"] == "test_some.py:20"
    assert rows["test_rises_in_the_next_part"] == "test_some.py:25 (rise: test_some.py:12)"
