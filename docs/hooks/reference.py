"""Reference pages, written anew at each build from what they describe.

MkDocs calls `on_files`. The pages come from the table of options (`memdeep/cli/options.py`), the
words of the commands (`memdeep/cli/help.py`), the public functions' docstrings, and the schema of
`report.json`: nothing of them is written by hand.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import memdeep
from memdeep.cli import help
from memdeep.cli.options import OF_REPORTS, OPTIONS, Option, Place

SCHEMA = Path(memdeep.__file__).parent / "schema" / "report-2.schema.json"
WITH_OPTIONS = ("run", "report")  # which have a page of their own
WHERE = {
    Place.PROGRAM: "What is recorded in the program",
    Place.RUN: "Around the program",
    Place.INTERPRETER: "Around the program",
    Place.REPORT: "What is written",
    Place.TERMINAL: "What is written",
    Place.COMMAND: "The run",
}


def on_files(files: Any, config: Any) -> Any:
    """Add the reference pages to those of the site."""
    from mkdocs.structure.files import File

    for name, content in pages().items():
        files.append(File.generated(config, f"reference/{name}.md", content=content))
    return files


def pages() -> dict[str, str]:
    """Return the Markdown of each page by its name."""
    return {
        "commands": commands(),
        "options": options(),
        "python": python(),
        "report_json": report_json(),
    }


def commands() -> str:
    """Return the page of commands: what each does, how it is called, examples, exit status."""
    parts = ["# Commands", help.DESCRIPTION]
    for name, summary in help.COMMANDS.items():
        parts.append(f"## memdeep {name}")
        if name in WITH_OPTIONS:
            parts += [f"{summary[0].upper()}{summary[1:]}.", "It takes [options](options.md)."]
            parts.append(f"```text\n{help.OF_COMMANDS[name]}\n```")
        else:
            parts.append(f"```text\n{_help(name)}\n```")
    return _page(parts)


def _help(command: str) -> str:
    """Return what `memdeep COMMAND --help` prints at 80 columns."""
    words = [sys.executable, "-m", "memdeep", command, "--help"]
    plain = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(words, env=plain, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().rstrip()


def options() -> str:
    """Return the page of options: one table for each place where they act."""
    parts = [
        "# Options",
        "`memdeep run` takes all of them, `memdeep report` those marked †. Each may stand in "
        "`memdeep.toml`, or under `[tool.memdeep]` in `pyproject.toml`, by its long name; the "
        "command line wins. `memdeep config` shows what is in force, and why.",
    ]
    for title in dict.fromkeys(WHERE.values()):
        rows = [_row(option) for option in OPTIONS if WHERE[option.places[0]] == title]
        head = "| Option | Does | Default |\n|---|---|---|\n"
        parts += [f"## {title}", head + "\n".join(rows)]
    return _page(parts)


def _row(option: Option) -> str:
    names = [f"-{option.short}"] if option.short else []
    names += [f"--{name}" for name in (option.name, *option.also)]
    value = option.metavar or "|".join(option.choices) or option.kind.upper()
    taken = "" if option.kind == "flag" else f" {value}"
    shown = ", ".join(_code(f"{name}{taken}") for name in names)
    if option.kind == "flag" and not option.name.startswith("no-"):
        shown += f", {_code(f'--no-{option.name}')}"
    if option in OF_REPORTS:
        shown += " †"
    default = option.default_words or _default(option)
    return f"| {shown} | {_cell(option.does)} | {_cell(default)} |"


def _default(option: Option) -> str:
    if option.default in (None, ()):
        return ""
    if isinstance(option.default, bool):
        return "yes" if option.default else "no"
    return str(option.default)


def python() -> str:
    """Return the page of the functions that a program may call."""
    parts = [
        "# Python",
        "`from memdeep import …`. While nothing is recorded, `checkpoint` and `phase` do nothing; "
        "`recording` records a part of a program ([how](../howto/in_process.md)); "
        "`attachable` lets `memdeep attach` in ([how](../howto/attach.md)); "
        "`load` reads a run ([Read a run from Python](../howto/load.md)); the others are those of "
        "the memory monitor, which logs under plain `python` too.",
    ]
    for name in (
        "checkpoint",
        "phase",
        "load",
        *sorted({*memdeep.__all__} - {"checkpoint", "phase", "load", "__version__"}),
    ):
        thing = getattr(memdeep, name)
        parts += [f"## {name}", f"```python\n{_signature(name, thing)}\n```", _unfolded(thing)]
    return _page(parts)


def _signature(name: str, thing: Any) -> str:
    text = str(inspect.signature(thing)).replace("'", "")
    return f"{name}{re.sub(r' -> None$', '', text) if inspect.isclass(thing) else text}"


def _unfolded(thing: Any) -> str:
    return re.sub(r"``(\w+)``", r"`\1`", inspect.getdoc(thing) or "")


def report_json() -> str:
    """Return the page of `report.json`: its fields, record by record."""
    schema = json.loads(SCHEMA.read_text("utf-8"))
    parts = [
        "# report.json",
        f"{schema['description']} The schema itself is `memdeep/schema/{SCHEMA.name}`. "
        "What the figures mean: [What each figure means](../accounting.md).",
        "## The report",
        _fields(schema),
    ]
    for name, definition in schema["$defs"].items():
        if "properties" not in definition:
            parts += [f"## {name}", f"A {_type(definition)}."]
        else:
            parts += [
                f"## {name}",
                *filter(None, [definition.get("description")]),
                _fields(definition),
            ]
    return _page(parts)


def _fields(record: Mapping[str, Any]) -> str:
    fields: Mapping[str, Any] = record["properties"]
    rows = [[_code(name), _cell(_type(field))] for name, field in fields.items()]
    head = ["Field", "Is"]
    if any("description" in field for field in fields.values()):
        head.append("Means")
        for row, field in zip(rows, fields.values(), strict=True):
            row.append(_cell(field.get("description", "")))
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _type(field: Mapping[str, Any]) -> str:
    """Return the type of a field in words."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(map(_type, field["anyOf"]))
    if "const" in field:
        return json.dumps(field["const"])
    if "enum" in field:
        return " or ".join(json.dumps(value) for value in field["enum"])
    kinds = field.get("type", "any")
    if kinds == "array":
        return f"list of {_type(field.get('items', {}))}"
    if kinds == "object" and "properties" in field:
        return f"object with {', '.join(field['properties'])}"
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


def _page(parts: list[str]) -> str:
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("*", "\\*").replace("<", "&lt;")


def _code(text: str) -> str:
    return f"`{text}`"
