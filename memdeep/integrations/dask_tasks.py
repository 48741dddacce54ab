"""Makes phases of what a Dask worker runs: tasks, coroutines, and the calls of its actors.

A worker runs a function in a thread of its own, where a phase is charged with what that thread
allocates. All coroutines share the thread of the event loop: there each has a lane, a name that the
thread bears during its steps, so that nobody is charged with what another one allocates.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import distributed
import distributed.worker
from dask.utils import key_split
from distributed import utils

from memdeep.integrations.lanes import OnLane
from memdeep.integrations.task_phases import TaskPhases
from memdeep.record import api

# Of `distributed.worker`: what runs a task in a thread, a task that is a coroutine, and a call of
# an actor in a thread.
RUN_TASK, RUN_COROUTINE, RUN_ACTOR = "_run_task", "_run_task_async", "_run_actor"
CALL_ACTOR = "actor_execute"  # a worker's handler: it runs itself those that need no thread
LANE = "Dask-Coroutines"  # name of the thread in a coroutine's steps, before its number
_is_coroutine: Callable[..., bool] = utils.iscoroutinefunction


class _Tasks:
    """Makes phases of the tasks of this process, as long as one of its workers wants that."""

    def __init__(self) -> None:
        self._wanted: dict[distributed.Worker, int] = {}
        self._lock = threading.Lock()
        self._own: dict[str, Callable[..., Any]] = {}  # what is Dask's, while ours is in its place
        self._handlers: dict[distributed.Worker, Callable[..., Any]] = {}

    def begin(self, worker: distributed.Worker) -> None:
        """Make phases, until `end` was called as often."""
        with self._lock:
            if not self._wanted:
                _phases.begin()
                for name, around in _AROUND.items():
                    self._own[name] = getattr(distributed.worker, name)
                    setattr(distributed.worker, name, around(self._own[name]))
            if worker not in self._wanted:
                handler: Callable[..., Any] = worker.handlers[CALL_ACTOR]
                self._handlers[worker] = handler
                worker.handlers[CALL_ACTOR] = _with_phase_of_call(handler, worker)
            self._wanted[worker] = self._wanted.get(worker, 0) + 1

    def end(self, worker: distributed.Worker) -> None:
        """Give back what was taken."""
        with self._lock:
            self._wanted[worker] -= 1
            if not self._wanted[worker]:
                del self._wanted[worker]
                worker.handlers[CALL_ACTOR] = self._handlers.pop(worker)
            if not self._wanted:
                for name, own in self._own.items():
                    setattr(distributed.worker, name, own)


tasks = _Tasks()


_phases = TaskPhases()


def _with_phase_of_task(run: Callable[..., Any]) -> Callable[..., Any]:
    place = _place_of("key", run)

    @functools.wraps(run)
    def within_phase(*args: Any, **kwargs: Any) -> Any:
        with _phases.of(key_split(kwargs["key"] if "key" in kwargs else args[place])):
            return run(*args, **kwargs)

    return within_phase


def _with_phase_of_thread_of_actor(run: Callable[..., Any]) -> Callable[..., Any]:
    place = _place_of("key", run)  # it is "Counter.increment" here

    @functools.wraps(run)
    def within_phase(*args: Any, **kwargs: Any) -> Any:
        with _phases.of(kwargs["key"] if "key" in kwargs else args[place]):
            return run(*args, **kwargs)

    return within_phase


def _with_phase_of_coroutine(run: Callable[..., Any]) -> Callable[..., Any]:
    place = _place_of("task", run)

    @functools.wraps(run)
    async def within_phase(*args: Any, **kwargs: Any) -> Any:
        task = kwargs["task"] if "task" in kwargs else args[place]
        return await _in_phase(key_split(task.key), run(*args, **kwargs))

    return within_phase


def _with_phase_of_call(handler: Callable[..., Any], worker: distributed.Worker) -> Any:
    @functools.wraps(handler)
    async def within_phase(*args: Any, **message: Any) -> Any:
        key, function = message["actor"], message["function"]
        method = getattr(worker.state.actors.get(key), function, None)
        has_thread = (message.get("kwargs") or {}).get("separate_thread", True)
        if has_thread and not _is_coroutine(method):  # `_run_actor` is called in that
            return await handler(*args, **message)
        return await _in_phase(f"{key_split(key)}.{function}", handler(*args, **message))

    return within_phase


_AROUND = {
    RUN_TASK: _with_phase_of_task,
    RUN_COROUTINE: _with_phase_of_coroutine,
    RUN_ACTOR: _with_phase_of_thread_of_actor,
}


def _place_of(parameter: str, function: Callable[..., Any]) -> int:
    return [*inspect.signature(function).parameters].index(parameter)


async def _in_phase(name: str, coroutine: Coroutine[Any, Any, Any]) -> Any:
    async def within() -> Any:
        with _phases.of(name):
            return await coroutine

    return await OnLane(within(), LANE) if api.is_recording() else await coroutine
