"""Every output in the list keeps the contract: bytes that depend on nothing but the report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from factories import hostile_report
from running import environment

from memdeep import pipeline
from memdeep.report.options import ReportOptions
from memdeep.report.outputs import BY_NAME, REGISTRY, Output
from memdeep.rundir.directory import RunDirectory

EACH_OUTPUT = pytest.mark.parametrize("output", REGISTRY, ids=lambda output: output.name)
EACH_LANGUAGE = pytest.mark.parametrize("lang", ["en", "zh", "both"])
HEAVY = ("jinja2", "markupsafe", "rich", *(output.module for output in REGISTRY))

ENCODE_AGAIN = """
import sys
from factories import hostile_report
from memdeep.report.options import ReportOptions
from memdeep.report.outputs import BY_NAME

pieces = BY_NAME[sys.argv[1]].encode(hostile_report(), ReportOptions(width=100))
sys.stdout.buffer.writelines(pieces)
"""


def encoded(output: Output, options: ReportOptions) -> bytes:
    pieces = list(output.encode(hostile_report(), options))
    assert all(type(piece) is bytes for piece in pieces)
    return b"".join(pieces)


def test_names_and_suffixes_tell_outputs_apart() -> None:
    assert len(BY_NAME) == len(REGISTRY) >= 3
    assert len({output.suffix for output in REGISTRY}) == len(REGISTRY)
    assert all(output.suffix.startswith(".") for output in REGISTRY)


@EACH_LANGUAGE
@EACH_OUTPUT
def test_an_output_encodes_the_hostile_report(output: Output, lang: str) -> None:
    text = encoded(output, ReportOptions(lang=lang)).decode("utf-8")
    assert "加载配置" in text
    assert "\x1b" not in text and "\x07" not in text


@EACH_OUTPUT
def test_an_output_follows_from_the_report_and_the_options_alone(output: Output) -> None:
    """Neither another order of hashes nor what the environment says of a terminal changes it."""
    elsewhere = environment(
        PYTHONHASHSEED="7",
        PYTHONPATH=str(Path(__file__).parents[1] / "support"),
        COLUMNS="33",
        FORCE_COLOR="1",
        TERM="dumb",
        TZ="Asia/Shanghai",
    )
    command = [sys.executable, "-c", ENCODE_AGAIN, output.name]
    done = subprocess.run(command, env=elsewhere, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    options = ReportOptions(width=100)
    assert done.stdout == encoded(output, options) == encoded(output, options)


def test_the_list_is_there_without_what_encodes() -> None:
    code = f"import sys, memdeep.report.outputs; print(*sorted(sys.modules.keys() & {{*{HEAVY}}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"\n"


@pytest.mark.parametrize("name", ["html", "json"])
def test_a_file_is_what_its_output_encodes(tmp_path: Path, name: str) -> None:
    options = ReportOptions(lang="zh", editor="idea:{path}")
    path = tmp_path / "made"
    pipeline.write(hostile_report(), {name: path}, lambda _: None, options)
    assert path.read_bytes() == b"".join(BY_NAME[name].encode(hostile_report(), options))


def test_a_report_goes_into_the_run_directory_or_beside_the_capture(tmp_path: Path) -> None:
    run_dir = RunDirectory(tmp_path)
    assert pipeline.report_paths(tmp_path) == {"json": run_dir.json, "html": run_dir.html}
    assert pipeline.report_paths(tmp_path / "one.bin") == {
        "json": tmp_path / "one.bin.report.json",
        "html": tmp_path / "one.bin.report.html",
    }


def test_the_width_is_that_of_the_verdict_as_text() -> None:
    narrow, wide = (
        encoded(BY_NAME["text"], ReportOptions(width=width)).decode() for width in (80, 120)
    )
    assert "Time" not in narrow
    assert "Time" in wide
