"""Checkpoints at lines and at the entry of functions, as statements put into the syntax tree.

Nothing else of the program is traced or slowed down. The new statement has the position of the
one it precedes, so that line numbers, tracebacks and `co_firstlineno` stay true.
"""

from __future__ import annotations

import ast
import os

from memdeep.record import api

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Block = list[ast.stmt]

# Found by every module among the builtins; ends in underscores, so no class body mangles it.
HOOK = "__memdeep_mark__"

UNMARKED = (
    "the file was never loaded in a way that can be marked: by an import of its source, "
    "as the main script, or by runpy"
)

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, *_FUNCTIONS)


class LineMark:
    """`--mark-line FILE:LINE[=LABEL]` or `FILE:FUNCTION[=LABEL]`: each time it is reached.

    FILE is the end of a path. A line without a statement of its own (blank, `else:`) stands for
    the next one that has. A function is marked at its entry; a generator at its first step.
    """

    __slots__ = ("_file", "_label", "_place", "_problem", "_where")

    def __init__(self, words: str) -> None:
        """Raises ValueError with a sentence for the user."""
        self._place, _, label = words.partition("=")
        file, colon, self._where = self._place.rpartition(":")
        if not (colon and file):
            raise ValueError(f"--mark-line {words}: write FILE:LINE or FILE:FUNCTION")
        is_line = self._where.isascii() and self._where.isdigit() and int(self._where) > 0
        if not is_line and not all(part.isidentifier() for part in self._where.split(".")):
            raise ValueError(
                f"--mark-line {words}: '{self._where}' is neither a line number nor a name"
            )
        file = os.path.normpath(file)
        self._file = os.path.abspath(file) if file.startswith(os.pardir) else file
        self._label = label or f"{os.path.basename(file)}:{self._where}"
        self._problem: str | None = UNMARKED

    def stem(self) -> str:
        """Return the last part of the name of a module of this file."""
        directory, base = os.path.split(self._file)
        stem = os.path.splitext(base)[0]
        return os.path.basename(directory) if stem == "__init__" else stem

    def matches(self, path: str) -> bool:
        """Tell if ``path`` is the file, or a link to it."""
        for full in (path, os.path.abspath(path), os.path.realpath(path)):
            if full == self._file or full.endswith(os.sep + self._file):
                return True
        return False

    def complaint(self) -> str | None:
        """Return the sentence on a mark that was never met, else None."""
        return self._problem and f"--mark-line {self._place}: {self._problem}"

    def here(self) -> None:
        """Record the checkpoint: the program has reached the mark."""
        self._problem = None
        api.checkpoint(self._label)

    def places(self, tree: ast.Module) -> list[tuple[Block, int]]:
        """Find where to insert in the tree of the file: lists of statements, and places in them."""
        if self._where.isdigit():
            place = _find_line(tree, int(self._where))
            self._problem = "the line was never reached" if place else "the file has no such line"
            return [place] if place else []
        places = [
            (node.body, _first_index(node))
            for qualname, node in functions(tree)
            if f".{qualname}".endswith(f".{self._where}")
        ]
        self._problem = (
            "the function was never called" if places else "the file has no such function"
        )
        return places


def insert(tree: ast.Module, marks: list[tuple[int, LineMark]]) -> None:
    """Put calls of the hook with the numbers of ``marks`` into the tree of their file."""
    places = [
        (index, number, block) for number, mark in marks for block, index in mark.places(tree)
    ]
    # From the last to the first, so that the places stay right.
    for index, number, block in sorted(places, key=lambda place: place[:2], reverse=True):
        call = hook(number, block[min(index, len(block) - 1)])
        block.insert(index, ast.copy_location(ast.Expr(call), call))


def hook(number: int, near: ast.stmt | ast.expr) -> ast.Call:
    """Make a call of the hook, at the position of ``near``."""
    call = ast.Call(ast.Name(HOOK, ast.Load()), [ast.Constant(number)], [])
    for node in (call, call.func, call.args[0]):
        node.lineno = node.end_lineno = _first_line(near)
        node.col_offset = node.end_col_offset = near.col_offset
    return call


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield all functions of a module with their qualified names, `<locals>` left out."""
    todo: list[tuple[str, ast.AST]] = [("", tree)]
    while todo:
        prefix, node = todo.pop()
        for child in ast.iter_child_nodes(node):
            inner = prefix
            if isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
                inner = f"{prefix}{child.name}."
                if isinstance(child, _FUNCTIONS):
                    yield f"{prefix}{child.name}", child
            todo.append((inner, child))


def _find_line(tree: ast.Module, line: int) -> tuple[Block, int] | None:
    """Find where to insert before the statement of ``line``, or else before the next one."""
    at_line = []
    below = []
    for owner, block in _blocks(tree):
        for index, statement in enumerate(block):
            first = _first_line(statement)
            place = (first, statement.col_offset, index, block, _first_index(owner))
            if first <= line <= _last_line(statement):
                at_line.append(place)
            elif first > line:
                below.append(place)
    if not at_line and not below:
        return None
    _, _, index, block, least = min(at_line or below, key=lambda place: place[:2])
    return block, max(index, least)


def _blocks(tree: ast.Module) -> Iterator[tuple[ast.AST, Block]]:
    """Yield all lists of statements, each with the node that it belongs to."""
    for node in ast.walk(tree):
        for _, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                yield node, value


def _first_line(statement: ast.stmt | ast.expr) -> int:
    """Return the line where ``statement`` begins, with its decorators."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])


def _last_line(statement: ast.stmt) -> int:
    """Return the last line of ``statement``; of a compound one, the last before its first block."""
    if isinstance(statement, ast.Match):
        return statement.cases[0].pattern.lineno - 1
    body: Block = getattr(statement, "body", [])
    if body:
        return max(statement.lineno, _first_line(body[0]) - 1)
    return statement.end_lineno or statement.lineno


def _first_index(owner: ast.AST) -> int:
    """Return the first place among the statements of ``owner`` where a call changes no meaning.

    The docstring must stay first, and imports from `__future__` before all but it.
    """
    if not isinstance(owner, _WITH_DOCSTRING):
        return 0
    index = int(ast.get_docstring(owner, clean=False) is not None)
    for place, statement in enumerate(owner.body):
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            index = place + 1
    return index
