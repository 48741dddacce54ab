"""Hides the arguments of a program: they may be nobody else's business."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from memdeep.model import Run
from memdeep.model.statement import Statement

HIDDEN = "…"


def without_arguments(command: Sequence[str]) -> tuple[str, ...]:
    """The words that start a program, up to its script or module; code given with -c is hidden."""
    kept = 2 if tuple(command[:1]) == ("-m",) else 1
    return (*command[:kept], HIDDEN) if len(command) > kept else tuple(command)


def first_word(command: str | None) -> str | None:
    """A command line as the system gives it, without all but its first word."""
    if command is None:
        return None
    program, _, rest = command.partition(" ")
    return f"{program} {HIDDEN}" if rest else program


def without_command(said: Statement) -> Statement:
    """A statement whose command line, if there is one in it, has lost all but its first word."""
    command = said.values.get("command")
    if not isinstance(command, str):
        return said
    return replace(said, values={**said.values, "command": first_word(command) or ""})


def redacted(run: Run) -> Run:
    """``run`` without the arguments of its program and of its processes."""
    end = run.exit
    return replace(
        run,
        exit=None
        if end is None
        else replace(end, evidence=tuple(map(without_command, end.evidence))),
        command=without_arguments(run.command),
        processes=tuple(
            replace(process, command=first_word(process.command)) for process in run.processes
        ),
    )
