"""The live line: on a terminal only, gone at the end, and never in the program's output."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from running import TIMEOUT_S, environment, memdeep_command, wait_until

from memdeep.live.status_line import status_text
from memdeep.run.progress import Progress

ROWS, COLUMNS = 24, 80
SAVE, RESTORE = b"\x1b7", b"\x1b8"
SCROLL_ABOVE = b"\x1b[1;%dr" % (ROWS - 1)
SCROLL_ALL = b"\x1b[r"
COLOUR = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;\d+)*m")


@dataclass
class Terminal:
    """A terminal of 24 rows of 80 cells; what was written to it comes into ``seen``."""

    master: int
    slave: int
    seen: bytes = b""

    def read(self) -> None:
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 65536)


@pytest.fixture
def terminal() -> Any:
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    yield Terminal(master, slave)
    os.close(slave)
    os.close(master)


def run_on(
    terminal: Terminal, work: Path, *words: str, until: bytes = b"", **changes: str
) -> subprocess.CompletedProcess[bytes]:
    """`memdeep run WORDS waits.py` with stderr on ``terminal``; let go once ``until`` is seen."""
    process = subprocess.Popen(
        memdeep_command("run", "--no-native", "-o", "run", *words, "waits.py"),
        cwd=work,
        env=environment(**changes),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=terminal.slave,
    )
    stdout: list[bytes] = []
    reader = threading.Thread(target=lambda: stdout.append(process.communicate()[0]))

    def is_seen() -> bool:
        terminal.read()
        return (work / "ready").exists() and until in terminal.seen

    try:
        reader.start()
        wait_until(is_seen)
        (work / "go").touch()
        wait_until(lambda: terminal.read() or not reader.is_alive())
        terminal.read()
    finally:
        process.kill()
        reader.join(TIMEOUT_S)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout[0], b"")


def test_status_shows_the_figures_and_the_label(terminal: Terminal, work: Path) -> None:
    completed = run_on(terminal, work, "--no-report", until=b"waiting for go")
    assert completed.returncode == 0
    drawn = terminal.seen
    assert b"RSS" in drawn
    assert b"MB" in drawn
    assert completed.stdout == b"first line\nlast line\n"
    assert b"first line" not in drawn


def test_status_keeps_to_the_last_row_and_one_line(terminal: Terminal, work: Path) -> None:
    run_on(terminal, work, "--no-report", until=b"waiting for go")
    drawings = re.findall(rb"\x1b7\x1b\[(\d+);1H\x1b\[2K([^\x1b]*)\x1b8", terminal.seen)
    assert drawings
    assert {int(row) for row, _ in drawings} == {ROWS}
    assert max(len(text.decode()) for _, text in drawings) < COLUMNS
    assert terminal.seen.count(SAVE) == terminal.seen.count(RESTORE)


def test_status_is_removed_at_the_end(terminal: Terminal, work: Path) -> None:
    run_on(terminal, work, "--no-report", until=b"waiting for go")
    before, _, after = terminal.seen.rpartition(SCROLL_ALL)
    assert before.count(SCROLL_ABOVE) == 1
    assert after.startswith(b"\x1b[%d;1H\x1b[2K" % ROWS + RESTORE)
    assert b"RSS" not in after
    assert b"Recorded: " in after


def test_cursor_is_shown_again_after_the_report(terminal: Terminal, work: Path) -> None:
    run_on(terminal, work, until=b"waiting for go")
    assert b"Report: " in terminal.seen
    assert terminal.seen.rfind(b"\x1b[?25h") >= terminal.seen.rfind(b"\x1b[?25l")


def test_verdict_fits_the_terminal(terminal: Terminal, work: Path) -> None:
    run_on(terminal, work, until=b"waiting for go")
    verdict = terminal.seen[terminal.seen.index(b"The program completed") :].decode()
    plain = re.sub(r"\x1b\]8;[^\x1b]*\x1b\\|\x1b\[[0-9;?]*[A-Za-z]", "", verdict)
    assert max(len(line) for line in plain.splitlines()) <= COLUMNS


def test_no_escapes_unless_on_a_terminal(work: Path) -> None:
    (work / "go").touch()
    completed = subprocess.run(
        memdeep_command("run", "--no-native", "-o", "run", "waits.py"),
        cwd=work,
        env=environment(),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert completed.stdout == b"first line\nlast line\n"
    assert b"The program completed" in completed.stderr
    assert b"\x1b" not in completed.stderr
    assert b"\r" not in completed.stderr


@pytest.mark.parametrize("words", [("--quiet",), ("--quiet", "--no-report")])
def test_quiet_says_nothing(terminal: Terminal, work: Path, words: tuple[str, ...]) -> None:
    completed = run_on(terminal, work, *words)
    assert completed.stdout == b"first line\nlast line\n"
    assert terminal.seen == b""


def test_colour_is_used_unless_refused(terminal: Terminal, work: Path) -> None:
    run_on(terminal, work)
    assert COLOUR.search(terminal.seen)


def test_no_color_is_respected(terminal: Terminal, work: Path) -> None:
    run_on(terminal, work, NO_COLOR="1")
    assert b"The program completed" in terminal.seen
    assert not COLOUR.search(terminal.seen)


def test_dumb_terminal_gets_no_escapes(terminal: Terminal, work: Path) -> None:
    run_on(terminal, work, TERM="dumb")
    assert b"The program completed" in terminal.seen
    assert b"\x1b" not in terminal.seen


def test_what_is_left_of_the_limit_is_shown_once_it_is_getting_little() -> None:
    def shown(rss_mb: int, limit_mb: int | None) -> str:
        left = None if limit_mb is None else (limit_mb - rss_mb) << 20
        limit = None if limit_mb is None else limit_mb << 20
        progress = Progress(2.0, rss_mb << 20, "load", limit, left)
        return status_text(progress, deque()).removeprefix("memdeep ").strip()

    assert shown(100, None) == "RSS 100.0 MB · 2.0 s · load"
    assert shown(400, 1000) == "RSS 400.0 MB · 2.0 s · load"
    assert shown(845, 1024) == "RSS 845.0 MB · 179.0 MB left · 2.0 s · load"
    assert shown(1030, 1024) == "RSS 1.01 GB · 0 B left · 2.0 s · load"
