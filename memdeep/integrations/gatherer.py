"""Brings what workers of other hosts record into the run, again and again, by any framework's way.

What is asked on the hosts is in `joining`; how the pieces become a run, in `gathering`.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from threading import Event, Thread
from typing import Any, Protocol, TypeVar

from memdeep.errors import OutputError
from memdeep.integrations.gathering import Answer, Gathered, place_of, system_of
from memdeep.integrations.joining import discard, host_of, read_of
from memdeep.rundir.directory import RunDirectory

GATHER_S = 1.0
T = TypeVar("T")


class Connection(Protocol):
    """A way to the workers of a cluster; whatever it raises, the cluster may be gone."""

    def workers(self) -> Collection[str]:
        """Return the addresses of the workers that there are."""

    def places(self, run_id: str, workers: Sequence[str]) -> Mapping[str, str | None]:
        """Return what `host_of` is on workers; None, or nothing, where that is not known yet."""

    def ask(self, worker: str, function: Callable[..., T], *args: Any) -> T | None:
        """Call a function on a worker; None if that does not answer."""


class Gatherer:
    """Brings what workers of other hosts record into the run, while it is entered and at the end.

    Of each host one worker is asked: so what those left that have died comes too.
    """

    def __init__(self, connection: Connection, run_id: str, run_dir: RunDirectory) -> None:
        self.run_id = run_id
        self.gathered = Gathered(run_dir)
        self._connection = connection
        self._places: dict[str, str] = {}  # by worker: of what lies on its host; empty if nothing
        self._is_over = Event()
        self._thread = Thread(target=self._go_on, name="memdeep-gather", daemon=True)

    def __enter__(self) -> None:
        with suppress(Exception):
            self.pull()
        self._thread.start()

    def __exit__(self, *_exception: object) -> None:
        self._is_over.set()
        self._thread.join()

    def finish(self) -> list[str]:
        """Bring the rest, when nothing is recorded any more; return what is to be told of it."""
        notes = []
        own = self._here()
        try:
            if own:  # nobody need be asked
                self._bring(own, lambda: read_of(self.run_id, self.gathered.known(own), True))
                discard(self.run_id)
            self.pull(own, is_last=True)
        except Exception as error:  # the cluster may be gone, in many ways
            if {*self._places.values()} - {own, ""} or not self._places:
                reason = getattr(error, "strerror", None) or "the cluster no longer answers"
                notes.append(f"Not all that workers recorded could be gathered: {reason}.")
        with suppress(OutputError):
            self.gathered.finish()
        return notes

    def _go_on(self) -> None:
        while not self._is_over.wait(GATHER_S):
            with suppress(Exception):  # at the end it is told, if it is so still
                self.pull()

    def pull(self, brought: str = "", *, is_last: bool = False) -> None:
        """Bring what is new on all hosts but the one that was ``brought``.

        A worker is asked once where it records, and one of a host for what lies there: what workers
        do otherwise is theirs.
        """
        there = self._connection.workers()
        unknown = [address for address in there if address not in self._places]
        if unknown:
            found = self._connection.places(self.run_id, unknown)
            told = {address: host for address, host in found.items() if isinstance(host, str)}
            self._places.update(told)
        hosts = {host: address for address, host in self._places.items() if address in there}
        for host, address in hosts.items():
            if host not in ("", brought):
                self._bring(host, functools.partial(self._ask, host, address, is_last))
                if is_last:
                    self._connection.ask(address, discard, self.run_id)

    def _ask(self, host: str, address: str, is_last: bool) -> Answer | None:
        known = self.gathered.known(host)
        return self._connection.ask(address, read_of, self.run_id, known, is_last)

    def _bring(self, host: str, ask: Callable[[], Answer | None]) -> None:
        """Take the answers of a host until it has no more."""
        has_more = True
        while has_more:
            before_ns = time.monotonic_ns()
            answer = ask()
            if answer is None:
                return
            self._set_clock(host, answer, (before_ns + time.monotonic_ns()) // 2)
            self.gathered.take(host, answer)
            has_more = answer.has_more

    def _here(self) -> str:
        """Return the place of what workers of this host have recorded apart; empty if none has."""
        return host_of(self.run_id)

    def _set_clock(self, host: str, answer: Answer, here_ns: int) -> None:
        """Compare the clock of a host with that of this one, unless they are one machine."""
        is_here = system_of(host) == system_of(self._own)
        self.gathered.set_clock(host, 0 if is_here else here_ns - answer.monotonic_ns)

    @cached_property
    def _own(self) -> str:
        return place_of(os.curdir)
