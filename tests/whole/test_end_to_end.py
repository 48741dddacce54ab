"""The whole job on real programs: the bundled backtest, and one that nobody here wrote."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running import ROOT, read_json, stack_of

BACKTEST = ROOT / "examples" / "backtest" / "deepseek_backtest.py"
LEARNING = BACKTEST.with_name("learning.py")
MIB = 1 << 20

Json = dict[str, Any]


def run_memdeep(directory: Path, *words: str) -> tuple[Json, str]:
    """Run with native stacks into ``directory``/run; returns report.json and stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "memdeep", "run", "-o", "run", *words],
        cwd=directory,
        env={**os.environ, "MANUAL_BACKTEST": "true", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return read_json(directory / "run" / "report.json"), done.stderr


def line_of(path: Path, text: str) -> int:
    """The number of the only line of ``path`` that contains ``text``."""
    numbers = [n for n, line in enumerate(path.read_text("utf-8").splitlines(), 1) if text in line]
    assert len(numbers) == 1
    return numbers[0]


def named(report: Json, name: str) -> Json:
    (found,) = [phase for phase in report["phases"] if phase["name"] == name]
    return found


@pytest.fixture(scope="module")
def backtest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Json, str]:
    """The bundled backtest at full size."""
    return run_memdeep(tmp_path_factory.mktemp("backtest"), str(BACKTEST), "backtest-deepseek")


def test_the_loading_line_is_the_first_finding(backtest: tuple[Json, str]) -> None:
    report, terminal = backtest
    first = report["findings"][0]
    culprit = first["culprit"]
    assert report["phases"][first["phase"]]["name"] == "加载config"
    assert culprit["filename"] == str(LEARNING)
    assert culprit["lineno"] == line_of(LEARNING, "json.load(")
    assert (
        culprit["source"] == LEARNING.read_text("utf-8").splitlines()[culprit["lineno"] - 1].strip()
    )
    assert first["bytes"] > 250 * MIB
    assert f"learning.py:{culprit['lineno']}" in terminal
    assert "加载config" in terminal


def test_the_four_deep_copies_come_next(backtest: tuple[Json, str]) -> None:
    report, _ = backtest
    told = [finding for finding in report["findings"] if finding["culprit"]]
    own = [finding for finding in told if finding["culprit"]["filename"] == str(LEARNING)]
    copies = own[1:5]
    lines = {finding["culprit"]["lineno"] for finding in copies}
    first = min(lines)
    assert lines == set(range(first, first + 4))
    # How many arenas each of the last two takes differs a little: another line has 26 MB, too.
    assert sys.version_info[:2] != (3, 11) or report["findings"][1:3] == copies[:2]
    for finding in copies:
        assert "copy.deepcopy(" in finding["culprit"]["source"]
        assert "copy.deepcopy" in finding["advice"]
        assert finding["bytes"] > 20 * MIB


def test_growth_is_explained_wherever_it_is_large(backtest: tuple[Json, str]) -> None:
    report, _ = backtest
    large = [phase for phase in report["phases"] if (phase["rss_delta_bytes"] or 0) > 20 * MIB]
    assert len(large) >= 4
    for phase in large:
        assert phase["explained_ratio"] >= 0.95, phase["name"]


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="sized for Python 3.11's objects")
def test_the_jump_is_the_one_the_user_saw(backtest: tuple[Json, str]) -> None:
    report, _ = backtest
    assert named(report, "加载config")["rss_delta_bytes"] == pytest.approx(329 * MIB, rel=0.02)


def test_labels_become_nested_spans(backtest: tuple[Json, str]) -> None:
    report, _ = backtest
    parent = report["phases"][named(report, "加载config")["parent"]]
    assert parent["name"] == "参数变更检测"
    assert named(report, "Phase3_精选")["depth"] == 1
    labels = [checkpoint["label"] for checkpoint in report["checkpoints"]]
    assert labels[-2:] == ["程序结束", "(end)"]
    assert "创建old_config_AFTER" in labels


def test_stacks_lead_from_the_program_into_the_c_code(backtest: tuple[Json, str]) -> None:
    report, _ = backtest
    stack = stack_of(report, report["findings"][0]["culprit"])
    functions = [frame["function"] for frame in stack]
    assert functions[0] == "<module>"
    assert functions.index("load_config") < functions.index("loads")
    assert any(frame["origin"] == "native" for frame in stack)


def test_small_backtests_show_the_same_jump(tmp_path: Path) -> None:
    report, _ = run_memdeep(tmp_path, str(BACKTEST), "backtest-deepseek", "--scale", "0.02")
    first = report["findings"][0]
    assert report["phases"][first["phase"]]["name"] == "加载config"
    assert first["culprit"]["lineno"] == line_of(LEARNING, "json.load(")


def test_a_package_nobody_here_wrote(tmp_path: Path) -> None:
    """PyPI's `backtesting`, its GOOG data and its SMA-cross example, `optimize` included."""
    program = ROOT / "tests" / "programs" / "backtesting_sma_cross.py"
    report, _ = run_memdeep(tmp_path, str(program))
    # Workers that a fork server starts (3.14) import the program once more.
    own = [phase for phase in report["phases"] if phase["process"] == 0]
    names = [phase["name"] for phase in own if phase["kind"] == "span"]
    assert names == ["import", "run", "optimize", "keep the equity curves"]
    first = report["findings"][0]
    assert report["phases"][first["phase"]]["name"] == "import"
    assert first["culprit"]["filename"] == str(program)
    assert first["culprit"]["lineno"] == line_of(program, "from backtesting import")
    kept = named(report, "keep the equity curves")["culprits"][0]
    assert kept["lineno"] == line_of(program, "curves = [")
    stack = stack_of(report, kept)
    assert any(frame["origin"] == "native" for frame in stack)
    assert any((frame["path"] or "").startswith("<site>/pandas/") for frame in stack)


def test_a_label_met_a_thousand_times_is_one_row(tmp_path: Path) -> None:
    code = (
        "from memdeep import phase, checkpoint\nkept = []\n"
        "for n in range(1000):\n"
        "    with phase('iteration'):\n"
        "        kept.append(bytearray(5000))\n"
    )
    report, terminal = run_memdeep(tmp_path, "--no-native", "-c", code)
    row = named(report, "iteration")
    assert row["repeats"] == 1000
    # What is kept, and the arena that the objects' heads may need.
    assert 1000 * 5001 <= row["heap_delta_bytes"] <= 1000 * 5001 * 1.05 + (1 << 20)
    assert row["culprits"][0]["lineno"] == 5
    assert "× 1,000" in terminal
    evidence = report["findings"][0]["evidence"]
    assert (evidence["repeats"], evidence["growing"]) == (1000, 1000)
    assert evidence["slope_bytes"] == pytest.approx(5001, rel=0.05)


def test_ten_thousand_checkpoints_break_nothing(tmp_path: Path) -> None:
    code = (
        "from memdeep import checkpoint\nkept = []\n"
        "for n in range(10_000):\n"
        "    checkpoint(f'step {n}')\n"
        "    if n % 100 == 0: kept.append(bytearray(50_000))\n"
    )
    report, terminal = run_memdeep(tmp_path, "--no-native", "-c", code)
    assert len(report["checkpoints"]) == 10_002
    phases = [phase for phase in report["phases"] if phase["kind"] != "pattern"]
    (folded,) = [phase for phase in report["phases"] if phase["kind"] == "pattern"]
    assert len(phases) + report["phases_left_out"] == 10_001
    assert folded["repeats"] == 9_999
    assert folded["kept_bytes"] == pytest.approx(100 * 50_000, rel=0.05)
    assert (tmp_path / "run" / "report.json").stat().st_size < 10 * MIB
    assert [c["label"] for c in report["checkpoints"][1:4]] == ["step 0", "step 1", "step 2"]
    grown = [p for p in phases if p["heap_delta_bytes"] >= 50_000]
    assert len(grown) == 100
    assert "× 9,999" in terminal
    assert (tmp_path / "run" / "report.html").stat().st_size < 8 * MIB
