"""Checks that there is a program to run, before anything is written. Executes none of it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path

from memdeep.errors import EXIT_NOT_FOUND, EXIT_NOT_RUNNABLE, ProgramError
from memdeep.record.program import STDIN, WhatToRun, holds_main, is_compiled
from memdeep.run import not_python
from memdeep.run.own_code import called_module, specs


def check_program(program: WhatToRun) -> None:
    """Raise ProgramError if ``program`` cannot be started."""
    if program.kind == WhatToRun.SCRIPT:
        _check_script(Path(program.target), program.arguments)
    elif program.kind == WhatToRun.MODULE:
        _check_module(program.target)
    else:
        _compile(program.target, "<string>", "The code given with -c")


def _check_script(path: Path, arguments: Sequence[str]) -> None:
    if str(path) == STDIN:
        return
    if path.is_dir():
        _check_directory(path)
        return
    try:
        source = path.read_bytes()
    except FileNotFoundError as error:
        raise _missing(path, arguments) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ProgramError(
            f"Cannot read {path}: {reason}.", "Check its permissions.", EXIT_NOT_RUNNABLE
        ) from error
    if holds_main(str(path)):
        _check_directory(path)
        return
    _refuse(not_python.certain_fault(path, source))
    if is_compiled(source):
        return
    try:
        _compile(source, str(path), str(path))
    except ProgramError:
        _refuse(not_python.likely_fault(path, source))
        raise
    _check_environment(path, source)


def _refuse(fault: tuple[str, str] | None) -> None:
    """Raise ProgramError with the sentence and the hint of ``fault``, if there is one."""
    if fault is not None:
        raise ProgramError(*fault, EXIT_NOT_RUNNABLE)


def _missing(path: Path, arguments: Sequence[str]) -> ProgramError:
    """Return the error for a script that is not there; it may be the name of a command."""
    import shutil

    found = shutil.which(path) if path.name == str(path) else None
    if found is None:
        return ProgramError(
            f"There is no file {path}.",
            "Check the path; options of memdeep go before the program, its own go after it.",
            EXIT_NOT_FOUND,
        )
    sentence = f"There is no file {path} here; the command of this name is {found}."
    with suppress(OSError):
        source = Path(found).read_bytes()
        fault = not_python.certain_fault(Path(found), source)
        named = not_python.interpreter_of(source)
        if fault is None and named is not None and "python" not in Path(named).name:
            fault = not_python.likely_fault(Path(found), source)
        if fault is not None:
            return ProgramError(*fault, EXIT_NOT_RUNNABLE)
    return ProgramError(
        sentence, f"Type: memdeep run {shlex.join([found, *arguments])}", EXIT_NOT_FOUND
    )


def _check_environment(path: Path, source: bytes) -> None:
    """Raise ProgramError if ``path`` is a console script of another environment."""
    module = called_module(path)
    if module is None:
        return
    beside = os.path.dirname(os.path.realpath(path))
    package = module.partition(".")[0]
    if next(specs(module), None) or PathFinder.find_spec(package, [beside]):
        return
    python = not_python.interpreter_of(source) or "python"
    words = shlex.join([python, "-m", "memdeep", "run", str(path)])
    raise ProgramError(
        f"{path} starts {package}, which is not installed for {sys.executable}.",
        f"Install memdeep in the environment of the script, and type: {words}",
        EXIT_NOT_FOUND,
    )


def _check_directory(path: Path) -> None:
    """Raise ProgramError if the directory or zip file ``path`` holds no `__main__`."""
    if PathFinder.find_spec("__main__", [str(path)]) is None:
        kind = "directory" if path.is_dir() else "zip file"
        raise ProgramError(
            f"{path} is a {kind} without a __main__.py, not a program.",
            f"Give the script in it, for example {path / 'main.py'}, or run a package with -m.",
            EXIT_NOT_RUNNABLE,
        )


def _compile(source: str | bytes, filename: str, subject: str) -> None:
    try:
        compile(source, filename, "exec", dont_inherit=True)
    except SyntaxError as error:
        where = f" at line {error.lineno}" if error.lineno else ""
        raise ProgramError(
            f"{subject} is not valid Python {sys.version_info[0]}.{sys.version_info[1]}"
            f"{where}: {error.msg}.",
            "Correct it, or run memdeep with the Python that the program is written for.",
            EXIT_NOT_RUNNABLE,
        ) from error
    except ValueError as error:
        raise ProgramError(
            f"{subject} is not a Python program: {error}.",
            "Give a .py file, -m MODULE or -c CODE.",
            EXIT_NOT_RUNNABLE,
        ) from error


def _check_module(name: str) -> None:
    if name in sys.builtin_module_names:
        return
    if len(list(specs(name))) <= name.count("."):
        raise ProgramError(
            f"There is no module named {name!r} for {sys.executable}.",
            "Install it into the environment memdeep runs in, or run memdeep from the one "
            "it is in: python -m memdeep run -m ...",
            EXIT_NOT_FOUND,
        )
