"""`make soak-follow`: follows a program that allocates at full speed, with --deep, for SOAK_S s.

What the capture takes of the disk, what memory the process beside it takes and how far it is behind
are read every few seconds, written to SOAK_DIR and drawn there. Meanwhile another process keeps a
compressed copy of all that is written. In the end the program is killed: the report must be there
within a second or so, and equal to that of the copy, to the byte.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from lz4 import frame

from memdeep.heap import packed
from memdeep.heap.replay import saved

PROGRAM = Path(__file__).parent / "programs" / "soaks_follow.py"
DISK_MB = 512
LOOK_S = 5.0
CHUNK_BYTES = 1 << 20
BEHIND_BYTES = 4096
FIGURES = ("time_s", "written_mb", "disk_mb", "memory_mb", "behind_mb", "rss_mb")
Row = tuple[float, ...]


class Copy(threading.Thread):
    """Copies what is written to a capture, before it is given back."""

    def __init__(self, capture: Path, copy: Path) -> None:
        super().__init__(daemon=True)
        self._capture, self._copy = capture, copy
        self.is_over = threading.Event()
        self.written = 0

    def run(self) -> None:
        while not self._capture.exists():
            time.sleep(0.01)
        packer = frame.LZ4FrameCompressor(block_size=frame.BLOCKSIZE_MAX1MB)
        with open(self._capture, "rb", 0) as source, open(self._copy, "wb") as target:
            target.write(packer.begin())
            is_last = False
            while not is_last:
                is_last = self.is_over.is_set()
                while True:
                    found = os.pread(source.fileno(), CHUNK_BYTES, self.written).rstrip(b"\0")
                    end = len(found) - (0 if is_last else BEHIND_BYTES)
                    if end <= 0:
                        break
                    content = os.pread(source.fileno(), end, self.written)
                    target.write(packer.compress(content))
                    self.written += end
                time.sleep(0.05)
            target.write(packer.flush())


def follower_of(process: subprocess.Popen[bytes]) -> psutil.Process | None:
    for child in psutil.Process(process.pid).children():
        if any("follow/__main__" in word for word in child.cmdline()):
            return child
    return None


def program_of(process: subprocess.Popen[bytes]) -> psutil.Process | None:
    for child in psutil.Process(process.pid).children():
        if any("bootstrap.py" in word for word in child.cmdline()):
            return child
    return None


def row(run: Path, process: subprocess.Popen[bytes], written: int, since_s: float) -> Row:
    mb = 1 << 20
    taken = sum(512 * path.stat().st_blocks for path in run.glob("capture*"))
    follower, program = follower_of(process), program_of(process)
    behind = 0
    if (run / "live.json").exists():
        behind = json.loads((run / "live.json").read_bytes())["lag"]["bytes"] or 0
    return (
        round(since_s, 1),
        written / mb,
        taken / mb,
        0.0 if follower is None else follower.memory_info().rss / mb,
        behind / mb,
        0.0 if program is None else program.memory_info().rss / mb,
    )


def plot(rows: list[Row], path: Path) -> None:
    """Draw the figures over time, one above the other, as SVG."""
    width, height, left = 900, 150, 110
    parts = []
    for place, name in enumerate(FIGURES[1:], 1):
        most = max(one[place] for one in rows) or 1
        until = rows[-1][0] or 1
        top = 30 + (place - 1) * (height + 40)
        points = " ".join(
            f"{left + one[0] / until * width:.1f},{top + height - one[place] / most * height:.1f}"
            for one in rows
        )
        parts.append(
            f'<text x="4" y="{top + 12}">{name}</text><text x="4" y="{top + 30}">{most:.1f}</text>'
            f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="#eee"/>'
            f'<polyline points="{points}" fill="none" stroke="#c40"/>'
        )
    size = f'width="{width + left + 20}" height="{30 + len(FIGURES[1:]) * (height + 40)}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    )
    path.write_text(head + "".join(parts) + "</svg>")


def report_of(run: Path) -> bytes:
    """The report on a run; what differs by where it lies is left out."""
    command = [
        sys.executable,
        "-m",
        "memdeep",
        "report",
        "--quiet",
        "-o",
        str(run / "again"),
        str(run),
    ]
    (run / "again").mkdir(exist_ok=True)
    subprocess.run(command, check=True)
    return (run / "again" / "report.json").read_bytes()


def soak(directory: Path, duration_s: float) -> list[Row]:
    run = directory / "run"
    words = [
        "run",
        "--quiet",
        "--deep",
        "--no-native",
        "--disk",
        f"{DISK_MB}M",
        "-o",
        str(run),
        str(PROGRAM),
        "1",
    ]
    command = [sys.executable, "-m", "memdeep", *words, str(duration_s * 10)]
    rows: list[Row] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=directory) as process:
        copy = Copy(run / "capture.bin", directory / "copy.bin")
        copy.start()
        began_s = time.monotonic()
        while (since_s := time.monotonic() - began_s) < duration_s:
            time.sleep(LOOK_S)
            rows.append(row(run, process, copy.written, since_s))
            with open(directory / "figures.csv", "a", newline="") as file:
                csv.writer(file).writerow(rows[-1])
        program = program_of(process)
        assert program is not None
        os.kill(program.pid, signal.SIGSTOP)  # the copy is to have all of it
        size = 0
        while size != copy.written:
            size = copy.written
            time.sleep(1)
        killed_s = time.time()
        program.kill()
        process.wait()
        took_s = (run / "report.html").stat().st_mtime - killed_s
    copy.is_over.set()
    copy.join()
    plot(rows, directory / "figures.svg")
    print(f"the report was there {took_s:.2f} s after the program was killed", flush=True)
    assert saved.is_holed(run / "capture.bin")
    whole = directory / "whole"
    shutil.copytree(run, whole, ignore=shutil.ignore_patterns("capture*", "report*", "markers"))
    shutil.copy(directory / "copy.bin", whole / "capture.bin")
    with open(whole / "capture.bin", "rb") as file:
        assert packed.is_packed(file)
    return rows


def main() -> int:
    duration_s = float(os.environ.get("SOAK_S", "3600"))
    directory = Path(os.environ.get("SOAK_DIR", "") or tempfile.mkdtemp(prefix="soak-"))
    rows = soak(directory, duration_s)
    written, disk, memory, behind = (max(one[place] for one in rows) for place in range(1, 5))
    print(
        f"{duration_s:.0f} s, {written / 1024:.1f} GB written: at most {disk:.0f} MB of the disk, "
        f"{memory:.0f} MB of memory, {behind:.1f} MB behind ({directory})",
        flush=True,
    )
    alike = report_of(directory / "run") == report_of(directory / "whole")
    print("the report on the copy is the same" if alike else "THE REPORT ON THE COPY DIFFERS")
    return 0 if alike else 1


if __name__ == "__main__":
    sys.exit(main())
