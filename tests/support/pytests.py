"""Runs of pytest in processes of their own, with the plugin and without."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PLAIN = ("-q", "-p", "no:cacheprovider", "--color=no")


class Done:
    """A run of pytest that has ended: its exit status, what it told, and each test's outcome."""

    def __init__(self, directory: Path, words: Sequence[str]) -> None:
        results = directory / "results.xml"
        results.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", *PLAIN, "--junitxml", str(results), *words]
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
        self.status, self.told = done.returncode, done.stdout + done.stderr
        self.outcomes: dict[str, list[str]] = {}
        self.failures: dict[str, str] = {}
        if not results.exists():
            return
        for case in xml.etree.ElementTree.parse(results).iter("testcase"):
            name = case.get("name", "")
            kinds = [one.tag for one in case if one.tag not in ("system-out", "properties")]
            self.outcomes.setdefault(name, []).extend(kinds)
            self.failures[name] = "".join(one.text or "" for one in case)


def write(directory: Path, **files: str) -> None:
    """Write test files, by their names without the ending."""
    for name, source in files.items():
        (directory / f"{name}.py").write_text(source, "utf-8")


def run(directory: Path, *words: str) -> Done:
    return Done(directory, words)


def recorded(directory: Path, *words: str) -> Done:
    """Run with the plugin, which records into the directory ``out``."""
    return run(directory, "--memdeep=out", *words)


def report(directory: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((directory / "out/report.json").read_text("utf-8"))
    return read


def phases(directory: Path) -> dict[str, dict[str, Any]]:
    return {phase["name"]: phase for phase in report(directory)["phases"]}
