"""Files and commands that a page of Markdown shows, to be tried as a reader would."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from running import ROOT

BLOCK = re.compile(r"```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)```", re.DOTALL)
STATUS = re.compile(r"  # status (\d+)$")
NOT_HERE = ("make", "pip")  # what installs, which other tests do
SMALL = ("backtest-deepseek", "backtest-deepseek --scale 0.02")  # as shown, and for a test


@dataclass(frozen=True)
class Block:
    """A block of code: its language, the file it is said to be, and its text."""

    language: str
    title: str
    text: str


def blocks(page: Path) -> list[Block]:
    """All blocks of code of a page that name their language, in order."""
    return [Block(*groups) for groups in BLOCK.findall(page.read_text("utf-8"))]


def commands(page: Path) -> list[str]:
    """The lines of all blocks of shell commands of a page."""
    lines = (block.text.splitlines() for block in blocks(page) if block.language == "sh")
    return [line.strip() for block in lines for line in block]


def environment() -> dict[str, str]:
    """An environment with this Python's commands first on the path, and a browser that ends."""
    tools = Path(sys.executable).parent
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "BROWSER": "true %s"}


def follow(page: Path, place: Path) -> None:
    """Do in the directory ``place`` what ``page`` shows: write its files, run its commands.

    A command ends with status 0, or with N where `# status N` stands behind it.
    """
    (place / "examples").symlink_to(ROOT / "examples")
    variables = environment()
    for block in blocks(page):
        if block.title:
            put(place, block)
        for line in block.text.splitlines() if block.language == "sh" else ():
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").partition("=")
                variables[name] = value
            elif not line.startswith(NOT_HERE):
                try_out(line, place, variables)


def put(place: Path, block: Block) -> None:
    """Write the file that a block is; a title `FILE: FUNCTION` replaces that function in it."""
    name, _, function = block.title.partition(": ")
    file = place / name
    text = block.text
    if function:
        whole = file.read_text("utf-8")
        lines = whole.splitlines(keepends=True)
        (old,) = (node for node in ast.parse(whole).body if getattr(node, "name", "") == function)
        text = "".join([*lines[: old.lineno - 1], text, *lines[old.end_lineno :]])
    file.write_text(text, "utf-8")


def try_out(line: str, place: Path, variables: dict[str, str]) -> None:
    """Run a command as it is shown, but on a small backtest."""
    expected = STATUS.search(line)
    command = STATUS.sub("", line).replace(*SMALL)
    done = subprocess.run(
        command, shell=True, cwd=place, env=variables, capture_output=True, text=True
    )
    assert done.returncode == (int(expected[1]) if expected else 0), f"{line}\n{done.stderr}"
    assert "Traceback" not in done.stderr, f"{line}\n{done.stderr}"
