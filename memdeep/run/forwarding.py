"""Passes on to the program the signals that reach only us."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from memdeep.run.group_witness import GroupWitness

FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")


class Forwarder:
    """Passes signals on to a program; those that come before it is started wait for it.

    What the whole process group was sent, as by a terminal, the program has got by itself.
    ``passed_on`` are the names of the others, in order.
    """

    def __init__(self, witness: GroupWitness) -> None:
        self._witness = witness
        self._child: subprocess.Popen[bytes] | None = None
        self._waiting: list[int] = []
        self.passed_on: list[str] = []

    def pass_to(self, child: subprocess.Popen[bytes]) -> None:
        """From now on the program is there."""
        self._child = child
        while self._waiting:
            self._send(self._waiting.pop(0))

    def listen(self) -> None:
        """To be called often."""
        self._witness.listen()

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """The handler of the signals."""
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
    """Handle the signals to pass on; those that were ignored stay so, as under `nohup`."""
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
