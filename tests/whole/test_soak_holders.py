"""The short part of `make soak-holders`: no look hangs, leaves a zombie, or is seen by a wait."""

from __future__ import annotations

from pathlib import Path

import pytest
from soak_holders import soak

pytest.importorskip("memdeep.record._holders")


def test_looks_beside_eight_busy_threads(tmp_path: Path) -> None:
    assert soak(tmp_path, 20) > 0
