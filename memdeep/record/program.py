"""Runs the user's program as `python` itself would: same argv, path, `__main__` and traceback."""

import os
import sys
from io import open_code
from types import ModuleType, TracebackType

from memdeep.record.mark_frame import unlink_between
from memdeep.record.spec import RecordSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

_BEFORE: "set[str]" = set()
_OWN_DIRECTORY = os.path.dirname(os.path.abspath(__file__)) + os.sep


def compile_main(source: "bytes | str", filename: str) -> "CodeType":
    """The code of the main script; `mark_import` puts another function in the place of this."""
    return compile(source, filename, "exec", dont_inherit=True)


def run(spec: RecordSpec, modules_before: "frozenset[str]") -> None:
    """Execute the program of ``spec``; whatever it raises comes out as it was raised.

    ``modules_before`` are those that the interpreter had imported before recording began.
    """
    _BEFORE.update(modules_before)
    main = _new_main()
    try:
        if spec.kind == RecordSpec.MODULE:
            _run_module(spec)
        elif spec.kind == RecordSpec.CODE:
            _run_code(spec, main)
        else:
            _run_script(spec, main)
    except SystemExit:
        raise
    except BaseException:
        _hide_own_frames()
        raise


def _new_main() -> ModuleType:
    main = ModuleType("__main__")
    main.__dict__["__builtins__"] = sys.modules["builtins"]
    if sys.version_info < (3, 14):
        main.__annotations__ = {}
    sys.modules["__main__"] = main
    return main


def _run_script(spec: RecordSpec, main: ModuleType) -> None:
    from importlib.machinery import SourceFileLoader

    sys.argv = [spec.target, *spec.arguments]
    _set_first_path(os.path.dirname(os.path.realpath(spec.target)))
    path = os.path.join(os.getcwd(), spec.target)  # not normalised, as `python` has it
    main.__file__ = path
    main.__dict__["__cached__"] = None
    main.__loader__ = SourceFileLoader("__main__", path)
    with open_code(path) as file:
        source = file.read()
    exec(compile_main(source, path), main.__dict__)


def _run_module(spec: RecordSpec) -> None:
    import runpy

    sys.argv = ["-m", *spec.arguments]
    _set_first_path(os.getcwd())
    # What `python -m` itself calls: it executes in the namespace of the present `__main__`.
    runpy._run_module_as_main(spec.target, alter_argv=True)  # type: ignore[attr-defined]


def _run_code(spec: RecordSpec, main: ModuleType) -> None:
    from importlib.machinery import BuiltinImporter

    sys.argv = ["-c", *spec.arguments]
    _set_first_path("")
    main.__loader__ = BuiltinImporter
    code = compile_main(spec.target, "<string>")
    if sys.version_info >= (3, 13):  # from here on tracebacks show the lines of such code
        import linecache

        key = code if sys.version_info >= (3, 14) else "<string>"
        linecache._register_code(key, spec.target, "<string>")  # type: ignore[attr-defined]
    exec(code, main.__dict__)


def _set_first_path(directory: str) -> None:
    if not getattr(sys.flags, "safe_path", False):
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


def _hide_own_frames() -> None:
    """Let the program's exception hook see the traceback that `python` would have shown it.

    The exception itself still reaches the interpreter, so that the exit status, the threads and
    `atexit` follow in their usual order.
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


def _is_own(traceback: TracebackType) -> bool:
    return traceback.tb_frame.f_code.co_filename.startswith(_OWN_DIRECTORY)
