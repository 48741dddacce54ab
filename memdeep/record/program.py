"""Starts the user's program as `python` itself would: same argv, path, `__main__` and traceback."""

import os
import sys
from io import open_code
from types import ModuleType, TracebackType

from memdeep.record.marks.frame import unlink_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import CodeType

_BEFORE: "set[str]" = set()
STDIN = "-"
_STDIN_NAME = "<stdin>"


class WhatToRun:
    """A program: ``target`` is a script's path, a module's name or a piece of code.

    As for `python`, the path ``-`` is the standard input, and a directory or a zip file is run by
    the `__main__` in it.
    """

    __slots__ = ("arguments", "kind", "target")

    SCRIPT = "script"
    MODULE = "module"
    CODE = "code"

    def __init__(self, kind: str, target: str, arguments: "tuple[str, ...]") -> None:
        self.kind = kind
        self.target = target
        self.arguments = arguments

    @property
    def name(self) -> str:
        """A short name for titles and directories."""
        if self.kind == WhatToRun.SCRIPT:
            file = os.path.basename(os.path.abspath(self.target))
            return "stdin" if self.target == STDIN else os.path.splitext(file)[0]
        return self.target if self.kind == WhatToRun.MODULE else "code"

    @property
    def command(self) -> "tuple[str, ...]":
        """The words after `python` that run it plainly."""
        if self.kind == WhatToRun.SCRIPT:
            return (self.target, *self.arguments)
        flag = "-m" if self.kind == WhatToRun.MODULE else "-c"
        return (flag, self.target, *self.arguments)

    def to_words(self) -> "list[str]":
        """Return the words for the command line; `from_words` reads them back."""
        return [self.kind, self.target, *self.arguments]

    @classmethod
    def from_words(cls, words: "list[str]") -> "WhatToRun":
        kind, target, *arguments = words
        return cls(kind, target, tuple(arguments))


def compile_main(source: "bytes | str", filename: str) -> "CodeType":
    """The code of the main script; `mark_import` puts another function in the place of this."""
    return compile(source, filename, "exec", dont_inherit=True)


def prepare(what: WhatToRun, modules_before: "frozenset[str]") -> "Callable[[], object]":
    """Make `__main__`, `sys.argv` and `sys.path` those of the program; returns what executes it.

    That is a function of the interpreter's, so that no frame of ours lies beneath the program's
    but that of the caller. ``modules_before`` are those that the interpreter had imported before
    recording began. Raises what `python` would raise for a program that cannot be compiled.
    """
    _BEFORE.update(modules_before)
    # The words of the interpreter's own command line, up to where ours begin.
    interpreter = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv)]
    prefix = {WhatToRun.MODULE: ["-m"], WhatToRun.CODE: ["-c"]}.get(what.kind, [])
    sys.orig_argv = [*interpreter, *prefix, what.target, *what.arguments]
    main = _new_main()
    if what.kind == WhatToRun.MODULE:
        return _module(what)
    if what.kind == WhatToRun.CODE:
        return _code(what, main)
    sys.argv = [what.target, *what.arguments]
    if what.target == STDIN:
        return _stdin(main)
    if holds_main(what.target):
        return _directory(what)
    return _script(what, main)


def holds_main(path: str) -> bool:
    """Return True if `python` takes ``path`` for a place of modules: a directory, a zip file."""
    for hook in sys.path_hooks:
        try:
            hook(path)
            return True
        except ImportError:
            pass
    return False


def hide_own_frames() -> None:
    """Let the program's exception hook see the traceback that `python` would have shown it.

    To be called while an exception of the program is on its way out. The exception itself still
    reaches the interpreter, so that the exit status, the threads and `atexit` follow in their
    usual order.
    """
    original = sys.excepthook

    def excepthook(
        kind: "type[BaseException]", error: BaseException, traceback: "TracebackType | None"
    ) -> None:
        error.__traceback__ = traceback
        unlink_own(error)
        sys.excepthook = original
        original(kind, error, error.__traceback__)

    sys.excepthook = excepthook


def _new_main() -> ModuleType:
    main = ModuleType("__main__")
    main.__dict__["__builtins__"] = sys.modules["builtins"]
    if sys.version_info < (3, 14):
        main.__annotations__ = {}
    sys.modules["__main__"] = main
    return main


def _script(what: WhatToRun, main: ModuleType) -> "Callable[[], object]":
    from importlib.machinery import SourceFileLoader, SourcelessFileLoader

    _set_first_path(os.path.dirname(os.path.realpath(what.target)))
    path = os.path.join(os.getcwd(), what.target)  # not normalised, as `python` has it
    with open_code(path) as file:
        source = file.read()
    if is_compiled(source):
        import marshal

        loader: object = SourcelessFileLoader("__main__", path)
        return _executing(marshal.loads(source[16:]), main, path, loader)
    loader = SourceFileLoader("__main__", path)
    return _executing(compile_main(source, path), main, path, loader)


def is_compiled(source: bytes) -> bool:
    """Return True if a file of this content is a `.pyc` of this Python (PEP 552)."""
    # Of `importlib.util`, which would be one more module to load while the program is traced.
    from importlib._bootstrap_external import MAGIC_NUMBER

    return source.startswith(MAGIC_NUMBER)


def _stdin(main: ModuleType) -> "Callable[[], object]":
    from importlib.machinery import BuiltinImporter

    _set_first_path("")
    # Not by way of `sys.stdin`, which is the program's.
    with open(0, "rb", closefd=False) as file:
        source = file.read()
    return _executing(compile_main(source, _STDIN_NAME), main, _STDIN_NAME, BuiltinImporter)


def _executing(
    code: "CodeType", main: ModuleType, path: str, loader: object
) -> "Callable[[], object]":
    """Return a function that executes ``code`` as `python` executes a file."""
    import functools

    main.__file__ = path
    main.__dict__["__cached__"] = None
    main.__dict__["__loader__"] = loader
    return functools.partial(exec, code, main.__dict__)


def _directory(what: WhatToRun) -> "Callable[[], object]":
    import functools
    import runpy

    path = os.path.join(os.getcwd(), what.target)
    if what.target == "." and sys.version_info >= (3, 11):
        path = os.getcwd()
    sys.path.insert(0, path)  # whatever is said of a safe path
    forget_shadowed(path, _BEFORE)
    run = runpy._run_module_as_main  # type: ignore[attr-defined]
    return functools.partial(run, "__main__", False)


def _module(what: WhatToRun) -> "Callable[[], object]":
    import functools
    import runpy

    sys.argv = ["-m", *what.arguments]
    _set_first_path(os.getcwd())
    # What `python -m` itself calls: it executes in the namespace of the present `__main__`.
    run = runpy._run_module_as_main  # type: ignore[attr-defined]
    return functools.partial(run, what.target, True)


def _code(what: WhatToRun, main: ModuleType) -> "Callable[[], object]":
    import functools
    from importlib.machinery import BuiltinImporter

    sys.argv = ["-c", *what.arguments]
    _set_first_path("")
    main.__loader__ = BuiltinImporter
    code = compile_main(what.target, "<string>")
    if sys.version_info >= (3, 13):  # from here on tracebacks show the lines of such code
        import linecache

        key = code if sys.version_info >= (3, 14) else "<string>"
        linecache._register_code(key, what.target, "<string>")  # type: ignore[attr-defined]
    return functools.partial(exec, code, main.__dict__)


def has_first_path() -> bool:
    """Return True if `python` itself puts the program's directory in front of `sys.path`."""
    return not (getattr(sys.flags, "safe_path", False) or sys.flags.isolated)


def _set_first_path(directory: str) -> None:
    if has_first_path():
        sys.path.insert(0, directory)
        forget_shadowed(directory, _BEFORE)


def forget_shadowed(directory: "str | None", before: "Collection[str]") -> None:
    """Let a module beside the program win over one that recording has imported, as it would have.

    Only what was imported since the interpreter started with the modules ``before`` is forgotten,
    and only by name. Does nothing where no ``directory`` is in front of the path.
    """
    if directory is None:
        return
    try:
        beside = {name.partition(".")[0] for name in os.listdir(directory or ".")}
    except OSError:
        return
    for name in set(sys.modules).difference(before):
        if name.partition(".")[0] in beside - {"memdeep"}:
            del sys.modules[name]
