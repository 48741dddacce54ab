"""Measures of a package: its modules, who imports whom, its functions and their docstrings.

`python tests/support/house.py [PACKAGE]` prints them, and with `--trip OPTION` the files that an
option passes. `test_architecture.py` reads imports with the same code. Knows no rule of memdeep's.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from math import ceil
from pathlib import Path
from statistics import median

PACKAGE = Path(__file__).parents[2] / "memdeep"
MIN_LINES = 40
MAX_PARAMETERS = 5
# No arrow in a cycle: the face hands out `load` to those who read runs, and nothing of memdeep asks
# it for that. A program that is recorded never gets there.
HANDED_OUT = {("__init__", name) for name in ("results", "inprocess.face", "integrations.notebook")}
# Words that put off the subject of a docstring.
ROUNDABOUT = ("What ", "Whether ", "As `")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = Function | ast.ClassDef | ast.Module


class House:
    """A package on disk, read once. Its modules have dotted names without the package's own.

    An empty `__init__.py` is no module; one that is not empty has that name.
    """

    def __init__(self, package: Path) -> None:
        self.package = package
        paths = sorted(path for path in package.rglob("*.py") if path.stat().st_size)
        self._paths = {
            ".".join(path.relative_to(package).with_suffix("").parts): path for path in paths
        }
        self._sources = {name: path.read_text("utf-8") for name, path in self._paths.items()}
        self._trees = {name: ast.parse(source) for name, source in self._sources.items()}
        self._imports = {name: frozenset(self._imported(name)) for name in self._trees}
        self._own_imports = {
            name: frozenset(map(self._own, full)) - {""} for name, full in self._imports.items()
        }

    def modules(self) -> list[str]:
        return list(self._paths)

    def path_of(self, module: str) -> Path:
        return self._paths[module]

    def lines(self, module: str) -> int:
        return self._sources[module].count("\n")

    def tree(self, module: str) -> ast.Module:
        return self._trees[module]

    def imports(self, module: str) -> frozenset[str]:
        """All modules that ``module`` imports, by their full names.

        Imports within functions and for type checkers count as well.
        """
        return self._imports[module]

    def own_imports(self, module: str) -> frozenset[str]:
        """The modules of the package among them, without its name."""
        return self._own_imports[module]

    def importers(self, module: str) -> list[str]:
        return [other for other in self.modules() if module in self.own_imports(other)]

    def splinters(self) -> list[str]:
        """The modules under `MIN_LINES` lines that at most one other imports."""
        small = (module for module in self.modules() if self.lines(module) < MIN_LINES)
        return [module for module in small if len(self.importers(module)) <= 1]

    def cycles(self) -> list[list[str]]:
        """The groups of modules that all import one another, directly or by way of others."""
        reached = {module: self._reached(module) for module in self.modules()}
        groups = {
            tuple(sorted(other for other in reached[module] if module in reached[other]))
            for module in self.modules()
            if module in reached[module]
        }
        return sorted(map(list, groups))

    def arrows(self) -> Counter[tuple[str, str]]:
        """How many imports lead from one room to another, by both rooms.

        A room is a package directly below the top, or a module that lies there.
        """
        pairs = (
            (room_of(module), room_of(other))
            for module in self.modules()
            for other in self.own_imports(module)
        )
        return Counter((start, end) for start, end in pairs if start != end)

    def _imported(self, module: str) -> Iterator[str]:
        for node in ast.walk(self.tree(module)):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                assert node.level == 0, f"{module} imports relatively"
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    yield full if self._own(full) in self._paths else node.module

    def _own(self, full: str) -> str:
        """The name within the package of what has this full name; empty for all else."""
        top, _, name = full.partition(".")
        if top != self.package.name:
            return ""
        face = f"{name}.__init__" if name else "__init__"
        return face if face in self._paths else name

    def _reached(self, module: str) -> set[str]:
        """The modules that ``module`` imports, and those that these import, and so on."""
        reached: set[str] = set()
        todo = [module]
        while todo:
            name = todo.pop()
            known = self.own_imports(name) & self._paths.keys()
            new = {other for other in known if (name, other) not in HANDED_OUT} - reached
            reached |= new
            todo += new
        return reached


def room_of(module: str) -> str:
    return module.partition(".")[0]


def parameters(function: Function) -> int:
    """How many parameters a caller may give; ``*args`` and ``**kwargs`` are not counted."""
    given = function.args
    names = [arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def words_of(tree: ast.AST) -> Iterator[str]:
    """Every identifier, keyword, attribute and whole string below ``tree``, but no import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, (ast.arg, ast.keyword)):
            yield node.arg or ""
        elif isinstance(node, (*Function.__args__, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def trip(house: House, option: str) -> dict[Path, int]:
    """The files that ``option`` (such as ``start-at``) passes, and how often each has its name.

    A name is an identifier, keyword or attribute, or a whole string with or without dashes in
    front; comments and docstrings do not count, and neither do longer words that contain it.
    """
    word = option.lstrip("-").replace("-", "_")
    counts = {
        house.path_of(module): sum(
            name.lstrip("-").replace("-", "_") == word for name in words_of(house.tree(module))
        )
        for module in house.modules()
    }
    return {path: count for path, count in counts.items() if count}


def figures(house: House) -> Iterator[tuple[str, str]]:
    """The measures with their names, in the order to print them."""
    sizes = {module: house.lines(module) for module in house.modules()}
    largest = max(sizes, key=sizes.__getitem__)
    arrows = house.arrows()
    yield "modules", f"{len(sizes)}"
    yield "rooms", f"{len({room_of(module) for module in sizes})}"
    yield "lines", f"{sum(sizes.values()):,}"
    yield "median module", f"{median(sizes.values()):.0f} lines"
    yield "largest module", f"{sizes[largest]} lines ({largest})"
    yield f"modules under {MIN_LINES} lines, one importer", f"{len(house.splinters())}"
    yield "import cycles", f"{len(house.cycles())}"
    for cycle in house.cycles():
        yield "", ", ".join(cycle)
    yield "imports across rooms", f"{arrows.total()}"
    yield "pairs of rooms", f"{len(arrows)}"
    yield from _of_functions([house.tree(module) for module in sizes])


def _of_functions(trees: Iterable[ast.Module]) -> Iterator[tuple[str, str]]:
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, Documented)]
    found = [node for node in nodes if isinstance(node, Function)]
    lengths = sorted((node.end_lineno or 0) - node.lineno + 1 for node in found)
    most = lengths[ceil(0.95 * len(lengths)) - 1]
    many = sum(parameters(function) > MAX_PARAMETERS for function in found)
    inner = [node for node in nodes if not isinstance(node, ast.Module)]
    documented = sum(ast.get_docstring(node) is not None for node in inner)
    texts = [ast.get_docstring(node) or "" for node in nodes]
    roundabout = sum(text.startswith(ROUNDABOUT) for text in texts)
    yield "functions", f"{len(found)}"
    yield "lines of a function", f"median {median(lengths):.0f}, p95 {most}, most {lengths[-1]}"
    yield f"functions with over {MAX_PARAMETERS} parameters", f"{many}"
    yield "functions and classes with a docstring", f"{100 * documented / len(inner):.0f} %"
    yield "docstrings that begin with What, Whether, As `", f"{roundabout} of {len(texts)}"


def show(rows: Iterable[tuple[str, str]]) -> None:
    """Print ``rows`` in two columns."""
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        print(f"{name:{width}}  {value}")


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Measure a package.")
    parser.add_argument("package", nargs="?", type=Path, default=PACKAGE)
    parser.add_argument("--trip", metavar="OPTION", help="list the files that an option passes")
    given = parser.parse_args(words)
    house = House(given.package.resolve())
    if not house.modules():
        parser.error(f"{given.package} holds no module")
    if given.trip is None:
        show(figures(house))
        return
    passed = trip(house, given.trip)
    show((str(path.relative_to(house.package)), str(count)) for path, count in passed.items())
    print(f"{len(passed)} files")


if __name__ == "__main__":
    main(sys.argv[1:])
