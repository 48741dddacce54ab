"""Compressed captures: they read as those they were made of, whatever is asked of them."""

from __future__ import annotations

import io
import os
import signal
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memray import FileReader
from properties import examples
from running import RunMemdeep, environment, memdeep_command, read_json, wait_until

from memdeep.heap import choice, front, markers, packed
from memdeep.loading import seal
from memdeep.rundir.directory import RunDirectory

KEEPS = """\
import memdeep, os, signal, sys
kept = []
for number in range(3):
    with memdeep.phase(f"第{number}步"):
        kept.append([[place] for place in range(60_000)])
        kept.append(bytearray(100_000 * (number + 1)))
if "killed" in sys.argv:
    os.kill(os.getpid(), signal.SIGKILL)
"""
POOL = """\
import multiprocessing
def work(number):
    import memdeep
    with memdeep.phase("work"):
        return len([bytearray(1_000) for _ in range(number)])
if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    with context.Pool(2, context.Barrier(2).wait) as pool:  # both are there before any ends
        print(pool.map(work, [3_000] * 4))
"""


@given(
    content=st.binary(max_size=3_000),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 400)), max_size=30),
    size=st.integers(1, 700),
)
@examples(2)
def test_pieces_read_forward_as_the_whole(
    content: bytes, steps: list[tuple[bool, int]], size: int
) -> None:
    pieces = iter([content[place : place + size] for place in range(0, len(content), size)])
    whole, in_pieces = io.BytesIO(content), packed.Unpacked(pieces)
    for is_read, count in steps:
        if is_read:
            assert in_pieces.read(count) == whole.read(count)
        else:
            offset = whole.tell() + count
            whole.seek(offset)
            in_pieces.seek(offset)


@given(
    content=st.binary(min_size=1, max_size=600),
    changes=st.dictionaries(st.integers(0, 15), st.binary(min_size=1, max_size=40)),
    size=st.integers(1, 100),
)
@examples(2)
def test_changes_are_those_of_the_whole(
    content: bytes, changes: dict[int, bytes], size: int
) -> None:
    changes = {place * 40: new for place, new in changes.items()}
    wanted = bytearray(content)
    for place, new in changes.items():
        wanted[place : place + len(new)] = new[: max(0, len(content) - place)]
    pieces = iter([content[place : place + size] for place in range(0, len(content), size)])
    assert b"".join(packed.with_changes(pieces, changes)) == bytes(wanted)


@pytest.mark.parametrize(
    "options", [(), ("--deep",), ("--no-native", "--deep"), ("killed",)], ids=" ".join
)
def test_a_run_is_reported_alike_before_and_after(
    run_memdeep: RunMemdeep,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
) -> None:
    (tmp_path / "job.py").write_text(KEEPS, "utf-8")
    words = [word for word in options if word == "killed"]
    given = [word for word in options if word != "killed"]
    run_memdeep("run", "-o", tmp_path / "out", *given, tmp_path / "job.py", *words)
    capture = tmp_path / "out/capture.bin"
    before = read_json(tmp_path / "out/report.json")
    with open(capture, "rb") as file:  # small ones are left as they are
        was_packed = packed.is_packed(file)
    assert was_packed == ("--deep" in options)
    monkeypatch.setattr(seal, "LEAST_BYTES", 1)
    seal.pack(RunDirectory(tmp_path / "out"), lambda step: None)
    with open(capture, "rb") as file:
        assert packed.is_packed(file)
    for engine in ("replay", "memray"):
        run_memdeep("report", tmp_path / "out", env=environment(MEMDEEP_ENGINE=engine))
        after = read_json(tmp_path / "out/report.json")
        if engine == "replay":
            assert after == before
        assert [one["name"] for one in after["phases"]] == [one["name"] for one in before["phases"]]
        assert after["peak_heap_bytes"] == before["peak_heap_bytes"]
    with FileReader(str(capture)) as reader:  # memray's own commands read it
        assert sum(record.size for record in reader.get_high_watermark_allocation_records()) > 0


def test_captures_of_processes_are_compressed_with_their_markers(
    run_memdeep: RunMemdeep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "job.py").write_text(POOL, "utf-8")
    run_memdeep("run", "-o", tmp_path / "out", tmp_path / "job.py")
    before = read_json(tmp_path / "out/report.json")
    monkeypatch.setattr(seal, "LEAST_BYTES", 1)
    run_dir = RunDirectory(tmp_path / "out")
    seal.pack(run_dir, lambda step: None)
    own = [child for child in run_dir.children() if child.capture().exists()]
    assert len(own) == 2
    for child in own:
        with open(child.capture(), "rb") as file:
            assert packed.is_packed(file)
    for path in (tmp_path / "out", *(child.path for child in own)):
        run_memdeep("report", path, env=environment(MEMDEEP_ENGINE="memray"))
        run_memdeep("report", path)
    assert read_json(tmp_path / "out/report.json") == before


def test_what_goes_on_is_left_alone(
    run_memdeep: RunMemdeep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import time; kept = bytearray(3_000_000); print('on', flush=True); time.sleep(60)"
    command = memdeep_command("run", "-o", tmp_path / "out", "-c", program)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"on\n"
        wait_until((tmp_path / "out/meta.json").exists)
        monkeypatch.setattr(seal, "LEAST_BYTES", 1)
        seal.pack(RunDirectory(tmp_path / "out"), lambda step: None)
        with open(tmp_path / "out/capture.bin", "rb") as file:
            assert not packed.is_packed(file)
        running.send_signal(signal.SIGTERM)


def test_without_lz4_the_places_of_its_markers_are_those_that_were_stored(
    run_memdeep: RunMemdeep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "job.py").write_text(KEEPS, "utf-8")
    run_memdeep("run", "--deep", "-o", tmp_path / "out", tmp_path / "job.py")
    run_dir = RunDirectory(tmp_path / "out")
    figures = markers.MarkerFigures(0, 0)
    known = markers.align(run_dir.capture(), run_dir.markers(1), lambda sequence: figures)
    monkeypatch.setattr(packed, "is_installed", lambda: False)
    assert choice.reason_for_memray(run_dir.capture()) == choice.PACKED
    found = markers.align(run_dir.capture(), run_dir.markers(1), lambda sequence: figures)
    assert found.sequences == known.sequences and not found.changes
    seal.pack(run_dir, lambda step: None)  # does nothing


def test_the_zeros_at_the_end_are_not_kept(tmp_path: Path) -> None:
    capture = tmp_path / "capture.bin"
    capture.write_bytes(os.urandom(100_000) + bytes(4_096))
    content = capture.read_bytes()
    front.pack(capture, {})
    with open(capture, "rb") as file:
        assert b"".join(packed.unpacked(file)) == content.rstrip(b"\0")
    front.pack(capture, {})  # once is enough
    with open(capture, "rb") as file:
        assert b"".join(packed.unpacked(file)) == content.rstrip(b"\0")


@pytest.mark.parametrize("start", [0, 5, 1 << 20])
@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, 3 << 20])
@pytest.mark.parametrize("reserved", [0, 1, 5 << 20])
def test_what_is_written_ends_where_zeros_in_a_row_begin(
    tmp_path: Path, start: int, size: int, reserved: int
) -> None:
    path = tmp_path / "capture.bin"
    path.write_bytes(b"\1\0" * (size // 2) + b"\2" + bytes(reserved))
    with open(path, "rb") as file:
        assert packed.written_behind(file, start) == packed.written_size(file) == size // 2 * 2 + 1
        assert packed.written_behind(file, size // 2 * 2 + 1) == size // 2 * 2 + 1
