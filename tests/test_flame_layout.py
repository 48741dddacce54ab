"""The page's flame layout is JavaScript; its tests run in Node."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "js" / "flame_layout.test.mjs"
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_flame_layout_in_node() -> None:
    assert NODE is not None
    result = subprocess.run(
        [NODE, "--test", str(SCRIPT)], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "\n# fail 0\n" in result.stdout or "\nℹ fail 0\n" in result.stdout, result.stdout
