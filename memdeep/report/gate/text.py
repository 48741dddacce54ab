"""The result of a check for a terminal: a table with the worst first, and the lines to blame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import StringIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from memdeep.model.budget import Gate, State, Verdict
from memdeep.report.gate import wording
from memdeep.text import units
from memdeep.text.language import Language

WIDTH = 80
MOST_FAILED = 30  # rows
MOST_WITHIN = 10
MOST_BLAMED = 5
MAX_NAME = 60  # characters of a name within the table
_STYLES = {State.OVER: "red", State.UNKNOWN: "yellow", State.WITHIN: "green"}


def encode(gate: Gate, language: Language) -> bytes:
    """Return the result as plain text."""
    console = Console(
        file=StringIO(),
        width=WIDTH,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
        legacy_windows=False,
    )
    with console.capture() as capture:
        console.print(result(gate, language))
    lines = (line.rstrip() for line in capture.get().split("\n"))
    return "\n".join(lines).encode("utf-8", "replace")


def result(gate: Gate, language: Language) -> RenderableType:
    """Lay out the result."""
    failed = [verdict for verdict in gate.verdicts if verdict.state is not State.WITHIN]
    rows = [*failed[:MOST_FAILED], *gate.of_state(State.WITHIN)[:MOST_WITHIN]]
    parts: list[RenderableType] = []
    if rows:
        parts.append(_table(rows, language))
    if left_out := len(gate.verdicts) - len(rows):
        parts.append(Text(language.say("gate.more", n=left_out), style="dim"))
    parts += _blamed(gate, failed, language)
    parts += [Text(""), Text(wording.headline(gate, language), style=_style(gate))]
    parts += [Text(wording.note(told, language), style="dim") for told in gate.notes]
    return Group(*parts)


def _style(gate: Gate) -> str:
    return "bold green" if gate.passed else "bold red"


def _table(rows: Sequence[Verdict], language: Language) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(language.say("gate.head_state"), no_wrap=True)
    table.add_column(language.say("gate.head_phase"), overflow="fold")
    table.add_column(language.say("gate.head_figure"), overflow="fold")
    for key in ("gate.head_value", "gate.head_limit"):
        table.add_column(language.say(key), justify="right", no_wrap=True)
    for verdict in rows:
        is_warning = verdict.state is State.OVER and not verdict.fails
        state = "warning" if is_warning else verdict.state.value
        style = "yellow" if is_warning else _STYLES[verdict.state]
        value = wording.shown(verdict, verdict.value)
        if verdict.state is State.UNKNOWN and verdict.value is not None:
            value += " ?"
        table.add_row(
            Text(language.say(f"gate.state_{state}"), style=style),
            Text(wording.subject(verdict, language, MAX_NAME)),
            Text(
                units.UNKNOWN if verdict.limit is None else wording.figure(verdict.check, language)
            ),
            Text(value, style="" if verdict.state is State.WITHIN else style),
            Text(wording.shown(verdict, verdict.limit)),
        )
    return table


def _blamed(gate: Gate, failed: Sequence[Verdict], language: Language) -> Iterator[Text]:
    """Yield what is wrong, the worst first, with the lines to blame."""
    for verdict in failed[:MOST_BLAMED]:
        yield Text("")
        yield Text(f"▶ {wording.sentence(verdict, language)}")
        blame = wording.blame(gate, verdict, language)
        if blame is not None:
            yield Text(f"  {blame}")
