"""`make soak-kills`: kills the program, memdeep and who follows, at random, SOAK_RUNS times.

Any of them, in any order; what was replayed is given back meanwhile, and kept in another file. Each
report must be that on the whole capture, to the byte.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from following import follower_of, program_of
from soak_follow import keeping, report_of, whole_of

PROGRAM = Path(__file__).parent / "programs" / "fills_capture.py"
LONGEST_S = 4.0
VICTIMS = ("program", "follower", "memdeep")


def kill(process: subprocess.Popen[bytes], victim: str, program: psutil.Process | None) -> bool:
    """Kill one of them; return False if it is not there, or not any more."""
    found: psutil.Process | subprocess.Popen[bytes] | None = process
    if victim != "memdeep":
        is_there = process.poll() is None
        found = program if victim == "program" else follower_of(process) if is_there else None
    try:
        if found is not None:
            found.kill()
        return found is not None
    except psutil.NoSuchProcess:
        return False


def run_once(directory: Path, chance: random.Random) -> tuple[str, bool]:
    """Run and kill; return who was killed, in order, and whether the reports are the same."""
    run = directory / "run"
    options = ["--quiet", "--no-native", "--disk", "4M", "-o", str(run)]
    command = [sys.executable, "-m", "memdeep", "run", *options, str(PROGRAM), "60", "20000"]
    with subprocess.Popen(
        command, cwd=directory, stdout=subprocess.DEVNULL, env=keeping(directory)
    ) as process:
        while not (run / "capture.bin").exists():
            time.sleep(0.01)
        program = program_of(process)
        killed = []
        order = chance.sample(VICTIMS, chance.randint(1, 3))
        for moment_s, victim in zip(
            sorted(chance.uniform(0, LONGEST_S) for _ in order), order, strict=True
        ):
            time.sleep(max(0.0, moment_s - len(killed) * 0.5))
            if kill(process, victim, program):
                killed.append(victim)
        process.wait()
        if program is not None:
            psutil.wait_procs([program])
    alike = report_of(run) == report_of(whole_of(directory))
    return ", ".join(killed) or "nobody", alike


def main() -> int:
    runs, seed = int(os.environ.get("SOAK_RUNS", "200")), int(os.environ.get("SOAK_SEED", "1"))
    chance = random.Random(seed)
    wrong = 0
    for number in range(runs):
        with tempfile.TemporaryDirectory(prefix="kills-") as directory:
            killed, alike = run_once(Path(directory), chance)
        print(f"{number + 1}: killed {killed}: {'the same' if alike else 'DIFFERENT'}", flush=True)
        wrong += not alike
    print(f"{runs} runs, {wrong} of them with another report than the whole capture")
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
