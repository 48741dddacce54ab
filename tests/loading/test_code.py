"""Functions that were sent to a process by value are known again by their names and lines."""

from __future__ import annotations

import sys

from memdeep.loading.code import origins_of
from memdeep.model import Origin
from memdeep.rundir.cells import Cell
from memdeep.rundir.meta import Meta

ONE = "def load(n):\n    return [bytes(k) for k in range(n)]\n\nclass A:\n    def f(self): pass\n"
OTHER = "import os\ndef load(n):\n    return n\n\nasync def g():\n    await x\n"
META = Meta(
    *(("x.py",), "x", "memray", False, False, (), "3.11", None),
    *("2026-01-01T00:00:00+00:00", 0, 50, (), ()),
)


def files(*cells: Cell) -> list[str | None]:
    origins = origins_of(META, {cell.filename: cell for cell in cells})
    places = [("load", 2), ("load", 3), ("A.f", 5), ("g", 6), ("gone", 2), ("<module>", 1)]
    frames = [origins.frame((function, "<dynamic-code>", line)) for function, line in places]
    assert [frame.origin == Origin.USER for frame in frames] == [
        frame.filename != "<dynamic-code>" for frame in frames
    ]
    return [frame.filename for frame in frames]


def test_a_function_is_found_by_its_name_and_line() -> None:
    lost = "<dynamic-code>"
    one, other = Cell("/a.py", "/a.py", ONE), Cell("/b.py", "In [2]", OTHER)
    broken = Cell("/c.py", "In [3]", "%%magic\ndef load(n): pass\n")
    assert files() == [lost] * 6
    assert files(one, broken)[0] == "/a.py"
    assert files(one, broken)[1:2] == files(one, broken)[3:4] == [lost]
    # What is in both is of neither. The first line of a function is code from 3.11 on.
    first = lost if sys.version_info >= (3, 11) else "/a.py"
    assert files(one, other) == [first, "In [2]", files(one)[2], "In [2]", lost, lost]
