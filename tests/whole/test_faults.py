"""Whatever goes wrong with recording, the program does not notice; memdeep says once what is lost.

Every fault here is a real one: full disks are small file systems, limits are the kernel's.
"""

from __future__ import annotations

import html
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running import (
    TIMEOUT_S,
    Completed,
    Outcome,
    RunMemdeep,
    environment,
    memdeep_command,
    outcome,
    read_json,
)

from memdeep.errors import EXIT_NOT_STARTED
from memdeep.heap import packed

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do that")
BEFORE_3_12 = sys.version_info < (3, 12)
Json = dict[str, Any]


@pytest.fixture
def both(work: Path) -> Callable[..., tuple[Outcome, Outcome, Json]]:
    """Runs `misbehaves.py WHAT` plainly and under memdeep; the third is report.json."""

    def run(what: str, *options: str, **given: Any) -> tuple[Outcome, Outcome, Json]:
        run_dir = work.parent / "run"
        words = ["misbehaves.py", what]
        plain = outcome([sys.executable, *words], work, **given)
        ours = memdeep_command("run", "--no-report", "-o", run_dir, "--no-native", *options, *words)
        recorded = outcome(ours, work, **given)
        lines = recorded.stderr.splitlines(keepends=True)
        assert b"Traceback" not in recorded.stderr.replace(plain.stderr, b"")
        said = b"".join(line for line in lines if not line.startswith(b"Recorded: "))
        recorded = Outcome(recorded.stdout, said, recorded.status)
        made = outcome(memdeep_command("report", "--quiet", run_dir), work)
        assert made.status == 0, made.stderr
        return plain, recorded, read_json(run_dir / "report.json")

    return run


Both = Callable[..., tuple[Outcome, Outcome, Json]]


def labels(report: Json) -> list[str]:
    """The labels of the program's own checkpoints."""
    return [point["label"] for point in report["checkpoints"] if point["process"] == 0]


def growth(report: Json) -> dict[str, int]:
    """The growth of the heap in the program's own phases, by their names."""
    own = [phase for phase in report["phases"] if phase["process"] == 0]
    return {phase["name"]: phase["heap_delta_bytes"] for phase in own}


def page(work: Path) -> str:
    return (work.parent / "run/report.html").read_text("utf-8")


# What a program may do to itself


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("mocks_functions", ["mocked"]),
        ("sets_hooks", ["in a thread"]),
        ("freezes", ["frozen", "collecting often"]),
        ("changes_locale", ["prüfen 检查"]),
        ("replaces_streams", ["silent"]),
        ("uses_up_descriptors", ["without descriptors", "with descriptors"]),
        ("changes_directory", ["elsewhere", "nowhere"]),
        ("forks_in_a_thread", ["after the fork"]),
        ("looks_around", ["before", "unknown thread"]),
    ],
)
def test_nothing_is_noticed_and_nothing_is_lost(both: Both, what: str, expected: list[str]) -> None:
    plain, recorded, report = both(what)
    assert recorded == plain
    found = labels(report)
    for name in expected:
        assert {f"{name} begins", f"{name} ends"} <= set(found)
    assert "in the child begins" not in found
    grown = growth(report)
    for name in expected:
        assert grown[name] == pytest.approx(300_000, abs=20_000)
    times = [point["time_s"] for point in report["checkpoints"] if not point["process"]]
    assert times == sorted(times)
    assert times[-1] < TIMEOUT_S


@AS_ROOT
def test_dropped_privileges_lose_nothing(both: Both) -> None:
    plain, recorded, report = both("drops_privileges")
    assert recorded == plain
    assert "still nobody ends" in labels(report)


@AS_ROOT
def test_trace_that_may_not_be_written_any_more_is_said(both: Both, work: Path) -> None:
    """The first phase under suspicion begins when the program may not write there any more."""
    plain, recorded, report = both("drops_privileges", "--focus", "still nobody")
    assert (recorded.stdout, recorded.status) == (plain.stdout, plain.status)
    (line,) = recorded.stderr.decode().splitlines()
    assert line.startswith("memdeep: allocations are not traced: ")
    assert "ermission denied" in line
    assert "still nobody ends" in labels(report)
    assert "allocations are not traced" in page(work)


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("profiles", "the program has set a profile function in the place of memray's"),
        ("profiles_threads", "the program has set a profile function in the place of memray's"),
        ("uses_memray", "the program has started a tracker of memray itself"),
    ],
)
def test_what_is_not_recorded_is_said_once_and_shown(
    both: Both, work: Path, what: str, sentence: str
) -> None:
    plain, recorded, report = both(what)
    assert (recorded.stdout, recorded.status) == (plain.stdout, plain.status)
    (line,) = recorded.stderr.decode().splitlines()
    assert sentence in line
    assert len([said for said in report["problems"] if sentence in said]) == 1
    assert sentence in html.unescape(page(work))
    assert labels(report)[-1] == "(end)"


def test_tracker_of_the_programs_own_leaves_what_was_traced_before(both: Both) -> None:
    _, _, report = both("uses_memray")
    assert "(tracing stopped)" in labels(report)
    first, *others = report["phases"]
    assert first["name"] == "(start) → (tracing stopped)"
    assert first["heap_delta_bytes"] is not None
    assert {phase["heap_delta_bytes"] for phase in others} == {None}


def test_program_that_closes_every_descriptor(both: Both, work: Path) -> None:
    plain, recorded, report = both("closes_all")
    assert b"Bad file descriptor" in plain.stderr
    assert recorded == plain
    assert report["problems"] == []
    grown = growth(report)
    for name in ("closed", "again"):
        assert grown[name] == pytest.approx(300_000, abs=20_000)
    with open(work.parent / "run/capture.bin", "rb") as file:
        assert sum(map(len, packed.pieces(file))) > 16 << 20


def test_removed_run_directory(work: Path) -> None:
    plain = outcome([sys.executable, "misbehaves.py", "removes_run_directory"], work)
    words = ("run", "-o", work.parent / "run", "misbehaves.py", "removes_run_directory")
    recorded = outcome(memdeep_command(*words), work)
    assert (recorded.stdout, recorded.status) == (plain.stdout, plain.status)
    said = recorded.stderr.decode()
    assert "Traceback" not in said
    assert said.count("memdeep: tracing has stopped: the run directory was removed") == 1
    assert not (work.parent / "run").exists()


# A tracker that does not start


def broken_memray(directory: Path) -> Path:
    """A memray whose compiled part lacks a symbol that ours needs."""
    package = directory / "memray"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("class FileDestination: ...\nclass Tracker: ...\n")
    (package / "_memray.py").write_text("def set_log_level(level): ...\n")
    return directory


def busy_memray(directory: Path) -> Path:
    """A Python that has a tracker running before any program starts."""
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(
        "import sys\n"
        "if any(word.endswith('bootstrap.py') for word in sys.orig_argv):\n"
        "    import memray\n"
        f"    tracker = memray.Tracker({str(directory / 'other.bin')!r})\n"
        "    tracker.__enter__()\n"
    )
    return directory


@pytest.mark.parametrize(
    ("make", "reason"),
    [(broken_memray, "cannot import name"), (busy_memray, "No more than one Tracker")],
)
def test_tracker_that_does_not_start(
    work: Path, run_memdeep: RunMemdeep, make: Callable[[Path], Path], reason: str
) -> None:
    env = environment(PYTHONPATH=str(make(work.parent / "site")))
    words = ("run", "--no-report", "-o", work.parent / "run", "grows.py")
    done = run_memdeep(*words, cwd=work, env=env)
    assert (done.returncode, done.stdout) == (0, b"8000000\n")
    said = done.stderr.decode().splitlines()
    # What the other tracker warns of is its own affair.
    first, second = (line for line in said if not line.startswith("Memray WARNING"))
    assert first.startswith("memdeep: allocations are not traced: ")
    assert reason in first
    assert second.startswith("Recorded: ")
    assert run_memdeep("report", "--quiet", work.parent / "run").returncode == 0
    report = read_json(work.parent / "run/report.json")
    assert report["peak_heap_bytes"] is None
    assert labels(report)[-2:] == ["finished", "(end)"]
    assert "allocations are not traced" in page(work)


def with_few_descriptors(work: Path, limit: int) -> Outcome:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    words = memdeep_command("run", "--no-report", "-o", work.parent / "run", "grows.py")
    recorded = outcome(words, work, preexec_fn=few)
    assert b"Traceback" not in recorded.stderr
    return recorded


@pytest.mark.parametrize("limit", [13, 20, 40])
def test_few_descriptors_from_the_start(work: Path, limit: int) -> None:
    """Whether or not it is enough for recording, the program gets what it would have got."""
    plain = outcome([sys.executable, "grows.py"], work)
    recorded = with_few_descriptors(work, limit)
    assert (recorded.stdout, recorded.status) == (plain.stdout, 0), recorded.stderr


@pytest.mark.parametrize("limit", [7, 8, 9])
def test_too_few_descriptors_for_memdeep_itself(work: Path, limit: int) -> None:
    recorded = with_few_descriptors(work, limit)
    assert (recorded.stdout, recorded.status) == (b"", EXIT_NOT_STARTED)
    first, hint = recorded.stderr.decode().splitlines()
    assert first == "memdeep: The program was not started: Too many open files."
    assert "ulimit" in hint


# Disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a file system of so many bytes; gives its directory."""
    mounted = []

    def mount(size_bytes: int) -> Path:
        directory = tmp_path / "disk"
        directory.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(directory)]
        if shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
            pytest.skip("no file system may be mounted here")
        mounted.append(directory)
        return directory

    yield mount
    for directory in mounted:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


ALLOCATES = """\
import sys, time
from memdeep import checkpoint
def deep(n):
    return deep(n - 1) if n else [bytearray(600 + size) for size in range(count)]
count = int(sys.argv[3])
kept = []
for number in range(int(sys.argv[1])):
    checkpoint(f"round {number}")
    kept.append(deep(number % 50))
    kept.append(bytearray(1_000_000))
    time.sleep(float(sys.argv[2]))
print("done", len(kept))
"""


@pytest.fixture
def allocating(tmp_path: Path) -> Path:
    path = tmp_path / "allocates.py"
    path.write_text(ALLOCATES)
    return path


BLOCKS = 4000


def record(
    program: Path,
    run_dir: Path,
    *options: str,
    rounds: int,
    pause_s: float = 0.05,
    blocks: int = BLOCKS,
) -> Completed:
    words = ("run", "--no-report", "-o", run_dir, *options, program, rounds, pause_s, blocks)
    return subprocess.run(
        memdeep_command(*words),
        env=environment(),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
        cwd=program.parent,
    )


def reported(run_dir: Path, into: Path) -> Json:
    done = subprocess.run(
        memdeep_command("report", "--quiet", "-o", into, run_dir),
        env=environment(),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return read_json(into / "report.json")


def assert_stopped_exactly(report: Json, rounds: int) -> None:
    """Known and exact up to where tracing stopped, unknown from there on; all checkpoints there."""
    found = labels(report)
    assert [label for label in found if label.startswith("round ")] == [
        f"round {number}" for number in range(rounds)
    ]
    stop = found.index("(tracing stopped)")
    heap = [point["heap_bytes"] for point in report["checkpoints"]]
    assert None not in heap[: stop + 1]
    assert set(heap[stop + 1 :]) == {None}
    assert None not in [point["rss_bytes"] for point in report["checkpoints"]]
    deltas = [after - before for before, after in zip(heap[1:stop], heap[2:stop], strict=False)]
    size = sum(601 + number for number in range(BLOCKS)) + 1_000_001
    for delta in deltas:
        # Small objects come in arenas of 1 MB.
        assert delta == pytest.approx(size, abs=1_200_000)


def test_largest_capture_ends_the_trace_not_the_program(allocating: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    done = record(allocating, run_dir, "--max-capture", "1M", rounds=60)
    assert (done.returncode, done.stdout) == (0, b"done 120\n")
    said = [line for line in done.stderr.decode().splitlines() if "tracing has stopped" in line]
    assert len(said) == 1
    assert "--max-capture is 1.0 MB" in said[0]
    report = reported(run_dir, tmp_path / "out")
    assert_stopped_exactly(report, 60)
    assert "--max-capture is 1.0 MB" in (tmp_path / "out/report.html").read_text("utf-8")
    assert (run_dir / "capture.bin").stat().st_size < 3 << 20


def test_floor_of_free_space_ends_the_trace_not_the_program(
    allocating: Path, small_disk: Callable[[int], Path], tmp_path: Path
) -> None:
    run_dir = small_disk(3 << 20) / "run"
    done = record(allocating, run_dir, "--keep-free", "2M", rounds=60)
    assert (done.returncode, done.stdout) == (0, b"done 120\n")
    said = [line for line in done.stderr.decode().splitlines() if "tracing has stopped" in line]
    assert len(said) == 1
    assert "--keep-free is 2.0 MB" in said[0]
    assert_stopped_exactly(reported(run_dir, tmp_path / "out"), 60)


def test_disk_that_is_too_full_from_the_start(
    allocating: Path, small_disk: Callable[[int], Path], tmp_path: Path
) -> None:
    run_dir = small_disk(3 << 20) / "run"
    done = record(allocating, run_dir, rounds=5, pause_s=0)
    assert (done.returncode, done.stdout) == (0, b"done 10\n")
    assert done.stderr.decode().count("--keep-free is 1.00 GB") == 1
    report = reported(run_dir, tmp_path / "out")
    assert report["peak_heap_bytes"] is None
    assert "round 4" in labels(report)
    assert not list(run_dir.glob("capture*"))


def test_run_directory_on_a_read_only_file_system(
    allocating: Path, small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(1 << 20)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    done = record(allocating, disk / "run", rounds=1)
    assert (done.returncode, done.stdout) == (EXIT_NOT_STARTED, b"")
    first, hint = done.stderr.decode().splitlines()
    assert first.startswith("memdeep: Cannot write ")
    assert "ead-only file system" in first
    assert hint


def test_early_warning(allocating: Path, tmp_path: Path) -> None:
    done = record(allocating, tmp_path / "run", "--max-capture", "8M", rounds=60, pause_s=0.1)
    lines = done.stderr.decode().splitlines()
    warnings = [line for line in lines if "it reaches --max-capture" in line]
    assert len(warnings) == 1
    assert warnings[0].startswith("memdeep: the capture grows by ")


FILLS = """\
import os, sys
from memdeep import checkpoint
kept = []
def rounds(name):
    for number in range(100):
        checkpoint(f"{name} {number}")
        kept.append([bytearray(600 + size) for size in range(200)])
rounds("before")
with open(sys.argv[1], "wb", buffering=0) as file:
    try:
        while file.write(bytes(4096)) == 4096:
            pass
    except OSError as error:
        print(error.strerror)
rounds("full")
os.unlink(sys.argv[1])
rounds("after")
print("done", len(kept))
"""


def test_disk_that_somebody_else_fills(
    small_disk: Callable[[int], Path], tmp_path: Path, run_memdeep: RunMemdeep
) -> None:
    """Not a byte is left; later there is room again. What was written in between is lost."""
    disk = small_disk(2 << 20)
    (tmp_path / "fills.py").write_text(FILLS)
    words = ("--keep-free", "1M", "fills.py", disk / "file")
    done = run_memdeep("run", "--no-report", "-o", disk / "run", *words)
    assert done.returncode == 0
    assert done.stdout == b"No space left on device\ndone 300\n"
    said = done.stderr.decode()
    assert "Traceback" not in said
    assert said.count("a checkpoint could not be recorded") == 1
    report = reported(disk / "run", tmp_path / "out")
    found = labels(report)
    assert [label for label in found if label.startswith("before")] == [
        f"before {number}" for number in range(100)
    ]
    assert "after 99" in found
    text = (tmp_path / "out/report.html").read_text("utf-8")
    assert "checkpoints could not be recorded" in text


def test_capture_that_cannot_grow_is_known_up_to_there(allocating: Path, tmp_path: Path) -> None:
    """A limit that memdeep does not see coming: memray gives up by itself."""
    run_dir = tmp_path / "run"
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\n"
    program = tmp_path / "limited.py"
    program.write_text(code + ALLOCATES)
    done = record(program, run_dir, rounds=40, pause_s=0.01)
    assert (done.returncode, done.stdout) == (0, b"done 80\n")
    report = reported(run_dir, tmp_path / "out")
    heap = [point["heap_bytes"] for point in report["checkpoints"]]
    known = heap.index(None)
    assert 3 < known < 40
    assert set(heap[known:]) == {None}
    assert labels(report)[-2] == "round 39"
    text = (tmp_path / "out/report.html").read_text("utf-8")
    sentence = "capture.bin ends before the program did"
    assert len([said for said in report["problems"] if sentence in said]) == 1
    assert sentence in text


def test_order_to_stop_reaches_a_program_without_checkpoints(tmp_path: Path) -> None:
    program = tmp_path / "silent.py"
    program.write_text(ALLOCATES.replace("    checkpoint(f", "    str(f"))
    done = record(program, tmp_path / "run", "--max-capture", "1M", rounds=60)
    assert (done.returncode, done.stdout) == (0, b"done 120\n")
    report = reported(tmp_path / "run", tmp_path / "out")
    assert labels(report) == ["(start)", "(tracing stopped)", "(end)"]
    assert report["phases"][0]["heap_delta_bytes"] > 1 << 20
    assert report["phases"][1]["heap_delta_bytes"] is None


@pytest.mark.parametrize("backend", ["tracemalloc", "rss"])
def test_other_backends_have_the_same_limits(
    allocating: Path, tmp_path: Path, backend: str
) -> None:
    options = ("--backend", backend, "--max-capture", "1M")
    done = record(allocating, tmp_path / "run", *options, rounds=100, blocks=50)
    assert (done.returncode, done.stdout) == (0, b"done 200\n")
    report = reported(tmp_path / "run", tmp_path / "out")
    assert len([label for label in labels(report) if label.startswith("round")]) == 100


def test_parent_that_dies_gives_no_order(allocating: Path, tmp_path: Path) -> None:
    """The pipe ends then; that must not be taken for an order to stop."""
    run_dir = tmp_path / "run"
    words = memdeep_command("run", "--no-report", "-o", run_dir, allocating, 30, 0.05, 10)
    parent = subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE)
    journal = run_dir / "journal.jsonl"
    give_up_s = time.monotonic() + TIMEOUT_S
    while not (journal.exists() and b"round 3" in journal.read_bytes()):
        assert time.monotonic() < give_up_s
        time.sleep(0.01)
    parent.kill()
    assert parent.stdout is not None
    assert parent.stdout.read() == b"done 60\n"
    parent.wait()
    content = journal.read_text("utf-8")
    assert '"k":"U"' not in content
    assert '"k":"X"' in content
