"""Records the workers of a Dask cluster: their tasks are phases, by the prefix of their keys.

Each worker is a process of one run, that of the client, which is not traced itself. A worker that
is a thread of the client's process is recorded with that.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    contextmanager,
    nullcontext,
    suppress,
)
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar
from uuid import uuid4

import distributed

from memdeep.errors import MemdeepError, RecordingError
from memdeep.frozen import replace
from memdeep.inprocess.face import caller_of_memdeep
from memdeep.inprocess.recording import DEFAULTS, Options, Recording
from memdeep.inprocess.run import Run
from memdeep.integrations import cluster_run
from memdeep.integrations.cluster_run import ClusterRun, ending
from memdeep.integrations.clusters import tell_ends
from memdeep.integrations.dask_hosts import NAME, Connection
from memdeep.integrations.dask_merge import Merged as Merged
from memdeep.integrations.dask_merge import merge as merge
from memdeep.integrations.dask_tasks import tasks
from memdeep.integrations.gatherer import Gatherer
from memdeep.integrations.gathering import place_of
from memdeep.integrations.joining import Member, Shared, keep_main
from memdeep.record import api
from memdeep.record.how import NONE, HowToRecord
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import write_atomically
from memdeep.rundir.workers import Worker, encode_worker

T = TypeVar("T")

PHASES = "memdeep-phases"  # of one within a recording, beside the plugin of that
CLIENT = "(client)"  # name of all workers that are threads of its process
RESTARTS = "worker-restart-memory"  # topic of what nannies say when they end a worker


def load(dir: str | os.PathLike[str]) -> ClusterRun:  # noqa: A002 - as of `recording`
    """Return the recording of a cluster in the directory ``dir``."""
    return cluster_run.load("dask", dir)


def recording(
    client: distributed.Client,
    dir: str | os.PathLike[str] | None = None,  # noqa: A002 - as of `memdeep.recording`
    *,
    native: bool = False,
    deep: bool = False,
    force: bool = False,
    gather: bool = False,
) -> Recorded:
    """Record all workers of the cluster of ``client``, also those that join it meanwhile.

    ``dir`` and the options are as those of `memdeep.recording`. Within another recording, as under
    `memdeep run`, which records the workers itself, the tasks become phases and this is one.

    Workers of this machine write into the run directory. What others record comes through the
    scheduler, every second and at the end; with ``gather`` so does what those of this machine do.
    Use it by `with`, or by `async with` where the client is asynchronous; that raises
    RecordingError or OutputError.
    """
    how = cluster_run.how_to_record(native=native, deep=deep)
    path = None if dir is None else Path(dir)
    return Recorded(client, Options(how, path, "dask", force), gather=gather)


class Recorded(AbstractContextManager[ClusterRun], AbstractAsyncContextManager[ClusterRun]):
    """A block of the program in which a cluster is recorded."""

    def __init__(self, client: distributed.Client, options: Options, *, gather: bool) -> None:
        self._client = client
        self._options = options
        self._gathers = gather
        self._has_entered = False
        self._block: AbstractContextManager[ClusterRun]
        self._phase: AbstractContextManager[object]

    def __enter__(self) -> ClusterRun:
        """Begin. Raises RecordingError or OutputError."""
        if self._client.asynchronous:
            raise RecordingError(
                "An asynchronous client cannot be waited for here.",
                "Write `async with` for `with`.",
            )
        self._prepare(caller_of_memdeep())
        with self._phase_if_it_fails():
            return self._enter()

    def __exit__(self, *error: Any) -> None:
        """End the recording, or the phase of another one."""
        try:
            self._block.__exit__(*error)
        finally:
            self._phase.__exit__(*error)

    async def __aenter__(self) -> ClusterRun:
        """Begin, while the event loop goes on. Raises RecordingError or OutputError."""
        self._prepare(caller_of_memdeep())
        with self._phase_if_it_fails():
            try:
                return await _in_a_thread(self._enter)
            except asyncio.CancelledError as error:
                if self._has_entered:
                    await _in_a_thread(self._block.__exit__, type(error), error, None)
                raise

    async def __aexit__(self, *error: Any) -> None:
        """End the recording, or the phase of another one, while the event loop goes on."""
        try:
            await _in_a_thread(self._block.__exit__, *error)
        finally:
            self._phase.__exit__(*error)

    def _prepare(self, caller: FrameType | None) -> None:
        """Choose what is to be done; the phase is one of the program's own thread and task."""
        if api.is_recording():
            self._phase, self._block = api.phase("dask"), _within_another(self._client)
        else:
            self._phase = nullcontext()
            self._block = _recorded(self._client, self._options, self._gathers, caller)
        self._phase.__enter__()

    @contextmanager
    def _phase_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self._phase.__exit__(type(error), error, error.__traceback__)
            raise

    def _enter(self) -> ClusterRun:
        run = self._block.__enter__()
        self._has_entered = True
        return run


async def _in_a_thread(function: Callable[..., T], *args: Any) -> T:
    """Call a function where the client waits for its answers; a cancellation waits for the end."""
    call = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        await asyncio.wait([call])
        raise


@contextmanager
def _within_another(client: distributed.Client) -> Iterator[ClusterRun]:
    with _connected(client) as connection, _registered(connection, Plugin(), PHASES):
        yield ClusterRun(Run("dask", None))


@contextmanager
def _recorded(
    client: distributed.Client, options: Options, gather: bool, caller: FrameType | None
) -> Iterator[ClusterRun]:
    are_elsewhere = os.getpid() not in client.run(os.getpid).values()
    recorded = Recording(replace(options, others_only=are_elsewhere), caller)
    assert recorded.run.path is not None
    run_dir = RunDirectory(recorded.run.path.absolute())
    keep_main(run_dir)
    if not are_elsewhere:
        whole = Worker(os.getpid(), CLIENT, "", sum(client.nthreads().values()))  # type: ignore[no-untyped-call]
        write_atomically(run_dir.worker, encode_worker(whole))
    run_dir.claims.touch(mode=0o600)
    place = "" if gather else place_of(str(run_dir.births))
    with _connected(client) as connection:
        gatherer = Gatherer(connection, uuid4().hex, run_dir)
        joining = _Joining(options.how, Shared(str(run_dir.path), place, gatherer.run_id))
        kills: dict[tuple[str, int], int] = {}
        try:
            with _registered(connection, joining), gatherer, ending(recorded):
                try:
                    yield ClusterRun(recorded.run, gatherer.gathered)
                finally:
                    kills = _nanny_kills(connection)
        except BaseException as error:
            recorded.stop(error)  # if it has not begun with the workers
            raise
        finally:
            notes = gatherer.finish()
            with suppress(MemdeepError):
                tell_ends(run_dir, kills, notes)


@contextmanager
def _connected(client: distributed.Client) -> Iterator[Connection]:
    connection = Connection(client)
    try:
        yield connection
    finally:
        connection.close()


def _nanny_kills(connection: Connection) -> dict[tuple[str, int], int]:
    """Return the RSS for which nannies have ended workers, by address and number of these."""
    try:
        events = connection.client.get_events(RESTARTS)
        return {(event["worker"], event["pid"]): event["rss"] for _, event in events}
    except Exception:  # the cluster is gone; the workers are told as lost
        return {}


@contextmanager
def _registered(connection: Connection, plugin: Plugin, name: str = NAME) -> Iterator[None]:
    try:
        connection.client.register_plugin(plugin, name=name)
        yield
    finally:
        with suppress(Exception):  # workers that are gone have nothing to give back
            connection.client.unregister_worker_plugin(name)


class Plugin(distributed.WorkerPlugin):
    """Records each worker into a run directory of its own within ``dir``; tasks are its phases.

    For clusters without a client to record with: it is registered once, and ``dir`` is one of each
    worker's host. Where the process is recorded already, as under `memdeep run`, and without
    ``dir``, it only makes phases of tasks.
    """

    name = NAME
    _has_begun = False

    def __init__(
        self,
        dir: str | os.PathLike[str] = "",  # noqa: A002 - as of `recording`
        *,
        native: bool = False,
        deep: bool = False,
    ) -> None:
        self._how = DEFAULTS.but(native=native, trace_python_allocators=deep, children=NONE)
        self._dir = os.fspath(dir)
        self._recording: Recording | None = None

    def setup(self, worker: distributed.Worker) -> None:
        """Begin to record. Raises RecordingError, OutputError or OSError, which Dask logs."""
        if not api.is_recording():
            self._begin(worker)
        tasks.begin(worker)
        self._has_begun = True

    def teardown(self, worker: distributed.Worker) -> None:
        """Give back all that was taken."""
        if self._has_begun:
            tasks.end(worker)
        self._end()

    def _begin(self, worker: distributed.Worker) -> None:
        if not self._dir:
            return
        name = re.sub(r"[^\w.-]+", "-", str(worker.name)).strip("-.") or "worker"
        path = Path(self._dir, f"{name}-{os.getpid()}")
        self._recording = Recording(Options(self._how, path, name))
        write_atomically(RunDirectory(path).worker, encode_worker(_facts(worker)))

    def _end(self) -> None:
        if self._recording is not None:
            self._recording.stop()
            self._recording = None


def _facts(worker: distributed.Worker) -> Worker:
    limit = worker.memory_manager.memory_limit
    threads = worker.state.nthreads
    return Worker(os.getpid(), str(worker.name), worker.address, threads, limit or None)


class _Joining(Plugin):
    """Records each worker as a process of one run, whose directory and place ``run`` names."""

    def __init__(self, how: HowToRecord, run: Shared) -> None:
        super().__init__()
        self._member = Member(how, run)

    def _begin(self, worker: distributed.Worker) -> None:
        self._member.begin(["dask", "worker", str(worker.name)], _facts(worker))

    def _end(self) -> None:
        self._member.end()
