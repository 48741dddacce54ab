"""A library that a program loads by a relative path is named as one with a whole path is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import libraries
import pytest
from libraries import needs_compiler
from running import TIMEOUT_S, environment, memdeep_command

pytestmark = needs_compiler

PROGRAM = """
import ctypes, os, sys, time
if sys.argv[2:]:
    os.chdir(sys.argv[2])
grow = ctypes.CDLL(sys.argv[1]).exported
grow.restype = ctypes.c_void_p
KEPT = grow(30_000_000)
time.sleep(0.2)
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A directory with the program, and with the library in `lib`."""
    (tmp_path / "lib").mkdir()
    shutil.copy(libraries.build(tmp_path), tmp_path / "lib")
    (tmp_path / "libshapes.so").unlink()
    (tmp_path / "prog.py").write_text(PROGRAM)
    return tmp_path


def memdeep(work: Path, *words: str, **variables: str) -> str:
    """The report of a run, as it is in `report.json`."""
    completed = subprocess.run(
        memdeep_command(*words),
        cwd=work,
        env=environment(**variables),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr.decode()
    return (work / "run" / "report.json").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (("./lib/libshapes.so",), {}),
        (("lib/libshapes.so",), {}),
        (("libshapes.so",), {"LD_LIBRARY_PATH": "./lib"}),
        (("./libshapes.so", "lib"), {}),
    ],
    ids=["dot", "relative", "LD_LIBRARY_PATH", "chdir"],
)
def test_its_functions_and_lines_are_named(
    work: Path, words: tuple[str, ...], variables: dict[str, str]
) -> None:
    report = memdeep(work, "run", "--quiet", "-o", "run", "prog.py", *words, **variables)
    assert "shapes.cpp" in report
    assert "<unknown in libshapes.so>" not in report


def test_the_names_outlive_the_library(work: Path) -> None:
    memdeep(work, "run", "--quiet", "-o", "run", "prog.py", "lib/libshapes.so")
    shutil.rmtree(work / "lib")
    assert "shapes.cpp" in memdeep(work, "report", "--quiet", "run")
