"""Records the workers of a Ray cluster: their tasks are phases, by function or `Actor.method`.

Each worker is a process of one run, that of the driver, which is not traced itself. Ray's helpers,
and workers that never had a task, are none.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import ray

from memdeep.errors import MemdeepError, RecordingError
from memdeep.frozen import replace
from memdeep.inprocess.face import caller_of_memdeep
from memdeep.inprocess.recording import DEFAULTS, Options, Recording
from memdeep.inprocess.run import Run
from memdeep.integrations import cluster_run
from memdeep.integrations.cluster_run import ClusterRun, ending
from memdeep.integrations.clusters import tell_ends
from memdeep.integrations.gatherer import Gatherer
from memdeep.integrations.gathering import place_of
from memdeep.integrations.helpers import leave_out
from memdeep.integrations.joining import Shared, keep_main
from memdeep.integrations.ray_nodes import Cluster, Function, Nodes, in_place_of
from memdeep.integrations.ray_worker import HOOK, VARIABLE, Wish
from memdeep.record import api
from memdeep.record.how import NONE
from memdeep.rundir.directory import RunDirectory

Environment = dict[str, Any]
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
    gather: bool = False,
) -> Iterator[ClusterRun]:
    """Record the workers of what `ray.init` begins within, of its own accord or by a call.

    ``dir`` and the options are as those of `memdeep.recording`. Within another recording, as under
    `memdeep run`, which records the workers itself, the tasks become phases and this is one.

    Workers of this machine write into the run directory. What others record comes through Ray,
    every second and at the end; with ``gather`` so does what those of this machine do.
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
    how = cluster_run.how_to_record(native=native, deep=deep)
    path = None if dir is None else Path(dir)
    options = Options(how, path, "ray", force, others_only=True)
    recorded = Recording(options, caller_of_memdeep())
    assert recorded.run.path is not None
    run_dir = RunDirectory(recorded.run.path.absolute())
    keep_main(run_dir)
    run_dir.claims.touch(mode=0o600)
    nodes = Nodes(own_too=gather)
    gatherer = Gatherer(nodes, uuid4().hex, run_dir)
    cluster = Cluster(nodes, gatherer)
    place = "" if gather else place_of(str(run_dir.births))
    wish = Wish(how, Shared(str(run_dir.path), place, gatherer.run_id))
    try:
        with gatherer, ending(recorded), _asking(wish), cluster.seen():
            yield ClusterRun(recorded.run, gatherer.gathered)
    except BaseException as error:
        recorded.stop(error)  # if it has not begun with the workers
        raise
    finally:
        run_dir.claims.unlink(missing_ok=True)  # nobody joins any more, and who has leaves
        notes = gatherer.finish()
        with suppress(MemdeepError, OSError):
            cluster.write_ends(run_dir)
            tell_ends(run_dir, cluster.kills, notes, for_others=True)
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
    given = env.get(_VARIABLES_KEY, {})
    then = env.get(_HOOK_KEY, "")
    if then == HOOK:  # it has been asked something before
        then = Wish.decode(given[VARIABLE]).then
    if not isinstance(then, str):
        raise RecordingError(
            "The runtime environment has a function as its worker_process_setup_hook.",
            'Name it there as text, "module.function": memdeep calls it then.',
        )
    wanted = replace(wish, then=then)
    return {**env, _HOOK_KEY: HOOK, _VARIABLES_KEY: {**given, VARIABLE: wanted.encode()}}


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

    with in_place_of("init", asking):
        yield
