"""Records the workers of a Ray cluster: their tasks are phases, by function or `Actor.method`.

Each worker is a process of one run, that of the driver, which is not traced itself. Ray's helpers,
and workers that never had a task, are none.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import ray

from memdeep.errors import MemdeepError, RecordingError
from memdeep.inprocess.face import caller_of_memdeep
from memdeep.inprocess.recording import DEFAULTS, Options, Recording
from memdeep.inprocess.run import Run
from memdeep.integrations import cluster_run
from memdeep.integrations.cluster_run import ClusterRun, ending
from memdeep.integrations.clusters import tell_ends
from memdeep.integrations.gathering import place_of
from memdeep.integrations.helpers import leave_out
from memdeep.integrations.joining import Shared, keep_main
from memdeep.integrations.ray_worker import HOOK, VARIABLE, Wish
from memdeep.record import api
from memdeep.record.how import NONE
from memdeep.record.tree import Tree
from memdeep.rundir.directory import RunDirectory

MOST_WORKERS = 1000
Environment = dict[str, Any]
Function = Callable[..., Any]
UNEXPECTED, OUT_OF_MEMORY = "SYSTEM_ERROR", "NODE_OUT_OF_MEMORY"  # ends, in the words of Ray
_HOOK_KEY, _VARIABLES_KEY = "worker_process_setup_hook", "env_vars"


def load(dir: str | os.PathLike[str]) -> ClusterRun:  # noqa: A002 - as of `recording`
    """Return the recording of a cluster in the directory ``dir``."""
    return cluster_run.load("ray", dir)


@contextmanager
def recording(
    dir: str | os.PathLike[str] | None = None,  # noqa: A002 - as of `memdeep.recording`
    *,
    native: bool = False,
    deep: bool = False,
    force: bool = False,
) -> Iterator[ClusterRun]:
    """Record the workers of what `ray.init` begins within, of its own accord or by a call.

    ``dir`` and the options are as those of `memdeep.recording`. Within another recording, as under
    `memdeep run`, which records the workers itself, the tasks become phases and this is one.
    Raises RecordingError or OutputError.
    """
    if ray.is_initialized():
        raise RecordingError(
            "Ray has begun already, and its workers cannot be recorded any more.",
            "Enter the recording before ray.init.",
        )
    if api.is_recording():
        with api.phase("ray"), _asking(Wish(DEFAULTS)):
            yield ClusterRun(Run("ray", None))
        return
    how = DEFAULTS.but(
        native=native,
        trace_python_allocators=deep,
        children=NONE,
        most_children=MOST_WORKERS,
    )
    path = None if dir is None else Path(dir)
    options = Options(how, path, "ray", force, others_only=True)
    recorded = Recording(options, caller_of_memdeep())
    assert recorded.run.path is not None
    run_dir = RunDirectory(recorded.run.path.absolute())
    keep_main(run_dir)
    run_dir.claims.touch(mode=0o600)
    shared = Shared(str(run_dir.path), place_of(str(run_dir.births)), uuid4().hex)
    cluster = _Cluster(Tree(str(run_dir.path), how))
    try:
        with ending(recorded), _asking(Wish(how, shared)), cluster.seen():
            yield ClusterRun(recorded.run)
    except BaseException as error:
        recorded.stop(error)  # if it has not begun with the workers
        raise
    finally:
        run_dir.claims.unlink(missing_ok=True)  # nobody joins any more, and who has leaves
        cluster.note_ends(all_end=True)  # after that of the recording: they go on
        with suppress(MemdeepError):
            tell_ends(run_dir, cluster.kills)
            leave_out(run_dir, cluster.roots)


def runtime_env(
    dir: str | os.PathLike[str],  # noqa: A002 - as of `recording`
    env: Mapping[str, Any] | None = None,
    *,
    native: bool = False,
    deep: bool = False,
) -> Environment:
    """Return a runtime environment in which each worker records itself below ``dir`` of its host.

    For jobs without a driver to record with, as JSON too. ``env`` is the rest of the environment.
    Raises RecordingError.
    """
    how = DEFAULTS.but(native=native, trace_python_allocators=deep, children=NONE)
    return _with_wish(env or {}, Wish(how, dir=os.path.abspath(dir)))


def _with_wish(env: Mapping[str, Any], wish: Wish) -> Environment:
    then = env.get(_HOOK_KEY, "")
    if not isinstance(then, str):
        raise RecordingError(
            "The runtime environment has a function as its worker_process_setup_hook.",
            'Name it there as text, "module.function": memdeep calls it then.',
        )
    wanted = Wish(wish.how, wish.run, wish.dir, then if then != HOOK else "")
    variables = {**env.get(_VARIABLES_KEY, {}), VARIABLE: wanted.encode()}
    return {**env, _HOOK_KEY: HOOK, _VARIABLES_KEY: variables}


@contextmanager
def _asking(wish: Wish) -> Iterator[None]:
    """Give all that `ray.init` begins the runtime environment for a wish."""

    def asking(init: Function) -> Function:
        @functools.wraps(init)
        def call(*args: Any, **kwargs: Any) -> Any:
            env = kwargs.get("runtime_env")
            if env is None:
                env = getattr(kwargs.get("job_config"), "runtime_env", None)
            kwargs["runtime_env"] = _with_wish(env or {}, wish)
            return init(*args, **kwargs)

        return call

    with _in_place_of("init", asking):
        yield


@contextmanager
def _in_place_of(name: str, wrap: Callable[[Function], Function]) -> Iterator[None]:
    """Put another function in the place of one of `ray`."""
    function = getattr(ray, name)
    ours = wrap(function)
    setattr(ray, name, ours)
    try:
        yield
    finally:
        if getattr(ray, name) is ours:
            setattr(ray, name, function)


class _Cluster:
    """What `ray.init` has begun here: which processes are its own, and how its workers end.

    The ends are noted among the births of the run.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._ended: set[int] = set()
        self.roots: set[int] = set()  # the processes that it has started
        # RSS for which the memory monitor has ended a worker, by host and number of that.
        self.kills: dict[tuple[str, int], int] = {}

    @contextmanager
    def seen(self) -> Iterator[None]:
        """See what begins within, and what ends with it."""
        with _in_place_of("init", self._around_init), _in_place_of("shutdown", self._around_end):
            try:
                yield
            finally:
                self.note_ends()

    def note_ends(self, *, all_end: bool = False) -> None:
        """Note how workers have ended; with ``all_end`` those that are alive do so now."""
        for host, pid, is_alive, kind, used_bytes in _workers():
            if pid in self._ended:
                continue
            if kind == OUT_OF_MEMORY and not is_alive:
                self.kills[host, pid] = used_bytes
            elif all_end if is_alive else kind != UNEXPECTED:
                self._tree.ended(pid, 0)
            else:
                continue
            self._ended.add(pid)

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
            self.note_ends(all_end=True)
            return shutdown(*args, **kwargs)

        return call


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


def _workers() -> list[tuple[str, int, bool, str, int]]:
    """Return host, number, life, kind of end and memory then of each worker that Ray tells of."""
    found = []
    with suppress(Exception):  # none of it is public; what is not known is told so
        if ray.is_initialized():
            from ray._private.state import state
            from ray.core.generated.common_pb2 import WORKER, WorkerExitType
            from ray.core.generated.gcs_pb2 import WorkerTableData

            state.workers()  # connects
            for row in state._global_state_accessor.get_worker_table():
                one = WorkerTableData.FromString(row)
                if one.worker_type == WORKER:
                    kind = WorkerExitType.Name(one.exit_type)
                    used_bytes = getattr(one, "memory_used_bytes_at_death", 0)
                    host = one.worker_address.ip_address
                    found.append((host, one.pid, one.is_alive, kind, used_bytes))
    return found
