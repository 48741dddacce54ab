"""Passes signals that reach memdeep alone on to the program."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

MOST_FILES = 65536
PATIENCE_S = 0.1  # how long the witness may take to be heard
MEMORY_S = 0.5  # how long what it said still tells of the same event

FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")


class Forwarder:
    """Passes signals on to a program; signals that come before its start wait for it.

    A signal to the whole process group, as from a terminal, is not passed on: the program has got
    it itself. ``passed_on`` are the names of the signals passed on, in order.
    """

    def __init__(self, witness: GroupWitness) -> None:
        self._witness = witness
        self._child: subprocess.Popen[bytes] | None = None
        self._waiting: list[int] = []
        self.passed_on: list[str] = []

    def pass_to(self, child: subprocess.Popen[bytes]) -> None:
        """Pass signals to ``child``, which has just started, beginning with those that waited."""
        self._child = child
        while self._waiting:
            self._send(self._waiting.pop(0))

    def listen(self) -> None:
        """Take note of signals to the whole group; call it often."""
        self._witness.listen()

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal: pass it on, or let it wait."""
        if self._child is None:
            self._waiting.append(number)
        elif not self._witness.saw(number):
            self._send(number)

    def _send(self, number: int) -> None:
        if self._child is not None:
            with suppress(ProcessLookupError):
                self._child.send_signal(number)
                self.passed_on.append(signal.Signals(number).name)


@contextmanager
def forwarding_signals() -> Iterator[Forwarder]:
    """Handle signals within, by a Forwarder; ignored ones stay ignored, as under `nohup`."""
    numbers = [getattr(signal, name) for name in FORWARDED if hasattr(signal, name)]
    numbers = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    witness = GroupWitness(numbers)
    forwarder = Forwarder(witness)
    previous = {number: signal.signal(number, forwarder.handle) for number in numbers}
    try:
        yield forwarder
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        witness.close()


class GroupWitness:
    """A process of memdeep's group that reports the signals in ``numbers``; `close` ends it.

    A signal that it gets as well was sent to the group. It holds none of memdeep's files, and ends
    by itself when memdeep does. Raises OSError if the system allows no more processes.
    """

    def __init__(self, numbers: Sequence[int]) -> None:
        self._heard: dict[int, float] = {}
        self._reports, reports = os.pipe()
        lifeline, self._lifeline = os.pipe()
        os.set_blocking(self._reports, False)
        # Nothing may arrive in between with our own handlers still in place.
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        self._pid = os.fork()
        if self._pid == 0:
            _witness(numbers, reports, lifeline)
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
        os.close(reports)
        os.close(lifeline)

    def saw(self, number: int) -> bool:
        """Tell if the signal ``number``, which memdeep has just received, was sent to the group."""
        give_up_s = time.monotonic() + PATIENCE_S
        while True:
            self.listen()
            if time.monotonic() - self._heard.pop(number, float("-inf")) < MEMORY_S:
                return True
            left_s = give_up_s - time.monotonic()
            if left_s <= 0 or not select.select([self._reports], [], [], left_s)[0]:
                return False

    def listen(self) -> None:
        """Read what the process has reported; call it often, as reports count from when read."""
        try:
            for number in os.read(self._reports, 4096):
                self._heard[number] = time.monotonic()
        except BlockingIOError:
            pass

    def close(self) -> None:
        """End the witness."""
        os.close(self._lifeline)
        os.close(self._reports)
        os.waitpid(self._pid, 0)


def _witness(numbers: Sequence[int], reports: int, lifeline: int) -> None:
    """Live as the other process: write each signal to ``reports`` as a byte, until the end."""
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(nowhere, standard)
        kept = sorted({reports, lifeline})
        os.closerange(3, kept[0])
        os.closerange(kept[0] + 1, kept[1])
        os.closerange(kept[1] + 1, min(os.sysconf("SC_OPEN_MAX"), MOST_FILES))
        os.set_blocking(reports, False)
        signal.set_wakeup_fd(reports, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, lambda _number, _frame: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
        os.read(lifeline, 1)  # nothing is ever written: this waits for the end of the other side
    finally:
        os._exit(0)
