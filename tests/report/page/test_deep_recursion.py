"""The page of a very deep recursion is small, and tells its laps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from browser import Reader, needs_browser
from running import PROGRAMS, read_json

from memdeep.text.units import size

pytestmark = needs_browser
MOST_BYTES = 600_000


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("deep")
    program = str(PROGRAMS / "recurses.py")
    command = [sys.executable, "-m", "memdeep", "run", "--quiet", "-o", "run", program]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return directory / "run" / "report.html"


def test_the_page_is_small_and_its_figures_exact(reader: Reader, page: Path) -> None:
    assert page.stat().st_size < MOST_BYTES
    found = read_json(page.with_name("report.json"))["phases"]
    place = next(row for row, phase in enumerate(found) if phase["name"] == "descend")
    reader.open(page, f"#phase={place}&metric=retained")
    reader.settle()
    figures = dict(
        zip(reader.texts("[data-panel] dt"), reader.texts("[data-panel] dd"), strict=True)
    )
    assert figures["Bytes"] == size(found[place]["retained_bytes"])
    nodes = "return memdeep.page.data.core.nodes.parent.length"
    assert reader.run(nodes) < 1000
    times = reader.run("return Math.max(...memdeep.page.data.core.repeats.times)")
    assert 19_900 <= times <= 20_000
    assert any("× 19,9" in text for text in reader.texts("[data-panel] .stack-times"))
    assert reader.complaints() == []
