"""Starts the user's program as `python` itself would: same argv, path, `__main__` and traceback."""

import os
import sys
from io import open_code
from types import ModuleType, TracebackType

from memdeep.record.marks.frame import unlink_between
from memdeep.record.spec import RecordSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

_BEFORE: "set[str]" = set()
_OWN_DIRECTORY = os.path.dirname(os.path.abspath(__file__)) + os.sep
_STDIN = "<stdin>"


def compile_main(source: "bytes | str", filename: str) -> "CodeType":
    """The code of the main script; `mark_import` puts another function in the place of this."""
    return compile(source, filename, "exec", dont_inherit=True)


def prepare(spec: RecordSpec, modules_before: "frozenset[str]") -> "Callable[[], object]":
    """Make `__main__`, `sys.argv` and `sys.path` those of the program; returns what executes it.

    That is a function of the interpreter's, so that no frame of ours lies beneath the program's
    but that of the caller. ``modules_before`` are those that the interpreter had imported before
    recording began. Raises what `python` would raise for a program that cannot be compiled.
    """
    _BEFORE.update(modules_before)
    # The words of the interpreter's own command line, up to where ours begin.
    interpreter = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv)]
    prefix = {RecordSpec.MODULE: ["-m"], RecordSpec.CODE: ["-c"]}.get(spec.kind, [])
    sys.orig_argv = [*interpreter, *prefix, spec.target, *spec.arguments]
    main = _new_main()
    if spec.kind == RecordSpec.MODULE:
        return _module(spec)
    if spec.kind == RecordSpec.CODE:
        return _code(spec, main)
    sys.argv = [spec.target, *spec.arguments]
    if spec.target == "-":
        return _stdin(main)
    if holds_main(spec.target):
        return _directory(spec)
    return _script(spec, main)


def holds_main(path: str) -> bool:
    """Whether `python` takes ``path`` for a place of modules: a directory or a zip file."""
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
        while traceback is not None and _is_own(traceback):
            traceback = traceback.tb_next
        error.__traceback__ = traceback
        unlink_between(error)
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


def _script(spec: RecordSpec, main: ModuleType) -> "Callable[[], object]":
    from importlib.machinery import SourceFileLoader, SourcelessFileLoader

    _set_first_path(os.path.dirname(os.path.realpath(spec.target)))
    path = os.path.join(os.getcwd(), spec.target)  # not normalised, as `python` has it
    with open_code(path) as file:
        source = file.read()
    if is_compiled(source):
        import marshal

        loader: object = SourcelessFileLoader("__main__", path)
        return _executing(marshal.loads(source[16:]), main, path, loader)
    loader = SourceFileLoader("__main__", path)
    return _executing(compile_main(source, path), main, path, loader)


def is_compiled(source: bytes) -> bool:
    """Whether a file of this content is a `.pyc` of this Python (PEP 552)."""
    # Of `importlib.util`, which would be one more module to load while the program is traced.
    from importlib._bootstrap_external import MAGIC_NUMBER

    return source.startswith(MAGIC_NUMBER)


def _stdin(main: ModuleType) -> "Callable[[], object]":
    from importlib.machinery import BuiltinImporter

    _set_first_path("")
    # Not by way of `sys.stdin`, which is the program's.
    with open(0, "rb", closefd=False) as file:
        source = file.read()
    return _executing(compile_main(source, _STDIN), main, _STDIN, BuiltinImporter)


def _executing(
    code: "CodeType", main: ModuleType, path: str, loader: object
) -> "Callable[[], object]":
    """What executes ``code`` as `python` executes a file."""
    import functools

    main.__file__ = path
    main.__dict__["__cached__"] = None
    main.__dict__["__loader__"] = loader
    return functools.partial(exec, code, main.__dict__)


def _directory(spec: RecordSpec) -> "Callable[[], object]":
    import functools
    import runpy

    path = os.path.join(os.getcwd(), spec.target)
    if spec.target == "." and sys.version_info >= (3, 11):
        path = os.getcwd()
    sys.path.insert(0, path)  # whatever is said of a safe path
    _forget_shadowed(path)
    run = runpy._run_module_as_main  # type: ignore[attr-defined]
    return functools.partial(run, "__main__", False)


def _module(spec: RecordSpec) -> "Callable[[], object]":
    import functools
    import runpy

    sys.argv = ["-m", *spec.arguments]
    _set_first_path(os.getcwd())
    # What `python -m` itself calls: it executes in the namespace of the present `__main__`.
    run = runpy._run_module_as_main  # type: ignore[attr-defined]
    return functools.partial(run, spec.target, True)


def _code(spec: RecordSpec, main: ModuleType) -> "Callable[[], object]":
    import functools
    from importlib.machinery import BuiltinImporter

    sys.argv = ["-c", *spec.arguments]
    _set_first_path("")
    main.__loader__ = BuiltinImporter
    code = compile_main(spec.target, "<string>")
    if sys.version_info >= (3, 13):  # from here on tracebacks show the lines of such code
        import linecache

        key = code if sys.version_info >= (3, 14) else "<string>"
        linecache._register_code(key, spec.target, "<string>")  # type: ignore[attr-defined]
    return functools.partial(exec, code, main.__dict__)


def has_first_path() -> bool:
    """Whether `python` itself puts the program's directory in front of `sys.path`."""
    return not (getattr(sys.flags, "safe_path", False) or sys.flags.isolated)


def _set_first_path(directory: str) -> None:
    if has_first_path():
        sys.path.insert(0, directory)
        _forget_shadowed(directory)


def _forget_shadowed(directory: str) -> None:
    """Let a module beside the program win over one that recording has imported, as it would have.

    Only what was imported since the interpreter started is forgotten, and only by name.
    """
    try:
        beside = {name.partition(".")[0] for name in os.listdir(directory or ".")}
    except OSError:
        return
    for name in set(sys.modules) - _BEFORE:
        if name.partition(".")[0] in beside - {"memdeep"}:
            del sys.modules[name]


def _is_own(traceback: TracebackType) -> bool:
    return traceback.tb_frame.f_code.co_filename.startswith(_OWN_DIRECTORY)
