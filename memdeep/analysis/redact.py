"""Takes the arguments out of a run: what was given to a program may be nobody else's business."""

from __future__ import annotations

from dataclasses import replace

from memdeep.model import Process, Run

HIDDEN = "…"


def redacted(run: Run) -> Run:
    """``run`` without the arguments of its program and of its processes."""
    kept = 2 if run.command[:1] == ("-m",) else 1
    hidden = (HIDDEN,) if len(run.command) > kept else ()
    return replace(
        run,
        command=(*run.command[:kept], *hidden),
        processes=tuple(map(_without_arguments, run.processes)),
    )


def _without_arguments(process: Process) -> Process:
    if process.command is None:
        return process
    program, _, rest = process.command.partition(" ")
    return replace(process, command=f"{program} {HIDDEN}" if rest else program)
