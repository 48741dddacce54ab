"""Whole outputs of a report full of hostile names, compared with files that people have read.

To change one on purpose: delete it from `tests/golden/`, run this test (it writes the file anew
and fails once), read the difference with git, and commit it.
"""

from __future__ import annotations

import io

import pytest
from factories import hostile_report
from rich.console import Console
from running import TESTS

from memdeep.report import json, terminal
from memdeep.text.language import language
from memdeep.version import __version__

GOLDEN = TESTS / "golden"


def assert_golden(name: str, content: str) -> None:
    path = GOLDEN / name
    if not path.exists():
        path.write_bytes(content.encode())
        pytest.fail(f"{path} was missing and has been written: read it, then commit it")
    # Compared by line, so that a failure shows the lines and not two long texts.
    assert content.split("\n") == path.read_bytes().decode().split("\n")


def test_report_json() -> None:
    content = b"".join(json.encode(hostile_report())).decode()
    version = f'"memdeep": "{__version__}"'
    assert version in content
    assert_golden("report.json", content.replace(version, '"memdeep": "(version)"'))


@pytest.mark.parametrize(
    ("width", "code"), [(80, "en"), (120, "en"), (80, "zh")], ids=["80", "120", "80_zh"]
)
def test_verdict(width: int, code: str, request: pytest.FixtureRequest) -> None:
    made = hostile_report()
    console = Console(width=width, file=io.StringIO(), color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(terminal.verdict(made, console, language(code)))
    lines = [line.rstrip() for line in capture.get().split("\n")]
    assert_golden(f"verdict_{request.node.callspec.id}.txt", "\n".join(lines))
