"""Limits of single tests: a test that exceeds one fails, with the line in its message."""

from __future__ import annotations

from pathlib import Path

from pytests import recorded, report, write

LIMITS = """
import pytest

KEPT = []

@pytest.mark.memdeep(max_growth="10 MB")
def test_keeps(): KEPT.append(bytearray(20_000_000))

@pytest.mark.memdeep(max_growth="10 MB", max_allocations=1000)
def test_frees(): bytearray(20_000_000)

@pytest.mark.memdeep(max_rise="10 MB")
def test_rises(): bytearray(20_000_000)

@pytest.mark.memdeep(max_allocations=1000)
def test_allocates(): [object() for _ in range(2000)]

@pytest.mark.limit_memory("10 MB")
def test_of_memray(): bytearray(20_000_000)

@pytest.mark.limit_memory("30 MB")
def test_of_memray_within(): bytearray(20_000_000)

@pytest.mark.memdeep(max_growth="1 B")
def test_fails_anyway(): assert 1 == 2

@pytest.mark.memdeep(max_grwth="1 B")
def test_misspelt(): pass

@pytest.mark.memdeep(max_growth="1 B")
@pytest.mark.xfail(strict=True)
def test_expected_to_exceed(): KEPT.append(bytearray(1000))
"""
LEAKS = """
import functools, pytest

KEPT = []
RUNS = []
leak = pytest.mark.memdeep(no_leak=True)

@pytest.fixture
def record():
    return []

@pytest.fixture(scope="module")
def shared():
    RUNS.append("setup")
    yield
    RUNS.append("teardown")

@functools.cache
def table(): return [str(n) for n in range(50_000)]

@leak
def test_leaks(shared):
    KEPT.append([str(n) for n in range(1000)])
    RUNS[:1] = ["setup" + "x" * 900_000]  # which the next repeat replaces

@leak
def test_caches(shared): table()

@leak
def test_is_clean(record, tmp_path, capsys, monkeypatch, caplog):
    record.append(bytearray(100_000))
    (tmp_path / "file").write_text("text")
    monkeypatch.setenv("A", "b")
    print("out")

@pytest.mark.memdeep(no_leak=True, max_growth="1 MB")
def test_is_within_both(tmp_path): bytearray(5_000_000)

@pytest.mark.memdeep(no_leak=True, max_growth="1 MB")
def test_exceeds_one(shared): RUNS[1:2] = ["y" * 2_000_000]

@leak
def test_makes_cycles():
    cycle = [bytearray(50_000)]
    cycle.append(cycle)

@pytest.mark.limit_leaks("1 MB")
def test_leaks_less(): KEPT.append(bytearray(100_000))

@leak
def test_skips(): pytest.skip("no")

@leak
def test_only_once():
    RUNS.append("once")
    assert RUNS.count("once") != 3

def test_shared_fixtures_are_set_up_once(shared):
    assert len(RUNS) > 1
    assert sum(run.startswith("setup") for run in RUNS) == 1
"""


def test_a_test_over_a_limit_fails_with_the_line(tmp_path: Path) -> None:
    write(tmp_path, test_some=LIMITS)
    done = recorded(tmp_path)
    failed = {name for name, kinds in done.outcomes.items() if "failure" in kinds}
    assert failed == {
        *("test_keeps", "test_rises", "test_allocates", "test_of_memray"),
        *("test_fails_anyway", "test_misspelt"),
    }, done.told
    assert done.status == 1
    keeps = done.failures["test_keeps"].splitlines()
    assert keeps[0] == "growth 19.1 MB, over the limit of 10.0 MB"
    assert (
        keeps[1].strip().startswith("test_some.py:7 in test_keeps kept 19.1 MB: def test_keeps()")
    )
    page = Path(keeps[2].partition(": ")[2])
    assert page.is_file() and page.parent.parent == tmp_path / "out/tests"
    assert "test_some.py:13 in test_rises held 19.1 MB" in done.failures["test_rises"]
    assert "rise 19.1 MB, over the limit of 10.0 MB" in done.failures["test_of_memray"]
    assert "test_some.py:16 in " in done.failures["test_allocates"]
    assert " made 3," in done.failures["test_allocates"]
    assert "A test has no limit max_grwth" in done.failures["test_misspelt"]
    assert "assert 1 == 2" in done.failures["test_fails_anyway"]
    assert len([*(tmp_path / "out/tests").iterdir()]) == 5  # of those within, nothing is kept
    # test_expected_to_exceed is judged; of one that fails by itself nothing is.
    unknown = [line for line in done.told.splitlines() if line.startswith("Not known is what")]
    assert unknown == ["Not known is what another test moved: test_some.py::test_fails_anyway"], (
        done.told
    )


def test_limits_of_all_tests_stand_in_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmemdeep_max_rise = 10 MB\n")
    source = "import pytest\ndef test_large(): bytearray(20_000_000)\ndef test_small(): pass\n"
    source += "@pytest.mark.memdeep(max_rise='30M')\ndef test_may(): bytearray(20_000_000)\n"
    source += "@pytest.mark.memdeep(max_rise=None)\ndef test_any(): bytearray(20_000_000)\n"
    write(tmp_path, test_some=source)
    done = recorded(tmp_path)
    assert done.outcomes == {
        "test_large": ["failure"],
        "test_small": [],
        "test_may": [],
        "test_any": [],
    }


def test_a_limit_that_makes_no_sense_is_told_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmemdeep_max_rise = many\n")
    write(tmp_path, test_some="def test_it(): pass\n")
    done = recorded(tmp_path)
    assert done.status == 4
    assert "memdeep_max_rise must be a size, not 'many'" in done.told


def test_leaks_are_what_each_repeat_leaves(tmp_path: Path) -> None:
    write(tmp_path, test_some=LEAKS)
    done = recorded(tmp_path)
    failed = {name for name, kinds in done.outcomes.items() if "failure" in kinds}
    assert failed == {"test_leaks", "test_exceeds_one", "test_only_once"}, done.told
    assert done.outcomes["test_skips"] == ["skipped"]
    assert done.failures["test_exceeds_one"].startswith("growth 1.9 MB, over")
    leaks = done.failures["test_leaks"]
    assert "growth per repeat" in leaks and "over the limit of 4.0 KB" in leaks
    assert "test_some.py:23 in" in leaks
    assert "run for the 3. time" in done.failures["test_only_once"]


def test_of_a_test_that_a_worker_records_apart_no_heap_is_told(tmp_path: Path) -> None:
    tests = """
import pytest

KEPT = []

def test_before(): KEPT.append(bytearray(5_000_000))
@pytest.mark.memdeep(no_leak=True)
def test_apart(): bytearray(1_000_000)
@pytest.mark.memdeep(max_rise="2 MB")
def test_within(): bytearray(1_000_000)
def test_behind(): KEPT.append(bytearray(3_000_000))
"""
    write(tmp_path, test_some=tests)
    for words in ((), ("-n1",)):
        told = recorded(tmp_path, *words).told
        rows = [line for line in told.splitlines() if " rise " in line and "::" in line]
        assert not [row for row in rows if "−" in row]
        assert ["test_within" in row for row in rows].count(True) == 1
        found = {
            phase["name"].partition("::")[2]: phase
            for phase in report(tmp_path)["phases"]
            if phase["depth"] == 0 and phase["kind"] == "span"
        }
        for name in ("test_apart", "test_within"):
            assert found[name]["peak_heap_bytes"] is None
            assert found[name]["heap_delta_bytes"] is None
        arenas = 2 << 20  # that Python may take just then
        assert 0 <= found["test_before"]["heap_delta_bytes"] - 5_000_000 < 100_000 + arenas
        assert 0 <= found["test_behind"]["heap_delta_bytes"] - 3_000_000 < 100_000 + arenas


def test_a_worker_fails_the_test_that_exceeds(tmp_path: Path) -> None:
    write(tmp_path, test_some=LIMITS)
    done = recorded(tmp_path, "-n2", "-k", "keeps or frees")
    assert done.outcomes == {"test_keeps": ["failure"], "test_frees": []}
    assert "test_some.py:7 in test_keeps kept 19.1 MB" in done.failures["test_keeps"]
