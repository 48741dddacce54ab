"""Of what Ray starts, workers are recorded, and none of its helpers."""

from __future__ import annotations

import sys

import pytest

from memdeep.inprocess.recording import DEFAULTS
from memdeep.record.child import _is_wanted

RAY = "/venv/lib/python3.11/site-packages/ray"


@pytest.mark.parametrize(
    ("words", "is_wanted"),
    [
        (["python", f"{RAY}/_private/workers/default_worker.py", "--node-id=1"], True),
        (["python", f"{RAY}/_private/workers/default_worker.py", "--worker-type=WORKER"], True),
        (
            ["python", f"{RAY}/_private/workers/default_worker.py", "--worker-type=SPILL_WORKER"],
            False,
        ),
        (["python", "-u", f"{RAY}/dashboard/agent.py", "--node-id=1"], False),
        (["python", f"{RAY}/_private/log_monitor.py"], False),
        (["python", "/home/you/ray/train.py"], True),
        (["python", "-c", "import ray"], True),
    ],
)
def test_helpers_of_ray_are_not_recorded(
    words: list[str], is_wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "orig_argv", words)
    assert _is_wanted(DEFAULTS) == is_wanted
