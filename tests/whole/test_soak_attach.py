"""The short part of `make soak-attach`: busy threads, an event loop and numpy are unharmed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from soak_attach import STAYS_BYTES, by_debugger, soak

from memdeep.errors import AttachError
from memdeep.run import debugger

pytest.importorskip("memdeep.record._holders")
pytest.importorskip("numpy")


@pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info >= (3, 14), reason="no debugger is used there"
)
@pytest.mark.parametrize("by", debugger.DEBUGGERS)
def test_attaching_by_a_debugger_beside_busy_threads(tmp_path: Path, by: str) -> None:
    try:
        put = by_debugger(by)
    except AttachError as error:
        pytest.skip(error.message)
    first_bytes, last_bytes = soak(tmp_path, 4, put)
    assert last_bytes - first_bytes < STAYS_BYTES


def test_attaching_beside_busy_threads(tmp_path: Path) -> None:
    first_bytes, last_bytes = soak(tmp_path, 4)
    assert last_bytes - first_bytes < STAYS_BYTES
