"""Commands to compare: the bundled backtest under plain Python, memray and memdeep."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

BACKTEST = Path(__file__).parent.parent / "examples" / "backtest" / "deepseek_backtest.py"


def backtest(scale: str) -> list[str]:
    """Return the words that start the backtest, after `python`."""
    return [str(BACKTEST), "backtest-deepseek", "--scale", scale]


def plain(scale: str) -> list[str]:
    return [sys.executable, *backtest(scale)]


def memray(scale: str, capture: Path, *flags: str) -> list[str]:
    words = [sys.executable, "-m", "memray", "run", "--quiet", "--force", *flags]
    return [*words, "--output", str(capture), *backtest(scale)]


def memdeep(scale: str, run_dir: Path, *flags: str) -> list[str]:
    words = [sys.executable, "-m", "memdeep", "run", "--quiet", "--force", *flags]
    return [*words, "--output", str(run_dir), *backtest(scale)]


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one process: time from start to end, processor time, and highest memory."""

    seconds: float
    cpu_s: float
    peak_bytes: int


def cost(words: Sequence[str]) -> Cost:
    """Run a command to its end."""
    start = time.perf_counter()
    environment = {**os.environ, "MANUAL_BACKTEST": "true"}
    # As installed: without it, a source tree is compiled anew each time.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    took_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(took_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def output(words: Sequence[str]) -> str:
    """Return what a command prints."""
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.decode()


def seconds(words: Sequence[str]) -> float:
    """Return the seconds of the whole process, from start to end."""
    return cost(words).seconds


def costs_side_by_side(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Cost]]:
    """Measure all commands in turns, so that a busy moment hits all alike."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for turn in range(rounds):
        names = list(commands)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            costs[name].append(cost(commands[name]))
    return costs


def side_by_side(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[float]]:
    """Time all commands in turns, so that a busy moment hits all alike."""
    costs = costs_side_by_side(commands, rounds)
    return {name: [one.seconds for one in turns] for name, turns in costs.items()}


def ratio(times: Sequence[float], to: Sequence[float]) -> float:
    """Return the median of the ratios of each round."""
    return median(one / other for one, other in zip(times, to, strict=True))
