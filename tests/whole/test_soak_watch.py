"""The short part of `make soak-watch`: minutes of a thousand lines are followed and watched."""

from __future__ import annotations

from pathlib import Path

import pytest
import soak_watch

pytest.importorskip("memdeep.heap.replay._replay", reason="the replay is not built")


def test_minutes_of_a_thousand_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak_watch, "DAY_S", 130)
    assert soak_watch.soak(tmp_path / "run") == 0
