"""Tasks are phases up to a number, so that a worker of many tasks fills no disk."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from memdeep.integrations import task_phases
from memdeep.record import api


class Recorder:
    """A recorder that keeps the sentences."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def problem(self, sentence: str) -> None:
        """Keep a sentence."""
        self.said.append(sentence)


def test_the_first_tasks_are_phases_and_the_report_is_told_of_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(task_phases, "MOST_TASKS", 7)
    monkeypatch.setattr(task_phases, "MOST_OF_ONE", 4)
    recorder = Recorder()
    monkeypatch.setattr(api, "_recorder", recorder)
    phases = task_phases.TaskPhases()

    def are_phases(name: str, count: int) -> int:
        return sum(isinstance(phases.of(name), api.phase) for _ in range(count))

    assert are_phases("inc", 10) == 4
    assert are_phases("load", 10) == 3
    assert are_phases("other", 10) == 0
    assert recorder.said == [
        "only the first 4 tasks inc of a worker are phases",
        "only the first 7 tasks of a worker are phases",
    ]
    phases.begin()
    assert are_phases("inc", 1) == 1
    monkeypatch.setattr(api, "_recorder", None)
    assert isinstance(phases.of("inc"), nullcontext)
