"""The segments of a capture are counted by its checkpoints, and by nothing else that cuts it."""

from __future__ import annotations

from pathlib import Path

import pytest
from captures import CaptureWriter

from memdeep.heap.markers import MarkerFigures, align
from memdeep.heap.origins import Origins
from memdeep.heap.parts import Part
from memdeep.heap.replay.reader import ReplayReader
from memdeep.heap.stacks import StackTreeBuilder

pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")


@pytest.mark.parametrize("is_sealed", [True, False], ids=["sealed", "unsealed"])
def test_a_marker_that_is_written_twice_is_one_checkpoint(tmp_path: Path, is_sealed: bool) -> None:
    """A checkpoint in a signal handler makes the one that it interrupts write its name again."""
    writer = CaptureWriter(version=13)
    for sequence in (1, 2, 1, 3):  # 3: no checkpoint, as at the exit
        writer.allocate(0x1000 * (sequence + len(writer.content)), 100 * sequence)
        writer.marker(sequence)
    writer.trailer()
    capture = tmp_path / "capture.bin"
    capture.write_bytes(writer.content)
    figures = {1: MarkerFigures(4096, 1), 2: MarkerFigures(8192, 2)}
    alignment = align(capture, tmp_path / "markers", figures.get)
    changes = dict(alignment.changes)
    if is_sealed:
        with open(capture, "r+b") as file:
            for offset, records in changes.items():
                file.seek(offset)
                file.write(records)
        changes = {}
    part = Part(capture, 0, 3, 2, frozenset(alignment.sequences))
    builder = StackTreeBuilder(Origins())
    heap = ReplayReader(capture, changes).read_part(part, [], builder, 0, lambda step: None)
    assert heap.at_checkpoints == (0, 100, 300, 700)
    assert heap.damage is None
