"""Watching a run from another terminal: what is shown, when it ends, and that little is kept."""

from __future__ import annotations

import fcntl
import io
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from factories import event
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from running import TIMEOUT_S, environment, memdeep_command, read_json, wait_until

from memdeep.errors import CaptureError
from memdeep.live import follow, view
from memdeep.live.progress import Curve, RunProgress
from memdeep.rundir import directory, journal
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.journal import Event
from memdeep.rundir.samples import ProcessSample, encode_sample
from memdeep.rundir.tail import CHUNK_BYTES, Tail
from memdeep.text.language import Language, language

ENGLISH = language("en")
MB = 1024 * 1024
ROWS, COLUMNS = 30, 80
ESCAPES = re.compile(r"\x1b\]8;[^\x1b]*\x1b\\|\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[(?:\d+;)*3\d(?:;\d+)*m")
HOSTILE = "恶意\x1b[2J\x1b]0;title\x07\n[bold]标签" + "长" * 500
WATCH = """
import sys
from pathlib import Path
from rich.console import Console
from memdeep.live import follow
from memdeep.rundir.directory import RunDirectory
follow.follow(RunDirectory(Path(sys.argv[1])), Console(highlight=False), refresh_s=0.05)
"""
MORE = """
import memdeep, time
from pathlib import Path
kept = []
with memdeep.phase("loading"):
    memdeep.checkpoint("参数_BEFORE")
    kept.append(b"x" * 40_000_000)
    memdeep.checkpoint("参数_AFTER", note="12 symbols")
    memdeep.checkpoint("waiting\\x1b[31m")
    Path("ready").touch()
    while not Path("go").exists():
        time.sleep(0.01)
memdeep.checkpoint("last of all")
"""


def run_command(*words: str) -> list[str]:
    return memdeep_command("run", "--quiet", "--no-native", "--no-report", "-o", "run", *words)


@contextmanager
def running(work: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """`memdeep run more.py`, at the point where it waits for the file `go`."""
    (work / "more.py").write_text(MORE, "utf-8")
    process = subprocess.Popen(
        run_command(*words, "more.py"), cwd=work, env=environment(), stdin=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: (work / "ready").exists() or process.poll() is not None)
        yield process
    finally:
        (work / "go").touch()
        process.wait(TIMEOUT_S)


@dataclass
class Watcher:
    """`follow.follow` in a process of its own, what it writes collected as it comes."""

    process: subprocess.Popen[bytes]
    output: int
    content: bytes = b""
    closed: bool = field(default=False)

    @property
    def text(self) -> str:
        while not self.closed and select.select([self.output], [], [], 0)[0]:
            try:
                chunk = os.read(self.output, 65536)
            except OSError:  # EIO: nobody holds the other end of the terminal any more
                chunk = b""
            self.closed = not chunk
            self.content += chunk
        return self.content.decode(errors="replace").replace("\r\n", "\n")

    def see(self, text: str) -> None:
        wait_until(lambda: text in self.text)

    def end(self) -> int:
        wait_until(lambda: (self.text, self.process.poll())[1] is not None)
        return self.process.returncode


@contextmanager
def watching(work: Path, *, terminal: bool = False, **changes: str) -> Iterator[Watcher]:
    if terminal:
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    else:
        ours, theirs = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", WATCH, "run"],
        cwd=work,
        env=environment(**changes),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        yield Watcher(process, ours)
    finally:
        process.kill()
        process.wait(TIMEOUT_S)
        os.close(ours)


def test_the_view_and_the_lines_are_in_chinese_too(tmp_path: Path) -> None:
    points = [event(journal.POINT, 1, 1 * MB, "a"), event(journal.POINT, 2, 9 * MB, "b")]
    run_dir = make_run(tmp_path / "run", *points)
    chinese = language("zh")
    with RunProgress(run_dir) as progress:
        progress.poll(1.0, lambda _event: None)
        text = rendered(progress, spoken=chinese)
    assert "运行中" in text
    assert "增长最多之处" in text
    assert "peak" not in text
    file = io.StringIO()
    follow.follow(run_dir, Console(file=file, width=COLUMNS), language=chinese)
    assert "运行没有说明就结束了" in file.getvalue()


def make_run(path: Path, *events: Event, epoch_ns: int = 1) -> RunDirectory:
    """A run directory with a journal whose program is long gone."""
    run_dir = directory.create(path, force=False)
    with open(run_dir.journal, "ab") as file:
        file.write(journal.encode_start(2**22 + 1, (10 * MB, MB), 0, epoch_ns))
        for event in events:
            file.write(encoded(event))
    return run_dir


def encoded(event: Event) -> bytes:
    return journal.encode_event(
        event.kind,
        event.sequence,
        event.time_us,
        (event.rss_bytes, event.rss_file_bytes),
        event.label,
        event.note,
        event.thread or "",
        event.span or 0,
    )


def rendered(progress: RunProgress, *, height: int = ROWS, spoken: Language = ENGLISH) -> str:
    file = io.StringIO()
    console = Console(file=file, width=COLUMNS, color_system=None, _environ={})
    console.print(view.whole(progress, view.running(progress, spoken), height, spoken))
    return file.getvalue()


def test_lines_follow_a_run_to_its_end(work: Path) -> None:
    with running(work), watching(work) as watcher:
        watcher.see("waiting")
        assert "last of all" not in watcher.text
        (work / "go").touch()
        assert watcher.end() == 0
        lines = watcher.text.partition("The program completed")[0].splitlines()
    labels = ("begin of loading", "参数_BEFORE", "参数_AFTER  (12 symbols)", "waiting␛[31m")
    for label in (*labels, "end of loading", "last of all"):
        assert sum(line.endswith(label) for line in lines) == 1, label
    assert re.search(r" \+3[89]\.\d MB  参数_AFTER", watcher.text)
    assert "The program completed after " in watcher.text
    assert re.search(r"\+3[89]\.\d MB +█+ +loading", watcher.text)
    assert "\x1b" not in watcher.text


def test_a_run_that_has_ended_is_told_at_once(work: Path) -> None:
    subprocess.run(run_command("grows.py"), cwd=work, env=environment(), check=True)
    with watching(work) as watcher:
        assert watcher.end() == 0
    assert "PREPARE_END" in watcher.text
    assert "The program completed after " in watcher.text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("-c", "import sys; sys.exit(3)"), "The program failed with exit status 3"),
        (("-c", "import os; os.kill(os.getpid(), 9)"), "The program was killed by SIGKILL"),
    ],
)
def test_the_verdict_of_the_parent_is_told(
    work: Path, words: tuple[str, ...], sentence: str
) -> None:
    subprocess.run(run_command(*words), cwd=work, env=environment(), check=False)
    with watching(work) as watcher:
        assert watcher.end() == 0
    assert sentence in watcher.text


def test_a_run_whose_parent_was_killed_too_ended_without_a_word(work: Path) -> None:
    with running(work) as parent, watching(work) as watcher:
        watcher.see("waiting")
        parent.kill()
        os.kill(program_pid(work), signal.SIGKILL)
        assert watcher.end() == 0
    assert "The run ended without a word." in watcher.text
    assert "memdeep report run" in watcher.text


def test_a_program_whose_parent_was_killed_is_followed_further(work: Path) -> None:
    with running(work) as parent, watching(work, terminal=True) as watcher:
        watcher.see("waiting")
        parent.kill()
        watcher.see("stopped reading")
        (work / "go").touch()
        watcher.see("last of all")
        watcher.see("without a word")
        assert watcher.end() == 0


def program_pid(work: Path) -> int:
    events, _ = journal.decode(RunDirectory(work / "run").journal.read_bytes())
    assert events[0].pid is not None
    return events[0].pid


def test_a_terminal_shows_one_view_in_place(work: Path) -> None:
    limits = ("--warning-mb", "1", "--critical-mb", "900000")
    with running(work, *limits), watching(work, terminal=True) as watcher:
        watcher.see("Where it grew most")
        watcher.see("waiting")
        seen = ESCAPES.sub("", watcher.text)
        for words in (
            "running",
            "RSS",
            "peak",
            "loading …",
            "参数",
            "exceeded",
            "limit",
            "left",
            "Phases so far",
        ):
            assert words in seen, words
        assert "█" in seen
        assert COLOUR.search(watcher.text)
        (work / "go").touch()
        assert watcher.end() == 0
    assert watcher.text.count("\x1b[?25l") == watcher.text.count("\x1b[?25h") == 1
    assert "The program completed after " in watcher.text
    assert "\x1b[31m\x1b" not in watcher.text
    lines = ESCAPES.sub("\n", watcher.text).splitlines()
    assert max(map(cell_len, lines)) <= COLUMNS


def test_no_color_is_respected(work: Path) -> None:
    run = running(work, "--warning-mb", "1")
    with run, watching(work, terminal=True, NO_COLOR="1") as watcher:
        watcher.see("exceeded")
        assert not COLOUR.search(watcher.text)


def test_a_dumb_terminal_gets_lines(work: Path) -> None:
    with running(work), watching(work, terminal=True, TERM="dumb") as watcher:
        watcher.see("waiting")
        assert "\x1b" not in watcher.text


@pytest.mark.parametrize("terminal", [False, True])
def test_ctrl_c_ends_the_watching_and_not_the_run(work: Path, terminal: bool) -> None:
    with running(work) as process, watching(work, terminal=terminal) as watcher:
        watcher.see("waiting")
        watcher.process.send_signal(signal.SIGINT)
        assert watcher.end() == 0
        assert "the run goes on" in watcher.text
        assert "Traceback" not in watcher.text
        assert process.poll() is None
        if terminal:
            assert watcher.text.rfind("\x1b[?25h") > watcher.text.rfind("\x1b[?25l")
    assert read_json(work / "run" / "meta.json")["verdict"] == "completed"


def test_a_run_that_took_this_ones_place_ends_the_watching(work: Path) -> None:
    with running(work) as first, watching(work) as watcher:
        watcher.see("waiting")
        first.kill()
        subprocess.run(run_command("--force", "grows.py"), cwd=work, env=environment(), check=True)
        assert watcher.end() == 0
    assert "taken this one's place" in watcher.text
    assert "PREPARE" not in watcher.text


def test_a_damaged_meta_file_is_an_error(tmp_path: Path) -> None:
    run_dir = make_run(tmp_path / "run")
    run_dir.meta.write_text("{")
    with pytest.raises(CaptureError):
        follow.follow(run_dir, Console(file=io.StringIO()))


def test_only_the_last_checkpoints_from_before_become_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memdeep.live.progress.SILENCE_S", 0.0)
    events = [event(journal.POINT, n, 10 * MB, f"point {n}") for n in range(1, 5001)]
    file = io.StringIO()
    follow.follow(make_run(tmp_path / "run", *events), Console(file=file, width=COLUMNS))
    lines = file.getvalue().splitlines()
    assert lines[0] == f"… 4,{1000 - follow.BACKLOG} earlier checkpoints"
    assert lines[1].endswith(f"point {5001 - follow.BACKLOG}")
    assert lines[follow.BACKLOG].endswith("point 5000")


def test_several_processes_are_worth_the_sum_of_their_shares(tmp_path: Path) -> None:
    run_dir = make_run(tmp_path / "run")
    pid = 2**22 + 1
    lone = ProcessSample(50, pid, 90, 10)
    first = [ProcessSample(100, pid, 95, 10), ProcessSample(100, 7, 95, 10)]
    second = [
        ProcessSample(150, pid, 95, 10, 60, 50, 0, 20),
        ProcessSample(150, 7, 95, 10, 45, 40, 0, 5),
    ]
    third = [ProcessSample(200, pid, 99, 10), ProcessSample(200, 7, 95, 10)]
    with RunProgress(run_dir) as progress, open(run_dir.samples, "a") as file:

        def read(*found: ProcessSample) -> tuple[int | None, int | None, int | None]:
            file.write("".join(map(encode_sample, found)))
            file.flush()
            progress.poll(1, lambda _event: None)
            resident = progress.resident
            return resident.bytes, resident.peak_bytes, resident.program_bytes

        assert read(lone) == (90, 90, 90)
        assert read(*first) == (190, 190, 95)  # this far, nothing but RSS is told
        assert read(second[0])[2] == 95
        assert read(second[1]) == (105, 190, 95)
        assert read(*third) == (105, 190, 99)


def test_hostile_labels_stay_in_their_cells(tmp_path: Path) -> None:
    run_dir = make_run(
        tmp_path / "run",
        event(journal.BEGIN, 1, 10 * MB, HOSTILE, s=1),
        event(journal.POINT, 2, 90 * MB, HOSTILE, o=HOSTILE),
        event(journal.BEGIN, 3, 95 * MB, "plain", s=2),
    )
    with RunProgress(run_dir) as progress:
        progress.poll(1, lambda _event: None)
        text = rendered(progress)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[bold]标签" in text
    lines = text.splitlines()
    assert max(map(cell_len, lines)) <= COLUMNS
    assert len(lines) < ROWS


def test_the_view_keeps_to_a_small_terminal(tmp_path: Path) -> None:
    events = []
    for number in range(1, 100, 2):
        size = number * MB
        events.append(event(journal.BEGIN, number, size, f"phase {number}", s=number))
        events.append(event(journal.END, number + 1, size + MB, f"phase {number}", s=number))
    with RunProgress(make_run(tmp_path / "run", *events)) as progress:
        progress.poll(1, lambda _event: None)
        text = rendered(progress, height=24)
    assert len(text.splitlines()) < 24
    assert "Phases so far, and 45 earlier" in text
    assert "phase 99" in text


def test_a_tail_gives_each_whole_line_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    tail = Tail(path)
    assert tail.next_lines() == b""
    with open(path, "wb", buffering=0) as file:
        file.write(b"one\ntw")
        assert tail.next_lines() == b"one\n"
        assert tail.next_lines() == b""
        file.write(b"o\n")
        assert tail.next_lines() == b"two\n"
        file.write(b"x" * (2 * CHUNK_BYTES) + b"\nend\n")
        pieces = []
        while not pieces or tail.is_behind:
            pieces.append(tail.next_lines())
    assert b"".join(pieces) == b"x" * (2 * CHUNK_BYTES) + b"\nend\n"
    assert tail.read_bytes == path.stat().st_size
    tail.close()


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**9)), min_size=1))
def test_a_curve_keeps_the_highest_and_few_cells(readings: list[tuple[int, int]]) -> None:
    curve = Curve(cells=10)
    for time_ms, value in sorted(readings):
        curve.add(time_ms, value)
    assert len(curve.values) <= 10
    assert max(curve.values) == max(value for _, value in readings)
