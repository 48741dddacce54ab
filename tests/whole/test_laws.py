"""Laws that the figures of every recording obey, held against memray's own totals."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from memray import FileReader
from running import PROGRAMS, environment, read_json
from sealing import unseal

from memdeep import pipeline
from memdeep.heap.markers import FIRST_FLAG, is_flagged
from memdeep.heap.memray.reader import ALL_RECORDS
from memdeep.model import Report
from memdeep.rundir.directory import RunDirectory

CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
MODES = {"native": [], "plain": ["--no-native"], "deep": ["--no-native", "--deep"]}


def record(directory: Path, program: str, *options: str) -> Path:
    """Run one of the test programs; returns the run directory."""
    run_dir = directory / "run"
    command = [sys.executable, "-m", "memdeep", "run", "--quiet", "-o", str(run_dir), *options]
    done = subprocess.run([*command, str(PROGRAMS / program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return run_dir


def analysed(run_dir: Path) -> Report:
    return pipeline.analyse(pipeline.load(run_dir, lambda _: None), lambda _: None)


@dataclass(frozen=True)
class Recorded:
    run_dir: Path
    report: Report


@pytest.fixture(scope="module", params=list(MODES))
def threaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A run with threads allocating during every checkpoint, in each mode of recording."""
    directory = tmp_path_factory.mktemp(request.param)
    run_dir = record(directory, "threads_allocate.py", *MODES[request.param])
    return Recorded(run_dir, analysed(run_dir))


def test_heap_at_each_checkpoint_is_what_memray_counted_there(threaded: Recorded) -> None:
    report = threaded.report
    with FileReader(threaded.run_dir / "capture.bin", max_memory_records=ALL_RECORDS) as reader:
        snapshots = list(reader.get_memory_snapshots())
    counted = [s.heap for s in snapshots if is_flagged(s.rss, FIRST_FLAG)]
    own = list(report.heap.at_checkpoints[1:-1])
    assert len(own) == 30 * 5 + 1
    assert own[: len(counted)] == counted
    assert len(own) - len(counted) <= 1


def test_growth_over_stacks_is_the_heap_difference_to_the_byte(threaded: Recorded) -> None:
    report = threaded.report
    heap = report.heap.at_checkpoints
    assert any(phase.heap_delta_bytes for phase in report.phases)
    for phase in report.phases:
        ends = [(s.start, s.end) for s in phase.outline.stretches]
        difference = sum(heap[end] - heap[start] for start, end in ends)
        assert phase.heap.retained_bytes - phase.heap.freed_bytes == difference
        assert phase.heap_delta_bytes == difference


def test_the_peak_of_the_run_is_memrays_own(threaded: Recorded) -> None:
    report = threaded.report
    with FileReader(threaded.run_dir / "capture.bin") as reader:
        assert report.heap.peak_bytes == reader.metadata.peak_memory
    assert max(phase.peak.bytes for phase in report.phases) <= report.heap.peak_bytes


def test_stacks_at_a_peak_add_up_to_its_height_within_the_known_fault(threaded: Recorded) -> None:
    for phase in threaded.report.phases:
        assert phase.peak.stacks is not None
        total = sum(stack.bytes for stack in phase.peak.stacks)
        assert total == pytest.approx(phase.peak.bytes, rel=0.02)


def test_heap_at_the_end_is_what_memray_calls_leaked(threaded: Recorded) -> None:
    report = threaded.report
    with FileReader(threaded.run_dir / "capture.bin") as reader:
        leaked = sum(r.size for r in reader.get_leaked_allocation_records(merge_threads=True))
    assert report.heap.at_checkpoints[-1] == leaked


def test_memdeep_itself_is_in_no_stack_and_no_culprit(
    threaded: Recorded,
) -> None:
    report = read_json(threaded.run_dir / "report.json")
    assert report["frames"]
    assert not any("memdeep/record" in (frame["filename"] or "") for frame in report["frames"])


def test_known_bytes_are_found_exactly_on_their_lines(tmp_path: Path) -> None:
    report = analysed(record(tmp_path, "known_bytes.py"))
    phases = {phase.name: phase for phase in report.phases}
    keep, peak, free = phases["keep"], phases["peak"], phases["free"]
    assert keep.heap.culprits[0].bytes == 10 * 300_000
    assert keep.heap.culprits[0].allocations == 10
    assert keep.heap.culprits[0].frame.lineno == 8
    # Of what was held when the phase began, the recording may free a little: 16 bytes were seen.
    still_held = peak.heap.start_bytes - peak.heap.freed_bytes
    assert peak.peak.bytes - still_held >= 25 * 300_000
    assert peak.heap.peak_culprits[0].bytes == 25 * 300_000
    assert peak.heap.peak_culprits[0].frame.lineno == 10
    assert free.heap.freed_culprits[0].bytes == 4 * 300_000
    assert free.heap.freed_culprits[0].frame.lineno == 8


def test_loading_a_run_twice_gives_the_same_report(tmp_path: Path) -> None:
    run_dir = record(tmp_path, "known_bytes.py", "--no-native")
    assert analysed(run_dir) == analysed(run_dir)


def test_an_interrupted_seal_needs_nobody_to_finish_it(tmp_path: Path) -> None:
    run_dir = record(tmp_path, "known_bytes.py", "--no-native", "--no-report")
    capture, places = run_dir / "capture.bin", (run_dir / "markers").read_bytes()
    sealed = capture.read_bytes()
    before = analysed(run_dir)
    unseal(run_dir)
    original = capture.read_bytes()
    assert analysed(run_dir) == before
    # As if it had been stopped within a marker: those before are replaced, those after are not.
    listed = places.decode().splitlines()
    half = int(listed[len(listed) // 2].split("\t")[0]) + 10
    torn = sealed[:half] + original[half:]
    assert torn not in (sealed, original)
    capture.write_bytes(torn)
    (run_dir / "markers").write_bytes(places)
    assert analysed(run_dir) == before
    assert capture.read_bytes() == torn
    pipeline.seal(RunDirectory(run_dir), lambda _: None)
    assert capture.read_bytes() == sealed
    assert analysed(run_dir) == before


@pytest.fixture(scope="module", params=[(), ("--no-report",), ("--no-native", "--no-report")])
def sealed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = record(tmp_path_factory.mktemp("sealed"), "known_bytes.py", *request.param)
    return run_dir / "capture.bin"


@pytest.mark.parametrize(
    "words",
    [["flamegraph", "-f", "-o", "out.html"], ["flamegraph", "--temporal", "-f", "-o", "t.html"]]
    + [["stats"], ["table", "-f", "-o", "table.html"]],
    ids=" ".join,
)
def test_memray_reads_the_sealed_capture(
    sealed: Path, words: Sequence[str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "memray", words[0], *words[1:], str(sealed)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shown = done.stdout + "".join(path.read_text() for path in tmp_path.glob("*.html"))
    assert "known_bytes" in shown


# The first lines of the tree that memray makes of Python frames alone name no program.
@pytest.mark.parametrize("sealed", [(), ("--no-report",)], indirect=True)
def test_memray_tree_opens_the_sealed_capture(sealed: Path) -> None:
    """`memray tree` is a program for a terminal: give it one, and press q."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 240, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "memray", "tree", str(sealed)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment(),
        start_new_session=True,
    )
    os.close(terminal)
    written = b""
    shown = ""
    while "known_bytes" not in shown and select.select([controller], [], [], 20)[0]:
        written += os.read(controller, 65536)  # it may end within a sequence
        shown = CONTROL_SEQUENCE.sub("", written.decode("utf-8", "replace"))
    os.write(controller, b"q")
    try:
        while os.read(controller, 65536):
            pass
    except OSError:
        pass  # the terminal is closed with the process
    assert process.wait(30) == 0
    assert "known_bytes" in shown
