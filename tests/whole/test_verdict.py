"""The verdict on small real programs is what a careful reader of their source would say."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from running import environment, memdeep_command, read_json

MB = 1 << 20

PROGRAMS = {
    "rebound": """
        from memdeep import phase
        book = None
        for k in range(20):
            with phase("day"):
                book = bytearray(10_000_000)  # CULPRIT
        """,
    "leak beside what is replaced": """
        from memdeep import phase
        history = []
        for epoch in range(60):
            with phase(f"epoch {epoch}"):
                batch = bytearray(5_000_000)
                history.append(bytearray(300_000))  # CULPRIT
        """,
    "many labels": """
        from memdeep import phase
        history = []
        for day in range(1, 41):
            with phase(f"第{day}天"):
                history.append(bytearray(1_200_000))  # CULPRIT
        """,
    "stretches without names": """
        from memdeep import checkpoint
        history = []
        for number in range(40):
            checkpoint(f"mark {number}")
            history.append(bytearray(1_200_000))  # CULPRIT
        """,
    "peak in a parent": """
        from memdeep import phase
        kept = []
        with phase("optimise"):
            big = bytearray(60_000_000)  # CULPRIT
            del big
            with phase("inner"):
                kept.append(bytearray(30_000_000))
        """,
}


@pytest.fixture(scope="module", params=PROGRAMS)
def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, int, dict[str, Any]]:
    """Which program, the number of its line that is to be named, its report.json."""
    lines = [line[8:] for line in PROGRAMS[request.param].splitlines()]
    directory = tmp_path_factory.mktemp("told")
    (directory / "program.py").write_text("\n".join(lines))
    words = ("run", "--quiet", "--no-native", "-o", "run", "program.py")
    subprocess.run(memdeep_command(*words), cwd=directory, env=environment(), check=True)
    culprit = next(n for n, line in enumerate(lines, 1) if line.endswith("# CULPRIT"))
    return request.param, culprit, read_json(directory / "run" / "report.json")


def blamed(report: dict[str, Any], lineno: int) -> list[dict[str, Any]]:
    return [
        item
        for item in report["findings"]
        if item["culprit"] is not None and item["culprit"]["lineno"] == lineno
    ]


def test_the_line_is_named(told: tuple[str, int, dict[str, Any]]) -> None:
    name, lineno, report = told
    found = blamed(report, lineno)
    assert found, [item["title"] for item in report["findings"]]
    if name != "peak in a parent":
        assert report["findings"][0] is found[0]


def test_no_more_is_said_to_be_alive_than_the_heap_held(
    told: tuple[str, int, dict[str, Any]],
) -> None:
    _, _, report = told
    heaps = [point["heap_bytes"] for point in report["checkpoints"]]
    for item in report["findings"]:
        assert item["bytes"] <= report["peak_heap_bytes"]
        if item["kind"] == "growth":
            end = max(report["phases"][place]["end"] for place in item["phases"])
            assert item["bytes"] <= heaps[end]


def test_the_figures_are_those_of_the_source(told: tuple[str, int, dict[str, Any]]) -> None:
    name, lineno, report = told
    item = blamed(report, lineno)[0]
    expected = {
        "rebound": (10_000_000, "growth", 1),
        "leak beside what is replaced": (60 * 300_000, "growth", 60),
        "many labels": (40 * 1_200_000, "growth", 40),
        "stretches without names": (40 * 1_200_000, "growth", 40),
        "peak in a parent": (60_000_000, "peak", 1),
    }[name]
    assert item["bytes"] == pytest.approx(expected[0], abs=MB)
    assert (item["kind"], len(item["phases"])) == expected[1:]
