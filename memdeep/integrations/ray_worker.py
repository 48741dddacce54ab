"""Runs in each worker of Ray: records it from its first task on, and makes phases of its tasks.

Ray calls `begin` when the process is ready, as the setup hook that the runtime environment names;
a variable says what is wanted. A worker that never has a task is not recorded.
"""

from __future__ import annotations

import atexit
import functools
import inspect
import json
import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

import ray
from ray._private.function_manager import FunctionActorManager
from ray._private.worker import global_worker

from memdeep.frozen import frozen
from memdeep.integrations.gathering import place_of
from memdeep.integrations.joining import Member, Shared
from memdeep.integrations.lanes import OnLane
from memdeep.integrations.task_phases import TaskPhases
from memdeep.record import api
from memdeep.record.child import RAY_BEGIN, RAY_HOOK, RAY_RUN
from memdeep.record.how import HowToRecord
from memdeep.record.recorder import say
from memdeep.record.tree import read_how
from memdeep.rundir.directory import RunDirectory
from memdeep.rundir.files import write_atomically
from memdeep.rundir.workers import Worker, encode_worker

VARIABLE = "MEMDEEP_RAY"
HOOK = RAY_BEGIN
LOADS = "load_actor_class"  # of the class that loads what a worker is to run: here a worker begins
RUNS = "get_execution_info"  # there too: returns what is called for a task, in a named tuple
OWN = "memdeep."
LANE = "Ray-Coroutines"  # name of the thread in a coroutine's steps, before its number


@frozen
class Wish:
    """What is wanted of the workers: to join ``run``, or to record each for itself below ``dir``.

    Without both they only make phases. ``then`` is the program's own hook, "module.function".
    """

    how: HowToRecord
    run: Shared | None = None
    dir: str = ""
    then: str = ""

    def encode(self) -> str:
        """Return the text of the variable."""
        run = None if self.run is None else [self.run.path, self.run.place, self.run.id]
        return json.dumps([self.how.to_words(), run, self.dir, self.then])

    @classmethod
    def decode(cls, text: str) -> Wish:
        """Return what `encode` has made ``text`` of. Raises ValueError."""
        words, run, path, then = json.loads(text)
        how, _ = HowToRecord.from_words(words)
        return cls(how, None if run is None else Shared(*run), path, then)


def begin() -> None:
    """Record this worker once it has something to do."""
    wish = _wish()
    if not hasattr(FunctionActorManager, RUNS):
        say(f"tasks are no phases: this version of Ray has no {RUNS}")
        return
    tasks = _Tasks(wish)
    for name, wrap in ((LOADS, tasks.before), (RUNS, tasks.around)):
        if hasattr(FunctionActorManager, name):
            setattr(FunctionActorManager, name, wrap(getattr(FunctionActorManager, name)))
    if wish.then:
        from ray._private.runtime_env.setup_hook import load_and_execute_setup_hook

        error = load_and_execute_setup_hook(wish.then)
        if error is not None:
            raise RuntimeError(error)


def _wish() -> Wish:
    """Return what was asked for; within another run, such as `memdeep run`, that is to join it."""
    text = os.environ.get(VARIABLE)
    wish = None if text is None else Wish.decode(text)
    path, _, then = os.environ.pop(RAY_RUN, "").partition("\n")
    if not path:
        assert wish is not None
        return wish
    if then == HOOK:
        then = "" if wish is None else wish.then
        os.environ[RAY_HOOK] = HOOK
    elif then:
        os.environ[RAY_HOOK] = then
    else:
        del os.environ[RAY_HOOK]
    run_dir = RunDirectory(Path(path))
    return Wish(read_how(path), Shared(path, place_of(str(run_dir.births)), ""), then=then)


class _Tasks:
    """Recording of this worker; a task may begin in any thread."""

    def __init__(self, wish: Wish) -> None:
        self._wish = wish
        self._lock = Lock()
        self._phases = TaskPhases()
        self._has_begun = False
        self._member: Member | None = None

    def before(self, load: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap what loads the class of an actor: what that imports is recorded too."""

        @functools.wraps(load)
        def loading(manager: Any, job_id: Any, descriptor: Any) -> Any:
            self._begin(descriptor)
            return load(manager, job_id, descriptor)

        return loading

    def around(self, find: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap what finds the function of a task, so that each call of it is a phase."""

        @functools.wraps(find)
        def finding(manager: Any, job_id: Any, descriptor: Any) -> Any:
            if str(descriptor.module_name).startswith(OWN):  # what gathers
                return find(manager, job_id, descriptor)
            self._begin(descriptor)
            info = find(manager, job_id, descriptor)
            return info._replace(function=self._with_phase(info.function, _name(descriptor)))

        return finding

    def _with_phase(self, function: Any, name: str) -> Any:
        def open_span(args: Any, kwargs: Any) -> AbstractContextManager[object]:
            self._end_if_over()
            return self._phases.of(name)

        shaped = _in_the_shape_of_its_method(function)
        wrapped = api.wrap(shaped, open_span)
        return _on_lane(wrapped) if inspect.iscoroutinefunction(shaped) else wrapped

    def _begin(self, descriptor: Any) -> None:
        with self._lock:
            if self._has_begun:
                return
            self._has_begun = True
            try:
                if not api.is_recording():
                    self._record(descriptor)
            except Exception as error:  # the task shall run
                say(f"this worker of Ray is not recorded: {error}")

    def _record(self, descriptor: Any) -> None:
        facts = _facts(descriptor)
        if self._wish.run is not None:
            self._member = Member(self._wish.how, self._wish.run)
            # In a run that is not the cluster's nobody tells how workers have ended.
            is_ours = bool(self._wish.run.id)
            self._member.begin(["ray", *facts.name.split()], facts if is_ours else None)
            atexit.register(self._member.end)
        elif self._wish.dir:
            from memdeep.inprocess.recording import Options, Recording

            path = Path(self._wish.dir, re.sub(r"[^\w.-]+", "-", facts.name).strip("-."))
            Recording(Options(self._wish.how, path, facts.name))
            write_atomically(RunDirectory(path).worker, encode_worker(facts))

    def _end_if_over(self) -> None:
        """End the recording of this worker if that of the run has ended, and Ray goes on."""
        member = self._member
        if member is None or member.is_wanted():
            return
        with self._lock:
            if self._member is not None:
                self._member = None
                atexit.unregister(member.end)
                with suppress(Exception):
                    member.end()


def _name(descriptor: Any) -> str:
    """Return the name of a function, or of a method with that of its class."""
    names = [descriptor.function_name]
    if descriptor.is_actor_method():
        names.insert(0, descriptor.class_name)
    return ".".join(str(name).rpartition("<locals>.")[2].rpartition(".")[2] for name in names)


def _facts(descriptor: Any) -> Worker:
    """Return what is known of this worker: an actor is called by its class and its own name."""
    name, threads = "tasks", 1
    if descriptor.is_actor_method():
        name = _name(descriptor).partition(".")[0]
        with suppress(Exception):
            name = " ".join(filter(None, [name, ray.get_runtime_context().get_actor_name()]))
        with suppress(Exception):
            threads = global_worker.core_worker.current_actor_max_concurrency()
    address = ""
    with suppress(Exception):
        address = str(global_worker.node_ip_address)
    return Worker(os.getpid(), f"{name} {os.getpid()}", address, threads)


def _in_the_shape_of_its_method(function: Any) -> Any:
    """Return ``function`` as a coroutine function or a generator, if it calls a method that is one.

    What Ray calls for a method of an actor looks like a plain function, and has the method as an
    attribute.
    """
    method = inspect.unwrap(getattr(function, "method", function))
    for is_such, shape in _SHAPES:
        if method is not function and is_such(method):
            shaped = shape(function)
            shaped.__dict__.update(function.__dict__)
            return shaped
    return function


def _on_lane(function: Any) -> Any:
    """Wrap a coroutine function: those of an actor share a thread, and each has its own memory."""

    @functools.wraps(function)
    async def within_lane(*args: Any, **kwargs: Any) -> Any:
        call = function(*args, **kwargs)
        return await OnLane(call, LANE) if api.is_recording() else await call

    return within_lane


def _coroutine(function: Any) -> Any:
    async def shaped(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return shaped


def _async_generator(function: Any) -> Any:
    async def shaped(*args: Any, **kwargs: Any) -> Any:
        async for value in function(*args, **kwargs):
            yield value

    return shaped


def _generator(function: Any) -> Any:
    def shaped(*args: Any, **kwargs: Any) -> Any:
        return (yield from function(*args, **kwargs))

    return shaped


_SHAPES: list[tuple[Callable[[Any], bool], Callable[[Any], Any]]] = [
    (inspect.iscoroutinefunction, _coroutine),
    (inspect.isasyncgenfunction, _async_generator),
    (inspect.isgeneratorfunction, _generator),
]
