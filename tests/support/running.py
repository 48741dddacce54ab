"""Runs memdeep, and plain python, in real subprocesses, the way a user does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

TESTS = Path(__file__).parent.parent
ROOT = TESTS.parent
PROGRAMS = TESTS / "programs"
REPORT_SCHEMA = ROOT / "memdeep" / "schema" / "report-2.schema.json"
TIMEOUT_S = 30.0
LARGE_BYTES = 1 << 20
# `symbols` is there too, where the native stacks of the run could be named.
RUN_FILES = ("capture.bin", "journal.jsonl", "meta.json", "monitor.log", "samples")
if sys.platform == "linux":
    RUN_FILES += ("mappings",)
# Of the processes that the program starts, whether it does or not.
TREE_FILES = ("births.jsonl", "claims", "how")

Completed = subprocess.CompletedProcess[bytes]
RunMemdeep = Callable[..., Completed]


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without the variables that change what programs print."""
    dropped = ("PYTHONUNBUFFERED", "PYTHONSAFEPATH", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
    dropped += ("GITHUB_STEP_SUMMARY",)  # a check would write there
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return kept | {"TERM": "xterm", "PYTHONDONTWRITEBYTECODE": "1"} | changes


def memdeep_command(*args: object) -> list[Any]:
    """The words that run memdeep in the Python of the tests; bytes stay bytes."""
    words = [arg if isinstance(arg, bytes) else str(arg) for arg in args]
    return [sys.executable, "-m", "memdeep", *words]


def wait_until(condition: Callable[[], object]) -> None:
    """Poll ``condition`` until it is true; fails after a while."""
    give_up_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < give_up_s, "waited in vain"
        time.sleep(0.01)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a run; a report must be as the schema that ships with the package says."""
    fields: dict[str, Any] = json.loads(path.read_bytes())
    if path.name.endswith("report.json"):
        validate_report(fields)
    return fields


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(REPORT_SCHEMA.read_bytes()))


def faults_of_reports(place: Path) -> list[str]:
    """What is wrong with the reports below ``place``, each once however many copies there are.

    Of long lists in a large report a part is held against the schema.
    """
    faults, seen = [], set()
    for path in sorted(place.rglob("*report.json")):
        content = path.read_bytes() if path.is_file() else b""
        if not content.startswith(b'{\n"schema": ') or (digest := sha256(content).digest()) in seen:
            continue
        seen.add(digest)
        try:
            fields = json.loads(content)
            if len(content) > LARGE_BYTES:
                for name in ("checkpoints", "phases", "frames", "stacks"):
                    fields[name] = fields[name][:: 1 + len(fields[name]) // 1000]
            error = best_match(_validator().iter_errors(fields))
        except ValueError as damage:
            faults.append(f"{path}: {damage}")
        else:
            if error is not None:
                faults.append(f"{path}: {error.json_path}: {error.message[:500]}")
    return faults


def validate_report(fields: dict[str, Any]) -> None:
    """Hold ``fields`` of a report against its schema, and its indices against what they name."""
    error = best_match(_validator().iter_errors(fields))
    assert error is None, f"{error.json_path}: {error.message[:500]}"
    frames, stacks = fields["frames"], fields["stacks"]
    assert all(place < len(frames) for stack in stacks for place in stack)
    assert len({*map(tuple, stacks)}) == len(stacks)
    assert len({tuple(frame.values()) for frame in frames}) == len(frames)
    phases, checkpoints = len(fields["phases"]), len(fields["checkpoints"])
    for place, phase in enumerate(fields["phases"]):
        if phase["process"] is None:
            assert phase["start"] is phase["end"] is None
            assert all(fields["phases"][one]["name"] == phase["name"] for one in phase["members"])
        else:
            assert phase["start"] <= phase["end"] < checkpoints
        assert phase["parent"] is None or phase["parent"] < place
        for name, total in phase["culprit_totals"].items():
            assert total is None or total >= len(phase[name])
    named = [place for finding in fields["findings"] for place in finding["phases"]]
    assert all(place < phases for place in named)
    assert all(culprit["stack"] < len(stacks) for culprit in culprits_of(fields))


def culprits_of(report: dict[str, Any]) -> list[dict[str, Any]]:
    """All culprits of the phases and the findings of report.json."""
    lists = ("culprits", "peak_culprits", "freed_culprits", "largest")
    found = [item for phase in report["phases"] for name in lists for item in phase[name] or ()]
    return found + [item["culprit"] for item in report["findings"] if item["culprit"] is not None]


def stack_of(report: dict[str, Any], named: dict[str, Any]) -> list[dict[str, Any]]:
    """The frames of the stack that a culprit, or a thread of a dump, names; outermost first."""
    return [report["frames"][place] for place in report["stacks"][named["stack"]]]


def complaint(completed: Completed) -> tuple[str, str]:
    """The sentence and the hint of an error: all that may be on stderr."""
    text = completed.stderr.decode()
    assert "Traceback" not in text
    lines = text.splitlines()
    assert len(lines) == 2, text
    sentence, hint = lines
    assert sentence.startswith("memdeep: "), text
    assert sentence.endswith("."), text
    assert hint.startswith("  "), text
    assert hint.strip(), text
    return sentence.removeprefix("memdeep: "), hint.strip()


def tree(directory: Path) -> dict[str, bytes | None]:
    """Every path below ``directory`` with its content; None for a directory."""
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None
        for path in sorted(directory.rglob("*"))
    }


class Scenes:
    """Runs of tests/programs/page_scenes.py under memdeep, each made when it is first asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def page(self, scene: str) -> Path:
        """The report page of ``scene``; report.json is beside it."""
        page = self._directory / scene / "report.html"
        if not page.exists():
            program = PROGRAMS / "page_scenes.py"
            command = memdeep_command("run", "--quiet", "-o", page.parent, program, scene)
            done = subprocess.run(
                command, cwd=self._directory, env=environment(), capture_output=True, check=False
            )
            assert page.exists(), done.stderr.decode()
        return page


@dataclass(frozen=True)
class Outcome:
    """All a caller sees of a program; the status as a shell gives it."""

    stdout: bytes
    stderr: bytes
    status: int


def outcome(command: list[Any], work: Path, **options: Any) -> Outcome:
    given = {"env": environment(), "input": b""} | options
    completed = subprocess.run(
        command, cwd=work, capture_output=True, timeout=TIMEOUT_S, check=False, **given
    )
    status = completed.returncode
    return Outcome(completed.stdout, completed.stderr, status if status >= 0 else 128 - status)


OPTIONS = ("--quiet", "--no-report", "--no-native", "-o", "run")


@contextmanager
def started(work: Path, *words: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """`memdeep run WORDS` in a session of its own, once the program has written `ready`."""
    given = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "start_new_session": True,
    } | options
    command = memdeep_command("run", *OPTIONS, *words)
    with subprocess.Popen(command, cwd=work, env=environment(), **given) as process:
        try:
            wait_until(lambda: _content(work / "ready") or process.poll() is not None)
            assert process.poll() is None
            yield process
        finally:
            process.kill()
            if ready := _content(work / "ready"):
                _kill(int(ready))


def _content(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _kill(pid: int) -> None:
    if is_running(pid):
        os.kill(pid, signal.SIGKILL)


def is_running(pid: int) -> bool:
    """A process that has ended but was not waited for does not run."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def reported(work: Path, run_memdeep: RunMemdeep) -> dict[str, Any]:
    """report.json of the run in ``work``, made by `memdeep report` now."""
    run_dir = work / "run"
    assert {*RUN_FILES} <= {path.name for path in run_dir.iterdir()}
    completed = run_memdeep("report", run_dir)
    assert completed.returncode == 0, completed.stderr
    assert (run_dir / "report.html").stat().st_size > 0
    return read_json(run_dir / "report.json")
