"""`memdeep run -m pytest`: tests, fixtures and steps are phases, and nothing else changes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

TESTS = """
import pytest

@pytest.fixture(scope="module")
def table():
    yield bytearray(30_000_000)

def test_reads(table):
    assert len(table) == 30_000_000

@pytest.mark.parametrize("name", ["加载", "<b>&", "a/b › c"])
def test_named(name):
    assert name
"""
INI = "[pytest]\ndisable_test_id_escaping_and_forfeit_all_rights_to_community_support = true\n"


def run(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (directory / "test_some.py").write_text(TESTS, "utf-8")
    (directory / "pytest.ini").write_text(INI, "utf-8")
    command = [sys.executable, "-m", "memdeep", "run", "-q", "-o", "out", "-m", "pytest", "-q"]
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", *words], cwd=directory, capture_output=True, text=True
    )


def phases(directory: Path) -> dict[str, Any]:
    report = json.loads((directory / "out/report.json").read_text("utf-8"))
    return {phase["name"]: phase for phase in report["phases"]}


def test_tests_and_fixtures_are_phases_with_what_they_keep(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout and "warning" not in done.stdout
    found = phases(tmp_path)
    table = found["fixture table [module]"]["heap_delta_bytes"]
    assert 30_000_000 <= table < 31_000_000
    assert "(collection)" in found and "test_some.py::test_reads" in found
    for name in ("加载", "<b>&", "a/b › c"):
        assert f"test_some.py::test_named[{name}]" in found
    # The module's fixture is let go of by the teardown of its last test.
    freed = found["teardown of test_named[a/b › c]"]["released_bytes"]
    assert 30_000_000 <= freed < 31_000_000


def test_tests_alone_are_phases_if_that_is_wanted(tmp_path: Path) -> None:
    assert run(tmp_path, "--memdeep-phases=tests").returncode == 0
    found = phases(tmp_path)
    assert "test_some.py::test_reads" in found
    assert not any(name.startswith(("fixture", "call", "setup")) for name in found)
