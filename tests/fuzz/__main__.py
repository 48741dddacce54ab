"""`make fuzz`: tries the decoders, the reports and the property tests for FUZZ_SECONDS (60).

Each part says how many inputs it tried; the first that breaks a promise ends with an error, and
its input is kept or printed. FUZZ_SEED makes the chances the same again.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import properties
from fuzz import seeds
from fuzz.mutations import mutate_run
from fuzz.trial import report_on

TESTS = Path(__file__).parent.parent
FOUND = TESTS.parent / "build" / "fuzz"


def main() -> int:
    seconds = float(os.environ.get("FUZZ_SECONDS", "60"))
    seed = int(os.environ.get("FUZZ_SEED", str(random.SystemRandom().randrange(10**6))))
    print(f"FUZZ_SEED={seed}", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        runs = seeds.record(Path(directory), *seeds.RUNS)
        parts = [_decoders(runs, seconds * 0.2, Path(directory), seed)]
        parts.append(_reports(runs, seconds * 0.5, Path(directory), seed))
    parts.append(_properties(seconds * 0.3, seed))
    return 1 if any(parts) else 0


def _decoders(runs: dict[str, Path], seconds: float, directory: Path, seed: int) -> int:
    names = ("journal.jsonl", "samples", "meta.json")
    files = [str(run / name) for run in runs.values() for name in names]
    command = [sys.executable, "-m", "fuzz.decoders", str(seconds), str(seed), *files]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True)
    said = (done.stdout + done.stderr).splitlines()
    guided = [line.split()[-1] for line in said if "number_of_executed_units" in line]
    counts = [line for line in said if line.startswith("decoders:")]
    counts += [f"decoders: {count} inputs guided by coverage" for count in guided]
    print("\n".join(counts or said), flush=True)
    for crash in directory.glob("crash-*"):
        FOUND.mkdir(parents=True, exist_ok=True)
        print("\n".join(said), "\nkept:", shutil.copy(crash, FOUND))
    return done.returncode


def _reports(runs: dict[str, Path], seconds: float, directory: Path, seed: int) -> int:
    chance = random.Random(seed)
    ends: Counter[int] = Counter()
    slowest_s = 0.0
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        place = directory / "trial"
        shutil.rmtree(place, ignore_errors=True)
        # Native stacks take long: now and then only.
        name = chance.choice([n for n in runs if n != "native"] * 5 + ["native"])
        run_dir = place / "run"
        shutil.copytree(runs[name], run_dir)
        (place / "beside").write_text("kept")
        done = mutate_run(run_dir, list(runs.values()), chance)
        kept = directory / "kept"
        shutil.rmtree(kept, ignore_errors=True)
        _copy(run_dir, kept)
        try:
            trial = report_on(run_dir)
        except AssertionError as broken:
            found = FOUND / f"run-{seed}-{sum(ends.values())}"
            _copy(kept, found)
            print(f"{name}, {done}: {broken}\nkept: {found}")
            return 1
        ends[trial.status] += 1
        slowest_s = max(slowest_s, trial.seconds)
    by_status = ", ".join(f"{count} ended with {status}" for status, count in sorted(ends.items()))
    print(f"reports: {ends.total()} inputs ({by_status}), the slowest took {slowest_s:.1f} s")
    return 0


def _properties(seconds: float, seed: int) -> int:
    """Run the property tests of one file after another, as they are drawn; at least of one."""
    # Not those of tests/whole: they damage runs, as the other parts have done already.
    found = sorted(path for path in TESTS.rglob("test_*.py") if path.parent.name != "whole")
    files = [path for path in found if "from hypothesis import" in path.read_text("utf-8")]
    chance = random.Random(seed)
    environment = {**os.environ, "HYPOTHESIS_PROFILE": properties.FUZZ}
    tried = 0
    end_s = time.monotonic() + seconds
    while tried == 0 or time.monotonic() < end_s:
        if tried % len(files) == 0:
            chance.shuffle(files)
        words = ("-q", "-m", "hypothesis", f"--hypothesis-seed={seed + tried // len(files)}")
        command = [sys.executable, "-m", "pytest", *words, str(files[tried % len(files)])]
        done = subprocess.run(command, cwd=TESTS.parent, env=environment, capture_output=True)
        tried += 1
        if done.returncode:
            print(done.stdout.decode(), done.stderr.decode())
            again = f"HYPOTHESIS_PROFILE={properties.FUZZ} python {' '.join(command[1:])}"
            print(f"properties: broken; to see it again: {again}")
            return done.returncode
    print(f"properties: of {tried} files; there are {len(files)}")
    return 0


def _copy(source: Path, target: Path) -> None:
    """Copy a run as it is: links stay links; pipes, which cannot be copied, are made again."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        if path.is_symlink() or path.is_dir():
            subprocess.run(["cp", "-a", path, target], check=True)
        elif path.is_fifo():
            os.mkfifo(target / path.name)
        elif path.stat().st_size < 1 << 30:
            shutil.copy(path, target)


if __name__ == "__main__":
    sys.exit(main())
