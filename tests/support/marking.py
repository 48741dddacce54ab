"""Runs programs plainly and with marks, and reads the checkpoints back."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from running import TIMEOUT_S, environment, memdeep_command

from memdeep.rundir import journal

# Without a tracer a run takes a fraction of a second, and marks are the same.
QUICKLY = ("--backend", "rss", "--no-report", "--force", "--quiet")


@dataclass(frozen=True)
class Marked:
    """What a run did and what it left in the journal."""

    stdout: bytes
    stderr: bytes
    status: int
    events: tuple[tuple[str, str], ...]

    @property
    def labels(self) -> list[str]:
        """Of the points."""
        return [label for kind, label in self.events if kind == journal.POINT]

    @property
    def spans(self) -> list[str]:
        """The points as they are called, the ends of spans as ``>label`` and ``<label``."""
        signs = {journal.POINT: "", journal.BEGIN: ">", journal.END: "<"}
        return [signs[kind] + label for kind, label in self.events if kind in signs]

    @property
    def problems(self) -> list[str]:
        return [label for kind, label in self.events if kind == journal.PROBLEM]


def run_marked(work: Path, marks: list[str], *program: Any, **options: Any) -> Marked:
    """``program`` under `memdeep run`; ``marks`` are flags such as ``--mark-stdout=REGEX``."""
    run_dir = work.parent / "marked"
    command = memdeep_command("run", *QUICKLY, "-o", run_dir, *marks, *program)
    completed = _run(command, work, **options)
    events, damaged = journal.decode((run_dir / "journal.jsonl").read_bytes())
    assert damaged == 0
    return Marked(
        completed.stdout,
        completed.stderr,
        completed.returncode,
        tuple((event.kind, event.label) for event in events),
    )


def run_plainly(work: Path, *program: Any, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """``program`` after `python`."""
    return _run([sys.executable, *program], work, **options)


def assert_same_output(work: Path, marks: list[str], *program: Any, **options: Any) -> Marked:
    """``program`` does with ``marks`` what it does plainly, to the byte."""
    plain = run_plainly(work, *program, **options)
    marked = run_marked(work, marks, *program, **options)
    assert marked.stdout == plain.stdout
    assert marked.status == plain.returncode
    ours = [line for line in marked.stderr.splitlines(True) if line.startswith(b"memdeep:")]
    assert marked.stderr == plain.stderr + b"".join(ours)
    return marked


def terminal_output(command: list[Any], work: Path) -> bytes:
    """What ``command`` writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, cwd=work, env=environment(), stdin=theirs, stdout=theirs, stderr=subprocess.PIPE
    )
    os.close(theirs)
    output = b""
    try:
        while chunk := os.read(ours, 65_536):
            output += chunk
    except OSError:  # Linux says so when the other side is closed
        pass
    os.close(ours)
    assert process.wait(TIMEOUT_S) == 0, process.communicate()[1]
    process.communicate()
    return output


def _run(command: list[Any], work: Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    given = {"env": environment(), "stdin": subprocess.DEVNULL} | options
    if "stdout" not in given:
        given["stdout"] = subprocess.PIPE
    return subprocess.run(
        command, cwd=work, stderr=subprocess.PIPE, timeout=TIMEOUT_S, check=False, **given
    )
