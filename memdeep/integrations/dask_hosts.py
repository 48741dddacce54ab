"""The hosts of a Dask cluster: where their workers record, and who brings that into the run.

Workers that see the run directory write into it. Those of any other host share a directory there,
which is gathered through the scheduler.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any, TypeVar

import distributed

from memdeep.integrations.joining import host_of

NAME = "memdeep"  # of the plugin, to Dask
REACH_S = 2.0  # for a cluster that may be gone
T = TypeVar("T")


class Connection:
    """A way to the cluster of ``client`` that stays open when the program closes that."""

    def __init__(self, client: distributed.Client) -> None:
        self._given: Any = client
        self._own: Any = None
        self._is_lost = False
        scheduler: Any = client.scheduler
        self._address = scheduler.address
        self._lock = Lock()

    @property
    def client(self) -> Any:
        """A client that is open. Raises OSError if the cluster has gone."""
        if self._given.status not in ("closing", "closed"):
            return self._given
        with self._lock:
            if self._is_lost:
                raise OSError("the cluster is gone")
            if self._own is None:
                self._is_lost = True
                security = self._given.security
                arguments = {"security": security, "set_as_default": False, "timeout": REACH_S}
                make: Any = distributed.Client
                self._own = make(self._address, **arguments)
                self._is_lost = False
        return self._own

    def workers(self) -> Collection[str]:
        """Return the addresses of the workers that there are."""
        found: dict[str, int] = self.client.nthreads()
        return found

    def places(self, run_id: str, workers: Sequence[str]) -> Mapping[str, str | None]:
        """Return, by address, the place of what workers of a host record; None if not known yet."""
        found: dict[str, Any] = self.client.run(_host, run_id, workers=workers, on_error="ignore")
        return found

    def ask(self, worker: str, function: Callable[..., T], *args: Any) -> T | None:
        """Call a function on a worker; None if that does not answer."""
        found: dict[str, T] = self.client.run(function, *args, workers=[worker], on_error="ignore")
        return found.get(worker)

    def close(self) -> None:
        """Close what was opened here."""
        if self._own is not None:
            with suppress(Exception):  # it may have lost its cluster
                self._own.close()


def _host(run_id: str, dask_worker: distributed.Worker) -> str | None:
    """Return, on a worker, the place of what is gathered from there; None if it is not known yet.

    Dask knows the last argument by its name.
    """
    return host_of(run_id) or ("" if NAME in dask_worker.plugins else None)
