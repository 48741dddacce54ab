"""One trial: the report on a damaged run, made in a process with limits, and all that must hold."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import stat
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from fuzz.shown import is_harmless

from memdeep import pipeline
from memdeep.cli import main
from memdeep.errors import EXIT_BAD_DATA, EXIT_NO_INPUT, EXIT_NOT_STARTED
from memdeep.report.page import payload

MEMORY_BYTES = 6 << 30  # of addresses, by which memory that is mapped and not used counts too
CPU_S = 30
WALL_S = 60
ALLOWED = (0, EXIT_BAD_DATA, EXIT_NO_INPUT, EXIT_NOT_STARTED)
WRITTEN = {"report.html", "report.json"}
BLOCK = re.compile(r'<script type="application/gzip"[^>]*>([^<]+)<')
LABEL_AS_MARKUP = ("<script>alert", "<img src=x")

Files = dict[str, tuple[int, bytes]]


@dataclass(frozen=True)
class Trial:
    """How a report ended: its exit status, what it said, and how long it took."""

    status: int
    said: str
    seconds: float


def report_on(path: Path) -> Trial:
    """Make the report on ``path`` in a child process and check what it did; raises AssertionError.

    Whatever lies beside ``path`` must stay as it is.
    """
    before, beside = files(path), files(path.parent)
    said_path = path.parent.with_name(f"{path.parent.name}.said")
    started_s = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _make(path, said_path)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    seconds = time.monotonic() - started_s
    said = said_path.read_bytes().decode()
    trial = Trial(status, said, seconds)
    assert status in ALLOWED, trial
    assert "Traceback" not in said, trial
    assert is_harmless(said), trial
    _check_written(before, files(path))
    written = pipeline.report_paths(path)
    now = {name: kept for name, kept in files(path.parent).items() if name not in _names(path)}
    assert now == beside, "something beside the run was changed"
    if status == 0:
        _check_page(written["html"], written["json"])
    return trial


def _names(path: Path) -> set[str]:
    """What a report on a capture puts beside it."""
    written = pipeline.report_paths(path).values()
    return {report.name for report in written if report.parent == path.parent}


def files(directory: Path) -> Files:
    """The plain files of ``directory``: their kind and content; of others the kind alone."""
    found = {}
    for path in directory.iterdir() if directory.is_dir() else ():
        status = path.lstat()
        is_small = stat.S_ISREG(status.st_mode) and status.st_size < 1 << 24
        found[path.name] = (stat.S_IFMT(status.st_mode), path.read_bytes() if is_small else b"")
    return found


def _make(path: Path, said_path: Path) -> None:
    try:
        descriptor = os.open(said_path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        for number in (1, 2):
            os.dup2(descriptor, number)
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(WALL_S)
        try:
            main.main(["report", str(path)])
        except SystemExit as ended:
            sys.stderr.flush()
            os._exit(int(ended.code or 0))
        except BaseException:
            import traceback

            traceback.print_exc()
            sys.stderr.flush()
    finally:
        os._exit(99)


def _check_written(before: Files, after: Files) -> None:
    assert set(after) - set(before) <= WRITTEN, sorted(after)
    assert set(before) <= set(after), "a file of the run is gone"
    for name, content in before.items():
        assert name in WRITTEN or after[name] == content, f"{name} was changed"


def _check_page(html: Path, json_path: Path) -> None:
    page = html.read_text("utf-8")
    for markup in LABEL_AS_MARKUP:
        assert markup not in page, "a label became markup"
    packed = BLOCK.findall(page)
    unpacked = [json.dumps(payload.unpack(block), ensure_ascii=False) for block in packed]
    for text in (page.partition("<body>")[2], *unpacked):
        assert is_harmless(text), [c for c in text if not is_harmless(c)][:5]
    made = json.loads(json_path.read_bytes())
    heaps = [point["heap_bytes"] for point in made["checkpoints"]]
    threads = {phase["thread"] for phase in made["phases"]} - {None}
    for phase in made["phases"]:
        growth = phase["heap_delta_bytes"]
        if growth is None:
            continue
        assert phase["retained_bytes"] - phase["released_bytes"] == growth, phase["name"]
        # Beside the phases of other threads it is charged with its own thread's heap only.
        if len(threads) <= 1 and phase["repeats"] == 1:
            assert growth == heaps[phase["end"]] - heaps[phase["start"]], phase["name"]
