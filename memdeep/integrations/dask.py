"""Records the workers of a Dask cluster: their tasks are phases, by the prefix of their keys.

Each worker is a process of one run, that of the client, which is not traced itself. A worker that
is a thread of the client's process is recorded with that.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any
from uuid import uuid4

import distributed
import distributed.worker
from dask.utils import key_split

from memdeep.errors import MemdeepError, OutputError, RecordingError
from memdeep.frozen import frozen
from memdeep.inprocess.face import caller_of_memdeep
from memdeep.inprocess.recording import DEFAULTS, Options, Recording
from memdeep.inprocess.run import Run
from memdeep.integrations import cluster_summary
from memdeep.integrations.clusters import ClusterWorker, tell_ends, workers_of
from memdeep.integrations.gathering import (
    BIRTHS,
    Answer,
    Gathered,
    place_of,
    read_pieces,
    system_of,
)
from memdeep.objects.across import Row
from memdeep.record import api
from memdeep.record.how import NONE, HowToRecord
from memdeep.record.session import Session
from memdeep.record.tree import Tree
from memdeep.results import Result
from memdeep.rundir import births
from memdeep.rundir.cells import Cell, encode_cell
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import write_atomically
from memdeep.rundir.workers import Worker, encode_worker
from memdeep.text.language import spoken

NAME = "memdeep"  # of the plugin, to Dask
PHASES = "memdeep-phases"  # of one within a recording, beside the plugin of that
CLIENT = "(client)"  # name of all workers that are threads of its process
RUN_TASK = "_run_task"  # of `distributed.worker`: what its threads run a task by
RESTARTS = "worker-restart-memory"  # topic of what nannies say when they end a worker
GATHER_S = 1.0
MOST_WORKERS = 1000


@frozen
class _Shared:
    """A run that workers join: ``id`` names a directory for it on the hosts without ``place``."""

    path: str
    place: str
    id: str


def load(dir: str | os.PathLike[str]) -> ClusterRun:  # noqa: A002 - as of `recording`
    """Return the recording of a cluster in the directory ``dir``."""
    run = Run("dask", Path(dir))
    run.end()
    return ClusterRun(run)


class ClusterRun:
    """One recording of a cluster. Its figures are known when it has ended.

    ``path`` is the run directory, None if the recording is a phase of another one.
    """

    def __init__(self, run: Run, gathered: Gathered | None = None) -> None:
        self._run = run
        self.path = run.path
        self.gathered = gathered  # how much has come through the scheduler

    def report(self) -> Path | None:
        """Write report.html and report.json; return the path of the page, as `Run.report` does."""
        return self._run.report()

    @property
    def result(self) -> Result:
        """The run as `memdeep.load` has it. Raises NotKnownError before it has ended."""
        return self._run.result

    @cached_property
    def workers(self) -> tuple[ClusterWorker, ...]:
        """The workers, with their peaks and their limits. Raises NotKnownError."""
        return workers_of(self.result)

    @property
    def prefixes(self) -> tuple[Row, ...]:
        """The tasks by prefix, over all workers; what retained most first. Raises NotKnownError."""
        return self.result.across

    def summary(self) -> str:
        """Return the rows and the workers as text, in the language of the terminal."""
        return "\n".join(cluster_summary.lines(self.prefixes, self.workers, spoken()))

    def __repr__(self) -> str:
        return f"<ClusterRun in {self.path}>"


@contextmanager
def recording(
    client: distributed.Client,
    dir: str | os.PathLike[str] | None = None,  # noqa: A002 - as of `memdeep.recording`
    *,
    native: bool = False,
    deep: bool = False,
    force: bool = False,
    gather: bool = False,
) -> Iterator[ClusterRun]:
    """Record all workers of the cluster of ``client``, also those that join it meanwhile.

    ``dir`` and the options are as those of `memdeep.recording`. Within another recording, as under
    `memdeep run`, which records the workers itself, the tasks become phases and this is one.

    Workers of this machine write into the run directory. What others record comes through the
    scheduler, every second and at the end; with ``gather`` so does what those of this machine do.
    Raises RecordingError or OutputError.
    """
    if client.asynchronous:
        raise RecordingError(
            "An asynchronous client cannot be recorded.",
            "Make one without asynchronous=True, or register memdeep.integrations.dask.Plugin.",
        )
    if api.is_recording():
        with api.phase("dask"), _registered(client, Plugin(), PHASES):
            yield ClusterRun(Run("dask", None))
        return
    how = DEFAULTS.but(
        native=native,
        trace_python_allocators=deep,
        children=NONE,
        most_children=MOST_WORKERS,
    )
    are_elsewhere = os.getpid() not in client.run(os.getpid).values()
    path = None if dir is None else Path(dir)
    options = Options(how, path, "dask", force, others_only=are_elsewhere)
    recorded = Recording(options, caller_of_memdeep())
    assert recorded.run.path is not None
    run_dir = RunDirectory(recorded.run.path.absolute())
    _keep_main(run_dir)
    if not are_elsewhere:
        whole = Worker(os.getpid(), CLIENT, "", sum(client.nthreads().values()))  # type: ignore[no-untyped-call]
        write_atomically(run_dir.worker, encode_worker(whole))
    run_dir.claims.touch(mode=0o600)
    place = "" if gather else place_of(str(run_dir.births))
    gatherer = _Gatherer(client, uuid4().hex, run_dir)
    shared = _Shared(str(run_dir.path), place, gatherer.run_id)
    kills: dict[int, int] = {}
    try:
        with _registered(client, _Joining(how, shared)), gatherer, _ending(recorded):
            try:
                yield ClusterRun(recorded.run, gatherer.gathered)
            finally:
                kills = _nanny_kills(client)
    except BaseException as error:
        recorded.stop(error)  # if it has not begun with the workers
        raise
    finally:
        notes = gatherer.finish()
        with suppress(MemdeepError):
            tell_ends(run_dir, kills, notes)


@contextmanager
def _ending(recorded: Recording) -> Iterator[None]:
    """End a recording before those of the workers, which it sees as going on."""
    try:
        yield
    except BaseException as error:
        recorded.stop(error)
        raise
    recorded.stop()


def _keep_main(run_dir: RunDirectory) -> None:
    """Keep the source of the program: its functions are sent to workers without their file."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    if path:
        with suppress(OSError, ValueError, OutputError):
            source = Path(path).read_text("utf-8")
            file = os.path.abspath(path)
            write_atomically(run_dir.cells, encode_cell(Cell(file, file, source)))


def _nanny_kills(client: distributed.Client) -> dict[int, int]:
    """Return the RSS for which nannies have ended workers, by the numbers of these."""
    try:
        events = client.get_events(RESTARTS)
        return {event["pid"]: event["rss"] for _, event in events}
    except Exception:  # the cluster is gone; the workers are told as lost
        return {}


@contextmanager
def _registered(client: distributed.Client, plugin: Plugin, name: str = NAME) -> Iterator[None]:
    untyped: Any = client
    try:
        untyped.register_plugin(plugin, name=name)
        yield
    finally:
        with suppress(Exception):  # workers that are gone have nothing to give back
            untyped.unregister_worker_plugin(name)


class Plugin(distributed.WorkerPlugin):
    """Records each worker into a run directory of its own within ``dir``; tasks are its phases.

    For clusters without a client to record with: it is registered once, and ``dir`` is one of each
    worker's host. Where the process is recorded already, as under `memdeep run`, and without
    ``dir``, it only makes phases of tasks.
    """

    name = NAME

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
        _tasks.begin()

    def teardown(self, worker: distributed.Worker) -> None:
        """Give back all that was taken."""
        _tasks.end()
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

    def __init__(self, how: HowToRecord, run: _Shared) -> None:
        super().__init__()
        self._how = how
        self._run = run
        self._session: Session | None = None
        self._tree: Tree

    def _begin(self, worker: distributed.Worker) -> None:
        self._tree = Tree(self._directory(), self._how)
        own = self._tree.new_directory()
        self._tree.born(births.EXEC, own, command=["dask", "worker", str(worker.name)])
        if own is None:
            return
        write_atomically(RunDirectory(Path(own)).worker, encode_worker(_facts(worker)))
        self._session = Session(self._how.but(run_dir=own), self._tree)
        self._session.start()

    def _end(self) -> None:
        if self._session is not None:
            self._tree.ended(os.getpid(), 0)
            self._session.stop(None, waits=False)
            self._session = None

    def _directory(self) -> str:
        """Return the run directory if it is there, or one for all workers of this host."""
        with suppress(OSError):
            if self._run.place == place_of(f"{self._run.path}/{BIRTHS}"):
                return self._run.path
        base = _base(self._run.id)
        base.mkdir(0o700, exist_ok=True)
        found = base.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PermissionError(f"{base} is somebody else's")
        for path in (RunDirectory(base).births, RunDirectory(base).claims):
            path.touch(0o600)
        return str(base)


def _base(run_id: str) -> Path:
    return Path(tempfile.gettempdir()) / f"memdeep-{run_id}"


class _Gatherer:
    """Brings what workers of other hosts record into the run, while it is entered and at the end.

    Of each host one worker is asked: so what those left that have died comes too.
    """

    def __init__(self, client: distributed.Client, run_id: str, run_dir: RunDirectory) -> None:
        self.run_id = run_id
        self.gathered = Gathered(run_dir)
        self._client: Any = client
        self._hosts: set[str] | None = None  # that have something; None before any was asked
        self._is_over = Event()
        self._thread = Thread(target=self._go_on, name="memdeep-gather", daemon=True)

    def __enter__(self) -> None:
        with suppress(Exception):
            self._pull()
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
                self._bring(own, lambda: _read(self.run_id, self.gathered.known(own), True))
                _discard(self.run_id)
            if self._hosts is None or self._hosts - {own}:
                hosts = self._pull(is_last=True)
                self._client.run(
                    _discard, self.run_id, workers=[*hosts.values()], on_error="ignore"
                )
        except Exception as error:  # the cluster may be gone, in many ways
            reason = getattr(error, "strerror", None) or "the cluster no longer answers"
            notes.append(f"Not all that workers recorded could be gathered: {reason}.")
        with suppress(OutputError):
            self.gathered.finish()
        return notes

    def _go_on(self) -> None:
        while not self._is_over.wait(GATHER_S):
            with suppress(Exception):  # at the end it is told, if it is so still
                self._pull()

    def _pull(self, *, is_last: bool = False) -> dict[str, str]:
        """Bring what is new; return the address of a worker of each host that was asked."""
        of_workers = self._client.run(_host, self.run_id, on_error="ignore")
        hosts = {host: address for address, host in of_workers.items() if host}
        self._hosts = (self._hosts or set()) | hosts.keys()
        for host, address in hosts.items():
            self._bring(host, functools.partial(self._ask, host, address, is_last))
        return hosts

    def _ask(self, host: str, address: str, is_last: bool) -> Answer | None:
        known = self.gathered.known(host)
        asked = _read, self.run_id, known, is_last
        found: dict[str, Answer] = self._client.run(*asked, workers=[address], on_error="ignore")
        return found.get(address)

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
        return _host(self.run_id)

    def _set_clock(self, host: str, answer: Answer, here_ns: int) -> None:
        """Compare the clock of a host with that of this one, unless they are one machine."""
        is_here = system_of(host) == system_of(self._own)
        self.gathered.set_clock(host, 0 if is_here else here_ns - answer.monotonic_ns)

    @cached_property
    def _own(self) -> str:
        return place_of(os.curdir)


def _host(run_id: str) -> str:
    """Return, on a worker, the place of what is gathered from there; empty if there is nothing."""
    try:
        return place_of(str(RunDirectory(_base(run_id)).births))
    except OSError:
        return ""


def _read(run_id: str, known: dict[str, int], is_last: bool) -> Answer:
    """Return, on a worker, what its host has recorded since ``known``."""
    return read_pieces(_base(run_id), known, is_last=is_last)


def _discard(run_id: str) -> None:
    shutil.rmtree(_base(run_id), ignore_errors=True)


class _Tasks:
    """Makes phases of the tasks of this process, as long as one of its workers wants that."""

    def __init__(self) -> None:
        self._count = 0
        self._lock = Lock()
        self._run_task: Callable[..., Any]

    def begin(self) -> None:
        with self._lock:
            self._count += 1
            if self._count == 1:
                self._run_task = getattr(distributed.worker, RUN_TASK)
                setattr(distributed.worker, RUN_TASK, _with_phase(self._run_task))

    def end(self) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0:
                setattr(distributed.worker, RUN_TASK, self._run_task)


_tasks = _Tasks()


def _with_phase(run_task: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what runs a task, whose key is one of the arguments."""
    place = [*inspect.signature(run_task).parameters].index("key")

    @functools.wraps(run_task)
    def within_phase(*args: Any, **kwargs: Any) -> Any:
        key = kwargs["key"] if "key" in kwargs else args[place]
        with api.phase(key_split(key)):
            return run_task(*args, **kwargs)

    return within_phase
