"""The short part of `make soak-attach`: busy threads, an event loop and numpy are unharmed."""

from __future__ import annotations

from pathlib import Path

import pytest
from soak_attach import STAYS_BYTES, soak

pytest.importorskip("memdeep.record._holders")
pytest.importorskip("numpy")


def test_attaching_beside_busy_threads(tmp_path: Path) -> None:
    first_bytes, last_bytes = soak(tmp_path, 4)
    assert last_bytes - first_bytes < STAYS_BYTES
