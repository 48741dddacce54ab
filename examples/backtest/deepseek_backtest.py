"""A backtest whose memory explodes: the example program of memdeep.

It searches trading parameters on made-up markets in four phases, compares what it found with
what earlier runs had learned, and writes a mail about the changes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from random import Random

from history import write_learning_history
from instrumentation import checkpoint, phase, rss_report, write_rss_log
from learning import (
    Change,
    PhaseData,
    collect_phase_data,
    compare,
    copy_for_comparison,
    load_config,
    save_parameters,
)
from mailer import write_mail
from market import Market, load_markets
from strategy import (
    VALIDATION,
    Opportunity,
    Outcome,
    coarse_screen,
    evaluate,
    find_opportunities,
    fine_selection,
    iterative_search,
    resampled_scores,
    separated_optimisation,
)

_CANDLES = 14_000
_LEAST_CANDLES = 400


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; the exit code."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        # The labels are Chinese, and not every terminal's locale can print them.
        sys.stdout.reconfigure(encoding="utf-8")
    if os.environ.get("MANUAL_BACKTEST") != "true":
        print(
            "scheduled mode: this example has no scheduler; set MANUAL_BACKTEST=true to run now.",
            file=sys.stderr,
        )
        return 2
    if options.work_dir is None:
        work_dir = Path(tempfile.mkdtemp(prefix="backtest-"))
        try:
            run(work_dir, options.scale)
        finally:
            shutil.rmtree(work_dir)
        print(f"{work_dir} 是临时目录, 已删除; 用 --work-dir 保留邮件")
    else:
        options.work_dir.mkdir(parents=True, exist_ok=True)
        run(options.work_dir, options.scale)
    if options.rss_log is not None:
        write_rss_log(options.rss_log)
    if options.report_rss:
        print(rss_report())
    return 0


def run(work_dir: Path, scale: float) -> None:
    """The whole backtest, with its files in ``work_dir``."""
    rng = Random(7)
    config_path = work_dir / "learning_config.json"
    checkpoint("准备数据_START")
    write_learning_history(config_path, scale)
    checkpoint("准备数据_END", f"{config_path.stat().st_size / 1e6:.1f} MB on disk")

    markets, opportunities = scan(max(_LEAST_CANDLES, int(_CANDLES * scale)))
    searched = search(markets, rng, work_dir / "phase2_config.json")
    selected, separated = optimise(markets, searched, rng)
    over_fitted = validate(markets, selected[0], rng)
    data = PhaseData(selected[0], separated, over_fitted)
    changes = detect_changes(config_path, data)

    checkpoint("邮件生成_START")
    mail_path = work_dir / "mail.eml"
    write_mail(mail_path, selected[:3], over_fitted, changes)
    checkpoint("邮件生成_END")
    print(f"{len(opportunities)} 个机会, {len(changes)} 项变更; 邮件已写入 {mail_path} (未发送)")
    checkpoint("程序结束")


def scan(candle_count: int) -> tuple[list[Market], list[Opportunity]]:
    """Phase 1: the markets, and the moves a perfect strategy would have caught."""
    print("【Phase 1: 客观机会识别】")
    checkpoint("Phase1_START")
    markets = load_markets(candle_count)
    opportunities = find_opportunities(markets, least_move_atr=2.0)
    checkpoint("Phase1_END", f"{len(opportunities)} opportunities")
    return markets, opportunities


def search(markets: Sequence[Market], rng: Random, best_path: Path) -> list[Outcome]:
    """Phase 2: the best parameters of an iterative search, best first."""
    print("【Phase 2: 迭代参数搜索】")
    checkpoint("Phase2_START")
    elite = iterative_search(markets, rng, generations=6, population=10)
    checkpoint("Phase2_保存config_BEFORE")
    save_parameters(best_path, elite[0].parameters)
    checkpoint("Phase2_保存config_AFTER")
    checkpoint("Phase2_END", f"best score {elite[0].score:.2f}")
    return elite


def optimise(
    markets: Sequence[Market], searched: Sequence[Outcome], rng: Random
) -> tuple[list[Outcome], dict[tuple[str, str], Outcome]]:
    """Phase 3: parameters for all markets, and for every symbol and side by itself."""
    print("【Phase 3: 粗筛 → 精选 → 分离优化】")
    checkpoint("Phase3_START")
    checkpoint("Phase3_粗筛_START")
    shortlist = coarse_screen(markets, rng, candidates=40, keep=11)
    checkpoint("Phase3_粗筛_END")
    checkpoint("Phase3_精选_START")
    selected = fine_selection(markets, [searched[0].parameters, *shortlist])
    checkpoint("Phase3_精选_END")
    checkpoint("Phase3_分离优化_START")
    separated = separated_optimisation(markets, selected[0].parameters, rng, attempts=8)
    checkpoint("Phase3_分离优化_END")
    checkpoint("Phase3_END")
    return selected, separated


def validate(markets: Sequence[Market], best: Outcome, rng: Random) -> bool:
    """Phase 4: whether the best parameters fit the training history only."""
    print("【Phase 4: 验证与过拟合检查】")
    checkpoint("Phase4_START")
    unseen = evaluate(markets, best.parameters, window=VALIDATION)
    with phase("Phase4_过拟合检查"):
        scores = resampled_scores(unseen.trades, rng, rounds=60)
        over_fitted = scores[len(scores) // 20] < 0.0 < best.score
    checkpoint("Phase4_END", f"unseen score {unseen.score:.2f}")
    return over_fitted


def detect_changes(config_path: Path, data: PhaseData) -> list[Change]:
    """What this run changes in the learning config."""
    print("【参数变更检测】")
    checkpoint("参数变更检测_START")
    checkpoint("加载config_BEFORE")
    config = load_config(config_path)
    checkpoint("加载config_AFTER")
    old_config = copy_for_comparison(config)
    checkpoint("创建old_config_AFTER", f"{len(old_config)} sections kept for comparison")
    checkpoint("收集阶段数据_START")
    collect_phase_data(config, data)
    checkpoint("收集阶段数据_END")
    checkpoint("对比分析_START")
    changes = compare(old_config, config)
    checkpoint("对比分析_END", f"{len(changes)} changes")
    checkpoint("参数变更检测_END")
    return changes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Backtest a trading strategy on made-up markets.",
        epilog="Runs at once when the environment has MANUAL_BACKTEST=true. Otherwise it is in "
        "scheduled mode, which this example does not implement: it says so and exits with 2.",
    )
    parser.add_argument(
        "job", nargs="?", default="backtest-deepseek", choices=["backtest-deepseek"]
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="size of everything, 1.0 is the full run"
    )
    parser.add_argument(
        "--work-dir", type=Path, help="where files go (default: a temporary directory, removed)"
    )
    parser.add_argument(
        "--report-rss", action="store_true", help="print the memory at every checkpoint at the end"
    )
    parser.add_argument("--rss-log", type=Path, help="write the same as JSON lines to this file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
