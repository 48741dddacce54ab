"""The walls of the house: who may import whom, and how large or small a module may be."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Collection

from house import PACKAGE, House

HOUSE = House(PACKAGE)
SPLINTERS = frozenset(HOUSE.splinters())
MAX_LINES = 500

# For each room: what it may import from memdeep beside itself. Imports within functions and for
# type checkers count as well.
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": {
        "record.api",
        "record.attachable",
        "monitor",
        "results",
        "inprocess.face",
        "integrations.notebook",
        "version",
    },
    "__main__": {"cli.main"},
    "version": set(),
    "errors": set(),
    "frozen": set(),
    "text": set(),
    "model": set(),
    "rundir": {"errors", "model", "version"},
    "record": {
        *("rundir.journal", "rundir.labels", "rundir.marker", "rundir.snapshots"),
        *("rundir.mappings", "rundir.births", "rundir.workers"),
        "rundir.earlier",
        "version",  # that of whoever attaches must be the same
        "__init__",  # the face: what a mark plants calls it as the program would
    },
    "monitor": {"monitoring", "record"},
    "monitoring": {"record", "text.safe", "text.locale"},
    "run": {
        *("errors", "model", "rundir", "record", "monitoring", "text", "version"),
        "symbols.elf",  # where the functions lie that a debugger calls
    },
    "sources": {"errors", "model", "rundir"},
    "symbols": {"errors", "model", "rundir"},
    "heap": {"errors", "model", "rundir", "symbols", "sources.files", "record.marks.frame"},
    "loading": {
        "errors",
        "model",
        "rundir",
        "heap",
        "symbols",
        "sources",
        "record.how",
        "record.tree",
    },
    "follow": {
        *("errors", "model", "rundir", "heap", "loading", "sources"),
        *("live.growth", "live.progress", "analysis.culprits"),
    },
    "analysis": {"errors", "model", "rundir.labels"},
    "report": {"errors", "model", "text", "version", "analysis"},
    "live": {"errors", "model", "rundir", "text", "run.progress", "analysis.outline"},
    "pipeline": {
        *("errors", "model", "rundir", "run", "loading", "heap", "symbols", "sources"),
        *("analysis", "report", "text", "record"),
    },
    "objects": {"errors", "model", "analysis", "report.exports", "text"},
    "results": {"errors", "model", "pipeline", "objects", "text", "report"},
    "inprocess": {
        *("errors", "model", "pipeline", "results", "record", "run", "rundir"),
        *("report.page.html", "report.options", "symbols.cache"),
    },
    "integrations": {
        *(
            "errors",
            "inprocess",
            "objects",
            "record",
            "results",
            "rundir",
            "report.options",
            "text",
        ),
        *("cli.arguments", "cli.options", "cli.settings"),
        *("model", "pipeline", "text", "symbols.cache", "report.sentences", "report.gate.wording"),
        "report.frame_names",
        *("analysis.budgets", "analysis.blame", "loading.journal", "run.facts", "run.own_code"),
        *("analysis.across", "loading.own_runs"),
    },
    "cli": {
        *("errors", "model", "pipeline", "rundir", "text", "version", "live"),
        *("run", "record.marks.words", "record.how", "record.program", "record.tree"),
        *("heap.choice", "heap.replay.engine"),
        *("report.terminal", "report.sentences", "report.options", "symbols.cache", "symbols.elf"),
        *("report.comparison.text", "report.comparison.options"),
        *("report.gate.text", "report.gate.wording"),
        "report.exports.formats",  # names of formats, of which it imports none
    },
}
# What the program's own process imports, and the leaves everything rests on: nothing of memdeep.
LEAVES = {
    *("version", "errors", "frozen", "text.safe", "text.units", "text.locale"),
    *("rundir.journal", "rundir.labels", "rundir.marker", "rundir.snapshots"),
    *("rundir.mappings", "rundir.earlier"),
}
FOR_ALL = {"frozen"}  # what every room may import, but for the leaves
# Rooms within a room that do not know one another: the first may import nothing of the others.
WALLS: list[tuple[str, set[str]]] = [
    ("heap.replay", {"heap.memray", "heap.choice"}),
    ("heap.memray", {"heap.replay", "heap.choice"}),
    ("heap.reader", {"heap.choice", "heap.replay", "heap.memray"}),
    ("heap.parts", {"heap.choice", "heap.memray"}),
    ("report.page", {"report.json", "report.terminal", "report.exports", "report.outputs"}),
    ("report.json", {"report.page", "report.terminal", "report.exports", "report.outputs"}),
    ("report.terminal", {"report.page", "report.json", "report.exports", "report.outputs"}),
    ("report.gate", {"report.page", "report.json", "report.terminal", "report.exports"}),
    ("report.exports", {"report.page", "report.json", "report.terminal", "report.outputs"}),
]
# Across a wall all the same: memray names the native frames of what was replayed.
DOORS = {("heap.memray.native_names", "heap.replay.trace")}
# The fallback is known to the choice of a reader alone.
ONLY_FOR = {"heap.memray": {"heap.choice"}}

# The modules that may know a library, and which.
KNOWS: dict[str, set[str]] = {
    "frozen": {"typing_extensions"},  # for type checkers, which bring their own
    "record.tracker": {"memray"},
    "record.rss": {"psutil"},
    **dict.fromkeys(("run.sampling", "run.target"), {"psutil"}),
    "live": {"rich"},
    "live.progress": {"psutil"},
    "heap.memray": {"memray"},
    "heap.packed": {"lz4"},
    "symbols.tables": {"symbolic", "_cffi_backend"},
    "symbols.demangle": {"multi_demangle"},
    "symbols.cache": {"platformdirs"},
    "report.terminal": {"rich"},
    "report.terminal_across": {"rich"},
    "report.terminal_lines": {"rich"},
    "report.comparison.text": {"rich"},
    "report.page.html": {"jinja2", "markupsafe"},
    "report.gate.text": {"rich"},
    "text.toml": {"tomllib", "tomli"},
    "report.exports.parquet": {"pyarrow"},  # an extra
    **dict.fromkeys(("integrations.pytest_plugin", "integrations.pytest_phases"), {"pytest"}),
    "integrations.pytest_session": {"pytest"},
    "integrations.pytest_budgets": {"pytest", "_pytest"},
    "integrations.limits": {"pytest"},  # for type checkers
    "results": {"pandas", "pyarrow"},  # for type checkers; `objects.tables` imports them by name
    "cli": {"rich"},
    "inprocess": {"psutil"},
    "integrations.notebook": {"IPython"},
    "integrations.celery": {"celery"},
    "integrations.spark": {"pyspark"},
    "integrations.dask": {"distributed"},
    "integrations.dask_hosts": {"distributed"},
    "integrations.dask_merge": {"distributed"},
    "integrations.dask_tasks": {"dask", "distributed"},
    **dict.fromkeys(("integrations.ray", "integrations.ray_worker"), {"ray"}),
    "integrations.ray_nodes": {"ray", "psutil"},
}

# Why a module that one other imports, or none, may have fewer lines than the floor.
SMALL: dict[str, str] = {
    "__main__": "`python -m memdeep` looks for this name",
    "report.comparison.page": "each output has a module with an `encode`",
    "report.comparison.encoders": "the list of the formats, which import what they need",
    "report.page.live": "each page has a module with an `encode`",
    "report.gate.formats": "the list of the formats beside it",
    "report.gate.gitlab": "each format has a file",
}


def of_each_module(law: Callable[[str], None]) -> Callable[[], None]:
    """Make a test of a law of modules: one for all of them, which tells of each that breaks it."""

    def test() -> None:
        broken = []
        for module in HOUSE.modules():
            try:
                law(module)
            except AssertionError as error:
                broken.append(str(error))
        assert not broken, "\n".join(broken)

    return test


def lies_in(name: str, rooms: Collection[str]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


@of_each_module
def test_a_module_imports_only_what_its_room_may(module: str) -> None:
    room = module.partition(".")[0]
    assert room in MAY_IMPORT, f"{module} lies in no room"
    granted = set() if module in LEAVES else MAY_IMPORT[room] | {room} | FOR_ALL
    for name in HOUSE.own_imports(module):
        assert lies_in(name, granted), f"{module} imports {name}"


@of_each_module
def test_a_module_imports_nothing_across_a_wall(module: str) -> None:
    for room, others in WALLS:
        if lies_in(module, {room}):
            for name in HOUSE.own_imports(module):
                crosses = lies_in(name, others) and (module, name) not in DOORS
                assert not crosses, f"{module} imports {name}"
    for name in HOUSE.own_imports(module):
        for room, users in ONLY_FOR.items():
            crosses = lies_in(name, {room}) and not lies_in(module, {room, *users})
            assert not crosses, f"{module} imports {name}"


@of_each_module
def test_a_module_knows_only_the_libraries_it_is_there_for(module: str) -> None:
    known = {name for room, names in KNOWS.items() if lies_in(module, {room}) for name in names}
    for name in HOUSE.imports(module):
        top = name.partition(".")[0]
        is_plain = top in sys.stdlib_module_names or top in ("memdeep", "_json")
        assert is_plain or top in known, f"{module} imports {name}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert HOUSE.cycles() == []


@of_each_module
def test_a_module_says_what_it_owns_and_is_neither_large_nor_a_splinter(module: str) -> None:
    assert ast.get_docstring(HOUSE.tree(module)), f"{module} has no docstring"
    lines, users = HOUSE.lines(module), HOUSE.importers(module)
    assert lines <= MAX_LINES, f"{module} is too long"
    is_splinter = module in SPLINTERS
    assert is_splinter == (module in SMALL), f"{module} has {lines} lines and serves {users}"


def test_subpackages_hold_no_code_of_their_own() -> None:
    for path in PACKAGE.rglob("*/__init__.py"):
        if path.parent.name == "model":
            tree = ast.parse(path.read_text("utf-8"))
            # Docstring, names for type checkers, `__all__`, and what imports a noun when it is
            # asked for: the program waits for what `memdeep run` imports before it.
            kinds = (ast.Expr, ast.ImportFrom, ast.Assign, ast.If)
            code = [node for node in tree.body if not isinstance(node, kinds)]
            assert [getattr(node, "name", "") for node in code] == ["__getattr__"]
        elif path.parent != PACKAGE:
            assert path.read_text("utf-8") == ""


@of_each_module
def test_frozen_data_classes_are_made_the_quick_way(module: str) -> None:
    for node in ast.walk(HOUSE.tree(module)):
        if isinstance(node, ast.ClassDef):
            made = {ast.unparse(decorator) for decorator in node.decorator_list}
            assert not any("frozen=True" in one for one in made), f"{module} has no `@frozen`"


@of_each_module
def test_only_the_command_line_prints_and_exits(module: str) -> None:
    if lies_in(module, {"cli", "__main__"}):
        return
    for node in ast.walk(HOUSE.tree(module)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"print", "sys.exit", "exit"}, f"{module} calls {called}"
