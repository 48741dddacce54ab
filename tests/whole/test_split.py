"""What forked processes copy of the memory of their parents is charged to the parents' lines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from running import PROGRAMS, RunMemdeep, read_json

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux tells")

MB = 1 << 20
TEXTS, BLOB, LISTS, OTHERS = "texts = ", "blob = ", "lists = ", "    others.extend("
LINES = {
    number: start
    for number, line in enumerate((PROGRAMS / "splits.py").read_text().splitlines(), 1)
    for start in (TEXTS, BLOB, LISTS, OTHERS)
    if line.startswith(start)
}


def split_mb(process: dict[str, Any]) -> dict[str, float]:
    """Return the megabytes of each line that a process has split off, without small ones."""
    return {
        LINES.get(one["lineno"], str(one["lineno"])): one["bytes"] / MB
        for one in process["split_off"]
        if one["bytes"] >= MB
    }


def report(run_memdeep: RunMemdeep, work: Path, *words: str) -> dict[str, Any]:
    done = run_memdeep("run", "--quiet", "-o", "run", *words, cwd=work)
    assert done.returncode == 0, done.stderr
    made = read_json(work / "run/report.json")
    assert made["problems"] == []
    for process in made["processes"]:
        if process["split_off_bytes"] is not None:
            by_line = sum(one["bytes"] for one in process["split_off"])
            assert by_line <= process["split_off_bytes"] <= process["peak_uss_bytes"]
    return made


@pytest.mark.parametrize(
    ("way", "lines"),
    [
        ("read", {TEXTS: (22, 26)}),
        ("look", {}),
        ("rewrite", {BLOB: (19.9, 20.1)}),
        ("anew", {}),
        ("collect", {LISTS: (3.5, 12)}),
        ("freeze", {}),
        ("thread", {TEXTS: (22, 26)}),
    ],
)
def test_copied_pages_are_those_of_the_lines_that_a_child_writes_to(
    work: Path, run_memdeep: RunMemdeep, way: str, lines: dict[str, tuple[float, float]]
) -> None:
    made = report(run_memdeep, work, "--no-native", "splits.py", way)
    program, child = made["processes"]
    assert program["split_off"] is program["split_off_bytes"] is None
    found = {} if child["split_off"] is None else split_mb(child)
    assert found.keys() == lines.keys()
    for line, (least, most) in lines.items():
        assert least <= found[line] <= most
    told = [one for one in made["findings"] if "copies of memory" in one["title"]]
    assert [LINES[one["culprit"]["lineno"]] for one in told] == list(lines)
    for one in told:
        assert (one["kind"], one["processes"]) == ("children", [1])
        assert one["bytes"] == one["resident_bytes"] <= child["split_off_bytes"]


def test_what_a_child_inherited_itself_is_charged_to_the_lines_of_its_parent(
    work: Path, run_memdeep: RunMemdeep
) -> None:
    made = report(run_memdeep, work, "--no-native", "splits.py", "generations")
    _, child, grandchild = made["processes"]
    assert (child["parent"], grandchild["parent"]) == (0, 1)
    assert child["split_off"] is None or split_mb(child) == {}
    found = split_mb(grandchild)
    assert found.keys() == {TEXTS, OTHERS}
    assert found[TEXTS] == pytest.approx(24, abs=2)
    # Some lie in arenas that the imports left half empty, the more if modules were compiled.
    assert 9 <= found[OTHERS] <= 14


@pytest.mark.parametrize("option", ["--native", "--deep"])
def test_copied_pages_are_told_in_every_mode(
    work: Path, run_memdeep: RunMemdeep, option: str
) -> None:
    made = report(run_memdeep, work, option, "splits.py", "read")
    assert split_mb(made["processes"][1])[TEXTS] == pytest.approx(24, abs=2)
