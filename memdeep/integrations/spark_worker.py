"""Makes phases of the tasks that a Python worker of Spark runs: its stage, and the functions in it.

Begun by `memdeep.record.child` where a recorded process is such a worker, or the daemon that forks
them. A task enters two phases; nothing is called for a row, a batch or a group.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any

from memdeep.record.api import phase
from memdeep.record.marks.imports import after_import

PARTITIONS = "MEMDEEP_SPARK_PARTITIONS"  # in the environment: a partition is a phase, too
MOST_NAMES = 3  # of functions that make one name
MOST_VISITED = 500  # of what closures hold
_LIBRARIES = ("pyspark", "py4j")


def begin() -> None:
    """Make phases of all tasks from now on. Spark's modules are imported when it does so itself."""
    tasks = _Tasks()
    after_import("pyspark.taskcontext", tasks.watch_contexts)
    after_import("pyspark.worker_util", tasks.watch_commands)
    after_import("pyspark.worker", tasks.watch_functions)
    after_import("pyspark.util", tasks.watch_failures)


class _Tasks:
    """The phases of the task that runs: a worker has one at a time."""

    def __init__(self) -> None:
        self._open: list[phase] = []
        self._read: list[str] | None = None  # names of functions that are told together

    def watch_contexts(self, module: ModuleType) -> None:
        """Begin and end a task when its context is set and unset."""
        context_class: Any = vars(module)["TaskContext"]
        set_context = vars(context_class)["_setTaskContext"].__func__

        @functools.wraps(set_context)
        def set_and_tell(cls: Any, context: Any) -> None:
            self._end(None)
            set_context(cls, context)
            if context is not None:
                self._enter(f"stage {context.stageId()}")
                if os.environ.get(PARTITIONS):
                    self._enter(f"partition {context.partitionId()}")

        context_class._setTaskContext = classmethod(set_and_tell)

    def watch_commands(self, module: ModuleType) -> None:
        """Find the names of the functions of a task where they are unpickled."""

        def with_names(read: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(read)
            def read_and_tell(*args: Any, **kwargs: Any) -> Any:
                command = read(*args, **kwargs)
                if self._open:
                    found = names_of(command)
                    if self._read is None:
                        self._enter(joined(found))
                    else:
                        self._read += found
                return command

            return read_and_tell

        _replace(module, "read_command", with_names)

    def watch_functions(self, module: ModuleType) -> None:
        """Enter one phase for the functions whose rows take turns."""

        def together(read: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(read)
            def read_and_tell(*args: Any, **kwargs: Any) -> Any:
                self._read = []
                try:
                    made = read(*args, **kwargs)
                    if self._open:
                        self._enter(joined(self._read))
                finally:
                    self._read = None
                return made

            return read_and_tell

        for name in ("read_udfs", "read_udtf"):
            _replace(module, name, together)

    def watch_failures(self, module: ModuleType) -> None:
        """End a task with what has left it, as Spark tells its driver."""

        def with_end(handle: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(handle)
            def handle_and_tell(error: BaseException, *args: Any, **kwargs: Any) -> Any:
                self._end(error)
                return handle(error, *args, **kwargs)

            return handle_and_tell

        _replace(module, "handle_worker_exception", with_end)

    def _enter(self, name: str) -> None:
        if name:
            begun = phase(name)
            begun.__enter__()
            self._open.append(begun)

    def _end(self, error: BaseException | None) -> None:
        while self._open:
            self._open.pop().__exit__(None if error is None else type(error), error, None)


def _replace(
    module: ModuleType, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> None:
    """Put another function in the place of one of Spark's, if this version has that."""
    found = vars(module).get(name)
    if callable(found):
        setattr(module, name, make(found))


def joined(names: Iterable[str]) -> str:
    """Return one name for functions whose rows take turns."""
    once = list(dict.fromkeys(names))
    return ", ".join(once[:MOST_NAMES]) + (" …" if len(once) > MOST_NAMES else "")


def names_of(command: Any) -> list[str]:
    """Return the names of the program's own functions in what Spark has a worker do.

    Those of a chain of transformations lie in closures of Spark's functions, the first one deepest.
    """
    found: list[str] = []
    seen: set[int] = set()
    waiting = [command]
    while waiting and len(seen) < MOST_VISITED:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, (tuple, list)):
            waiting += reversed(one)
        elif isinstance(one, functools.partial):
            waiting += [*one.args, one.func]
        elif isinstance(one, MethodType):
            waiting.append(one.__func__)
        elif isinstance(one, (FunctionType, type)):
            if _is_of_spark(one):
                waiting += _held(one)
            elif isinstance(one, FunctionType) or one.__module__ == "__main__":
                found.append(_name(one))
    return found


def _is_of_spark(one: Any) -> bool:
    return str(getattr(one, "__module__", "")).partition(".")[0] in _LIBRARIES


def _held(function: Any) -> Iterator[Any]:
    """Yield what the closure of a function holds, what runs first last."""
    code = getattr(function, "__code__", None)
    cells = getattr(function, "__closure__", None) or ()
    named = zip(code.co_freevars, cells, strict=False) if code is not None else ()
    for _, cell in sorted(named, key=lambda one: one[0].startswith("prev")):
        try:
            yield cell.cell_contents
        except ValueError:  # it is empty
            continue


def _name(function: Any) -> str:
    name = str(getattr(function, "__qualname__", "")).rpartition("<locals>.")[2]
    code = getattr(function, "__code__", None)
    if code is not None and name == "<lambda>":
        return f"lambda {os.path.basename(code.co_filename)}:{code.co_firstlineno}"
    return name
