"""Programs that record themselves, run for a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from running import environment

BEGINNING = """
import os, sys, threading
import memdeep
"""


def run(directory: Path, code: str, *, status: int = 0, silent: bool = True) -> list[str]:
    """Run a program that records itself, in ``directory``; return what it prints.

    Nothing is on its stderr if it is to be ``silent``.
    """
    (directory / "job.py").write_text(BEGINNING + code, "utf-8")
    done = subprocess.run(
        [sys.executable, "job.py"],
        cwd=directory,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert done.stderr == "" or status or not silent, done.stderr
    return done.stdout.splitlines()
