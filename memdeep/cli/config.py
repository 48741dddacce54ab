"""`memdeep config`: shows which options are in force, and where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from memdeep.cli import arguments
from memdeep.cli.budgets import shown
from memdeep.cli.options import (
    DEFAULT,
    OPTIONS,
    Setting,
    Value,
    toml_text,
)
from memdeep.cli.settings import OWN_FILE, PROJECT_FILE, Config, load, merge
from memdeep.text.language import spoken
from memdeep.text.safe import plain

WIDE = 120  # columns of the terminal from which on `table` explains each option too


def main(words: Sequence[str]) -> int:
    """Carry out `memdeep config`; return its exit status."""
    arguments.parser("config").parse(words)
    console = Console(highlight=False)
    loaded = load(Path.cwd())
    console.print(table(merge({}, loaded), console))
    if loaded.budgets:
        console.print()
        console.print(budget_table(loaded))
    console.print(place(loaded), soft_wrap=True)
    return 0


def budget_table(loaded: Config) -> RenderableType:
    """Return a table of the budgets in force, each as TOML has it, and where it stands."""
    rows = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    say = spoken().say
    rows.add_column(say("config.budget"), overflow="fold")
    rows.add_column(say("config.from"), overflow="fold")
    for budget in loaded.budgets:
        rule = budget.rule
        name = Path(rule.path).name
        at = f"{name}:{rule.line}"
        if rule.line is None:
            at = say("config.from_number", name=name, number=str(rule.number))
        rows.add_row(Text("\n".join(shown(budget))), _link(at, Path(rule.path)))
    return rows


def table(settings: Sequence[Setting], console: Console) -> RenderableType:
    """Return a table of every option, with its value as TOML has it and where it came from."""
    help_texts = {option.name: option.help for option in OPTIONS}
    is_wide = console.width >= WIDE
    rows = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    say = spoken().say
    rows.add_column(say("config.option"), no_wrap=True)
    rows.add_column(say("config.value"), overflow="fold")
    rows.add_column(say("config.from"), overflow="fold")
    if is_wide:
        rows.add_column(say("config.help"), style="dim")
    for setting in settings:
        style = "dim" if setting.origin == DEFAULT else "bold"
        cells = [Text(setting.name, style), _shown_value(setting.value, style), _from(setting)]
        rows.add_row(*cells, *([help_texts[setting.name]] if is_wide else []))
    return rows


def place(loaded: Config) -> Text:
    """Return the path of the file that was read, or a sentence that there is none."""
    if loaded.file is None:
        return Text(spoken().say("config.no_file", own=OWN_FILE, project=PROJECT_FILE))
    said = spoken().say("config.read_from", path=str(loaded.file))
    return _link(said, loaded.file)


def _from(setting: Setting) -> Text:
    if setting.file is None:
        key = "config.default" if setting.origin == DEFAULT else "config.command_line"
        return Text(spoken().say(key), style="dim" if setting.origin == DEFAULT else "")
    return _link(setting.file.name + setting.origin.removeprefix(str(setting.file)), setting.file)


def _link(shown: str, path: Path) -> Text:
    return Text(plain(shown), Style(link=path.absolute().as_uri()))


def _shown_value(value: Value, style: str) -> Text:
    if isinstance(value, Path):
        text = _link(str(value), value)
        text.stylize(style)
        return text
    return Text(toml_text(value), style)
