"""`python tests/support/fuzz_seeds.py DIR DIR`: captures to fuzz from, and states of their replay.

Some were recorded, some written.
"""

from __future__ import annotations

import subprocess
import sys
from array import array
from pathlib import Path

from captures import CaptureWriter

from memdeep.heap.replay.engine import is_built

MAX_BYTES = 60_000
PROGRAM = """
import threading
def rows(n): return [[x, str(x)] for x in range(n)]
kept = rows(50)
thread = threading.Thread(target=rows, args=(20,), name="worker")
thread.start(); thread.join()
"""


def main(directory: Path, states: Path) -> None:
    for number, options in enumerate(([], ["--native"], ["--trace-python-allocators"])):
        path = directory / f"real-{number}"
        program = directory.parent / "program.py"
        program.write_text(PROGRAM)
        command = [sys.executable, "-m", "memray", "run", "--quiet", "--force", "--no-compress"]
        subprocess.run([*command, *options, "--output", path, program], check=True)
        path.write_bytes(path.read_bytes()[:MAX_BYTES])
    for version in (12, 13):
        (directory / f"written-{version}").write_bytes(_every_record(version))
    if is_built():
        for capture in directory.iterdir():
            _save_states(capture.read_bytes(), states, capture.name)


def _every_record(version: int) -> bytes:
    writer = CaptureWriter(version=version, native=True)
    writer.modules(("/bin/python", 0x400000, [(0, 0x1000)]), ("/lib/a.so", 0x500000, [(0, 99)]))
    writer.native_frame(0x400123, 0)
    writer.native_frame(0x500010, 1)
    for turn in range(4):
        writer.push("main")
        writer.push("inner", is_entry=False)
        for number in range(30):
            writer.allocate(0x1000 * number + 0x1000, 100 * number, 6 + number % 3, native=2)
            writer.free(0x1000 * (number // 2) + 0x1000)
        writer.mmap(0x700000, 0x8000)
        writer.munmap(0x701000, 0x2000)
        writer.munmap(0x700000, 0x10000)
        writer.pop(2)
        writer.switch(turn + 1)
        writer.name_thread(f"thread {turn}")
        writer.memory(4096 * turn, turn)
        writer.marker(turn)
        writer.aligned_marker(4096, turn)
        writer.modules(("/bin/python", 0x400000, [(0, 0x1000)]), (f"/lib/{turn}.so", 0x500000, []))
        writer.modules((f"/lib/{turn}.so", 0x500000, [(0, 50)]))
    writer.trailer()
    return writer.content


def _save_states(content: bytes, states: Path, name: str) -> None:
    """Save the state of a replay of ``content`` at some places."""
    from memdeep.heap.replay._replay import Replay

    bounds = [
        column.tobytes() for column in (array("Q", [0, 1 << 21]), array("Q", [1 << 20, 1 << 50]))
    ]
    for part in range(1, 8):
        replay = Replay()
        replay.cut(1, 0)
        replay.cut(100, 1)
        replay.keep_at(1)
        replay.keep_at(4)
        for place in range(1, 4):
            replay.look(place, place % 2 == 0, *bounds, b"\x00\x01")
            replay.list_at(place, place % 2 == 1)
        replay.feed(content[: len(content) * part // 7 - part])
        with (states / f"{name}-{part}").open("wb") as file:
            replay.save(file.fileno())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
