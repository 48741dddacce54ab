"""A run directory shows the same native frames wherever it is, whatever became of the libraries."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import libraries
import pytest
from libraries import EXPORTED_LINE, GROW_LINE, RESERVE, RESERVE_LINE, needs_compiler
from running import PROGRAMS, RunMemdeep, read_json, stack_of

pytestmark = needs_compiler

HOSTILE = "<script>alert('x')</script>\x1b[31m\u202e"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return libraries.build(tmp_path)


@pytest.fixture
def run_dir(run_memdeep: RunMemdeep, library: Path, tmp_path: Path) -> Path:
    """A run whose only large allocation was made through the library."""
    path = tmp_path / "run"
    program = PROGRAMS / "native_library.py"
    completed = run_memdeep("run", "--quiet", "--no-report", "-o", path, program, library)
    assert (completed.returncode, completed.stderr) == (0, b"")
    return path


def report(run_memdeep: RunMemdeep, run_dir: Path) -> dict[str, Any]:
    assert run_memdeep("report", "--quiet", run_dir).returncode == 0
    return read_json(run_dir / "report.json")


def stack(document: dict[str, Any]) -> list[tuple[str, str, int]]:
    """The stack of the large allocation, outermost first, from the program's own frame."""
    culprit = max(
        (item for phase in document["phases"] for item in phase["culprits"]),
        key=lambda item: item["bytes"],
    )
    return [
        (frame["function"], Path(frame["filename"] or "").name, frame["lineno"] or 0)
        for frame in stack_of(document, culprit)
    ]


NAMED = [
    ("exported", "shapes.cpp", EXPORTED_LINE),
    (RESERVE, "shapes.cpp", RESERVE_LINE),
    ("shapes::grow(int)", "shapes.cpp", GROW_LINE),
]


def test_the_library_is_gone_and_the_report_the_same(
    run_memdeep: RunMemdeep, run_dir: Path, library: Path, tmp_path: Path
) -> None:
    here = report(run_memdeep, run_dir)
    assert stack(here)[-3:] == NAMED
    page = (run_dir / "report.html").read_bytes()
    library.unlink()
    moved = Path(shutil.move(run_dir, tmp_path / "elsewhere"))
    assert report(run_memdeep, moved) == here
    assert (moved / "report.html").read_bytes() == page


def test_the_library_was_replaced_and_the_report_is_the_same(
    run_memdeep: RunMemdeep, run_dir: Path, tmp_path: Path
) -> None:
    here = report(run_memdeep, run_dir)
    libraries.build(tmp_path, source=libraries.SOURCE.replace("shapes", "forms_"))
    assert report(run_memdeep, run_dir) == here


def test_without_the_stored_names_a_replaced_library_names_nothing(
    run_memdeep: RunMemdeep, run_dir: Path, tmp_path: Path
) -> None:
    (run_dir / "symbols").unlink()
    assert stack(report(run_memdeep, run_dir))[-3:] == NAMED
    libraries.build(tmp_path, source=libraries.SOURCE.replace("shapes", "forms_"))
    unnamed = ("<unknown in libshapes.so>", "libshapes.so", 0)
    assert stack(report(run_memdeep, run_dir))[-2:] == [unnamed, unnamed]


def test_damaged_names_are_left_out_and_the_report_says_so(
    run_memdeep: RunMemdeep, run_dir: Path
) -> None:
    content = (run_dir / "symbols").read_bytes()
    (run_dir / "symbols").write_bytes(content[: len(content) // 2])
    document = report(run_memdeep, run_dir)
    assert stack(document)[-3:] == NAMED
    assert "stored names" in (run_dir / "report.html").read_text()
    assert (run_dir / "symbols").read_bytes() == content[: len(content) // 2]


def test_a_run_that_is_replaced_leaves_no_names_behind(
    run_memdeep: RunMemdeep, run_dir: Path
) -> None:
    assert (run_dir / "symbols").exists()
    words = ("run", "--quiet", "--force", "--no-native", "-o", run_dir, PROGRAMS / "grows.py")
    assert run_memdeep(*words).returncode == 0
    assert not (run_dir / "symbols").exists()


def test_hostile_names_of_functions_are_text_on_the_page(
    run_memdeep: RunMemdeep, library: Path, tmp_path: Path
) -> None:
    libraries.run("strip", "--strip-debug", library)
    libraries.run("objcopy", f"--redefine-sym=_ZN6shapes7reserveEiPKc={HOSTILE}", library)
    program = PROGRAMS / "native_library.py"
    completed = run_memdeep("run", "-o", "run", program, library)
    assert completed.returncode == 0
    assert b"\x1b[31m" not in completed.stderr
    names = [function for function, _, _ in stack(read_json(tmp_path / "run/report.json"))]
    assert HOSTILE in names
    assert "<script>alert('x')" not in (tmp_path / "run/report.html").read_text()
