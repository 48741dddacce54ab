"""The walls of the house: who may import whom, and how large a module may grow."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "memdeep"
MAX_LINES = 340
MAX_LINES_OF = {"model": 680}  # declarations only

# For each stage (or module of the package): what it may import from memdeep, and from outside the
# standard library. A stage may always import itself.
MAY_IMPORT: dict[str, tuple[set[str], set[str]]] = {
    "__init__": ({"record.api", "monitor"}, set()),
    "__main__": ({"cli"}, set()),
    "errors": (set(), set()),
    "model": ({"statement"}, set()),
    "journal": (set(), set()),
    "labels": (set(), set()),
    "plain": (set(), set()),
    "redaction": ({"statement"}, set()),
    "statement": (set(), set()),
    "tail": (set(), set()),
    "tally": ({"model"}, set()),
    "alive": ({"model", "tally"}, set()),
    "lifetimes": ({"alive", "model", "tally"}, set()),
    "stack_dumps": (set(), set()),
    "rundir": ({"errors"}, set()),
    "observation": ({"errors", "journal", "redaction", "statement", "__init__"}, set()),
    "monitor": ({"monitoring", "record.api"}, set()),
    "monitoring": (
        {"plain", "record.api", "record.fork_warning", "record.rss", "record.recorder"},
        set(),
    ),
    "record": ({"errors", "journal", "labels", "__init__"}, set()),
    "run": (
        {"errors", "rundir", "journal", "observation", "record", "monitoring", "tail"}
        | {"report.units", "stack_dumps", "statement"},
        set(),
    ),
    "capture": (
        {"errors", "rundir", "journal", "observation", "model", "tally", "record", "__init__"}
        | {"alive", "lifetimes", "stack_dumps", "statement"},
        set(),
    ),
    "analysis": ({"errors", "labels", "model", "redaction", "tally"}, set()),
    "report": (
        {"errors", "model", "plain", "tally", "analysis.fold", "analysis.lines", "__init__"}
        | {"statement"},
        {"rich"},
    ),
    "status": ({"report.units", "plain", "run.supervise"}, {"rich"}),
    "options": ({"plain"}, set()),
    "config": ({"errors", "options", "plain"}, {"rich", "tomllib", "tomli"}),
    "watching": (
        {"journal", "labels", "observation", "rundir", "report.units"}
        | {"plain", "status", "tail"},
        {"rich"},
    ),
    "limits": (set(), set()),
    "doctor": (
        {"__init__", "capture.engines", "capture.replaying", "errors", "limits", "plain"}
        | {"report.units"},
        {"rich"},
    ),
    "watch": (
        {"errors", "journal", "rundir", "tail", "watching", "report.units", "plain"},
        {"rich"},
    ),
    "pipeline": ({"rundir", "model", "capture", "analysis", "report"}, set()),
    "arguments": ({"__init__", "errors", "options", "record.spec", "run.program"}, set()),
    "cli": (
        {"pipeline", "errors", "model", "rundir", "report.text", "report.language", "plain"}
        | {
            "run",
            "record.spec",
            "record.marks",
            "status",
            "arguments",
            "config",
            "doctor",
            "options",
            "watch",
        },
        {"rich"},
    ),
}
# The one module of a stage that may know a library, and which.
KNOWS: dict[str, set[str]] = {
    "record.tracker": {"memray"},
    "record.rss": {"psutil"},
    "run.sampling": {"psutil"},
    "watching.progress": {"psutil"},
    "capture.reader": {"memray"},
    "capture.replaying": {"lz4"},
    "capture.symbol_tables": {"symbolic", "cffi"},
    "capture.demangle": {"multi_demangle"},
    "capture.symbol_cache": {"platformdirs"},
    "report.html": {"jinja2", "markupsafe"},
}


def modules() -> list[str]:
    names = [path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py")]
    return sorted(".".join(name.parts) for name in names)


def path_of(module: str) -> Path:
    return PACKAGE.joinpath(*module.split(".")).with_suffix(".py")


def imports(module: str) -> Iterator[str]:
    """All modules that ``module`` imports, by their full names."""
    for node in ast.walk(ast.parse(path_of(module).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{module} imports relatively"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                is_module = full.startswith("memdeep.") and (
                    path_of(full.removeprefix("memdeep.")).exists()
                )
                yield full if is_module else node.module


def allowed(name: str, granted: set[str]) -> bool:
    return any(name == grant or name.startswith(f"{grant}.") for grant in granted)


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_what_its_stage_may(module: str) -> None:
    stage = module.split(".")[0]
    own, foreign = MAY_IMPORT[stage]
    foreign = foreign | KNOWS.get(module, set())
    for name in imports(module):
        top, _, rest = name.partition(".")
        if top == "memdeep":
            assert allowed(rest or "__init__", own | {stage}), f"{module} imports {name}"
        else:
            assert top in sys.stdlib_module_names or top == "_json" or top in foreign, (
                f"{module} imports {name}"
            )


@pytest.mark.parametrize("module", modules())
def test_a_module_says_what_it_owns_and_stays_small(module: str) -> None:
    source = path_of(module).read_text("utf-8")
    if not source:
        assert module.endswith("__init__")
        return
    assert ast.get_docstring(ast.parse(source)), f"{module} has no docstring"
    assert source.count("\n") <= MAX_LINES_OF.get(module, MAX_LINES), f"{module} is too long"


def test_the_lines_of_a_log_need_the_standard_library_only() -> None:
    for name in set(imports("monitoring.log_format")) - {"memdeep.text.safe"}:
        assert name.partition(".")[0] in sys.stdlib_module_names


def test_subpackages_hold_no_code_of_their_own() -> None:
    for path in PACKAGE.glob("*/__init__.py"):
        assert path.read_text("utf-8") == ""


def test_only_the_command_line_prints_and_exits() -> None:
    for module in set(modules()) - {"cli", "__main__"}:
        for node in ast.walk(ast.parse(path_of(module).read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in {"print", "sys.exit", "exit"}, f"{module} calls {called}"
