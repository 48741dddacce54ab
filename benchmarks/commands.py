"""The commands that are compared: the bundled backtest under plain Python, memray and memdeep."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

BACKTEST = Path(__file__).parent.parent / "examples" / "backtest" / "deepseek_backtest.py"


def backtest(scale: str) -> list[str]:
    """The words that start the backtest, after `python`."""
    return [str(BACKTEST), "backtest-deepseek", "--scale", scale]


def plain(scale: str) -> list[str]:
    return [sys.executable, *backtest(scale)]


def memray(scale: str, capture: Path, *flags: str) -> list[str]:
    words = [sys.executable, "-m", "memray", "run", "--quiet", "--force", *flags]
    return [*words, "--output", str(capture), *backtest(scale)]


def memdeep(scale: str, run_dir: Path, *flags: str) -> list[str]:
    words = [sys.executable, "-m", "memdeep", "run", "--quiet", "--force", *flags]
    return [*words, "--output", str(run_dir), *backtest(scale)]


def seconds(words: Sequence[str]) -> float:
    """How long the whole process took, from start to end."""
    start = time.perf_counter()
    environment = {**os.environ, "MANUAL_BACKTEST": "true"}
    subprocess.run(words, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def side_by_side(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[float]]:
    """The times of all commands, taken in turns so that a busy moment hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds):
        names = list(commands)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            times[name].append(seconds(commands[name]))
    return times


def ratio(times: Sequence[float], to: Sequence[float]) -> float:
    """The median of the rounds' own ratios."""
    return median(one / other for one, other in zip(times, to, strict=True))
