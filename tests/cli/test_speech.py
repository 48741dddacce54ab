"""What is said while a report is made, on a terminal and elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text
from running import wait_until

from memdeep.cli import speech
from memdeep.errors import OutputError


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    file = io.StringIO()
    monkeypatch.setattr(
        speech, "stderr", lambda: Console(file=file, force_terminal=True, width=60, _environ={})
    )
    return file


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    file = io.StringIO()
    monkeypatch.setattr(
        speech, "stderr", lambda: Console(file=file, force_terminal=False, width=60, _environ={})
    )
    return file


def test_a_long_step_tells_its_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(speech, "monotonic", lambda: now_s)
    step = speech.Step(str.upper)
    assert step.__rich__() == "PREPARING THE REPORT …"
    step.begin("Replaying the trace (10 %)")
    now_s = 100.9
    assert step.__rich__() == "REPLAYING THE TRACE (10 %) …"
    step.begin("Replaying the trace (60 %)")  # the same step, further on
    now_s = 101.5
    assert step.__rich__() == "REPLAYING THE TRACE (60 %) … 1 s"
    step.begin("Finding the phases")
    assert step.__rich__() == "FINDING THE PHASES …"


def test_a_terminal_shows_steps_in_the_language_of_the_locale(
    terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    with speech.steps(quiet=False) as on_step:
        on_step("Replaying the trace (60 %)")
        wait_until(lambda: "重放追踪记录（60 %） …" in terminal.getvalue())


def test_in_a_pipe_no_step_is_shown_and_no_row_filled_up(pipe: io.StringIO) -> None:
    with speech.steps(quiet=False) as on_step:
        on_step("Finding the phases")
    speech.say(Text("first\n\nsecond   \n"))
    assert pipe.getvalue() == "first\n\nsecond\n\n"


def test_errors_and_hints_are_said_in_chinese(
    pipe: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    speech.complain(OutputError("x is still being recorded.", "Check the path."))
    assert pipe.getvalue() == "memdeep: x 仍在记录中。\n  请检查路径。\n"
