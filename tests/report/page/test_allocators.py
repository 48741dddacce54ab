"""The column of allocators in the tables of lines, functions and modules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from browser import Reader, needs_browser
from running import PROGRAMS, read_json
from selenium.webdriver.common.by import By

pytestmark = needs_browser

PROGRAM = PROGRAMS / "allocators.py"
LINES = PROGRAM.read_text("utf-8").splitlines()
ROWS = "[data-table] tbody tr:not(.spacer)"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("allocators"), "--deep")


def recorded(directory: Path, *options: str) -> Path:
    command = [sys.executable, "-m", "memdeep", "run", "--quiet", *options, "-o", "run"]
    subprocess.run([*command, str(PROGRAM)], cwd=directory, check=True, capture_output=True)
    return directory / "run" / "report.html"


def asked(reader: Reader, page: Path, view: str) -> dict[str, str]:
    """The text of the column by the name of the row, in the phase of the program."""
    phases = read_json(page.with_name("report.json"))["phases"]
    (place,) = [place for place, one in enumerate(phases) if one["name"] == "all"]
    reader.open(page, f"#phase={place}&view={view}")
    reader.wait(lambda: reader.all(ROWS))
    return {
        row.find_element(By.CSS_SELECTOR, ".line-name").text: row.find_element(
            By.CSS_SELECTOR, ".column-asked"
        ).text
        for row in reader.all(ROWS)
    }


def place_of(start: str) -> str:
    (number,) = [n for n, line in enumerate(LINES, 1) if line.strip().startswith(start)]
    return f"allocators.py:{number}"


def test_a_line_tells_by_what_its_bytes_were_asked_for(reader: Reader, page: Path) -> None:
    found = asked(reader, page, "lines")
    assert "mmap" in found[place_of("mapped")].split(", ")
    assert "malloc" in found[place_of("database.exec")].split(", ")
    assert found[place_of("array")] == "pymalloc"
    assert asked(reader, page, "modules")["allocators.py"] == "malloc, mmap, pymalloc"
    assert {row.rect["height"] for row in reader.all(ROWS)} == {44}
    assert reader.complaints() == []


def test_the_column_says_what_it_means(reader: Reader, page: Path) -> None:
    assert asked(reader, page, "functions")["<module>"] == "malloc, mmap, pymalloc"
    head = reader.one("[data-table] thead .column-asked")
    assert head.text == "Allocator"
    assert "Python's own allocator" in (head.get_attribute("title") or "")


def test_without_deep_nothing_is_pythons(reader: Reader, tmp_path: Path) -> None:
    found = asked(reader, recorded(tmp_path, "--no-native"), "lines")
    assert found[place_of("mapped")] == "mmap"
    assert found[place_of("array")] == "malloc"


def test_where_nothing_is_known_there_is_no_column(reader: Reader, tmp_path: Path) -> None:
    reader.open(recorded(tmp_path, "--backend", "tracemalloc"), "#phase=0&view=lines")
    reader.wait(lambda: reader.all(ROWS))
    assert reader.all("[data-table] .column-asked") == []
