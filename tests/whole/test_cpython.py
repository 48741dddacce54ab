"""CPython's own tests have the same results under memdeep: a short list of them, and their reader.

`make test-cpython` runs the long list.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from running import TESTS, environment

COMPARE = TESTS / "regression" / "compare.py"
TIMEOUT_S = 240


pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("test.test_copy") is None, reason="installed without its tests"
)


def test_results_are_the_same() -> None:
    done = subprocess.run(
        [sys.executable, COMPARE, "--quick"],
        env=environment(),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 differences unexplained" in done.stdout


def test_a_difference_is_found_and_fails(tmp_path: Path) -> None:
    for name in ("differences.py", "modules.txt"):
        (tmp_path / name).write_text((COMPARE.parent / name).read_text("utf-8"))
    source = COMPARE.read_text("utf-8")
    # Without docstrings, which only the run under memdeep is without then, tests are skipped.
    changed = source.replace('"--no-report")', '"--no-report", "--python-args", "-OO")')
    assert changed != source
    (tmp_path / "compare.py").write_text(changed)
    done = subprocess.run(
        [sys.executable, tmp_path / "compare.py", "test_contextlib"],
        env=environment(),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    # CPython 3.12.1 writes nothing of a test that was skipped.
    assert re.search("plain passed, memdeep (skipped|None)", done.stdout)
    assert "NOT EXPLAINED" in done.stdout
