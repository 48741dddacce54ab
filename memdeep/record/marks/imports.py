"""Planting of the marks of calls and lines into modules while they are imported.

A finder at the head of `sys.meta_path` returns what the other finders find. If a module has
something to mark, a loader of ours stands in for the module's own until the import is done. The
main script is marked when it is compiled.
"""

from __future__ import annotations

import ast
import builtins
import os
import sys
from contextlib import suppress
from importlib.machinery import SourceFileLoader

from memdeep.record import program
from memdeep.record.marks import line
from memdeep.record.marks.call import MAIN
from memdeep.record.marks.frame import IMPORT_FILENAME, between

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any

    from memdeep.record.marks.call import CallMark
    from memdeep.record.marks.line import LineMark


def plant(calls: list[CallMark], lines: list[LineMark]) -> None:
    """Mark modules that are imported already, others when they are, and the main script."""
    rewriter = _Rewriter([mark for mark in calls if mark.module == MAIN], lines)
    setattr(builtins, line.HOOK, rewriter.hook)
    program.compile_main = rewriter.compile_main
    if lines:
        # `runpy.run_path` compiles by the built-in of that name, unless the module has its own.
        import runpy

        runpy.compile = rewriter.compile_script  # type: ignore[attr-defined]
    by_module: dict[str, list[CallMark]] = {}
    for mark in calls:
        if mark.module != MAIN:
            by_module.setdefault(mark.module, []).append(mark)
    for name, marks in by_module.items():
        if name in sys.modules:
            for mark in marks:
                mark.plant(sys.modules[name])
    sys.meta_path.insert(0, _Finder(rewriter, by_module))


class _After:
    """What is called with a module; stands where a mark does."""

    def __init__(self, function: Callable[[ModuleType], None]) -> None:
        self.plant = function


def after_import(name: str, function: Callable[[ModuleType], None]) -> None:
    """Call ``function`` with the module ``name`` once that is imported, if it ever is."""
    if name in sys.modules:
        function(sys.modules[name])
        return
    sys.meta_path.insert(0, _Finder(_Rewriter([], []), {name: [_After(function)]}))


class _Rewriter:
    """Editor of syntax trees; the code it inserts refers to each mark by a number."""

    __slots__ = ("_lines", "_main_calls", "_stems")

    def __init__(self, main_calls: list[CallMark], lines: list[LineMark]) -> None:
        self._main_calls = main_calls
        self._lines = lines
        self._stems = {mark.stem() for mark in lines}

    def hook(self, number: int) -> Any:
        """Note that the line mark ``number`` is reached, or return the decorator of a call mark."""
        if number < len(self._lines):
            return self._lines[number].here()
        return self._main_calls[number - len(self._lines)].decorate

    def may_rewrite(self, name: str) -> bool:
        """Tell if the file of the module ``name``, which is not known yet, may have marks."""
        if self._main_calls and _is_main(name):
            return True
        return name.rpartition(".")[2] in self._stems or "" in self._stems

    def rewrite(self, source: bytes | str, filename: str, *, is_main: bool) -> ast.Module | None:
        """Return the tree of ``source`` with its marks; None if it has none or does not parse."""
        lines = [(n, mark) for n, mark in enumerate(self._lines) if mark.matches(filename)]
        if not lines and not (is_main and self._main_calls):
            return None
        try:
            # Not `ast.parse`: its frame would be part of the traceback of a SyntaxError.
            tree = compile(source, filename, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
        except Exception:
            return None  # whoever compiles it without us gets to raise
        assert isinstance(tree, ast.Module)
        if is_main:
            self._decorate(tree)
        line.insert(tree, lines)
        return tree

    def compile_main(self, source: bytes | str, filename: str) -> CodeType:
        """Compile the main script with its marks. Raises the errors of `compile`."""
        return self._compile(source, filename, is_main=True)

    def compile_script(self, source: bytes | str, filename: str, _mode: str) -> CodeType:
        """Compile a script that the program runs by `runpy`. Raises the errors of `compile`."""
        return self._compile(source, os.fspath(filename), is_main=False)

    # Not to be seen in the traceback of a script that does not compile.
    between(compile_script)

    def _compile(self, source: bytes | str, filename: str, *, is_main: bool) -> CodeType:
        tree = self.rewrite(source, filename, is_main=is_main)
        if tree is not None:
            with suppress(Exception):  # a tree may not be nested as deeply as a source
                return compile(tree, filename, "exec", dont_inherit=True)
        return compile(source, filename, "exec", dont_inherit=True)

    def _decorate(self, tree: ast.Module) -> None:
        for number, mark in enumerate(self._main_calls, len(self._lines)):
            for qualname, node in line.functions(tree):
                if mark.defines(qualname):
                    near = node.decorator_list[0] if node.decorator_list else node
                    node.decorator_list.insert(0, line.hook(number, near))


def _is_main(name: str) -> bool:
    """Tell if the module of this name may be the one that is executed as the program."""
    # `python -m` looks for the module that is to be `__main__` while this is its argument.
    return name == "__main__" or sys.argv[:1] == ["-m"]


class _Finder:
    """Finder that returns what the others find, with our loader if there are marks."""

    def __init__(
        self, rewriter: _Rewriter, calls: Mapping[str, Sequence[CallMark | _After]]
    ) -> None:
        self._rewriter = rewriter
        self._calls = calls

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find ``name`` with the other finders; the import machinery calls this."""
        calls = self._calls.get(name, [])
        if not calls and not self._rewriter.may_rewrite(name):
            return None
        for finder in list(sys.meta_path):
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    if hasattr(spec.loader, "exec_module"):
                        loader: Any = _Loader(spec, self._rewriter, calls)
                        spec.loader = loader
                    return spec
        return None


class _Loader:
    """Stand-in for the loader of ``spec`` until it is used; has all its other attributes."""

    def __init__(
        self, spec: ModuleSpec, rewriter: _Rewriter, calls: Sequence[CallMark | _After]
    ) -> None:
        self._spec = spec
        self._loader: Any = spec.loader
        self._rewriter = rewriter
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module, as its loader would, and mark its functions."""
        self._spec.loader = module.__loader__ = self._loader
        code = self._marked_code(is_main=False)
        if code is not None:
            # The loader asks itself for the code. This way it may come from no cache.
            self._loader.get_code = lambda name: code
        try:
            self._loader.exec_module(module)
        finally:
            if code is not None:
                del self._loader.get_code
        for mark in self._calls:
            mark.plant(sys.modules.get(module.__name__, module))

    # Not to be seen in the traceback of a module that fails while it is imported.
    between(exec_module, IMPORT_FILENAME)

    def get_code(self, name: str) -> CodeType | None:
        """Return the code that `runpy` executes as `__main__`."""
        self._spec.loader = self._loader
        code = self._marked_code(is_main=_is_main(name))
        if code is None:
            code = self._loader.get_code(name)
        return code

    between(get_code)

    def _marked_code(self, *, is_main: bool) -> CodeType | None:
        """Compile the module's file with its marks; None if it has none."""
        path = self._spec.origin
        if path is None or not isinstance(self._loader, SourceFileLoader):
            return None
        try:
            tree = self._rewriter.rewrite(self._loader.get_data(path), path, is_main=is_main)
            # By way of the loader, which may have transformations of its own.
            return None if tree is None else self._loader.source_to_code(tree, path)
        except Exception:
            return None  # then the module is as it is without us, faults and all
