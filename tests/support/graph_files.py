"""Reads the files that `native/fuzz_holders.cpp` left: each must hold, and its sums agree."""

from __future__ import annotations

import sys
from pathlib import Path

from memdeep.model.graph import NO_ROW
from memdeep.rundir import graph
from memdeep.rundir.directory import RunDirectory


def check(path: Path) -> None:
    """Read the file at ``path``. Raises CaptureError, AssertionError."""
    found = graph.read(path)
    own_bytes = [0] * len(found.rows)
    for row, size in zip(found.holders, found.sizes, strict=True):
        if row != NO_ROW:
            own_bytes[row] += size
    assert own_bytes == [row.own_bytes for row in found.rows]
    retained_bytes = list(own_bytes)
    for index in range(len(found.rows) - 1, -1, -1):
        parent = found.rows[index].parent
        if parent is not None:
            retained_bytes[parent] += retained_bytes[index]
    assert retained_bytes == [row.retained_bytes for row in found.rows]
    assert list(found.addresses) == sorted(set(found.addresses))


def main() -> None:
    paths = RunDirectory(Path(sys.argv[1])).graphs()
    assert paths
    for path in paths:
        check(path)
    print(f"{len(paths)} of their files were read")


if __name__ == "__main__":
    main()
