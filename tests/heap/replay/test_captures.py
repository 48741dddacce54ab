"""The replay against memray's reader on captures of real programs."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import captures
import pytest
from memray import FileReader
from memray._memray import compute_statistics
from memray._stats import Stats
from running import PROGRAMS, ROOT, memdeep_command
from sealing import unseal

from memdeep.analysis.outline import outline
from memdeep.heap.markers import MarkerFigures, align, find
from memdeep.heap.memray.native_names import MemrayNativeFrames
from memdeep.heap.memray.reader import MemrayReader
from memdeep.heap.origins import Origins
from memdeep.heap.parts import HeapPart, Part
from memdeep.heap.replay.engine import replay
from memdeep.heap.replay.nodes import site_nodes
from memdeep.heap.replay.reader import ReplayReader
from memdeep.heap.replay.trace import Cut, Trace
from memdeep.heap.stacks import StackTreeBuilder
from memdeep.loading.run import load_run
from memdeep.loading.seal import seal
from memdeep.model import Asked, Origin, StackTree
from memdeep.rundir.directory import RunDirectory

pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")

FORMS = PROGRAMS / "engine_forms.py"
ALL = 2**31 - 1
NATIVE, ALLOCATORS = "--native", "--trace-python-allocators"


def pythons() -> list[Path]:
    """The Pythons whose environment has memray: this one, `make test-pythons`', and named ones."""
    others = [*ROOT.glob(".venv-*/bin/python")]
    others += [Path(path) for path in os.environ.get("MEMDEEP_TEST_PYTHONS", "").split(":") if path]
    return [Path(sys.executable), *sorted(set(others))]


def record(python: Path, capture: Path, *words: str) -> Path:
    """Record a program with plain memray; skips if that Python has none."""
    if subprocess.run([python, "-c", "import memray"], capture_output=True).returncode:
        pytest.skip(f"{python} has no memray")
    command = [python, "-m", "memray", "run", "--quiet", "--force", "--output", capture, *words]
    subprocess.run(command, capture_output=True)
    return capture


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The part of the program that must be compiled; without a compiler there is nothing to do."""
    library = tmp_path_factory.mktemp("compiled") / "engine_forms.so"
    compiler = os.environ.get("CC", "cc")
    if shutil.which(compiler) is None:
        pytest.skip("there is no C compiler")
    source = FORMS.with_suffix(".c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O0", "-o", library, source], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINE_FORMS", str(library))
        # Some builds of libffi, which it brings, map pages over others: memray counts them twice.
        (library.parent / "sitecustomize.py").write_text("import ctypes")
        patch.setenv("PYTHONPATH", str(library.parent))
        yield


def quiet(step: str) -> None:
    pass


Stacks = dict[object, int]


def sites(trace: Trace, rows: Iterator[tuple[int, int]]) -> Stacks:
    """Bytes by thread, Python stack and native stack, where there are any."""
    found: Counter[object] = Counter()
    for site, size in rows:
        table = trace.sites
        stack = tuple(frame.raw for frame in trace.python_stack(table.node[site]))
        thread = trace.threads[table.thread[site]][0]
        if thread == trace.header.main_thread:  # memray leaves out what starts the program
            stack = stack[: max(0, len(stack) - trace.header.skipped_frames)]
        found[thread, stack, table.native[site]] += size
    return {key: size for key, size in found.items() if size}


def memrays(records: Iterator[object]) -> Stacks:
    found: Counter[object] = Counter()
    for one in records:
        key = one.tid, tuple(one.stack_trace()), one.native_stack_id  # type: ignore[attr-defined]
        found[key] += one.size  # type: ignore[attr-defined]
    return {key: size for key, size in found.items() if size}


def assert_same(capture: Path) -> Trace:
    """All that memray can tell of a capture, the replay tells the same."""
    trace = replay(capture, quiet)
    with FileReader(capture, max_memory_records=ALL) as reader:
        head = reader.metadata
        assert trace.header.command_line == head.command_line
        assert trace.header.pid == head.pid
        assert trace.header.native == head.has_native_traces
        assert trace.header.python_allocators == head.trace_python_allocators
        assert trace.totals.peak_bytes == head.peak_memory
        assert sum(trace.totals.calls) == head.total_allocations
        windows = trace.windows
        rows = zip(windows.cut, windows.time_ms, windows.rss, windows.heap, strict=True)
        assert [row[1:] for row in rows if row[0] not in (Cut.THREAD_MARKER, Cut.END)] == [
            tuple(row) for row in reader.get_memory_snapshots()
        ]
        alive = (
            (life.node, life.bytes) for life in captures.lifetimes(trace)[0] if life.died is None
        )
        assert sites(trace, alive) == memrays(reader.get_leaked_allocation_records(False))
        last = max(w for w, peak in enumerate(windows.peak) if peak == head.peak_memory)
        at_peak = ((row[1], row[2]) for row in captures.at_peaks(trace, [windows.segment[last]]))
        assert sites(trace, at_peak) == memrays(reader.get_high_watermark_allocation_records(False))
    return trace


@pytest.mark.parametrize("python", pythons(), ids=lambda python: python.parts[-3])
@pytest.mark.parametrize(
    "options",
    [
        (),
        (NATIVE,),
        (ALLOCATORS,),
        (NATIVE, ALLOCATORS, "--no-compress"),
    ],
    ids=lambda options: " ".join(options) or "plain",
)
def test_plain_captures(tmp_path: Path, python: Path, options: tuple[str, ...]) -> None:
    trace = assert_same(record(python, tmp_path / "capture.bin", *options, str(FORMS)))
    calls = trace.totals.calls
    assert all(calls[allocator] for allocator in (5, 6, 7, 8, 10, 11, 12, 14, 15)), calls
    assert not trace.totals.truncated
    assert not trace.totals.unseen_frees


@pytest.mark.parametrize("words", [("fork",), ("kill",), ("fork", "kill")], ids=" ".join)
def test_captures_of_programs_that_fork_or_are_killed(tmp_path: Path, words: tuple[str]) -> None:
    fork = ["--follow-fork"] if "fork" in words else []
    record(Path(sys.executable), tmp_path / "capture.bin", *fork, str(FORMS), *words)
    captures = sorted(tmp_path.glob("capture.bin*"))
    assert len(captures) == 1 + len(fork)
    for capture in captures:
        trace = assert_same(capture)
        is_child = capture.suffix != ".bin"  # os._exit() leaves its capture without an end
        assert trace.totals.truncated == ("kill" in words or is_child)


def test_captures_cut_anywhere(tmp_path: Path) -> None:
    capture = tmp_path / "capture.bin"
    record(Path(sys.executable), capture, "--no-compress", NATIVE, str(FORMS))
    content = capture.read_bytes()
    cut = tmp_path / "cut.bin"
    for part in range(1, 24):
        size = len(content) * part // 24 + part
        for zeros in (0, 4096):  # what memray had made room for is zero
            cut.write_bytes(content[:size] + bytes(zeros))
            assert_same(cut)


def test_a_compressed_capture_that_is_cut_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    capture = tmp_path / "capture.bin"
    record(Path(sys.executable), capture, ALLOCATORS, str(FORMS))
    whole = assert_same(capture).totals
    content = capture.read_bytes()
    capture.write_bytes(content[: len(content) * 2 // 3])
    part = replay(capture, quiet).totals
    assert part.truncated
    assert 0 < part.records < whole.records


def test_statistics(tmp_path: Path) -> None:
    capture = record(Path(sys.executable), tmp_path / "capture.bin", ALLOCATORS, str(FORMS))
    trace = replay(capture, quiet)
    stats: Stats = compute_statistics(str(capture), num_largest=10**6)
    calls = Counter(
        {number: n for number, n in enumerate(trace.totals.calls) if n and number not in (1, 5, 15)}
    )
    assert sum(calls.values()) == stats.total_num_allocations
    assert sorted(calls.values()) == sorted(stats.allocation_count_by_allocator.values())
    assert trace.totals.allocated_bytes == stats.total_memory_allocated
    assert trace.totals.peak_bytes == stats.peak_memory_allocated
    assert sum(stats.allocation_count_by_size.values()) == sum(calls.values())
    by_line: Counter[object] = Counter()
    for lifetimes in captures.lifetimes(trace):
        for life in lifetimes:
            stack = trace.python_stack(trace.sites.node[life.node])
            by_line[stack[0].raw if stack else None] += life.bytes
    by_line["<unknown>", "<unknown>", 0] = by_line.pop(None)
    assert {line: size for line, size in by_line.items() if size} == {
        line: size for line, size in stats.top_locations_by_size if size
    }


# -------------------------------------------------------------------- recorded by memdeep


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunDirectory]:
    def run(*words: str) -> RunDirectory:
        directory = tmp_path_factory.mktemp("recorded") / "run"
        command = memdeep_command("run", "--quiet", "--no-report", "-o", str(directory), *words)
        subprocess.run(command, capture_output=True)
        return RunDirectory(directory)

    return run


def merged(part: HeapPart, tree: StackTree) -> object:
    """What both readers know, with stacks instead of nodes, and without order."""
    lifetimes: Counter[object] = Counter()
    allocations: Counter[object] = Counter()
    for life in part.lifetimes:
        key = tree.stack(life.node), life.born, life.died
        lifetimes[key] += life.bytes
        allocations[key] += life.allocations
    return (
        part.at_checkpoints,
        {key: size for key, size in lifetimes.items() if size},
        {key: n for key, n in allocations.items() if n},
        {place: peak.bytes for place, peak in part.peaks.items()},
        part.peak_bytes,
    )


def allocators_asked(tree: StackTree) -> Counter[object]:
    """Return the flags of `Asked` by Python stack: which have native frames may differ."""
    found: Counter[object] = Counter()
    for node, flags in enumerate(tree.asked):
        found[tuple(f for f in tree.stack(node) if f.origin is not Origin.NATIVE)] |= flags
    return found


def stacks_at_peaks(part: HeapPart, tree: StackTree) -> dict[int, dict[object, tuple[int, int]]]:
    """Return the bytes and the number of allocations of each stack at each peak."""
    found: dict[int, dict[object, tuple[int, int]]] = {}
    for place, peak in part.peaks.items():
        sizes: Counter[object] = Counter()
        counts: Counter[object] = Counter()
        for held in peak.stacks or ():
            sizes[tree.stack(held.node)] += held.bytes
            counts[tree.stack(held.node)] += held.allocations
        found[place] = {key: (size, counts[key]) for key, size in sizes.items() if size}
    return found


@pytest.mark.parametrize(
    "words",
    [
        ("--no-native", str(FORMS)),
        ("--native", str(FORMS)),
        ("--deep", str(FORMS)),
        ("--no-native", "--deep", str(FORMS), "kill"),
        ("--no-native", str(PROGRAMS / "threads_allocate.py")),
        ("--no-native", "--deep", str(PROGRAMS / "known_bytes.py")),
        ("--no-native", "--deep", str(PROGRAMS / "pool.py")),
    ],
    ids=lambda words: " ".join(Path(word).name for word in words),
)
def test_heap_peaks_and_stacks_between_checkpoints(
    recorded: Callable[..., RunDirectory], words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # memray's reader names no stack for its churn: it does not see any.
    of_share = Trace.weighty_sites

    def by_what_is_held(trace: Trace, segments: Sequence[int], least: int, _: float) -> list[int]:
        return of_share(trace, segments, least, 20)

    monkeypatch.setattr(Trace, "weighty_sites", by_what_is_held)
    recording = load_run(recorded(*words))
    groups = [one.stretches for one in outline(recording.run.checkpoints, died=False).phases]
    (part,) = recording.parts
    found = []
    # With memray's names: test_capture_run_symbols.py compares ours with them.
    names = MemrayNativeFrames(part.capture)
    for reader in (ReplayReader(part.capture, names=names), MemrayReader(part.capture)):
        builder = StackTreeBuilder(recording.origins)
        heap = reader.read_part(part, groups, builder, recording.start_ms, quiet)
        found.append((heap, builder.build()))
    (ours, our_tree), (theirs, their_tree) = found
    assert merged(ours, our_tree) == merged(theirs, their_tree)
    # memray's reader does not see what comes and goes between two of its memory records.
    ours_asked, theirs_asked = allocators_asked(our_tree), allocators_asked(their_tree)
    assert all(flags & ~ours_asked[stack] == 0 for stack, flags in theirs_asked.items())
    assert any(flags & Asked.PYMALLOC for flags in theirs_asked.values()) is ("--deep" in words)
    at_peaks, their_peaks = stacks_at_peaks(ours, our_tree), stacks_at_peaks(theirs, their_tree)
    heights = Counter(replay(part.capture, quiet).windows.peak)
    for place, stacks in at_peaks.items():
        assert sum(size for size, _ in stacks.values()) == ours.peaks[place].bytes
        if heights[ours.peaks[place].bytes] > 1:
            continue  # equally high twice: either is the peak
        # memray looks at how many allocations a stack has, so it misses that other bytes took
        # the place of as many before (_read_peaks): its numbers are exact, its bytes need not be.
        assert {key: number for key, (_, number) in stacks.items()} == {
            key: number for key, (_, number) in their_peaks[place].items()
        }
    # memray says nothing of a window that no allocation follows.
    assert set(theirs.curve) <= set(ours.curve)
    assert len(ours.curve) <= len(theirs.curve) + 1
    assert ours.transients
    assert ours.largest
    assert len(ours.native_nodes) == len(ours.at_checkpoints)
    assert list(ours.native_nodes) == sorted(ours.native_nodes)
    assert (ours.native_nodes[-1] > 1) is ("--no-native" not in words)


def test_markers_need_not_be_replaced(recorded: Callable[..., RunDirectory]) -> None:
    run_dir = recorded("--no-native", str(FORMS))
    assert unseal(run_dir.path) != [0]
    sequences = [sequence for _, sequence in find(run_dir.capture(), run_dir.markers(), 0)]
    before = replay(run_dir.capture(), quiet)
    seal(run_dir, quiet)  # replaces them, but for the one at exit, which is no checkpoint
    after = replay(run_dir.capture(), quiet)
    assert len(find(run_dir.capture(), run_dir.markers(), 0)) == 1
    assert list(before.sequences) == [-1, *sequences]
    assert len(after.sequences) == len(before.sequences)
    assert captures.lifetimes(before) == captures.lifetimes(after)
    every = range(len(before.sequences))
    assert list(captures.at_peaks(before, every)) == list(captures.at_peaks(after, every))


def test_a_run_that_may_not_be_written_to_is_read_as_it_is(
    recorded: Callable[..., RunDirectory],
) -> None:
    run_dir = recorded("--no-native", str(FORMS))
    assert unseal(run_dir.path) != [0]
    content = run_dir.capture().read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))  # every write fails, as on a full disk
    try:
        untouched = load_run(run_dir)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert run_dir.capture().read_bytes() == content
    groups = [one.stretches for one in outline(untouched.run.checkpoints, died=False).phases]
    before = untouched.heap(groups, quiet)
    assert run_dir.capture().read_bytes() == content
    seal(run_dir, quiet)
    assert run_dir.capture().read_bytes() != content
    sealed = load_run(run_dir)
    after = sealed.heap(groups, quiet)
    assert untouched.run.checkpoints == sealed.run.checkpoints
    names = ("at_checkpoints", "lifetimes", "transients", "largest", "peak_bytes", "tree", "curve")
    for name in names:
        assert getattr(before, name) == getattr(after, name)
    stacks_before, stacks_after = (
        [peak and (peak.bytes, peak.time_s, list(peak.stacks or ())) for peak in heap.peaks]
        for heap in (before, after)
    )
    assert stacks_before == stacks_after


def test_a_part_counts_only_the_checkpoints_it_was_given(
    recorded: Callable[..., RunDirectory],
) -> None:
    run_dir = recorded("--no-native", str(FORMS))
    unseal(run_dir.path)
    trace = replay(run_dir.capture(), quiet)
    known = list(trace.sequences)[1:]
    whole = StackTreeBuilder(Origins())
    nodes = site_nodes(trace, whole, {}, set())
    all_rows = trace.at_checkpoints(nodes, range(1, len(trace.sequences) + 1))
    assert sum(life.bytes for rows in all_rows for life in rows) == trace.totals.allocated_bytes
    recordings = whole.recordings()
    of_program = sum(life.bytes for rows in all_rows for life in rows if not recordings[life.node])
    heaps = {}
    for chosen in (known, known[::2], []):
        part = Part(run_dir.capture(), 0, len(chosen) + 1, len(chosen), frozenset(chosen))
        builder = StackTreeBuilder(Origins())
        figures = dict.fromkeys(chosen, MarkerFigures(0, 0))
        changes = align(run_dir.capture(), run_dir.markers(), figures.get).changes
        heap = ReplayReader(part.capture, changes).read_part(part, [], builder, 0, quiet)
        heaps[len(chosen)] = heap
        assert heap.at_checkpoints[-1] == trace.totals.heap_bytes
        own = builder.recordings()
        passed = [life.bytes for life in heap.transients or () if not own[life.node]]
        assert len(passed) == len(heap.transients or ())
        gross = sum(passed) + sum(life.bytes for life in heap.lifetimes if not own[life.node])
        assert gross == of_program
    every = heaps[len(known)].at_checkpoints
    assert heaps[len(known[::2])].at_checkpoints == (*every[:-1][0:1], *every[1:-1:2], every[-1])
