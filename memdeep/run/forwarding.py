"""Passes on to the program the signals that reach only us."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")


class Forwarder:
    """Passes signals on to a program; those that come before it is started wait for it.

    ``passed_on`` are the names of those that were, in order.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._waiting: list[int] = []
        self.passed_on: list[str] = []

    def pass_to(self, child: subprocess.Popen[bytes]) -> None:
        """From now on the program is there."""
        self._child = child
        while self._waiting:
            self._send(self._waiting.pop(0))

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """The handler of the signals."""
        if self._child is None:
            self._waiting.append(number)
        elif number not in (signal.SIGINT, signal.SIGQUIT) or not _in_foreground():
            self._send(number)
        # Otherwise it was typed at the terminal: the program has got it as well.

    def _send(self, number: int) -> None:
        if self._child is not None:
            with suppress(ProcessLookupError):
                self._child.send_signal(number)
                self.passed_on.append(signal.Signals(number).name)


@contextmanager
def forwarding_signals() -> Iterator[Forwarder]:
    """Handle the signals to pass on; those that were ignored stay so, as under `nohup`."""
    forwarder = Forwarder()
    numbers = [getattr(signal, name) for name in FORWARDED if hasattr(signal, name)]
    previous = {
        number: signal.signal(number, forwarder.handle)
        for number in numbers
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield forwarder
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _in_foreground() -> bool:
    """Whether a terminal would send its signals to our process group."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
