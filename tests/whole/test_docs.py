"""The pages and comments name files and tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from running import ROOT, TESTS

PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"]
COMMENTED = [
    *(ROOT / "Makefile", *sorted((ROOT / "native").glob("*.?pp"))),
    *sorted(path for path in (ROOT / "templates").rglob("*.*") if path.suffix != ".json"),
]
TOPS = "tests|memdeep|docs|benchmarks|examples|native|templates"
# A path from the top of the project, or any other with a directory that ends with `.py`.
PATH = re.compile(rf"(?<![\w./~-])(?:(?:{TOPS})/[\w./-]*\w|[\w-]+/[\w./-]*\.py\b)")
RELIABILITY = ROOT / "docs" / "reliability.md"
# `tests/run/test_signals.py: what_happens[case]`, where either half may be missing.
TEST = re.compile(r"`(?:(tests/[\w/]+\.py)(?:: )?)?([\w…]*)(?:\[\w+\])?`")


def names_in(files: list[Path]) -> str:
    """The names of all functions in ``files``, one a line."""
    return "\n".join(
        name for path in files for name in re.findall(r"def (\w+)", path.read_text("utf-8"))
    )


@pytest.mark.parametrize("page", [*PAGES, *COMMENTED], ids=lambda path: path.name)
def test_every_path_that_is_named_exists(page: Path) -> None:
    named = set(PATH.findall(page.read_text("utf-8")))
    assert not {path for path in named if not (ROOT / path).exists()}


def test_the_page_on_reliability_names_tests_that_exist() -> None:
    """In the last column of its tables, where `…` stands for any beginning or end of a name.

    A function of a program in `tests/programs` may be named as well: it is a case of a test.
    """
    blocks = [block.splitlines() for block in RELIABILITY.read_text("utf-8").split("\n\n")]
    rows = [row for head, *rows in blocks if head.endswith("| Test |") for row in rows]
    named = [match for row in rows for match in TEST.findall(row.split(" | ")[-1])]
    assert len(named) > 80
    everywhere = names_in(sorted(TESTS.rglob("*.py")))
    for file, name in named:
        known = names_in([ROOT / file]) if file else everywhere
        assert re.search(name.replace("…", r"\w*"), known), f"{file}: {name}"
