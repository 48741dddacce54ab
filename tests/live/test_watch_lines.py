"""`memdeep watch` by line: on a terminal with its keys, and as text."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cgroups import needs_cgroups
from driven import Driven
from rich.cells import cell_len
from running import TIMEOUT_S, environment, memdeep_command, read_json, started, wait_until

PROGRAM = """
import memdeep, os, time
from pathlib import Path
kept = []
def 加载(size):
    kept.append(b"x" * size)
def parse():
    return bytearray(5_000_000)
with memdeep.phase("回测"):
    加载(30_000_000)
    rows = parse()
    Path("ready").write_text(str(os.getpid()))
    while not Path("go").exists():
        time.sleep(0.01)
"""
ESCAPES = re.compile(r"\x1b\]8;[^\x1b]*\x1b\\|\x1b\[[0-9;?]*[A-Za-z]")
UP, DOWN = b"\x1b[A", b"\x1b[B"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run that goes on, with its `live.json`."""
    work = tmp_path_factory.mktemp("watched")
    (work / "job.py").write_text(PROGRAM, "utf-8")
    with started(work, "--warning-mb", "40", "--memory-limit", "400M", "job.py") as process:
        driven = Driven(work / "run")
        wait_until(lambda: driven.update().memory.resident_bytes is not None)
        driven.close()
        yield work
        (work / "go").touch()  # it removes its cgroup
        process.wait(TIMEOUT_S)


class Terminal:
    """A terminal of some size, on which `memdeep watch` runs; what was drawn, and what is typed."""

    def __init__(self, ours: int, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._ours = ours
        self._content = b""

    def drawn(self) -> str:
        while select.select([self._ours], [], [], 0)[0]:
            try:
                chunk = os.read(self._ours, 65536)
            except OSError:
                break
            if not chunk:
                break
            self._content += chunk
        return self._content.decode(errors="replace").replace("\r\n", "\n")

    def rows(self) -> list[str]:
        """The last view that was drawn in full."""
        views = re.split(r"(?=job · running)", ESCAPES.sub("", self.drawn()))
        return [row.rstrip() for row in views[-2].splitlines()] if len(views) > 2 else []

    def see(self, *texts: str) -> list[str]:
        wait_until(lambda: all(any(text in row for row in self.rows()) for text in texts))
        return self.rows()

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@contextmanager
def watching(work: Path, *words: str, **changes: str) -> Iterator[Terminal]:
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 80, 0, 0))
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen(
        memdeep_command("watch", "run", *words),
        cwd=work,
        env=environment(**changes),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    try:
        yield Terminal(ours, process)
        if process.poll() is not None:
            assert termios.tcgetattr(theirs) == before, "the terminal is given back as it was"
    finally:
        process.kill()
        process.wait(TIMEOUT_S)
        os.close(ours)
        os.close(theirs)


@needs_cgroups  # of a limit on the address space there is no headroom
def test_a_terminal_shows_lines_headroom_and_where_the_program_is(recorded: Path) -> None:
    with watching(recorded, "--every", "0.1") as terminal:
        rows = terminal.see("加载", "parse", "limit", "heap")
        text = "\n".join(rows)
        assert re.search(r"28\.6 MB +\+28\.6 MB +\+28\.6 MB +job\.py:6  加载", text)
        assert re.search(r"limit +400\.0 MB .* left( +not growing| +full in .*)?$", text, re.M)
        assert re.search(r"in +回测", text)
        assert re.search(r"heap +\d\d\.\d MB  peak \d\d\.\d MB  .* behind", text)
        assert "exceeded" in text
        assert all(cell_len(row) <= 80 for row in rows)
        assert len(rows) <= 30
        terminal.type(b"q")
        assert terminal.process.wait(TIMEOUT_S) == 0


def test_keys_choose_the_order_and_a_line(recorded: Path) -> None:
    with watching(recorded, "--every", "0.1") as terminal:
        terminal.see("parse")
        terminal.type(DOWN + DOWN)
        terminal.see("return bytearray(5_000_000)", "▸  job.py:8  parse")
        terminal.type(UP)
        terminal.see('kept.append(b"x" * size)', "▸  job.py:6  加载")
        terminal.type(b"m")
        terminal.see("last ", "▸  job.py:6  加载")
        terminal.type(b"z?")  # means nothing
        terminal.type(b"q")
        assert terminal.process.wait(TIMEOUT_S) == 0


def test_a_report_is_made_while_the_program_runs(recorded: Path) -> None:
    with watching(recorded, "--every", "0.1") as terminal:
        terminal.see("parse")
        terminal.type(b"f")
        terminal.see("Report: run/frozen/")
        terminal.type(b"q")
        assert terminal.process.wait(TIMEOUT_S) == 0
    (path,) = (recorded / "run").glob("frozen/*/report.json")
    report = read_json(path)
    assert report["exit"]["verdict"] == "running"
    assert "death" not in report or report["death"] is None
    (phase,) = [found for found in report["phases"] if found["name"] == "回测"]
    assert not phase["complete"]
    assert phase["culprits"][0]["bytes"] >= 30_000_000
    assert not (recorded / "go").exists()


def test_ctrl_c_gives_the_terminal_back(recorded: Path) -> None:
    with watching(recorded) as terminal:
        terminal.see("parse")
        terminal.type(b"\x03")
        wait_until(lambda: terminal.process.poll() is not None or _interrupt(terminal))
        assert "the run goes on" in terminal.drawn()


def _interrupt(terminal: Terminal) -> bool:
    """Send what the terminal sends where the process leads its session but has no terminal."""
    os.kill(terminal.process.pid, 2)
    time.sleep(0.1)
    return False


@pytest.mark.parametrize(("rows", "columns"), [(24, 60), (50, 160), (12, 60)])
def test_the_view_follows_the_size_of_the_terminal(recorded: Path, rows: int, columns: int) -> None:
    with watching(recorded, "--every", "0.1") as terminal:
        terminal.see("parse")
        terminal.resize(rows, columns)
        terminal.drawn()
        time.sleep(0.5)
        shown = terminal.see("加载")
        assert all(cell_len(row) <= columns for row in shown)


def once(work: Path, *words: str, **changes: str) -> str:
    done = subprocess.run(
        memdeep_command("watch", "run", *words),
        cwd=work,
        env=environment(**changes),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    assert done.stderr == b""
    return done.stdout.decode()


def test_once_prints_one_frame_of_text(recorded: Path) -> None:
    text = once(recorded, "--once")
    assert text.count("job · running") == 1
    assert "job.py:6  加载" in text
    assert "q quit" not in text
    assert "\x1b" not in text
    assert all(row == row.rstrip() and cell_len(row) <= 80 for row in text.splitlines())


def test_once_in_chinese_keeps_to_its_columns(recorded: Path) -> None:
    text = once(recorded, "--once", LC_ALL="zh_CN.UTF-8")
    assert "本阶段" in text
    assert "代码行" in text
    assert all(cell_len(row) <= 80 for row in text.splitlines())


def test_no_color_is_respected(recorded: Path) -> None:
    with watching(recorded, "--once", NO_COLOR="1") as terminal:
        assert terminal.process.wait(TIMEOUT_S) == 0
        assert not re.search(r"\x1b\[(?:\d+;)*3\d(?:;\d+)*m", terminal.drawn())


def test_a_pipe_gets_a_frame_so_often(recorded: Path) -> None:
    with subprocess.Popen(
        memdeep_command("watch", "run", "--every", "0.2"),
        cwd=recorded,
        env=environment(),
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        content = b""
        while content.count("job · running".encode()) < 3:
            content += os.read(process.stdout.fileno(), 65536)
        process.kill()


def test_a_file_of_another_version_costs_the_lines_alone(recorded: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    for name in ("journal.jsonl", "meta.json", "samples"):
        (run_dir / name).write_bytes((recorded / "run" / name).read_bytes())
    (run_dir / "live.json").write_text('{"schema": 99}')
    text = once(tmp_path, "--once")
    assert "job" in text
    assert "job.py:6" not in text
    assert "was written by another version" in text


@pytest.mark.parametrize("word", ["0", "-1", "x", "1e9"])
def test_a_pace_that_is_none_is_refused(recorded: Path, word: str) -> None:
    words = memdeep_command("watch", "run", f"--every={word}")
    done = subprocess.run(words, cwd=recorded, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--every" in done.stderr
