"""The pure scripts of the page are tested in Node: sums, trees, layout, selection."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from running import TESTS

DIRECTORY = TESTS / "js"
SUITES = sorted(DIRECTORY.glob("*.test.js"))
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.name)
def test_in_node(suite: Path) -> None:
    assert NODE is not None
    result = subprocess.run(
        [NODE, "--test", "--test-reporter=tap", str(suite)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    passed = re.search(r"^# pass (\d+)$", result.stdout, re.MULTILINE)
    assert passed is not None and int(passed[1]) > 0, result.stdout
