"""`make soak-holders`: looks at who holds the objects while eight threads fork, log and hold locks.

SOAK_LOOKS (default: 1000) of them. None may hang, leave a zombie, or be seen by a wait.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = Path(__file__).parent / "programs" / "soaks_holders.py"
LOOK_S = 2.0  # at most, on a busy machine
SAID = re.compile(r"(\d+) looks, (\d+) children, (\d+) others (\d+)\n")


def soak(directory: Path, looks: int) -> int:
    """Run the program with so many looks; return the number of children that it had itself."""
    run_dir = directory / "run"
    words = ["run", "--quiet", "--no-report", "--no-native", "--deep", "--children", "none"]
    words += ["--holders-at", "look *", "--holders-most", str(looks), "-o", str(run_dir)]
    done = subprocess.run(
        [sys.executable, "-m", "memdeep", *words, PROGRAM, run_dir, str(looks)],
        capture_output=True,
        text=True,
        timeout=60 + LOOK_S * looks,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    said = SAID.fullmatch(done.stdout)
    assert said is not None, done.stdout
    taken, children, others, zombies = map(int, said.groups())
    assert (taken, others, zombies) == (looks, 0, 0), done.stdout
    return children


def main() -> int:
    looks = int(os.environ.get("SOAK_LOOKS", "1000"))
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        children = soak(Path(directory), looks)
    took_s = time.monotonic() - began_s
    print(f"{looks:,} looks in {took_s:.0f} s beside {children:,} children: none hung or was seen")
    return 0


if __name__ == "__main__":
    sys.exit(main())
