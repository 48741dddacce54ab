"""Cuts at given times divide a capture as markers do, and change no figure at the markers."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from captures import START_MS, CaptureWriter
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.errors import CaptureError
from memdeep.heap.memray.reader import MemrayReader
from memdeep.heap.origins import Origins
from memdeep.heap.parts import HeapPart, Part, TimeCut
from memdeep.heap.reader import CaptureReader
from memdeep.heap.replay.engine import Work, replay
from memdeep.heap.replay.reader import ReplayReader
from memdeep.heap.replay.residency import looks
from memdeep.heap.replay.trace import Cut, Trace
from memdeep.heap.stacks import StackTreeBuilder
from memdeep.model import StackTree, Stretch
from memdeep.rundir.mappings import Reading

pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")

PAGE = 4096
CLOSED = 1000  # the length of a trace that came to its end, in ms
TORN = b"\x0c\x01"  # the beginning of a record
MB = 1 << 20

Program = Sequence[tuple[str, int, int]]


def quiet(step: str) -> None:
    pass


steps = st.one_of(
    st.tuples(st.just("malloc"), st.integers(1, 8), st.integers(1, 3 * PAGE)),
    st.tuples(st.just("free"), st.integers(1, 8), st.just(0)),
    st.tuples(st.just("push"), st.integers(0, 2), st.just(0)),
    st.tuples(st.just("memory"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("memory"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("marker"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("other"), st.just(0), st.just(0)),
)
programs = st.lists(steps, max_size=50)


@st.composite
def cuts_of(draw: st.DrawFn) -> tuple[TimeCut, ...]:
    """Cuts in order, at times and places that may contradict each other."""
    afters = sorted(draw(st.lists(st.integers(0, 5), max_size=6)))
    return tuple(TimeCut(draw(st.integers(-5, 60)), after) for after in afters)


def write(program: Program, capture: Path, end: bytes | None = None) -> int:
    """Write ``program`` as a capture; return the number of its markers."""
    writer = CaptureWriter(end_ms=START_MS + CLOSED)
    taken: set[int] = set()
    time_ms = markers = others = 0
    for step, number, size in program:
        if step == "malloc" and number not in taken:
            taken.add(number)
            writer.allocate(number * 16 * PAGE, size)
        elif step == "free" and number in taken:
            taken.discard(number)
            writer.free(number * 16 * PAGE)
        elif step == "push":
            writer.push("abc"[number])
        elif step == "memory":
            time_ms += number
            writer.memory(PAGE, time_ms)
        elif step == "marker":
            time_ms += number
            markers += 1
            writer.aligned_marker(PAGE, time_ms)
        elif step == "other":  # an event that is no checkpoint
            others += 1
            writer.marker(others)
    if end is None:
        writer.trailer()
    capture.write_bytes(writer.content + (end or b""))
    return markers


def part_of(
    capture: Path,
    markers: int,
    cuts: tuple[TimeCut, ...] = (),
    threads: Sequence[str | None] = (),
) -> Part:
    count = markers + len(cuts)
    placed = frozenset(range(markers))
    return Part(capture, 0, count + 1, count, placed, threads=threads, cuts=cuts)


def read(
    part: Part, groups: Sequence[Sequence[Stretch]] = (), reader: type[CaptureReader] = ReplayReader
) -> tuple[HeapPart, StackTree]:
    builder = StackTreeBuilder(Origins())
    made: CaptureReader = reader(part.capture)  # type: ignore[call-arg]
    heap = made.read_part(part, groups, builder, START_MS, quiet)
    return heap, builder.build()


def places(trace: Trace, cuts: Iterable[TimeCut]) -> list[tuple[int, bool]]:
    """Find, in a trace without cuts, the windows that end at its markers and at ``cuts``.

    A cut lies before a memory record or a marker: the first that comes after the cut's own markers
    and after the cut before it, and is not earlier, or is a marker; or at the end.
    """
    windows = trace.windows
    markers = [n - 1 for n, cut in enumerate(windows.cut) if cut == Cut.MARKER_END]
    end = len(windows.cut) - 1
    found, least = [], 0
    for cut in cuts:
        if cut.after > len(markers):
            least = end
        elif cut.after:
            least = max(least, markers[cut.after - 1] + 2)
        least = next(
            n
            for n in range(least, end + 1)
            if windows.cut[n] in (Cut.MARKER, Cut.END)
            or (windows.cut[n] == Cut.MEMORY and windows.time_ms[n] >= START_MS + cut.time_ms)
        )
        found.append((least, False))
    return sorted([*found, *((n, True) for n in markers)])


def own_checkpoints(order: Sequence[tuple[int, bool]]) -> list[int]:
    """Return the own checkpoint at which, or before which, each of the merged ones lies."""
    found, number = [0], 1
    for _, is_own in order:
        found.append(number)
        number += is_own
    return [*found, number]


def rows(
    heap: HeapPart, tree: StackTree, own: Sequence[int]
) -> tuple[Counter[object], Counter[object]]:
    """Bytes and allocations by stack, from one checkpoint of ``own`` to another."""
    assert heap.transients is not None
    sizes: Counter[object] = Counter()
    counts: Counter[object] = Counter()
    for life in (*heap.lifetimes, *heap.transients):
        died = None if life.died is None else own[life.died]
        key = tree.stack(life.node), own[life.born], died
        sizes[key] += life.bytes
        counts[key] += life.allocations
    return sizes, counts


@examples(150)
@given(program=programs, cuts=cuts_of(), end=st.sampled_from([None, TORN, b""]))
def test_cuts_divide_what_the_markers_divide(
    tmp_path_factory: pytest.TempPathFactory,
    program: Program,
    cuts: tuple[TimeCut, ...],
    end: bytes | None,
) -> None:
    capture = tmp_path_factory.getbasetemp() / "cuts.bin"
    markers = write(program, capture, end)
    trace = replay(capture, quiet)
    order = places(trace, cuts)
    lost = markers - sum(is_own for _, is_own in order)  # a marker that ends in zeros may be torn
    order += [(len(trace.windows.cut) - 1, True)] * lost
    own = own_checkpoints(order)
    merged = [
        0,
        *(place + 1 for place, (_, is_own) in enumerate(order) if is_own),
        len(order) + 1,
    ]
    segments = [Stretch(k, k + 1) for k in range(markers + 1)]
    setters = [None, *("main" for _ in range(markers)), None]
    whole, whole_tree = read(
        part_of(capture, markers, threads=setters), [[one] for one in segments]
    )
    setters = [None, *("main" if is_own else None for _, is_own in order), None]
    heap, tree = read(
        part_of(capture, markers, cuts, setters),
        [[Stretch(merged[one.start], merged[one.end])] for one in segments],
    )
    assert heap.damage is None
    heaps = trace.windows.heap
    assert heap.at_checkpoints == (0, *(heaps[window] for window, _ in order), heaps[-1])
    assert [heap.at_checkpoints[k] for k in merged] == list(whole.at_checkpoints)
    assert heap.peak_bytes == whole.peak_bytes
    assert {k: peak.bytes for k, peak in heap.peaks.items()} == {
        k: peak.bytes for k, peak in whole.peaks.items()
    }
    assert rows(heap, tree, own) == rows(whole, whole_tree, range(markers + 2))
    for name, peaks in heap.own_peaks.items():
        highest: dict[int, int] = {}
        for checkpoint, size in peaks.items():
            highest[own[checkpoint]] = max(size, highest.get(own[checkpoint], 0))
        assert highest == whole.own_peaks[name]
    assert heap.own_peaks.keys() == whole.own_peaks.keys()
    assert [heap.native_nodes[k] for k in merged] == list(whole.native_nodes)
    totals = replay(capture, quiet, Work(cuts=cuts)).totals
    assert totals.late_cuts == sum(
        window == len(heaps) - 1 for window, is_own in order if not is_own
    )
    assert (totals.records, totals.allocated_bytes, totals.heap_bytes, totals.calls) == (
        trace.totals.records,
        trace.totals.allocated_bytes,
        trace.totals.heap_bytes,
        trace.totals.calls,
    )


@examples(25)
@given(program=programs, cuts=cuts_of())
def test_memrays_reader_makes_the_same_cuts(
    tmp_path_factory: pytest.TempPathFactory, program: Program, cuts: tuple[TimeCut, ...]
) -> None:
    capture = tmp_path_factory.getbasetemp() / "memrays-cuts.bin"
    part = part_of(capture, write(program, capture), cuts)
    groups = [[Stretch(k, k + 1)] for k in range(part.last)]
    (ours, our_tree), (theirs, their_tree) = (
        read(part, groups, reader) for reader in (ReplayReader, MemrayReader)
    )
    assert ours.at_checkpoints == theirs.at_checkpoints
    assert ours.peak_bytes == theirs.peak_bytes
    # memray tells the highest heap between two of its records, on whichever side of a cut it was.
    assert ours.peaks.keys() == theirs.peaks.keys()
    for k, peak in ours.peaks.items():
        assert peak.bytes <= theirs.peaks[k].bytes <= ours.peak_bytes
    found = []
    for heap, tree in ((ours, our_tree), (theirs, their_tree)):
        sizes: Counter[object] = Counter()
        for life in heap.lifetimes:
            sizes[tree.stack(life.node), life.born, life.died] += life.bytes
        found.append(sizes)
    assert found[0] == found[1]


BEFORE_AND_AFTER: Program = [
    ("malloc", 1, 100),
    ("memory", 10, 0),
    ("malloc", 2, 200),
    ("marker", 10, 0),
    ("malloc", 3, 400),
    ("memory", 10, 0),
    ("malloc", 4, 800),
]


def test_a_cut_stays_between_the_markers_that_it_lies_between(tmp_path: Path) -> None:
    capture = tmp_path / "capture.bin"
    write(BEFORE_AND_AFTER, capture)
    cuts = (TimeCut(99, 0), TimeCut(5, 1), TimeCut(99, 1))
    heap, _ = read(part_of(capture, 1, cuts))
    assert heap.at_checkpoints == (0, 300, 300, 700, 1500, 1500)


def test_a_cut_is_made_before_the_marker_that_was_set_after_it(tmp_path: Path) -> None:
    capture = tmp_path / "capture.bin"
    write(
        [
            ("malloc", 1, 100),
            ("other", 0, 0),  # has number 1
            ("malloc", 2, 200),
            ("other", 0, 0),
            ("malloc", 3, 400),
            ("memory", 20, 0),
            ("malloc", 4, 800),
        ],
        capture,
    )
    for before, alive in ((None, 700), (1, 100), (2, 300), (3, 700)):
        heap, _ = read(part_of(capture, 0, (TimeCut(15, 0, before=before),)))
        assert heap.at_checkpoints == (0, alive, 1500)


def test_cuts_after_a_damage_are_not_seen(tmp_path: Path) -> None:
    capture = tmp_path / "capture.bin"
    write(BEFORE_AND_AFTER, capture, b"\x03" * 99)
    cuts = (TimeCut(5, 0), TimeCut(25, 1), TimeCut(35, 1))
    heap, _ = read(part_of(capture, 1, cuts))
    assert heap.damage is not None
    assert heap.at_checkpoints == (0, 100, 300, 700)
    assert heap.part.last == heap.part.markers == 3
    write(BEFORE_AND_AFTER[:2], capture, b"\x03" * 99)
    with pytest.raises(CaptureError, match="before its first checkpoint"):
        read(Part(capture, 2, 2, 1, cuts=(TimeCut(99, 0),)))


def test_markers_that_the_journal_does_not_know_are_no_cuts(tmp_path: Path) -> None:
    capture = tmp_path / "capture.bin"
    write(BEFORE_AND_AFTER, capture)
    for reader in (ReplayReader, MemrayReader):
        with pytest.raises(CaptureError, match="aligned to other checkpoints"):
            read(part_of(capture, 0, (TimeCut(99, 0), TimeCut(99, 0))), reader=reader)


def test_mappings_are_looked_at_at_the_marker_and_not_at_the_cut_before_it(tmp_path: Path) -> None:
    capture = tmp_path / "capture.bin"
    write(BEFORE_AND_AFTER, capture)
    part = part_of(capture, 1, (TimeCut(5, 0), TimeCut(99, 1)))
    asked = looks(part, {2: Reading(0, 0, (), 0)})
    trace = replay(capture, quiet, Work(looks=asked, cuts=part.cuts))
    found = trace.found_at(asked[0])
    assert found is not None
    assert list(found.alive) == [300]


def test_a_reader_that_has_told_the_facts_cuts_all_the_same(tmp_path: Path) -> None:
    capture = tmp_path / "capture.bin"
    write(BEFORE_AND_AFTER, capture)
    reader = ReplayReader(capture)
    reader.facts()
    part = part_of(capture, 1, (TimeCut(5, 0),))
    heap = reader.read_part(part, [], StackTreeBuilder(Origins()), START_MS, quiet)
    assert heap.at_checkpoints == (0, 100, 300, 1500)


@pytest.mark.parametrize("late_ms", [40, 10**6])
def test_a_late_cut_moves_no_peak_in_time(tmp_path: Path, late_ms: int) -> None:
    capture = tmp_path / "capture.bin"
    write([*BEFORE_AND_AFTER, ("free", 4, 0)], capture, TORN)
    heap, _ = read(part_of(capture, 1, (TimeCut(late_ms, 1),)))
    assert max(sample.time_s for sample in heap.curve) <= 0.03


def test_cuts_out_of_order_are_refused(tmp_path: Path) -> None:
    capture = tmp_path / "capture.bin"
    write(BEFORE_AND_AFTER, capture)
    for cuts in ((TimeCut(1, 1), TimeCut(2, 0)), (TimeCut(1, -1),)):
        with pytest.raises(ValueError, match="cut"):
            replay(capture, quiet, Work(cuts=cuts))


STEPS = """
import sys, time
kept = []
for turn in range(25):
    began = time.time()
    kept.append(bytearray(1 << 20))
    print(int(1000 * began), int(1000 * time.time()) + 1, flush=True)
    time.sleep(0.04)
"""


def test_a_program_that_grows_in_steps_is_cut_between_them(tmp_path: Path) -> None:
    capture = tmp_path / "capture.bin"
    program = tmp_path / "program.py"
    program.write_text(STEPS)
    command = [sys.executable, "-m", "memray", "run", "--quiet", "-o", capture, program]
    output = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    blocks = [tuple(map(int, line.split())) for line in output.splitlines()]
    trace = replay(capture, quiet)
    start_ms = trace.header.start_ms
    times = [end + 20 for _, end in blocks]
    cuts = tuple(TimeCut(time - start_ms, 0) for time in times)
    part = part_of(capture, 0, cuts)
    read_at = [
        time
        for time, cut in zip(trace.windows.time_ms, trace.windows.cut, strict=True)
        if cut == Cut.MEMORY
    ]
    ours, _ = read(part)
    theirs, _ = read(part, reader=MemrayReader)
    assert ours.at_checkpoints == theirs.at_checkpoints
    before = (ours.at_checkpoints[1] // MB - 1) * MB  # of some Pythons: an arena, from the start on
    for time, heap in zip(times, ours.at_checkpoints[1:-1], strict=True):
        # What was made from the cut to the reading after it may lie on either side.
        later = [*(one for one in read_at if one >= time), blocks[-1][1], blocks[-1][1]][1]
        least = sum(end <= time for _, end in blocks)
        most = sum(began <= later for began, _ in blocks)
        assert least * MB <= heap - before <= most * MB + MB // 2
    assert ours.at_checkpoints[-1] == trace.totals.heap_bytes
