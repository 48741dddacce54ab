"""Checkpoints around the calls of a function, by a wrapper in its place.

Knows how to find the function in its module and how to name the checkpoint; `imports` knows when a
module is imported.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from types import BuiltinFunctionType, FunctionType, ModuleType

from memdeep.record import api
from memdeep.record.marks.frame import between
from memdeep.rundir import labels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

MAIN = "__main__"

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_NOTHING = nullcontext()


class CallMark:
    """`--mark-call MODULE:QUALNAME[=LABEL]`: a span around each call, whoever calls.

    LABEL may refer to arguments as in `str.format`: ``{0}``, ``{name}``, ``{config.path}``; for a
    method ``{0}`` is the first one after the instance or the class. A label that ends like one
    half of a pair is a plain checkpoint, so that calls of an existing `checkpoint(label)` keep
    their meaning.
    """

    __slots__ = (
        "_is_filled",
        "_is_unfilled",
        "_label",
        "_place",
        "_planted",
        "_problem",
        "_qualname",
        "module",
    )

    def __init__(self, words: str) -> None:
        """Raises ValueError with a sentence for the user."""
        self._place, _, label = words.partition("=")
        self.module, colon, self._qualname = self._place.partition(":")
        if not colon:
            raise ValueError(f"--mark-call {words}: write MODULE:FUNCTION")
        for name in (self.module, self._qualname):
            if not all(part.isidentifier() for part in name.split(".")):
                raise ValueError(f"--mark-call {words}: '{name}' is not a name")
        wrong = _no_placeholder(label) if "{" in label else None
        if wrong is not None:
            raise ValueError(
                f"--mark-call {words}: '{wrong}' stands for no argument, which has a number, "
                "from 0 on, or a name"
            )
        dotted = f"{self.module}.{self._qualname}"
        self._label = label or (self._qualname if self.module == MAIN else dotted)
        self._planted: object = None
        self._is_filled = self._is_unfilled = False  # some call of it
        self._problem: str | None = f"{self.module} was never imported"
        if self.module == MAIN:
            self._problem = "the main script defines no such function"

    def defines(self, qualname: str) -> bool:
        """Tell if ``qualname`` is the name, in its module, of the function to mark."""
        return qualname == self._qualname

    def complaint(self) -> str | None:
        """Return the sentence on a mark that was never met, or not as its label has it; or None."""
        problem = self._problem
        if problem is None and self._is_unfilled and not self._is_filled:
            problem = f"no call has an argument for the label '{self._label}'"
        return problem and f"--mark-call {self._place}: {problem}"

    def plant(self, module: ModuleType) -> None:
        """Put a wrapper in the function's place in ``module``, which has just been imported."""
        *path, name = self._qualname.split(".")
        owner: Any = module
        try:
            for part in path:
                owner = vars(owner)[part]
            holders = owner.__mro__ if isinstance(owner, type) else [owner]
            raw = next(vars(holder)[name] for holder in holders if name in vars(holder))
        except (KeyError, TypeError, StopIteration):
            self._problem = f"{self.module} has no {self._qualname}"
            return
        if raw is self._planted:
            return
        wrapper = self._marked(raw, is_method=isinstance(owner, type))
        if wrapper is not raw:
            try:
                setattr(owner, name, wrapper)
            except (AttributeError, TypeError):
                self._problem = f"{self._qualname} cannot be replaced"
            self._planted = wrapper

    def decorate(self, raw: Any) -> Any:
        """Mark ``raw``; `imports` puts this on the function as a decorator."""
        qualname = getattr(getattr(raw, "__func__", raw), "__qualname__", "")
        scope = qualname.rpartition(".")[0]
        return self._marked(raw, is_method=bool(scope) and not scope.endswith("<locals>"))

    def _marked(self, raw: Any, *, is_method: bool) -> Any:
        """Wrap ``raw``, a function as its module or class holds it, so that its calls are marked.

        Return ``raw`` itself if it cannot be marked, or need not be: memdeep's own functions are
        checkpoints already, under whatever name the program has them.
        """
        function = raw.__func__ if isinstance(raw, (staticmethod, classmethod)) else raw
        innermost = _unwrapped(function)
        if _is_memdeeps(innermost):
            self._problem = None
            return raw
        if not isinstance(function, (FunctionType, BuiltinFunctionType)):
            kind = "class" if isinstance(function, type) else type(function).__name__
            self._problem = f"{self._qualname} is no function but a {kind}, which is not marked"
            return raw
        self._problem = f"{self._qualname} was never called"
        skipped = int(is_method and not isinstance(raw, staticmethod))

        def open_span(
            args: Sequence[object], kwargs: Mapping[str, object]
        ) -> AbstractContextManager[object]:
            self._problem = None
            label = self._label
            if "{" in label:
                try:
                    label = _filled(label, innermost, args, kwargs, skipped)
                    self._is_filled = True
                except LookupError:
                    self._is_unfilled = True
                except Exception:
                    pass  # whatever the program's own `__format__` raises
            if label.upper().endswith(labels.SUFFIXES):
                api.checkpoint(label)
                return _NOTHING
            return api.phase(label)

        wrapper = api.wrap(raw, open_span)
        between(getattr(wrapper, "__func__", wrapper))
        return wrapper


def _filled(
    label: str,
    function: Any,
    args: Sequence[object],
    kwargs: Mapping[str, object],
    skipped: int,
) -> str:
    """Put the arguments of a call into ``label``.

    Raises LookupError for one that it does not have, and whatever their `__format__` raises.
    """
    named, order = _named(function, args, kwargs)
    positional = [*args, *(named[name] for name in order[len(args) :] if name in named)]
    return label.format(*positional[skipped:], **named)


def _no_placeholder(label: str) -> str | None:
    """Return what of ``label`` stands in braces and is no argument; None if all of it is."""
    from string import Formatter

    try:
        for _, field, _, _ in Formatter().parse(label):
            name = None if field is None else field.partition(".")[0].partition("[")[0]
            if name is not None and not (name.isdecimal() or name.isidentifier()):
                return f"{{{field}}}"
    except ValueError:
        return label
    return None


def _named(
    function: Any, args: Sequence[object], kwargs: Mapping[str, object]
) -> tuple[dict[str, object], Sequence[str]]:
    """Return the arguments by name, defaults included, and the names of positional ones."""
    code = getattr(function, "__code__", None)
    order = () if code is None else code.co_varnames[: code.co_argcount]
    defaults = getattr(function, "__defaults__", None) or ()
    named = dict(zip(order[len(order) - len(defaults) :], defaults, strict=True))
    named.update(getattr(function, "__kwdefaults__", None) or {})
    named.update(zip(order, args, strict=False))
    named.update(kwargs)
    return named, order


def _unwrapped(function: Any) -> Any:
    for _ in range(100):  # a ring of wrappers has been seen in the wild
        inner = getattr(function, "__wrapped__", None)
        if inner is None:
            break
        function = inner
    return function


def _is_memdeeps(function: Any) -> bool:
    function = getattr(function, "func", function)  # of a `functools.partial`
    code = getattr(function, "__code__", None)
    if code is not None:
        return bool(code.co_filename.startswith(_PACKAGE))
    return str(getattr(function, "__module__", "")).partition(".")[0] == "memdeep"
