"""Hides what may be private: the arguments of a program, and where and from what it was run."""

from __future__ import annotations

from collections.abc import Sequence

from memdeep.frozen import replace
from memdeep.model.run import Identity, Run
from memdeep.model.statement import Statement

HIDDEN = "…"


def without_arguments(command: Sequence[str]) -> tuple[str, ...]:
    """Return the words of ``command`` up to the script or module; code after -c is hidden, too."""
    kept = 2 if tuple(command[:1]) == ("-m",) else 1
    return (*command[:kept], HIDDEN) if len(command) > kept else tuple(command)


def first_word(command: str | None) -> str | None:
    """Return the first word of a command line as the system gives it."""
    if command is None:
        return None
    program, _, rest = command.partition(" ")
    return f"{program} {HIDDEN}" if rest else program


def without_command(said: Statement) -> Statement:
    """Return ``said`` with only the first word of its command line, if it has one."""
    command = said.values.get("command")
    if not isinstance(command, str):
        return said
    return replace(said, values={**said.values, "command": first_word(command) or ""})


def without_place(identity: Identity | None) -> Identity | None:
    """Return ``identity`` without directories and commit; what the machine is like stays."""
    if identity is None:
        return None
    return replace(identity, cwd=None, root=None, commit=None, is_dirty=None)


def without_keys(path: str) -> str:
    """Return a path to objects without what stands in brackets: keys, which may be anything.

    Names of variables and attributes are the program's code. A bracket that nothing closes hides
    the rest.
    """
    shown, depth, quote, is_escaped = [], 0, "", False
    for sign in path:
        if depth == 0:
            shown.append(sign + HIDDEN if sign == "[" else sign)
            depth = int(sign == "[")
        elif quote:
            is_end = sign == quote and not is_escaped
            is_escaped = sign == "\\" and not is_escaped
            quote = "" if is_end else quote
        elif sign in "'\"":
            quote = sign
        else:
            depth += (sign == "[") - (sign == "]")
            if depth == 0:
                shown.append(sign)
    return "".join(shown)


def redacted(run: Run) -> Run:
    """Return ``run`` without the arguments of its program and processes, and without its place."""
    end = run.exit
    return replace(
        run,
        exit=None
        if end is None
        else replace(end, evidence=tuple(map(without_command, end.evidence))),
        command=without_arguments(run.command),
        identity=without_place(run.identity),
        processes=tuple(
            replace(process, command=first_word(process.command)) for process in run.processes
        ),
    )
