"""The short part of `make sanitize` and `make fuzz`: the walk leaves no object and no array."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("g++") is None,
    reason="needs Linux and g++",
)


def test_the_walk_leaves_no_object() -> None:
    done = subprocess.run(
        [TESTS / "sanitize.sh", sys.executable],
        env={**os.environ, "SANITIZED_LOOKS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_graphs_by_chance_do_no_harm(tmp_path: Path) -> None:
    source, program = TESTS.parent / "native" / "fuzz_holders.cpp", tmp_path / "fuzz"
    flags = ["-std=c++17", "-O1", "-g", "-DMEMDEEP_CHECKED", "-fsanitize=address,undefined"]
    built = subprocess.run(
        ["g++", *flags, "-fno-sanitize-recover=all", source, "-o", program],
        capture_output=True,
        check=False,
    )
    if built.returncode != 0:
        pytest.skip("this g++ has no sanitizers")
    environment = {**os.environ, "FUZZ_SECONDS": "2"}
    subprocess.run([program, tmp_path], env=environment, check=True)
    reading = [sys.executable, TESTS / "support" / "graph_files.py", tmp_path]
    subprocess.run(reading, check=True)
