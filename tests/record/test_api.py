"""`checkpoint` and `phase`: nothing without a recording, and everything in order within one."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from callables import async_generator, coroutine, generator, plain
from running import TIMEOUT_S, RunMemdeep, environment, read_json

from memdeep import checkpoint, phase
from memdeep.record import api
from memdeep.record.recorder import Recorder
from memdeep.record.rss import RssReader
from memdeep.rundir import journal
from memdeep.rundir.journal import Event

# In this process: with and without a recorder, a program must see no difference.


@pytest.fixture(params=["not recording", "recording"], autouse=True)
def recording(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | None]:
    """The journal of the recorder that is set while the test runs, if any."""
    if request.param == "not recording" or "program" in request.fixturenames:
        yield None
        return
    path = tmp_path / "journal.jsonl"
    path.touch()
    api.start(Recorder(str(path), RssReader()))
    try:
        yield path
    finally:
        api.start(None)


def kinds(path: Path | None) -> str:
    """The kinds of the events in the journal at ``path``, but for its start."""
    if path is None:
        return ""
    events, damaged = journal.decode(path.read_bytes())
    assert damaged == 0
    return "".join(event.kind for event in events[1:])


def test_import_brings_in_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import memdeep; "
        "memdeep.checkpoint('a'); memdeep.phase('b').__enter__(); "
        "print(sorted(set(sys.modules) - before))"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    assert completed.stdout.decode().strip() == str(
        ["memdeep", "memdeep.record", "memdeep.record.api"]
    )


def test_calls_return_nothing_of_their_own(recording: Path | None) -> None:
    assert checkpoint("label") is None
    assert checkpoint("label", "note") is None
    assert checkpoint(label="label", note=None) is None
    span = phase("span")
    with span as entered:
        assert entered is span
    assert kinds(recording) == ("" if recording is None else "CCCBE")


def test_exceptions_pass_through(recording: Path | None) -> None:
    @phase("raises")
    def fail() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine") as caught, phase("outer"):
        fail()
    assert caught.value.__context__ is None
    assert kinds(recording) == ("" if recording is None else "BBEE")


KINDS_OF_FUNCTION = (
    inspect.isfunction,
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
)


@pytest.mark.parametrize("function", [plain, coroutine, generator, async_generator])
def test_decorated_function_keeps_its_looks(function: Callable[..., Any]) -> None:
    function.__dict__["mark"] = 5
    decorated = phase("label")(function)
    assert decorated is not function
    for attribute in ("__name__", "__qualname__", "__module__", "__doc__", "mark"):
        assert getattr(decorated, attribute) == getattr(function, attribute)
    assert inspect.signature(decorated) == inspect.signature(function)
    assert inspect.unwrap(decorated) is function
    for is_kind in KINDS_OF_FUNCTION:
        assert is_kind(decorated) == is_kind(function), is_kind


def test_decorated_function_takes_and_returns_what_it_did(recording: Path | None) -> None:
    decorated = phase("label")(plain)
    assert decorated(1, 2, 3, flag=True, self="s", label="l") == plain(
        1, 2, 3, flag=True, self="s", label="l"
    )
    assert asyncio.run(phase("label")(coroutine)(7)) == 7
    assert kinds(recording) == ("" if recording is None else "BEBE")


class Service:
    @phase("method")
    def method(self, value: int) -> tuple[type, int]:
        return type(self), value

    @staticmethod
    @phase("static, inside")
    def static_inside(value: int) -> int:
        return value

    @phase("static, outside")
    @staticmethod
    def static_outside(value: int) -> int:
        return value

    @classmethod
    @phase("class, inside")
    def class_inside(cls, value: int) -> tuple[type, int]:
        return cls, value

    @phase("class, outside")
    @classmethod
    def class_outside(cls, value: int) -> tuple[type, int]:
        return cls, value

    @property
    @phase("property")
    def value(self) -> int:
        return 9


class Derived(Service):
    pass


def test_methods_are_bound_as_before(recording: Path | None) -> None:
    service = Derived()
    assert service.method(1) == (Derived, 1)
    assert service.static_inside(2) == Derived.static_outside(2) == 2
    assert service.class_inside(3) == Derived.class_outside(3) == (Derived, 3)
    assert service.value == 9
    assert kinds(recording) == ("" if recording is None else "BE" * 6)


def test_generator_sends_throws_returns_and_closes(recording: Path | None) -> None:
    decorated = phase("label")(generator)
    steps = decorated(1)
    assert kinds(recording) == "", "the phase opens at the first step"
    assert next(steps) == 1
    assert steps.send(2) == 2
    with pytest.raises(StopIteration) as stopped:
        steps.send(3)
    assert stopped.value.value == "got 3"

    steps = decorated(1)
    next(steps)
    with pytest.raises(ZeroDivisionError):
        steps.throw(ZeroDivisionError())

    steps = decorated(1)
    next(steps)
    steps.close()
    decorated(1).close()
    assert kinds(recording) == ("" if recording is None else "BEBEBE")


def test_generator_dropped_halfway_closes_its_phase(recording: Path | None) -> None:
    steps = phase("label")(generator)(1)
    next(steps)
    del steps
    assert kinds(recording) == ("" if recording is None else "BE")


def test_async_generator_sends_throws_and_closes(recording: Path | None) -> None:
    closed = []

    @phase("label")
    async def steps() -> AsyncGenerator[str, str]:
        try:
            received = "nothing"
            while True:
                try:
                    received = yield received
                except LookupError as error:
                    received = f"caught {error.args[0]}"
        finally:
            await asyncio.sleep(0)
            closed.append(received)

    async def use() -> list[str]:
        running = steps()
        seen = [await anext(running), await running.asend("first")]
        seen.append(await running.athrow(LookupError("thrown")))
        seen.append(await running.asend("second"))
        with pytest.raises(ZeroDivisionError):
            await running.athrow(ZeroDivisionError())
        with pytest.raises(StopAsyncIteration):
            await anext(running)
        early = steps()
        await anext(early)
        await early.aclose()
        return seen

    assert asyncio.run(use()) == ["nothing", "first", "caught thrown", "second"]
    assert closed == ["second", "nothing"]
    assert kinds(recording) == ("" if recording is None else "BEBE")


def test_async_generator_is_iterated_to_its_end(recording: Path | None) -> None:
    @phase("label")
    async def numbers() -> AsyncGenerator[int, None]:
        for number in range(3):
            yield number

    async def collect() -> list[int]:
        return [number async for number in numbers()]

    assert asyncio.run(collect()) == [0, 1, 2]
    assert kinds(recording) == ("" if recording is None else "BE")


def test_generator_handed_to_another_thread_closes_its_phase(recording: Path | None) -> None:
    """As frameworks do that step a generator in a pool of threads."""
    from concurrent.futures import ThreadPoolExecutor

    steps = phase("label")(generator)(1)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(next, steps).result() == 1
    assert steps.send(2) == 2
    with pytest.raises(StopIteration):
        steps.send(3)
    assert kinds(recording) == ("" if recording is None else "BE")


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations are evaluated at once")
def test_annotation_that_cannot_be_evaluated_yet_is_left_alone() -> None:
    namespace: dict[str, Any] = {"phase": phase}
    code = "@phase('label')\ndef function(value: NotYetDefined) -> int:\n    return value\n"
    exec(compile(code, "<string>", "exec", dont_inherit=True), namespace)
    assert namespace["function"](3) == 3
    namespace["NotYetDefined"] = str
    assert namespace["function"].__annotations__ == {"value": str, "return": int}


# In a program of its own, recorded.

Program = Callable[[str], list[Event]]


@pytest.fixture
def program(work: Path, run_memdeep: RunMemdeep) -> Program:
    """Runs the code under `memdeep run` in ``work``; returns the events it recorded."""

    def run(code: str) -> list[Event]:
        (work / "program.py").write_text("import memdeep\n" + textwrap.dedent(code))
        words = ("run", "--quiet", "--no-report", "--no-native", "-o", "run", "program.py")
        completed = run_memdeep(*words, cwd=work)
        assert (completed.returncode, completed.stderr) == (0, b"")
        events, damaged = journal.decode((work / "run/journal.jsonl").read_bytes())
        assert damaged == 0
        assert (events[0].kind, events[-1].kind) == (journal.START, journal.EXIT)
        assert len({event.sequence for event in events}) == len(events)
        return [event for event in events[1:-1] if event.kind != journal.TRACE]

    return run


def told(events: list[Event]) -> list[str]:
    """Each event as its kind and its label."""
    return [f"{event.kind} {event.label}" for event in events]


def assert_balanced(events: list[Event]) -> None:
    """Every span is opened once, and then closed once under the same label."""
    opened: dict[int | None, str] = {}
    for event in events:
        if event.kind == journal.BEGIN:
            assert event.span not in opened
            opened[event.span] = event.label
        elif event.kind == journal.END:
            assert opened.pop(event.span) == event.label
    assert not opened


def aligned(run_dir: Path) -> set[int]:
    """The sequence numbers whose marker was found in the capture."""
    lines = (run_dir / "markers").read_text().splitlines()
    return {int(line.split("\t")[1]) for line in lines}


only_once = pytest.mark.parametrize("recording", ["not recording"], indirect=True)


@only_once
def test_phases_nest_and_are_entered_again(program: Program) -> None:
    events = program(
        """
        again = memdeep.phase("again")
        with memdeep.phase("outer"), again:
            memdeep.checkpoint("between", note="a note")
            with again, again:
                pass
        with again:
            pass
        """
    )
    assert told(events) == [
        "B outer",
        "B again",
        "C between",
        "B again",
        "B again",
        "E again",
        "E again",
        "E again",
        "E outer",
        "B again",
        "E again",
    ]
    assert events[2].note == "a note"
    assert [event.span for event in events] == [1, 2, None, 3, 4, 4, 3, 2, 1, 5, 5]
    assert_balanced(events)


@only_once
def test_recursion_and_exceptions_close_every_phase(program: Program) -> None:
    events = program(
        """
        @memdeep.phase("down")
        def down(depth):
            if depth == 0:
                raise LookupError
            down(depth - 1)

        try:
            with memdeep.phase("all"):
                down(30)
        except LookupError:
            memdeep.checkpoint("caught")
        """
    )
    assert told(events) == ["B all"] + 31 * ["B down"] + 31 * ["E down"] + ["E all", "C caught"]
    assert_balanced(events)


@only_once
def test_coroutines_take_turns(program: Program) -> None:
    events = program(
        """
        import asyncio

        @memdeep.phase("task")
        async def task(name):
            memdeep.checkpoint(f"{name} begins")
            await asyncio.sleep(0)
            with memdeep.phase(name):
                await asyncio.sleep(0)
            memdeep.checkpoint(f"{name} ends")

        async def main():
            await asyncio.gather(task("a"), task("b"), task("c"))

        asyncio.run(main())
        """
    )
    assert told(events)[:6] == [
        "B task",
        "C a begins",
        "B task",
        "C b begins",
        "B task",
        "C c begins",
    ]
    assert Counter(told(events)) == Counter(
        ["B task", "E task"] * 3
        + [f"{kind} {name}" for kind in "BE" for name in "abc"]
        + [f"C {name} {verb}" for name in "abc" for verb in ("begins", "ends")]
    )
    assert_balanced(events)


@only_once
def test_generators_that_overlap_close_their_own_phase(program: Program) -> None:
    events = program(
        """
        def make(name):
            @memdeep.phase(name)
            def steps():
                yield 1
                yield 2
            return steps()

        first, second, third = make("first"), make("second"), make("third")
        next(first), next(second), next(third)
        first.close()
        list(second)
        del third
        """
    )
    assert told(events) == [
        "B first",
        "B second",
        "B third",
        "E first",
        "E second",
        "E third",
    ]
    assert_balanced(events)


@only_once
def test_threads_have_phases_of_their_own(program: Program) -> None:
    events = program(
        """
        import _thread
        import threading

        shared = memdeep.phase("shared")
        barrier = threading.Barrier(2)

        def work():
            with shared:
                barrier.wait()
                memdeep.checkpoint("inside")
                barrier.wait()

        threads = [threading.Thread(target=work, name=name) for name in ("ünï", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
            assert not thread.name.startswith("memdeep"), thread.name

        done = _thread.allocate_lock()
        done.acquire()

        def bare():
            memdeep.checkpoint("in a bare thread")
            done.release()

        _thread.start_new_thread(bare, ())
        done.acquire()
        assert threading.current_thread().name == "MainThread"
        """
    )
    assert_balanced(events)
    by_thread = {
        name: [event.kind for event in events if event.thread == name] for name in ("ünï", "two")
    }
    assert by_thread == {"ünï": ["B", "C", "E"], "two": ["B", "C", "E"]}
    assert told(events)[-1] == "C in a bare thread"


@only_once
def test_hostile_labels_are_kept_and_shown_harmlessly(
    program: Program, work: Path, run_memdeep: RunMemdeep
) -> None:
    events = program(
        r"""
        class Text(str):
            def __str__(self):
                return "from __str__"

        class Broken:
            def __str__(self):
                raise ValueError("no text")

        labels = ["two\nlines", "</script><b>", "x" * 20_000, "\ud800 alone \udfff", 42, None, "",
                  "nul \0", "\x1b[31mred\x1b[2J", "\u202eright to left", "\U0001f4a5", '"\\',
                  b"bytes", Text("x"), "{{ 7 * 7 }}", "[bold]markup[/bold]", "a\u2028b"]
        for label in labels:
            memdeep.checkpoint(label, note=label)
        for label in labels:
            with memdeep.phase(label):
                pass
        """
    )
    points = [event for event in events if event.kind == journal.POINT]
    assert [event.label for event in points] == [
        "two\nlines",
        "</script><b>",
        "x" * journal.MAX_TEXT,
        "\ufffd alone \ufffd",
        "42",
        "None",
        "",
        "nul \0",
        "\x1b[31mred\x1b[2J",
        "\u202eright to left",
        "\U0001f4a5",
        '"\\',
        "b'bytes'",
        "from __str__",
        "{{ 7 * 7 }}",
        "[bold]markup[/bold]",
        "a\u2028b",
    ]
    assert [event.note for event in points if event.label != "None"] == [
        event.label for event in points if event.label != "None"
    ]
    assert len(events) == 3 * len(points)
    assert_balanced(events)

    completed = run_memdeep("report", "run", cwd=work)
    assert completed.returncode == 0
    assert b"\x1b" not in completed.stderr
    assert b"\0" not in completed.stderr
    page = (work / "run/report.html").read_text("utf-8")
    assert "</script><b>" not in page
    assert "{{ 7 * 7 }}" in page
    shown = [point["label"] for point in read_json(work / "run/report.json")["checkpoints"]]
    assert shown[1:-1] == [event.label for event in events]


@only_once
def test_label_without_text_is_reported_once_and_never_raises(
    work: Path, run_memdeep: RunMemdeep
) -> None:
    (work / "program.py").write_text(
        textwrap.dedent(
            """
            import memdeep

            class Broken:
                def __str__(self):
                    raise ValueError("has no text")

            for _ in range(3):
                memdeep.checkpoint(Broken())
                with memdeep.phase(Broken()):
                    pass
            memdeep.checkpoint("still recording")
            """
        )
    )
    words = ("run", "--quiet", "--no-report", "--no-native", "-o", "run", "program.py")
    completed = run_memdeep(*words, cwd=work)
    assert completed.returncode == 0
    assert completed.stderr == b"memdeep: a checkpoint could not be recorded: has no text\n"
    events, _ = journal.decode((work / "run/journal.jsonl").read_bytes())
    assert told(events)[-3:-1] == [
        "C still recording",
        "P 9 checkpoints could not be recorded: has no text",
    ]


@only_once
def test_an_error_without_text_never_raises(work: Path, run_memdeep: RunMemdeep) -> None:
    (work / "program.py").write_text(
        textwrap.dedent(
            """
            import memdeep

            class Broken(Exception):
                def __str__(self):
                    raise self

            memdeep.checkpoint(Broken())
            print("goes on")
            """
        )
    )
    words = ("run", "--quiet", "--no-report", "--no-native", "-o", "run", "program.py")
    completed = run_memdeep(*words, cwd=work)
    assert (completed.returncode, completed.stdout) == (0, b"goes on\n")
    assert completed.stderr == b"memdeep: a checkpoint could not be recorded: Broken\n"


@only_once
def test_no_checkpoint_of_many_threads_is_lost(
    program: Program, work: Path, run_memdeep: RunMemdeep
) -> None:
    events = program(
        """
        import threading

        def work(name):
            for number in range(500):
                memdeep.checkpoint(f"{name} {number}")

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcdefgh"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        """
    )
    assert Counter(event.label for event in events) == Counter(
        f"{name} {number}" for name in "abcdefgh" for number in range(500)
    )
    completed = run_memdeep("report", "--quiet", "run", cwd=work)
    assert (completed.returncode, completed.stderr) == (0, b"")
    points = read_json(work / "run/report.json")["checkpoints"]
    assert len(points) == 4000 + 2
    assert {event.sequence for event in events} <= aligned(work / "run")
    # Each thread's own checkpoints are in its own order.
    for name in "abcdefgh":
        own = [point["label"] for point in points if point["label"].startswith(f"{name} ")]
        assert own == [f"{name} {number}" for number in range(500)]


@only_once
def test_checkpoint_in_a_signal_handler_amid_checkpoints_is_kept(
    program: Program, work: Path, run_memdeep: RunMemdeep
) -> None:
    events = program(
        """
        import signal

        handled = 0

        def handle(number, frame):
            global handled
            handled += 1
            memdeep.checkpoint("in the handler")

        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        made = 0
        while handled < 100:
            memdeep.checkpoint("outside")
            made += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        memdeep.checkpoint(f"{made} {handled}")
        """
    )
    made, handled = map(int, events[-1].label.split())
    assert Counter(event.label for event in events[:-1]) == {
        "outside": made,
        "in the handler": handled,
    }
    assert run_memdeep("report", "--quiet", "run", cwd=work).returncode == 0
    assert {event.sequence for event in events} <= aligned(work / "run")
