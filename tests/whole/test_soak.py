"""The short part of `make soak`: threads killed in the midst of checkpoints lose none of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from soak import soak


@pytest.mark.parametrize(
    ("lives_s", "with_parent"), [(0.3, False), (1.0, True), (1.5, False)], ids=str
)
def test_whatever_was_written_is_reported_in_order(
    tmp_path: Path, lives_s: float, with_parent: bool
) -> None:
    soaked = soak(
        tmp_path, checkpoints=4_000, seconds=4.0, lives_s=lives_s, with_parent=with_parent
    )
    assert soaked.checkpoints > 0
    assert soaked.kept_bytes > 0
