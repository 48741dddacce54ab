"""The short part of `make soak-watch`: minutes of a thousand lines are followed and watched."""

from __future__ import annotations

import subprocess
import sys

import pytest
from running import TESTS, environment

pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")


def test_minutes_of_a_thousand_lines() -> None:
    """In a process of its own, whose memory is that of the soak."""
    paths = f"{TESTS}:{TESTS / 'support'}"
    done = subprocess.run(
        [sys.executable, TESTS / "soak_watch.py"],
        env=environment(SOAK_SECONDS="130", PYTHONPATH=paths),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
