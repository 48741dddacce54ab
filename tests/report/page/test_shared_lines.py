"""Functions that share a line: each holds in its table what it holds in the panel beside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from browser import Reader, needs_browser
from running import PROGRAMS
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = needs_browser

PROGRAM = PROGRAMS / "shared_lines.py"
GENERATED = "    return list(bytearray(100_000) for _ in range(count))  # noqa: C400"
PLACE = f"shared_lines.py:{PROGRAM.read_text('utf-8').splitlines().index(GENERATED) + 1}"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("shared")
    command = [sys.executable, "-m", "memdeep", "run", "--quiet", "-o", "run", str(PROGRAM)]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return directory / "run" / "report.html"


def own_in_table_and_panel(reader: Reader, row: int) -> tuple[str, str, str]:
    """Choose a row: its name, its own bytes there, and the bytes in the panel."""
    chosen = reader.all("[data-table] tbody tr:not(.spacer)")[row]
    name = chosen.find_element(By.CSS_SELECTOR, ".line-name").text
    own = chosen.find_element(By.CSS_SELECTOR, ".column-own").text
    chosen.click()
    reader.settle()
    reader.wait(lambda: reader.text("[data-panel] h3") == name)
    figures = dict(
        zip(reader.texts("[data-panel] dt"), reader.texts("[data-panel] dd"), strict=True)
    )
    reader.press(Keys.ESCAPE)  # from its callers back to the rows
    reader.wait(lambda: len(reader.all("[data-table] tbody tr:not(.spacer)")) > row)
    return name, own, figures.get("Bytes", reader.text("[data-panel]"))


@pytest.mark.parametrize("view", ["lines", "functions", "modules"])
def test_a_row_and_its_panel_say_the_same(reader: Reader, page: Path, view: str) -> None:
    reader.open(page, f"#phase=1&view={view}")
    reader.wait(lambda: reader.all("[data-table] tbody tr:not(.spacer)"))
    rows = len(reader.all("[data-table] tbody tr:not(.spacer)"))
    found = [own_in_table_and_panel(reader, row) for row in range(rows)]
    assert all(own in (held, "0 B") and "nothing" not in held for _, own, held in found)
    if view == "functions":
        owners = {name: own for name, own, _ in found}
        assert owners["<lambda>"] == "2.9 MB"
        assert owners["<genexpr>"] == "3.8 MB"
    assert reader.complaints() == []


def test_a_line_of_two_functions_is_one_row(reader: Reader, page: Path) -> None:
    reader.open(page, "#phase=1&view=lines")
    reader.wait(lambda: PLACE in reader.texts("[data-table] tbody .line-name"))
    assert reader.texts("[data-table] tbody .line-name").count(PLACE) == 1
    place = reader.texts("[data-table] tbody .line-name").index(PLACE)
    assert own_in_table_and_panel(reader, place)[1].startswith("3.8 MB")
