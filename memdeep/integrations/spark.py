"""Records a Spark program together with the Python workers that run its functions.

Under `memdeep run` nothing of this is needed: the variable that leads processes to the run goes
through the JVM. Here it goes to the workers with the functions themselves, so that those of a
session that is there already are recorded too. `spark_worker` makes phases of their tasks.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from pyspark import SparkContext

from memdeep.errors import RecordingError
from memdeep.inprocess.face import caller_of_memdeep
from memdeep.inprocess.recording import DEFAULTS, Options, Recording
from memdeep.inprocess.run import Run
from memdeep.integrations.cluster_run import MOST_WORKERS
from memdeep.integrations.spark_worker import PARTITIONS
from memdeep.record import api
from memdeep.record.orders import ENDED, MAX_BYTES
from memdeep.record.tree import VARIABLE
from memdeep.rundir.directory import RunDirectory

NAME = "spark"
MOST_S, WAIT_S = 1.0, 0.01  # for the orders of more workers than fit into a pipe


@contextmanager
def recording(
    session: Any,
    dir: str | os.PathLike[str] | None = None,  # noqa: A002 - as of `memdeep.recording`
    *,
    native: bool = False,
    deep: bool = False,
    force: bool = False,
    partitions: bool = False,
) -> Iterator[Run]:
    """Record this program, and the Python workers that its jobs are run by meanwhile.

    ``session`` is a SparkSession or a SparkContext. ``dir`` and the options are as those of
    `memdeep.recording`; with ``partitions`` each partition of a stage is a phase. Within another
    recording, as under `memdeep run`, this is a phase of that.

    Functions that Spark has run before stay in the workers that they had. Workers of hosts that do
    not have the run directory are not recorded. Raises RecordingError or OutputError.
    """
    environment = _environment(session)
    recorded = None
    run = Run(NAME, None)
    if not api.is_recording():
        how = DEFAULTS.but(native=native, trace_python_allocators=deep, most_children=MOST_WORKERS)
        path = None if dir is None else Path(dir)
        recorded = Recording(Options(how, path, NAME, force), caller_of_memdeep())
        run = recorded.run
    before = dict(environment)
    environment[VARIABLE] = _run_directory()
    if partitions:
        environment[PARTITIONS] = "1"
    error: BaseException | None = None
    try:
        with api.phase(NAME) if recorded is None else nullcontext():
            yield run
    except BaseException as left:
        error = left
        raise
    finally:
        for name in (VARIABLE, PARTITIONS):
            environment.pop(name, None)
            if name in before:
                environment[name] = before[name]
        if recorded is not None:
            with _stopping(RunDirectory(Path(_run_directory()))):
                recorded.stop(error)


def _environment(session: Any) -> dict[str, str]:
    """Return the variables that the context gives to its workers. Raises RecordingError."""
    context = session if isinstance(session, SparkContext) else None
    with suppress(Exception):  # of what kind depends on the version
        context = context or session.sparkContext
    if context is None:
        raise RecordingError(
            "A session of Spark Connect has no workers of its own to record.",
            "Record where the executors run, or give a session that is made by master().",
        )
    found: dict[str, str] = context.environment
    return found


def _run_directory() -> str:
    """Return the directory of the run that this process is recorded in, as others are told it."""
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    return os.fsdecode(getenv(VARIABLE.encode()) or b"")


@contextmanager
def _stopping(run_dir: RunDirectory) -> Iterator[None]:
    """Let workers trace nothing more when the recording has ended: Spark keeps them for later."""
    pipe = -1
    with suppress(OSError):
        pipe = os.open(run_dir.orders, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    with suppress(OSError):
        run_dir.how.unlink()
    yield
    if pipe < 0:
        return
    left = len(run_dir.children())  # each takes one order
    give_up_s = time.monotonic() + MOST_S
    while left and time.monotonic() < give_up_s:
        try:
            os.write(pipe, ENDED.encode().ljust(MAX_BYTES))
            left -= 1
        except BlockingIOError:
            time.sleep(WAIT_S)
    os.close(pipe)
