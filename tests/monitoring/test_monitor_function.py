"""`memory_context` and `monitor_function`: lines around the call, and the function as it was."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from callables import async_generator, coroutine, generator, plain

from memdeep import monitor
from memdeep.monitor import memory_checkpoint, memory_context, monitor_function
from memdeep.record import api
from memdeep.record.recorder import Recorder
from memdeep.record.rss import RssReader
from memdeep.rundir import journal


class Logs:
    """The log and the journal of this test."""

    def __init__(self, log: Path, journal_path: Path) -> None:
        self.log = log
        self.journal_path = journal_path

    def labels(self) -> list[str]:
        """The labels in the log, with their notes."""
        pattern = re.compile(r".*\] \[(.*)\] RSS=[^)]*\)(.*)")
        found = map(pattern.fullmatch, self.log.read_text("utf-8").splitlines())
        return [match[1] + match[2] for match in found if match]

    def events(self) -> list[str]:
        """The events in the journal, as kind and label."""
        events, _ = journal.decode(self.journal_path.read_bytes())
        return [f"{event.kind} {event.label}" for event in events[1:]]


@pytest.fixture(autouse=True)
def logs(tmp_path: Path) -> Iterator[Logs]:
    """A global monitor and a recorder, for the time of a test."""
    journal_path = tmp_path / "journal.jsonl"
    journal_path.touch()
    api.start(Recorder(str(journal_path), RssReader()))
    made = monitor.init_global_monitor(log_file=tmp_path / "a.log", check_interval=None)
    try:
        yield Logs(tmp_path / "a.log", journal_path)
    finally:
        made.close()
        monitor._monitor = None
        api.start(None)


ONCE = ["x_START", "x_END"]
SPAN = ["B x", "E x"]


@pytest.mark.parametrize("function", [plain, coroutine, generator, async_generator])
def test_a_function_keeps_its_looks(function: Callable[..., Any]) -> None:
    decorated = monitor_function("x")(function)
    assert decorated is not function
    for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
        assert getattr(decorated, attribute) == getattr(function, attribute)
    assert inspect.signature(decorated) == inspect.signature(function)
    for is_kind in (
        inspect.isfunction,
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
    ):
        assert is_kind(decorated) == is_kind(function)


def test_calls_and_coroutines_are_logged_around(logs: Logs) -> None:
    decorated = monitor_function("x")(plain)
    assert decorated(1, 2, flag=True, label="l") == plain(1, 2, flag=True, label="l")
    assert asyncio.run(monitor_function("x")(coroutine)(7)) == 7
    assert logs.labels() == ONCE * 2
    assert logs.events() == SPAN * 2


def test_a_generator_is_logged_around_its_steps(logs: Logs) -> None:
    steps = monitor_function("x")(generator)(1)
    assert logs.labels() == []
    assert next(steps) == 1
    assert logs.labels() == ["x_START"]
    assert steps.send(2) == 2
    with pytest.raises(StopIteration) as stopped:
        steps.send(3)
    assert stopped.value.value == "got 3"
    assert logs.labels() == ONCE
    assert logs.events() == SPAN


def test_a_generator_may_end_in_another_thread(logs: Logs) -> None:
    steps = monitor_function("x")(generator)(1)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(next, steps).result() == 1
    steps.close()
    assert logs.labels() == ["x_START", "x_END GeneratorExit"]
    assert logs.events() == SPAN


def test_an_async_generator_sends_throws_and_closes(logs: Logs) -> None:
    @monitor_function("x")
    async def steps() -> AsyncGenerator[str, str]:
        received = "nothing"
        while True:
            try:
                received = yield received
            except LookupError as error:
                received = f"caught {error.args[0]}"

    async def use() -> list[str]:
        running = steps()
        seen = [await anext(running), await running.asend("first")]
        seen.append(await running.athrow(LookupError("thrown")))
        await running.aclose()
        whole = [value async for value in monitor_function("x")(async_generator)(1)]
        return [*seen, *map(str, whole)]

    assert asyncio.run(use()) == ["nothing", "first", "caught thrown", "1", "None"]
    assert logs.labels() == ["x_START", "x_END GeneratorExit", *ONCE]
    assert logs.events() == SPAN * 2


def test_methods_are_bound_as_before(logs: Logs) -> None:
    class Service:
        @monitor_function("x")
        def method(self) -> Service:
            return self

        @monitor_function("x")
        @staticmethod
        def static(value: int) -> int:
            return value

        @monitor_function("x")
        @classmethod
        def of_class(cls) -> type[Service]:
            return cls

    service = Service()
    assert service.method() is service
    assert service.static(3) == Service.static(3) == 3
    assert service.of_class() is Service
    assert logs.labels() == ONCE * 4


def test_without_a_label_it_is_the_name_of_the_function(logs: Logs) -> None:
    monitor_function()(plain)(1)
    assert logs.labels() == ["plain_START", "plain_END"]


def test_exceptions_pass_through_and_are_noted(logs: Logs) -> None:
    @monitor_function("x")
    def fail() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine") as caught:
        fail()
    assert caught.value.__context__ is None
    assert logs.labels() == ["x_START", "x_END LookupError"]
    assert logs.events() == SPAN


def test_a_context_is_one_span_and_may_be_entered_again(logs: Logs) -> None:
    outer, again = memory_context("outer"), memory_context("x")
    with outer as entered, again:
        assert entered is outer
        memory_checkpoint("between", "a note")
        with again:
            pass
    middle = ["x_START", "between a note", *ONCE, "x_END"]
    assert logs.labels() == ["outer_START", *middle, "outer_END"]
    assert logs.events() == ["B outer", "B x", "C between", "B x", "E x", "E x", "E outer"]


def test_a_monitor_of_ones_own_marks_too(logs: Logs, tmp_path: Path) -> None:
    own = monitor.MemoryMonitor(log_file=tmp_path / "own.log")
    own.checkpoint("mine", "a note")
    own.close()
    own.checkpoint("after closing")
    assert (tmp_path / "own.log").read_text().count("\n") == 1
    assert logs.labels() == []
    assert logs.events() == ["C mine", "C after closing"]
