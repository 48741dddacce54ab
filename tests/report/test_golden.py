"""Whole outputs of a report full of hostile names, compared with files that people have read.

To change one on purpose: delete it from `tests/golden/`, run this test (it writes the file anew
and fails once), read the difference with git, and commit it.
"""

from __future__ import annotations

import pytest
from factories import family_report, hostile_report
from rich.cells import cell_len
from running import TESTS

from memdeep.report import terminal
from memdeep.report.json import document
from memdeep.report.options import ReportOptions
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
    content = b"".join(document.encode(hostile_report())).decode()
    version = f'"memdeep": "{__version__}"'
    assert version in content
    assert_golden("report.json", content.replace(version, '"memdeep": "(version)"'))


@pytest.mark.parametrize(
    ("width", "code"), [(80, "en"), (120, "en"), (80, "zh")], ids=["80", "120", "80_zh"]
)
def test_verdict(width: int, code: str, request: pytest.FixtureRequest) -> None:
    options = ReportOptions(lang=code, width=width)
    content = b"".join(terminal.encode(hostile_report(), options)).decode()
    assert_golden(f"verdict_{request.node.callspec.id}.txt", content)


@pytest.mark.parametrize("code", ["en", "zh"])
def test_verdict_on_a_run_with_processes(code: str) -> None:
    options = ReportOptions(lang=code, width=80)
    content = b"".join(terminal.encode(family_report(), options)).decode()
    assert all(cell_len(line) <= 80 for line in content.split("\n"))
    assert_golden(f"verdict_of_processes_80_{code}.txt", content)
