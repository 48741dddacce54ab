"""Work that crashes, hangs or eats memory ends with a reason, and the process that asked lives."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable

import psutil
import pytest

from memdeep.heap.memray import confined
from memdeep.heap.memray.confined import ConfinedError, Confinement, Limits

LIMITS = Limits(memory_bytes=200 << 20, cpu_s=1)


def ignore(step: str) -> None:
    pass


def children() -> int:
    """How many processes this one has and has not waited for."""
    return len(psutil.Process().children())


def test_the_result_comes_back_and_the_steps_come_on_the_way() -> None:
    def work(inside: Confinement) -> tuple[int, str]:
        inside.step("first")
        os.write(2, b"a word\nanother\n")
        inside.step("second")
        return os.getpid(), inside.said()

    steps: list[str] = []
    pid, said = confined.run(work, LIMITS, steps.append)
    assert pid != os.getpid()
    assert said == "a word"
    assert steps == ["first", "second"]


def crash(inside: Confinement) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def give_up(inside: Confinement) -> None:
    os.abort()


def hang(inside: Confinement) -> None:
    while True:
        pass


def eat(inside: Confinement) -> int:
    return len(bytearray(300 << 20))


def complain(inside: Confinement) -> None:
    raise KeyError("a key of the reader's own")


def vanish(inside: Confinement) -> None:
    os._exit(3)


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (crash, "ended by SIGSEGV"),
        (give_up, "ended by SIGABRT"),
        (hang, "longer than 1 s"),
        (complain, "a key of the reader's own"),
        (vanish, "without a result"),
    ]
    # macOS does not hold a process to its limit on memory.
    + [(eat, "more than 200 MB of memory")] * (sys.platform == "linux"),
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_goes_wrong_is_a_reason(
    work: Callable[[Confinement], object], reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfinedError, match=reason):
        confined.run(work, LIMITS, ignore)
    assert capfd.readouterr() == ("", "")


def test_an_interrupt_ends_the_work_too() -> None:
    def work(inside: Confinement) -> None:
        inside.step("busy")
        time.sleep(60)

    def interrupt(step: str) -> None:
        raise KeyboardInterrupt

    before = children()
    with pytest.raises(KeyboardInterrupt):
        confined.run(work, LIMITS, interrupt)
    assert children() == before


def test_a_result_larger_than_a_pipe_comes_back_whole() -> None:
    assert confined.run(lambda inside: bytes(5_000_000), LIMITS, ignore) == bytes(5_000_000)


def test_what_was_held_before_does_not_count() -> None:
    held = bytearray(300 << 20)  # never touched: it is counted all the same
    size = 100 << 20
    assert confined.run(lambda inside: len(bytearray(size)), LIMITS, ignore) == size
    assert len(held) > LIMITS.memory_bytes


@pytest.mark.skipif(sys.platform != "linux", reason="macOS does not hold a process to its limit")
def test_the_limit_holds_whatever_was_held_before() -> None:
    held = bytearray(300 << 20)
    with pytest.raises(ConfinedError, match="more than 200 MB of memory"):
        confined.run(eat, LIMITS, ignore)
    assert len(held) > LIMITS.memory_bytes


def test_other_threads_do_not_stop_it() -> None:
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert confined.run(lambda inside: 1, LIMITS, ignore) == 1
    finally:
        stop.set()
        for thread in threads:
            thread.join()
