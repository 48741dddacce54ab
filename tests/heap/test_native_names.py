"""On real captures: the stacks are memray's, frame by frame, and are the same on any machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from memray import FileReader
from memray._memray import set_log_level
from running import PROGRAMS

from memdeep.heap.native_names import RunSymbols, store_names
from memdeep.heap.replay.engine import replay
from memdeep.heap.replay.trace import Trace
from memdeep.loading.bare_capture import load_capture
from memdeep.model import Origin, RawFrame, Stretch
from memdeep.rundir.directory import RunDirectory
from memdeep.symbols.store import StoredSymbols, decode, encode, read

Stacks = dict[
    tuple[int, int], list[RawFrame]
]  # memray's numbers of the Python and of the native stack


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What memray records of a program with threads, extensions and calls back from C."""
    path = tmp_path_factory.mktemp("capture") / "capture.bin"
    words = [sys.executable, "-m", "memray", "run", "--quiet", "--native", "--no-compress"]
    program = PROGRAMS / "native_stacks.py"
    subprocess.run([*words, "-o", path, program], check=True, timeout=120)
    return path


@pytest.fixture(scope="module")
def trace(capture: Path) -> Trace:
    return replay(capture, lambda step: None)


@pytest.fixture(scope="module")
def stacks(trace: Trace) -> Stacks:
    """What this machine's files say of them."""
    return stacks_of(trace, RunSymbols(StoredSymbols(), time.time()))


def is_sampled(python_stack: int) -> bool:
    """A third of the stacks: memray names the frames of every dlopen anew, and takes its time."""
    return python_stack % 3 == 0


def memrays_stacks(capture: Path) -> Stacks:
    set_log_level(60)
    stacks: Stacks = {}
    with FileReader(capture) as reader:
        for record in reader.get_allocation_records():
            key = record.stack_id, record.native_stack_id
            if is_sampled(record.stack_id) and record.native_stack_id and key not in stacks:
                stacks[key] = record.hybrid_stack_trace()
    return stacks


def sampled_sites(trace: Trace) -> list[int]:
    nodes = trace.sites.node
    return [site for site in range(1, len(nodes)) if is_sampled(nodes[site])]


def stacks_of(trace: Trace, symbols: RunSymbols) -> Stacks:
    found = symbols.hybrid_stacks(trace, sampled_sites(trace))
    return {
        (trace.sites.node[site], trace.sites.native[site]): list(stack)
        for site, stack in found.items()
    }


def is_same(ours: RawFrame, memrays: RawFrame) -> bool:
    """Whether two frames are the same function at the same place.

    We give the whole path of a source file, with the directory it was compiled in, and the library
    where there is none; libbacktrace, which memray uses, does not. It also knows functions written
    in assembly by their global symbol, we by the debug information, where glibc adds underscores.
    Of several symbols at one address each takes another.
    """
    function, filename, lineno = ours
    if memrays == ("<unknown>", "<unknown>", 0):
        return function.startswith("<unknown in ")
    if (function.lstrip("_"), lineno) != (memrays[0].lstrip("_"), memrays[2]):
        return False
    if memrays[1] == "<unknown>":
        return lineno == 0
    shortest = os.path.normpath(memrays[1]).replace("../", "")
    return f"/{os.path.normpath(filename)}".endswith(shortest)


def test_the_stacks_are_memrays_frame_by_frame(capture: Path, stacks: Stacks) -> None:
    expected = memrays_stacks(capture)
    assert len(expected) > 500
    differing = []
    for key, stack in expected.items():
        # memray hides its own launcher in the main thread; the stack tree does that for us.
        ours = stacks[key][: len(stack)]
        if len(ours) != len(stack) or not all(map(is_same, ours, stack)):
            differing.append((ours, stack))
    # At a few addresses `symbolic` sees inlined functions where libbacktrace sees none.
    assert len(differing) <= len(expected) / 100, differing[:3]


def test_every_frame_of_python_is_in_its_stack(trace: Trace, stacks: Stacks) -> None:
    for (node, _), stack in stacks.items():
        python = [frame.raw for frame in trace.python_stack(node)]
        remaining = iter(stack)
        assert all(frame in remaining for frame in python)


def test_a_second_reading_gives_the_same_from_the_cache(
    trace: Trace, stacks: Stacks, cache: Path
) -> None:
    entries = sorted((cache / "memdeep" / "symbols").iterdir())
    assert entries
    assert stacks_of(trace, RunSymbols(StoredSymbols(), time.time())) == stacks
    assert sorted((cache / "memdeep" / "symbols").iterdir()) == entries


def test_stored_names_give_the_same_where_no_file_can_be_used(trace: Trace, stacks: Stacks) -> None:
    first = RunSymbols(StoredSymbols(), time.time())
    first.name_all(trace)
    stored = decode(encode(first.named()))
    elsewhere = RunSymbols(stored, recorded_until_s=0)
    assert stacks_of(trace, elsewhere) == stacks
    elsewhere.name_all(trace)
    assert elsewhere.named() == stored


def test_without_any_symbols_the_stacks_are_pythons(trace: Trace) -> None:
    stacks = stacks_of(trace, RunSymbols(StoredSymbols(), recorded_until_s=0))
    assert stacks
    for (node, _), stack in stacks.items():
        python = [frame.raw for frame in trace.python_stack(node)]
        if python:
            assert stack == python
        else:
            assert all(function.startswith("<unknown") for function, _, _ in stack)


def test_the_names_of_all_captures_of_a_run_are_stored(
    capture: Path, trace: Trace, stacks: Stacks, tmp_path: Path
) -> None:
    run_dir = RunDirectory(tmp_path)
    shutil.copy(capture, run_dir.capture(2))
    run_dir.capture(1).write_bytes(capture.read_bytes()[:5])  # its report will tell what is wrong
    steps: list[str] = []
    store_names(run_dir, steps.append)
    assert steps
    stored, problem = read(run_dir.symbols)
    assert problem is None
    assert stacks_of(trace, RunSymbols(stored, recorded_until_s=0)) == stacks


def test_without_native_stacks_nothing_is_stored(tmp_path: Path) -> None:
    run_dir = RunDirectory(tmp_path)
    words = [sys.executable, "-m", "memray", "run", "--quiet", "--no-compress"]
    words += ["-o", str(run_dir.capture()), str(PROGRAMS / "grows.py")]
    subprocess.run(words, check=True, timeout=60)
    store_names(run_dir, lambda step: None)
    assert not run_dir.symbols.exists()
    plain = replay(run_dir.capture(), lambda step: None)
    symbols = RunSymbols(StoredSymbols(), time.time())
    assert symbols.hybrid_stacks(plain, range(1, len(plain.sites.node))) == {}


def test_where_symbols_cannot_be_read_memray_names_the_stacks(
    capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def native_functions() -> set[str]:
        recording = load_capture(capture)
        heap = recording.heap([[Stretch(0, 1)]], lambda step: None)
        return {frame.function for frame in heap.tree.frames if frame.origin is Origin.NATIVE}

    ours = native_functions()
    assert "PyObject_Vectorcall" in ours or "_PyObject_Vectorcall" in ours
    monkeypatch.setattr("memdeep.heap.native_names.find_spec", lambda name: None)
    memrays = native_functions()
    named = {name for name in ours if not name.startswith("<unknown in ")}
    assert len(named) > 50
    assert len(named - memrays) <= len(named) / 50  # a function may have more than one name
    assert not any(name.startswith("<unknown in ") for name in memrays)
