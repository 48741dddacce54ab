"""`make soak-kills`: kills the program, memdeep and who follows, at random, SOAK_RUNS times.

Any of them, in any order, and who saves the states of its processes. What was replayed is given
back meanwhile, and kept in other files. Each report must be that on the whole captures, to the
byte.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from following import follower_of, program_of
from soak_follow import keeping, report_of, whole_of

PROGRAMS = Path(__file__).parent / "programs"
VICTIMS = ("program", "follower", "memdeep", "saver")


@dataclass(frozen=True)
class Kind:
    """A program with its arguments, and how long it takes at least."""

    words: tuple[str, ...]
    disk: str
    longest_s: float


ALONE = Kind(("fills_capture.py", "60", "20000"), "4M", 4.0)
FAMILY = Kind(("workers_fill.py", "110", "150000", "fork"), "16M", 22.0)
EVERY = [ALONE, ALONE, FAMILY]


def kill(process: subprocess.Popen[bytes], victim: str, program: psutil.Process | None) -> bool:
    """Kill one of them; return False if it is not there, or not any more."""
    found: psutil.Process | subprocess.Popen[bytes] | None = process
    if victim != "memdeep":
        is_there = process.poll() is None
        found = program if victim == "program" else follower_of(process) if is_there else None
    try:
        if victim == "saver" and isinstance(found, psutil.Process):
            found = next(iter(found.children()), None)
        if found is not None:
            found.kill()
        return found is not None
    except psutil.NoSuchProcess:
        return False


def run_once(directory: Path, chance: random.Random, kind: Kind) -> tuple[str, bool]:
    """Run and kill; return who was killed, in order, and whether the reports are the same."""
    run = directory / "run"
    options = ["--quiet", "--no-native", "--disk", kind.disk, "-o", str(run)]
    command = [sys.executable, "-m", "memdeep", "run", *options]
    with subprocess.Popen(
        [*command, str(PROGRAMS / kind.words[0]), *kind.words[1:]],
        cwd=directory,
        stdout=subprocess.DEVNULL,
        env=keeping(directory),
        start_new_session=True,
    ) as process:
        while not (run / "capture.bin").exists():
            time.sleep(0.01)
        program = program_of(process)
        killed = []
        order = chance.sample(VICTIMS, chance.randint(1, 3))
        began_s = time.monotonic()
        moments = sorted(chance.uniform(0, kind.longest_s) for _ in order)
        for moment_s, victim in zip(moments, order, strict=True):
            time.sleep(max(0.0, began_s + moment_s - time.monotonic()))
            if kill(process, victim, program):
                killed.append(victim)
        process.wait()
        if program is not None:
            psutil.wait_procs([program])
        with suppress(ProcessLookupError):  # the workers of a killed program wait for ever
            os.killpg(process.pid, signal.SIGKILL)
    alike = report_of(run) == report_of(whole_of(directory))
    states = len([*run.rglob("capture*.state")])
    return f"{', '.join(killed) or 'nobody'}, {states} states", alike


def main() -> int:
    runs, seed = int(os.environ.get("SOAK_RUNS", "200")), int(os.environ.get("SOAK_SEED", "1"))
    chance = random.Random(seed)
    kinds = {"alone": [ALONE], "family": [FAMILY]}.get(os.environ.get("SOAK_KIND", ""))
    wrong = 0
    for number in range(runs):
        with tempfile.TemporaryDirectory(prefix="kills-") as directory:
            killed, alike = run_once(Path(directory), chance, chance.choice(kinds or EVERY))
        print(f"{number + 1}: killed {killed}: {'the same' if alike else 'DIFFERENT'}", flush=True)
        wrong += not alike
    print(f"{runs} runs, {wrong} of them with another report than the whole capture")
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
