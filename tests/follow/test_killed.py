"""Whoever dies: what was written is in the report, though most of the capture was given back."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from running import PROGRAMS, RunMemdeep, environment, memdeep_command, read_json, wait_until

from memdeep.heap.replay import saved

DISK = "8M"
GROWS = PROGRAMS / "grows.py"


@contextmanager
def running(work: Path, *words: object, **changes: Any) -> Iterator[subprocess.Popen[bytes]]:
    """`memdeep run --disk 8M` of the program that grows, which then waits for its input to end."""
    command = memdeep_command("run", "--disk", DISK, "-o", "run", *words, GROWS, "60", "6000", "wait")
    with subprocess.Popen(
        command,
        cwd=work,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        **changes,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def follower_of(process: subprocess.Popen[bytes]) -> psutil.Process | None:
    for child in psutil.Process(process.pid).children():
        if any("follow/__main__" in word for word in child.cmdline()):
            return child
    return None


def program_of(process: subprocess.Popen[bytes]) -> psutil.Process:
    (program,) = (
        child
        for child in psutil.Process(process.pid).children()
        if any("grows.py" in word for word in child.cmdline())
    )
    return program
