"""The nodes of a Ray cluster: how their workers end, and what they record on other hosts."""

from __future__ import annotations

import functools
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import RLock
from typing import Any, TypeVar

import psutil
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from memdeep.integrations.clusters import read_workers
from memdeep.integrations.gatherer import Gatherer
from memdeep.integrations.joining import host_of
from memdeep.rundir import births
from memdeep.rundir.directory import RunDirectory

UNEXPECTED, OUT_OF_MEMORY = "SYSTEM_ERROR", "NODE_OUT_OF_MEMORY"  # ends, in the words of Ray
ANSWER_S = 10.0
Function = Callable[..., Any]
Number = tuple[str, int]  # of a worker: its host and its process there
T = TypeVar("T")


class Nodes:
    """A way to the nodes of the cluster that this process has begun or joined.

    Those of this host are asked only with ``own_too``: their workers see the run directory.
    """

    def __init__(self, *, own_too: bool) -> None:
        self._own_too = own_too
        self._is_lost = False
        self.lock = RLock()  # so that no question begins a cluster after the end of the last

    def workers(self) -> Sequence[str]:
        """Return the numbers of nodes. Raises OSError if one was lost before all had come."""
        with self.lock:
            if self._is_lost:
                raise OSError("the cluster is gone")
            if not ray.is_initialized():
                return []
            own = None if self._own_too else socket.gethostname()
            return [
                node["NodeID"]
                for node in ray.nodes()
                if node["Alive"] and node["NodeManagerHostname"] != own
            ]

    def places(self, run_id: str, workers: Sequence[str]) -> Mapping[str, str | None]:
        """Return, by node, the place of what its workers record; None if not known yet."""
        return {node: self.ask(node, host_of, run_id) or None for node in workers}

    def ask(self, worker: str, function: Callable[..., T], *args: Any) -> T | None:
        """Call a function on a node. Raises an error of Ray's."""
        with self.lock:
            if not ray.is_initialized():
                return None
            call = ray.remote(num_cpus=0, max_retries=0)(_call)
            there = NodeAffinitySchedulingStrategy(worker, soft=False)
            asked = call.options(scheduling_strategy=there).remote(function, *args)
            found: T = ray.get(asked, timeout=ANSWER_S)
            return found

    def bring_last(self, gatherer: Gatherer) -> None:
        """Bring all that there is, before the cluster goes."""
        try:
            gatherer.pull(is_last=True)
        except Exception:  # whatever Ray raises
            self._is_lost = True


def _call(function: Callable[..., T], *args: Any) -> T:
    return function(*args)


class Cluster:
    """What `ray.init` has begun here: which processes are its own, and how its workers end."""

    def __init__(self, nodes: Nodes, gatherer: Gatherer) -> None:
        self._nodes = nodes
        self._gatherer = gatherer
        self._ends_ns: dict[Number, int] = {}  # when that was noted of a worker
        self.roots: set[int] = set()  # the processes that it has started
        self.kills: dict[Number, int] = {}  # RSS at which the memory monitor has ended a worker

    @contextmanager
    def seen(self) -> Iterator[None]:
        """See what begins within, and what ends with it."""
        with in_place_of("init", self._around_init), in_place_of("shutdown", self._around_end):
            try:
                yield
            finally:
                self._note_ends(all_end=False)

    def write_ends(self, run_dir: RunDirectory) -> None:
        """Note the ends among the births of a run; those that are alive have ended after it.

        Raises OSError.
        """
        self._note_ends(all_end=True)
        with open(run_dir.births, "ab") as file:
            for _, worker in read_workers(run_dir.children()):
                end_ns = self._ends_ns.get((worker.address, worker.pid % births.HOSTS))
                if end_ns is not None:
                    file.write(births.encode_ended(worker.pid, 0, end_ns))

    def _note_ends(self, *, all_end: bool) -> None:
        """Note how workers have ended; with ``all_end`` those that are alive do so now."""
        for number, is_alive, kind, used_bytes in _workers():
            if kind == OUT_OF_MEMORY and not is_alive:
                self.kills[number] = used_bytes
            elif all_end if is_alive else kind != UNEXPECTED:
                self._ends_ns.setdefault(number, time.monotonic_ns())

    def _around_init(self, init: Function) -> Function:
        @functools.wraps(init)
        def call(*args: Any, **kwargs: Any) -> Any:
            before = _children()
            try:
                return init(*args, **kwargs)
            finally:
                self.roots |= _children() - before

        return call

    def _around_end(self, shutdown: Function) -> Function:
        @functools.wraps(shutdown)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._nodes.lock:
                self._nodes.bring_last(self._gatherer)
                self._note_ends(all_end=True)
                return shutdown(*args, **kwargs)

        return call


@contextmanager
def in_place_of(name: str, wrap: Callable[[Function], Function]) -> Iterator[None]:
    """Put another function in the place of one of `ray`."""
    function = getattr(ray, name)
    ours = wrap(function)
    setattr(ray, name, ours)
    try:
        yield
    finally:
        if getattr(ray, name) is ours:
            setattr(ray, name, function)


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


def _workers() -> list[tuple[Number, bool, str, int]]:
    """Return number, life, kind of end and memory then of each worker that Ray tells of."""
    found = []
    with suppress(Exception):  # none of it is public; what is not known is told so
        if ray.is_initialized():
            from ray._private.state import state
            from ray.core.generated.common_pb2 import WORKER, WorkerExitType
            from ray.core.generated.gcs_pb2 import WorkerTableData

            state.workers()  # connects
            connected: Any = vars(state)
            accessor = connected.get("_global_state_accessor") or connected["global_state_accessor"]
            for row in accessor.get_worker_table():
                one = WorkerTableData.FromString(row)
                if one.worker_type == WORKER:
                    number = one.worker_address.ip_address, one.pid
                    kind = WorkerExitType.Name(one.exit_type)
                    used_bytes = getattr(one, "memory_used_bytes_at_death", 0)
                    found.append((number, one.is_alive, kind, used_bytes))
    return found
