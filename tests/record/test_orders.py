"""Each process takes one order of those in the pipe that all of a run share."""

from __future__ import annotations

import os
from pathlib import Path

from running import wait_until

from memdeep.record.orders import ENDED, MAX_BYTES, Orders


def test_the_end_of_a_recording_is_told_to_each_process(tmp_path: Path) -> None:
    path = str(tmp_path / "orders")
    os.mkfifo(path)
    readers = [Orders.named(path) for _ in range(3)]
    for reader in readers:
        os.set_blocking(reader._descriptor, True)
    pipe = os.open(path, os.O_WRONLY)
    for _ in readers:
        os.write(pipe, ENDED.encode().ljust(MAX_BYTES))
    taken: list[int] = []
    for number, reader in enumerate(readers):
        reader.listen(lambda order, number=number: taken.append(number))
        wait_until(lambda number=number: number in taken)
    assert taken == [0, 1, 2]
    for reader in readers:
        assert not reader.close(waits=False)
        os.close(reader._descriptor)
    os.close(pipe)
