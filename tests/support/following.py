"""Finds the processes of a `memdeep run`: the program, and the one that replays its captures."""

from __future__ import annotations

import subprocess
from contextlib import suppress

import psutil


def follower_of(process: subprocess.Popen[bytes]) -> psutil.Process | None:
    """The process that follows the captures of a run; None if it is not there."""
    return _child(process, "follow/__main__")


def program_of(process: subprocess.Popen[bytes]) -> psutil.Process | None:
    """The program of a run; None if it is not there."""
    return _child(process, "bootstrap.py")


def _child(process: subprocess.Popen[bytes], script: str) -> psutil.Process | None:
    for child in psutil.Process(process.pid).children():
        with suppress(psutil.NoSuchProcess):  # it has ended just now
            if any(script in word for word in child.cmdline()):
                return child
    return None
