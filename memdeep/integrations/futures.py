"""Makes phases of the calls that an executor of `concurrent.futures` runs, by their functions.

Joblib's executors are such too, and so is what else has a `submit`. Whoever records the processes
keeps the phases; without a recording they do nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from memdeep.record.api import phase

UNNAMED = "(call)"


class Named:
    """A function, each call of which is a phase with its name; as fit to be pickled as it is.

    Give it to joblib as ``delayed(Named(function))``.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._name = name_of(function)

    # By this name of a function stacks are known that only pass through memdeep.
    def wrapper(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function in a phase."""
        with phase(self._name):
            return self._function(*args, **kwargs)

    __call__ = wrapper


def name_of(function: Any) -> str:
    """Return the name of a function: of a partial one, that of the innermost one given to it.

    `ProcessPoolExecutor.map` and others hand on the function of their user in that way.
    """
    while isinstance(function, functools.partial):
        inner = [one for one in function.args if callable(one)]
        function = inner[0] if inner and _is_of_library(function.func) else function.func
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return str(name).rpartition("<locals>.")[2] or UNNAMED


def _is_of_library(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith("concurrent.futures")


@contextmanager
def phases(executor: Executor) -> Iterator[Executor]:
    """Make a phase of each call that ``executor`` is given meanwhile.

    Processes are recorded under `memdeep run` or `memdeep.recording` if they begin within it.
    """
    submit: Any = executor.submit

    @functools.wraps(submit)
    def wrapper(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return submit(Named(function), *args, **kwargs)

    changed: Any = executor
    before = vars(executor).get("submit")
    changed.submit = wrapper
    try:
        yield executor
    finally:
        if before is None:
            del changed.submit
        else:
            changed.submit = before
