"""`make soak-follow`: follows a program that allocates at full speed, with --deep, for SOAK_S s.

What the capture takes of the disk, what memory the process beside it takes and how far it is behind
are read every few seconds, written to SOAK_DIR and drawn there. In the end the program is killed:
the report must be there within a second or so. What is given back is kept in another file, and
compressed there; the report must be equal to that on the whole capture, to the byte.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from following import follower_of, program_of
from lz4 import frame

from memdeep.heap import packed
from memdeep.heap.replay import saved

PROGRAM = Path(__file__).parent / "programs" / "soaks_follow.py"
DISK_MB = 512
LOOK_S = 5.0
CHUNK_BYTES = 1 << 20
FIGURES = ("time_s", "length_mb", "disk_mb", "memory_mb", "behind_mb", "rss_mb")
Row = tuple[float, ...]


# Keeps what is given back of a file, at the same place of another one in the directory KEPT.
KEEPS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int fallocate64(int file, int mode, off_t start, off_t size) {
  int (*real)(int, int, off_t, off_t) = dlsym(RTLD_NEXT, "fallocate64");
  if (mode & FALLOC_FL_PUNCH_HOLE) {
    static char buffer[1 << 20];
    char link[64], name[4096], path[8192];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length < 0) abort();
    name[length] = 0;
    for (char *at = name; *at; ++at) if (*at == '/') *at = '!';
    snprintf(path, sizeof path, "%s/%s", getenv("KEPT"), name);
    int copy = open(path, O_WRONLY | O_CREAT, 0600);
    off_t at = start;  /* what nobody wrote is soon passed over: somebody may be coming near */
    while ((at = lseek(file, at, SEEK_DATA)) >= 0 && at < start + size) {
      at -= at % sizeof buffer;
      size_t left = start + size - at, part = left < sizeof buffer ? left : sizeof buffer;
      ssize_t count = pread(file, buffer, part, at);
      if (count <= 0) abort();
      int is_gone = 1;  /* since the last time */
      for (ssize_t place = 0; place < count && is_gone; ++place) is_gone = buffer[place] == 0;
      if (!is_gone && pwrite(copy, buffer, count, at) != count) abort();
      at += count;
    }
    close(copy);
  }
  return real(file, mode, start, size);
}
"""


def keeping(directory: Path) -> dict[str, str]:
    """The environment in which what is given back of captures is kept in `copies`."""
    library = directory / "keeps.so"
    (directory / "keeps.c").write_text(KEEPS)
    words = ["cc", "-shared", "-fPIC", "-o", str(library), str(directory / "keeps.c"), "-ldl"]
    subprocess.run(words, check=True)
    (directory / "copies").mkdir()
    kept = {"LD_PRELOAD": str(library), "KEPT": str(directory / "copies")}
    return dict(os.environ) | kept


def row(run: Path, process: subprocess.Popen[bytes], since_s: float) -> Row:
    mb = 1 << 20
    taken = sum(512 * path.stat().st_blocks for path in run.glob("capture*"))
    follower, program = follower_of(process), program_of(process)
    behind = 0
    if (run / "live.json").exists():
        behind = json.loads((run / "live.json").read_bytes())["lag"]["bytes"] or 0
    return (
        round(since_s, 1),
        (run / "capture.bin").stat().st_size / mb,
        taken / mb,
        0.0 if follower is None else follower.memory_info().rss / mb,
        behind / mb,
        0.0 if program is None else program.memory_info().rss / mb,
    )


def plot(rows: list[Row], path: Path, figures: tuple[str, ...] = FIGURES) -> None:
    """Draw the figures over time, one above the other, as SVG."""
    width, height, left = 900, 150, 110
    parts = []
    for place, name in enumerate(figures[1:], 1):
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
    size = f'width="{width + left + 20}" height="{30 + len(figures[1:]) * (height + 40)}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    )
    path.write_text(head + "".join(parts) + "</svg>")


def watched(directory: Path, duration_s: float, look: Callable[[float], Row]) -> list[Row]:
    """Look every few seconds, for so long; keep what is seen in a file too."""
    rows: list[Row] = []
    began_s = time.monotonic()
    while (since_s := time.monotonic() - began_s) < duration_s:
        time.sleep(LOOK_S)
        rows.append(look(since_s))
        with open(directory / "figures.csv", "a", newline="") as file:
            csv.writer(file).writerow(rows[-1])
    return rows


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


class Whole:
    """The whole of a capture, compressed: what was given back and kept in a copy, and the rest.

    Of each chunk, all or nothing is given back.
    """

    def __init__(self, capture: Path, directory: Path) -> None:
        self._capture = capture
        self._copy = directory / "copies" / str(capture.resolve()).replace("/", "!")
        self._packed = directory / "copies" / f"{self._copy.name}.lz4"
        self._compressor = frame.LZ4FrameCompressor(block_size=frame.BLOCKSIZE_MAX1MB)
        self._taken = 0
        self._packed.write_bytes(self._compressor.begin())

    def take_copied(self) -> None:
        """Take over what is in the copy by now, and give its blocks back, too."""
        copied = self._copy.stat().st_size if self._copy.exists() else 0
        start = self._taken
        self._take(copied - copied % CHUNK_BYTES)
        if self._taken > start:
            saved.punch_out(self._copy, start, self._taken)

    def finish(self, place: Path) -> None:
        """Take over the rest of the capture, which has ended, and put it all at ``place``."""
        self.take_copied()
        with open(self._capture, "rb") as capture:
            self._take(packed.written_size(capture))
        with open(self._packed, "ab") as packed_file:
            packed_file.write(self._compressor.flush())
        self._packed.replace(place)

    def _take(self, end: int) -> None:
        self._copy.touch()
        with (
            open(self._packed, "ab") as packed_file,
            open(self._copy, "rb") as copy,
            open(self._capture, "rb") as capture,
        ):
            while self._taken < end:
                copy.seek(self._taken)
                capture.seek(self._taken)
                size = min(CHUNK_BYTES, end - self._taken)
                kept, left = copy.read(size), capture.read(size)
                packed_file.write(self._compressor.compress(kept if kept.strip(b"\0") else left))
                self._taken += size


def whole_of(directory: Path, begun: Whole | None = None) -> Path:
    """Make a run of the whole captures, beside the run that was followed."""
    run, whole = directory / "run", directory / "whole"
    names = "capture*.bin", "capture*.state", "capture*.front", "report*", "again", "orders"
    shutil.copytree(run, whole, ignore=shutil.ignore_patterns(*names))
    for capture in run.rglob("capture*.bin"):
        with open(capture, "rb") as file:  # what was compressed at the end is whole
            is_whole = packed.is_packed(file)
        if is_whole:
            shutil.copy2(capture, whole / capture.relative_to(run))
        else:
            content = begun if begun and capture.parent == run else Whole(capture, directory)
            content.finish(whole / capture.relative_to(run))
    return whole


def soak(directory: Path, duration_s: float) -> tuple[list[Row], Whole]:
    run, environment = directory / "run", keeping(directory)
    whole = Whole(run / "capture.bin", directory)
    options = ["--quiet", "--deep", "--no-native", "--disk", f"{DISK_MB}M", "-o", str(run)]
    program = [str(PROGRAM), "1", str(duration_s * 10)]
    with subprocess.Popen(
        [sys.executable, "-m", "memdeep", "run", *options, *program],
        stdin=subprocess.PIPE,
        cwd=directory,
        env=environment,
    ) as process:

        def look(since_s: float) -> Row:
            whole.take_copied()
            return row(run, process, since_s)

        rows = watched(directory, duration_s, look)
        victim = program_of(process)
        assert victim is not None
        killed_s = time.time()
        victim.kill()
        process.wait()
        took_s = (run / "report.html").stat().st_mtime - killed_s
    plot(rows, directory / "figures.svg")
    print(f"the report was there {took_s:.2f} s after the program was killed", flush=True)
    assert saved.is_holed(run / "capture.bin")
    return rows, whole


def main() -> int:
    duration_s = float(os.environ.get("SOAK_S", "3600"))
    directory = Path(os.environ.get("SOAK_DIR", "") or tempfile.mkdtemp(prefix="soak-"))
    directory.mkdir(exist_ok=True)
    rows, whole = soak(directory, duration_s)
    written, disk, memory, behind = (max(one[place] for one in rows) for place in range(1, 5))
    print(
        f"{duration_s:.0f} s, {written / 1024:.1f} GB written: at most {disk:.0f} MB of the disk, "
        f"{memory:.0f} MB of memory, {behind:.1f} MB behind ({directory})",
        flush=True,
    )
    began_s = time.monotonic()
    alike = report_of(directory / "run") == report_of(whole_of(directory, whole))
    result = "is the same" if alike else "DIFFERS"
    took_s = time.monotonic() - began_s
    print(f"the report on the whole capture {result} (a replay of {took_s:.0f} s)")
    return 0 if alike else 1


if __name__ == "__main__":
    sys.exit(main())
