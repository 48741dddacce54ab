"""`make soak-watch`: a day of a program with a thousand lines, followed and watched by the second.

A replay that is made up tells what is alive by 1,000 lines, in a new phase each minute. Each second
`live.json` is made, written, read and laid out for a terminal, as `memdeep watch` does. The memory
of this process must not grow after the first hours.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from array import array
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from memdeep.follow.lines import LiveLines
from memdeep.live import view
from memdeep.live.by_line import Choice, Order
from memdeep.live.progress import RunProgress
from memdeep.live.view import Lines
from memdeep.model import Identity
from memdeep.rundir import directory, journal, live
from memdeep.rundir.meta import Meta, encode_meta
from memdeep.rundir.samples import SAMPLES_TITLE, ProcessSample, encode_sample
from memdeep.text.language import language

DAY_S = int(os.environ.get("SOAK_SECONDS", 86_400))
LINES, NODES = 1000, 10_000
PHASE_S = 60
DRAWN_EVERY_S = 30  # a reader looks away now and then: to lay it out takes longest
EPOCH_MS = 1_700_000_000_000
MOST_MB = 40.0  # that may come after the first quarter
HIGH_MB = 300.0


SIZES = array("q", [10_000 + node * 7919 % 100_000 for node in range(NODES)])


class MadeUp:
    """A replay of a program of `LINES` lines, in `NODES` stacks; a segment begins each second."""

    def __init__(self) -> None:
        self.second = 0
        self._births = array("I", [node % 20 for node in range(NODES)])

    def header(self) -> dict[str, int]:
        return {"python_version": sys.hexversion, "start_ms": EPOCH_MS}

    def tree(self, nodes: int, frames: int) -> dict[str, object]:
        """The tree once; each line is a function of its own, called by the stacks of ten others."""
        if nodes:
            return _grown([], [], 0)
        parents = [0] + [1 + number % 50 if number > 50 else 0 for number in range(NODES - 1)]
        return _grown(parents, [0] + [1 + number % LINES for number in range(NODES - 1)], LINES)

    def sequences(self, first: int) -> bytes:
        known = range(first, self.second // PHASE_S + 1)
        return array("q", [number * 2 - 1 if number else -1 for number in known]).tobytes()

    def now(self) -> dict[str, Any]:
        time_ms, heap_bytes = EPOCH_MS + 1000 * self.second, sum(SIZES)
        return {
            "height_ms": array("q", [time_ms]).tobytes(),
            "height_heap": array("Q", [heap_bytes]).tobytes(),
            "height_peak": array("Q", [heap_bytes]).tobytes(),
            "heap_bytes": heap_bytes,
            "time_ms": time_ms,
            "rss": 0,
            "segments": self.second // PHASE_S + 1,
        }

    def alive(self) -> dict[str, bytes]:
        segment = self.second // PHASE_S
        born = [max(0, segment - ago) for ago in self._births]
        return {
            "node": array("I", range(NODES)).tobytes(),
            "born": array("I", born).tobytes(),
            "bytes": self._sizes().tobytes(),
            "count": array("q", [7] * NODES).tobytes(),
        }

    def _sizes(self) -> array[int]:
        """Sizes that all move from second to second."""
        at = 97 * self.second % NODES
        return SIZES[at:] + SIZES[:at]


def _grown(parents: list[int], frames: list[int], lines: int) -> dict[str, object]:
    table = b"\x80\x00"  # one entry: the first line, whatever the instruction
    return {
        "node_parent": array("I", parents).tobytes(),
        "node_frame": array("I", frames).tobytes(),
        "frame_code": array("I", range(lines + 1) if lines else []).tobytes(),
        "frame_offset": array("i", [0] * (lines + 1) if lines else []).tobytes(),
        "codes": [
            (number, f"function_{number}", f"/app/module_{number % 40}.py", number, table)
            for number in range(1, lines + 1)
        ],
    }


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="memdeep-soak-") as name:
        return soak(Path(name) / "run")


def soak(path: Path) -> int:
    """Live through the day; return 0 if memory and time stayed bounded."""
    run_dir = directory.create(path, force=False)
    run_dir.meta.write_bytes(encode_meta(_meta()))
    run_dir.samples.write_text(SAMPLES_TITLE)
    with open(run_dir.journal, "ab") as file:
        file.write(journal.encode_start(os.getpid(), (1 << 28, None), 0, EPOCH_MS * 1_000_000))
    process, engine, choice = psutil.Process(), MadeUp(), Choice(Order.MINUTE)
    took_s: list[float] = []
    resident: list[float] = []
    console = Console(file=io.StringIO(), width=80, height=30)
    with LiveLines(run_dir) as lines, RunProgress(run_dir) as progress:
        for second in range(DAY_S):
            engine.second = second
            _write(run_dir, second)
            began_s = time.process_time()
            # The replay is made up in this process: what it takes does not count.
            begun = array("q", engine.sequences(0))
            found = lines.update(engine, EPOCH_MS / 1000 + second, begun, 0)  # type: ignore[arg-type]
            live.write(run_dir.live, found)
            took_s.append(time.process_time() - began_s)
            assert len(found.lines) + found.others.lines == LINES + 1
            if second % DRAWN_EVERY_S == 0:
                progress.poll(1.0, lambda event: None)
                read = live.read(run_dir.live)
                assert read is not None
                choice.move(read, 1)
                shown = Lines(read, choice, read.epoch_s)
                state = view.running(progress, language("zh"))
                console.print(view.whole(progress, state, 30, language("zh"), shown))
                console.file.seek(0)  # type: ignore[attr-defined]
                console.file.truncate()
            if second % 3600 == 0 or second == DAY_S - 1:
                resident.append(process.memory_info().rss / 2**20)
                last = took_s[-3600:]
                print(
                    f"{second / 3600:5.1f} h  {resident[-1]:6.1f} MB  "
                    f"{1000 * sum(last) / len(last):5.1f} ms a second  "
                    f"{run_dir.live.stat().st_size / 1024:5.0f} KB",
                    flush=True,
                )
                took_s = last
    first = resident[len(resident) // 4]
    is_bounded = resident[-1] - first < MOST_MB and max(resident) < HIGH_MB
    print("bounded" if is_bounded else f"it grew from {first:.1f} to {resident[-1]:.1f} MB")
    return 0 if is_bounded else 1


def _write(run_dir: directory.RunDirectory, second: int) -> None:
    """Write what the program and its parent would have written in that second."""
    with open(run_dir.samples, "a", encoding="ascii") as file:
        size = (200 << 20) + (second % 1000) * 4096
        file.write(encode_sample(ProcessSample(1000 * second, os.getpid(), size)))
    if second % PHASE_S == 0:
        span, number = second // PHASE_S + 1, second // PHASE_S
        events = [(journal.BEGIN, 2 * number + 1, span)]
        if number:
            events.insert(0, (journal.END, 2 * number, span - 1))
        with open(run_dir.journal, "ab") as file:
            for kind, sequence, of in events:
                label = f"day {of % 5000}"
                resident = (1 << 28, None)
                file.write(
                    journal.encode_event(
                        kind, sequence, 1_000_000 * second, resident, label, None, "MainThread", of
                    )
                )


def _meta() -> Meta:
    return Meta(
        command=("job.py",),
        name="job",
        backend="memray",
        native=False,
        python_allocators=True,
        focus=(),
        python="3.11.7",
        memray=None,
        started="2023-11-14T22:13:20+00:00",
        spawned_ns=0,
        interval_ms=50,
        stdlib_paths=(),
        library_paths=(),
        limit_bytes=1 << 30,
        identity=Identity(),
    )


if __name__ == "__main__":
    sys.exit(main())
