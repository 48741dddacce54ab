"""Records the runs that fuzzing starts from: one of each kind that memdeep makes."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

PROGRAM = """
import sys, threading
from memdeep import checkpoint, phase

kept = []

def work(number):
    with phase(f"worker {number}"):
        kept.append(bytearray(1_500_000))
        checkpoint("in a thread", note="<script>alert(1)</script>")

checkpoint("PREPARE_START")
kept.append([str(number) for number in range(2000)])
checkpoint("PREPARE_END")
threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for size in range(6):
    with phase("<img src=x onerror=alert(1)> \\u202e\\x1b[31m"):
        kept.append(bytearray(size * 100_000))
checkpoint("last")
if "die" in sys.argv:
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)
"""
QUICK = ("--quiet", "--no-report", "--no-native")
RUNS = {
    "whole": (QUICK, ()),
    "killed": (QUICK, ("die",)),
    "focus": ((*QUICK, "--focus", "worker*", "--focus", "PREPARE"), ()),
    "tracemalloc": ((*QUICK, "--backend", "tracemalloc"), ()),
    "rss": ((*QUICK, "--backend", "rss"), ()),
    "native": (("--quiet", "--no-report"), ()),
}
if find_spec("memdeep.record._holders"):
    RUNS["holders"] = ((*QUICK, "--deep", "--holders-at", "*"), ())


def record(directory: Path, *names: str) -> dict[str, Path]:
    """The runs of these names, each in a directory of its own."""
    script = directory / "program.py"
    script.write_text(PROGRAM)
    runs = {}
    for name in names:
        options, arguments = RUNS[name]
        runs[name] = directory / name
        command = [sys.executable, "-m", "memdeep", "run", *options, "-o", str(runs[name])]
        subprocess.run(
            [*command, str(script), *arguments], capture_output=True, timeout=60, check=False
        )
        assert (runs[name] / "meta.json").exists(), name
    return runs
