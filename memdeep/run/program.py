"""Checks that there is a program to run, before anything is written. Executes none of it."""

from __future__ import annotations

import sys
import tokenize
from importlib.machinery import PathFinder
from pathlib import Path

from memdeep.errors import EXIT_NOT_FOUND, EXIT_NOT_RUNNABLE, ProgramError
from memdeep.record.program import STDIN, WhatToRun, holds_main, is_compiled
from memdeep.run.own_code import specs


def check_program(program: WhatToRun) -> None:
    """Raise ProgramError if ``program`` cannot be started."""
    if program.kind == WhatToRun.SCRIPT:
        _check_script(Path(program.target))
    elif program.kind == WhatToRun.MODULE:
        _check_module(program.target)
    else:
        _compile(program.target, "<string>", "The code given with -c")


def _check_script(path: Path) -> None:
    if str(path) == STDIN:
        return
    if path.is_dir():
        _check_directory(path)
        return
    try:
        source = path.read_bytes()
    except FileNotFoundError as error:
        raise ProgramError(
            f"There is no file {path}.",
            "Check the path; options of memdeep go before the program, its own go after it.",
            EXIT_NOT_FOUND,
        ) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ProgramError(
            f"Cannot read {path}: {reason}.", "Check its permissions.", EXIT_NOT_RUNNABLE
        ) from error
    if holds_main(str(path)):
        _check_directory(path)
    elif not is_compiled(source):
        _compile(source, str(path), str(path))


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
    except (ValueError, tokenize.TokenError) as error:
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
