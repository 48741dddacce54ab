"""Finds the code that is the program itself, which may be installed among the libraries.

A console script is a few lines made by an installer; the program is the package they call. Those
lines tell which it is, or the entry points of what is installed. Executes none of it.
"""

from __future__ import annotations

import _ast as ast  # the classes of `ast`, without what works on them
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from memdeep.frozen import frozen
from memdeep.record.program import STDIN, WhatToRun

CODE = "<string>"  # the file name of code given with -c
MAX_SCRIPT_BYTES = 1 << 14  # installers write far fewer

_GROUPS = ("console_scripts", "gui_scripts")
_OF_INSTALLERS = {"sys", "re", "importlib", "importlib.metadata", "pkg_resources"}


@frozen
class OwnCode:
    """The files and directories that are the program, and the script that only calls them."""

    paths: tuple[str, ...] = ()
    launcher: str | None = None


def own_code(program: WhatToRun) -> OwnCode:
    """Find the code that is ``program`` itself, by the names it will have in tracebacks."""
    if program.kind == WhatToRun.CODE:
        return OwnCode((CODE,))
    if program.kind == WhatToRun.MODULE:
        return OwnCode(_paths_of(program.target))
    if program.target == STDIN:
        return OwnCode()
    path = os.path.join(
        working_directory() or "", program.target
    )  # not normalised, as the program has it
    module = called_module(Path(path))
    if module is not None and (paths := _paths_of(module)):
        return OwnCode(paths, launcher=path)
    return OwnCode((outermost_package(path),))


def working_directory(pid: int | None = None) -> str | None:
    """Return the working directory of process ``pid``, or our own; None where it is unknown."""
    try:
        return os.getcwd() if pid is None else os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return None


def called_module(script: Path) -> str | None:
    """Return the module that the console script at ``script`` calls, None if it is not one."""
    try:
        status = script.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_SCRIPT_BYTES:
            return None
        text = script.read_bytes().decode("utf-8")
        tree = compile(text, str(script), "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
        assert isinstance(tree, ast.Module)
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    called = _called_in(tree)
    if called is not None or not text.startswith("#!"):  # without, it is no command
        return called
    return _installed_as(script.name, text)


@cache
def _installed_as(name: str, text: str) -> str | None:
    """Return the module of the entry point ``name`` that is named in a script of this text."""
    from importlib.metadata import entry_points  # takes longer than all else, and is seldom needed

    found = entry_points(name=name)
    for group in _GROUPS:
        for entry in found.select(group=group):
            if "load_entry_point" in text or entry.module in text:
                return entry.module
    return None


def specs(module: str) -> Iterator[ModuleSpec]:
    """Yield what is found for ``module`` and the packages around it, outermost first.

    Ends early where one is missing. Finders that editable installs bring are asked too.
    """
    path: Sequence[str] | None = ["", *sys.path]
    parts = module.split(".")
    for place, part in enumerate(parts, 1):
        found = PathFinder.find_spec(part, path) if part and path is not None else None
        if found is None and part:
            found = _found_by_others(".".join(parts[:place]), None if place == 1 else path)
        if found is None:
            return
        yield found
        path = found.submodule_search_locations


def _found_by_others(module: str, path: Sequence[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        # Those of the interpreter are classes, and the path was searched already.
        if not getattr(finder, "__module__", "").startswith("_frozen_importlib"):
            with suppress(Exception):  # of somebody else's finder
                spec = finder.find_spec(module, path)
                if spec is not None:
                    return spec
    return None


def _paths_of(module: str) -> tuple[str, ...]:
    """Return the directory of the outermost package around ``module``, or its own file.

    A namespace that distributions share is no package of the program's.
    """
    for spec in specs(module):
        if spec.submodule_search_locations is None:
            return (spec.origin,) if spec.has_location and spec.origin else ()
        if spec.origin is not None:
            return tuple(spec.submodule_search_locations)
    return ()


def outermost_package(script: str) -> str:
    """Return the directory of the package that the file ``script`` lies in, or the file itself."""
    path = script
    while os.path.exists(os.path.join(os.path.dirname(path), "__init__.py")):
        if os.path.dirname(path) == path:
            break
        path = os.path.dirname(path)
    return path


def _called_in(tree: ast.Module) -> str | None:
    """Return the module whose function is all that a script calls; None if it does more."""
    module = function = called = None
    for statement in _flat(tree.body):
        if isinstance(statement, ast.Import):
            if {name.name for name in statement.names} - _OF_INSTALLERS:
                return None
        elif isinstance(statement, ast.ImportFrom):
            if statement.module in _OF_INSTALLERS:
                continue
            if module is not None or statement.level or len(statement.names) != 1:
                return None
            module = statement.module
            function = statement.names[0].asname or statement.names[0].name
        elif isinstance(statement, ast.Expr | ast.Raise):
            called = _called(statement) or called
        elif not isinstance(statement, ast.Assign | ast.Pass):
            return None
    return module if called is not None and called == function else None


def _flat(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of ``body``, and those below its conditions."""
    for statement in body:
        if isinstance(statement, ast.If):
            yield from _flat(statement.body)
            yield from _flat(statement.orelse)
        else:
            yield statement


def _called(statement: ast.Expr | ast.Raise) -> str | None:
    """Return the name that is called without arguments, by itself or to exit with what it returns.

    Of `cli.main()` that is `cli`.
    """
    call = statement.exc if isinstance(statement, ast.Raise) else statement.value
    if isinstance(call, ast.Call) and len(call.args) == 1:  # sys.exit(main())
        call = call.args[0]
    if not isinstance(call, ast.Call) or call.args or call.keywords:
        return None
    name = call.func
    while isinstance(name, ast.Attribute):
        name = name.value
    return name.id if isinstance(name, ast.Name) else None
