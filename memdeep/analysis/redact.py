"""Takes the arguments of its program and of its processes out of a run."""

from __future__ import annotations

from dataclasses import replace

from memdeep.model import Run, redaction


def redacted(run: Run) -> Run:
    """``run`` without the arguments of its program and of its processes."""
    end = run.exit
    return replace(
        run,
        exit=None
        if end is None
        else replace(end, evidence=tuple(map(redaction.without_command, end.evidence))),
        command=redaction.without_arguments(run.command),
        processes=tuple(
            replace(process, command=redaction.first_word(process.command))
            for process in run.processes
        ),
    )
