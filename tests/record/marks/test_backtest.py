"""The bundled backtest without its instrumentation: marks find what its own checkpoints find."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from marking import run_plainly
from running import ROOT, read_json

EXAMPLE = ROOT / "examples" / "backtest"
PROGRAM = "deepseek_backtest.py"
INSTRUMENTS = {"checkpoint", "phase"}
SIZE = ("--scale", "0.1")

ARENA_BYTES = 1 << 20

Json = dict[str, Any]


class Stripper(ast.NodeTransformer):
    """Takes out `checkpoint(...)` statements and `with phase(...)`, and their import."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if called(node.value) == "checkpoint" else node

    def visit_With(self, node: ast.With) -> Any:
        self.generic_visit(node)
        is_phase = [called(item.context_expr) == "phase" for item in node.items]
        return node.body if all(is_phase) else node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        node.names = [alias for alias in node.names if alias.name not in INSTRUMENTS]
        return node


def called(node: ast.expr) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the backtest that only prints."""
    directory = tmp_path_factory.mktemp("twin")
    for path in EXAMPLE.glob("*.py"):
        shutil.copy(path, directory)
    program = directory / PROGRAM
    program.write_text(ast.unparse(Stripper().visit(ast.parse(program.read_text("utf-8")))))
    for name in INSTRUMENTS:
        assert f"{name}(" not in program.read_text("utf-8")
    return directory


def report_of(directory: Path, run_dir: Path, *marks: str) -> tuple[Json, bytes]:
    command = [sys.executable, "-m", "memdeep", "run", "--quiet", "--no-native", "-o", run_dir]
    completed = subprocess.run(
        [*command, *marks, PROGRAM, *SIZE, "--work-dir", run_dir / "work"],
        cwd=directory,
        env=environment(),
        capture_output=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    assert completed.stderr == b"", "all marks were met"
    return read_json(run_dir / "report.json"), completed.stdout


def environment() -> dict[str, str]:
    return {**os.environ, "MANUAL_BACKTEST": "true", "PYTHONIOENCODING": "utf-8"}


def culprits(report: Json) -> list[tuple[str, str]]:
    """File and source of the line behind each finding about the learning config, largest first.

    Lines charged with one arena of small objects are left out, and those of other files, which
    have no more than that: any line that allocates may be the one that needs a new arena.
    """
    found = [
        (Path(finding["culprit"]["filename"]).name, finding["culprit"]["source"])
        for finding in report["findings"]
        if finding["culprit"] and finding["bytes"] > ARENA_BYTES
    ]
    return [(file, source) for file, source in found if file == "learning.py"]


def test_marks_find_the_culprits_of_the_instrumented_twin(twin: Path, tmp_path: Path) -> None:
    calls = {
        "history:write_learning_history": "准备数据",
        "learning:load_config": "加载config",
        "learning:copy_for_comparison": "创建old_config",
        "learning:collect_phase_data": "收集阶段数据",
        "learning:compare": "对比分析",
        "strategy:coarse_screen": "Phase3_粗筛",
        "strategy:fine_selection": "Phase3_精选",
        "strategy:separated_optimisation": "Phase3_分离优化",
        "mailer:write_mail": "邮件生成",
    }
    marks = ["--mark-stdout", "【(.+?)】"]
    for function, label in calls.items():
        marks += ["--mark-call", f"{function}={label}"]
    marked, output = report_of(twin, tmp_path / "marked", *marks)
    instrumented, _ = report_of(EXAMPLE, tmp_path / "instrumented")

    # The four copies are of much the same size at this scale.
    assert set(culprits(marked)) == set(culprits(instrumented))
    assert len(set(culprits(marked))) == 5
    assert culprits(marked)[0] == ("learning.py", "config: Config = json.load(handle)")
    names = [phase["name"] for phase in marked["phases"]]
    for label in calls.values():
        assert label in names
    labels = [point["label"] for point in marked["checkpoints"]]
    printed = ["Phase 1: 客观机会识别", "Phase 2: 迭代参数搜索", "Phase 3: 粗筛 → 精选 → 分离优化"]
    assert [label for label in labels if label.startswith("Phase ")][:3] == printed

    plain = run_plainly(
        twin, PROGRAM, *SIZE, "--work-dir", tmp_path / "marked" / "work", env=environment()
    )
    assert output == plain.stdout
