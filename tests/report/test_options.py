"""Options show and hide parts of a report in every file that `memdeep` writes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running import RunMemdeep, complaint, environment

from memdeep.report.page import payload

PROGRAM = """\
import sys

kept = [bytearray(100_000) for _ in range(200)]  # a line with a secret: hunter2
"""
SECRET = "--token=0123456789-secret"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "work.py"
    path.write_text(PROGRAM)
    return path


def blocks(run_dir: Path) -> dict[str, Any]:
    page = (run_dir / "report.html").read_text("utf-8")
    found = re.findall(r'data-block="([\w-]+)">([^<]*)<', page)
    return {name: payload.unpack(text) for name, text in found}


def shown_sources(run_dir: Path) -> str:
    """All source text of the page and of report.json."""
    parts = [json.dumps(blocks(run_dir)["sources"]["text"])]
    parts += re.findall(r"<code>.*?</code>", (run_dir / "report.html").read_text("utf-8"), re.S)
    parts.append((run_dir / "report.json").read_text("utf-8"))
    return "\n".join(parts)


def test_source_lines_are_shown_around_what_is_blamed(
    run_memdeep: RunMemdeep, tmp_path: Path, program: Path
) -> None:
    done = run_memdeep("run", "--quiet", "-o", "out", program)
    assert done.returncode == 0, done.stderr
    assert "hunter2" in shown_sources(tmp_path / "out")
    assert "import sys" in shown_sources(tmp_path / "out")
    no_source = run_memdeep("report", "--quiet", "--no-source", "out")
    assert no_source.returncode == 0, no_source.stderr
    assert "hunter2" not in shown_sources(tmp_path / "out")
    assert "import sys" not in shown_sources(tmp_path / "out")
    assert "Source lines were left out" in (tmp_path / "out/report.html").read_text("utf-8")


def test_a_private_file_is_left_out_and_named_unless_asked_for(
    run_memdeep: RunMemdeep, tmp_path: Path, program: Path
) -> None:
    os.chmod(program, 0o600)
    assert run_memdeep("run", "--quiet", "-o", "out", program).returncode == 0
    page = tmp_path / "out/report.html"
    assert "hunter2" not in shown_sources(tmp_path / "out")
    assert f"private was left out: {program}" in page.read_text("utf-8")
    assert run_memdeep("report", "--quiet", "--source", "out").returncode == 0
    assert "hunter2" in shown_sources(tmp_path / "out")
    assert "private was left out" not in page.read_text("utf-8")


def contents(run_dir: Path) -> Iterator[tuple[str, bytes]]:
    for path in run_dir.iterdir():
        yield path.name, path.read_bytes()
    for name, fields in blocks(run_dir).items():
        yield name, json.dumps(fields).encode()


@pytest.mark.parametrize("start", [["work.py"], ["-m", "work"], ["-c", PROGRAM]])
def test_no_file_of_a_redacted_run_holds_an_argument(
    run_memdeep: RunMemdeep, tmp_path: Path, program: Path, start: list[str]
) -> None:
    done = run_memdeep("run", "--redact-args", "-o", "out", *start, SECRET)
    assert done.returncode == 0, done.stderr
    found = dict(contents(tmp_path / "out"))
    assert {"report.html", "report.json", "meta.json", "capture.bin", "core"} <= set(found)
    hidden = [SECRET, "hunter2"] if start[0] == "-c" else [SECRET]
    for words in hidden:
        assert not [name for name, content in found.items() if words.encode() in content]
        assert words.encode() not in done.stderr
    command = json.loads(found["report.json"])["command"]
    assert command == [*start[: 1 if start[0] != "-m" else 2], "…"]


def test_arguments_can_be_hidden_in_the_report_alone(
    run_memdeep: RunMemdeep, tmp_path: Path, program: Path
) -> None:
    assert run_memdeep("run", "--quiet", "-o", "out", program, SECRET).returncode == 0
    assert SECRET in (tmp_path / "out/report.html").read_text("utf-8")
    done = run_memdeep("report", "--redact-args", "-o", "shared", "out")
    assert done.returncode == 0, done.stderr
    assert not [
        name for name, content in contents(tmp_path / "shared") if SECRET.encode() in content
    ]
    assert SECRET.encode() not in done.stderr


def test_the_program_sees_the_arguments_that_are_hidden(
    run_memdeep: RunMemdeep, tmp_path: Path
) -> None:
    code = "import sys; print(sys.argv)"
    done = run_memdeep("run", "--quiet", "--redact-args", "-o", "out", "-c", code, SECRET)
    assert done.stdout.decode() == f"['-c', '{SECRET}']\n"


def test_a_language_is_the_pages_and_the_terminals(
    run_memdeep: RunMemdeep, tmp_path: Path, program: Path
) -> None:
    env = environment(PYTHONIOENCODING="utf-8", COLUMNS="80")
    done = run_memdeep("run", "--lang", "zh", "-o", "out", program, env=env)
    said = done.stderr.decode()
    assert "正常结束" in said
    assert "报告：out/report.html" in said
    page = (tmp_path / "out/report.html").read_text("utf-8")
    assert '<html lang="zh-CN"' in page
    assert "The program completed" not in page
    english = run_memdeep("report", "--lang", "en", "out", env=env).stderr.decode()
    assert "The program completed" in english
    assert "正常结束" not in (tmp_path / "out/report.html").read_text("utf-8")
    both = run_memdeep("report", "out", env=env).stderr.decode()
    assert "The program completed" in both
    assert "正常结束" in (tmp_path / "out/report.html").read_text("utf-8")


def test_the_file_of_options_sets_the_language_of_reports_too(
    run_memdeep: RunMemdeep, tmp_path: Path, program: Path
) -> None:
    assert run_memdeep("run", "--quiet", "--no-report", "-o", "out", program).returncode == 0
    (tmp_path / "memdeep.toml").write_text('lang = "zh"\nsource = false\neditor = "idea:{path}"\n')
    assert run_memdeep("report", "--quiet", "out").returncode == 0
    assert '<html lang="zh-CN"' in (tmp_path / "out/report.html").read_text("utf-8")
    assert "hunter2" not in shown_sources(tmp_path / "out")
    assert blocks(tmp_path / "out")["core"]["editor"] == "idea:{path}"


def test_the_editor_is_vs_code_unless_said_otherwise(
    run_memdeep: RunMemdeep, tmp_path: Path, program: Path
) -> None:
    assert run_memdeep("run", "--quiet", "-o", "out", program).returncode == 0
    assert blocks(tmp_path / "out")["core"]["editor"] == "vscode://file/{path}:{line}"
    address = "pycharm://open?file={path}&line={line}"
    assert run_memdeep("report", "--quiet", "--editor", address, "out").returncode == 0
    assert blocks(tmp_path / "out")["core"]["editor"] == address


@pytest.mark.parametrize("editor", ["code", "vscode://file", "javascript:alert('{path}')", ""])
def test_an_address_that_opens_no_file_is_refused(run_memdeep: RunMemdeep, editor: str) -> None:
    done = run_memdeep("report", "--editor", editor, "out")
    assert done.returncode == 2
    assert b"must be an address such as vscode://file/{path}:{line}" in done.stderr


def test_a_file_with_a_wrong_editor_is_named(run_memdeep: RunMemdeep, tmp_path: Path) -> None:
    (tmp_path / "memdeep.toml").write_text('editor = "code"\n')
    sentence, hint = complaint(run_memdeep("run", "work.py"))
    assert "memdeep.toml:1: editor must be an address" in sentence
    assert hint == 'Write, for example: editor = "vscode://file/{path}:{line}"'
