"""Names checkpoints and phases in a language. Knows no figures, and no names of report.json."""

from __future__ import annotations

from collections.abc import Callable

from memdeep.model import CheckpointKind, Phase, PhaseKind, Run
from memdeep.text.language import Language


def phase(run: Run, phase: Phase, language: Language) -> str:
    """The name of a span is the program's own; a segment is named after its two checkpoints."""
    outline = phase.outline
    if outline.kind is PhaseKind.SPAN:
        return outline.name
    stretch = outline.stretches[0]
    return language.say(
        "checkpoint.stretch",
        start=checkpoint(run, stretch.start, language),
        end=checkpoint(run, stretch.end, language),
    )


def checkpoint(run: Run, place: int, language: Language, cut: Callable[[str], str] = str) -> str:
    """The label of a checkpoint by its place, with what tells it from another of the same label.

    ``cut`` may shorten the label.
    """
    if place == 0:
        return language.say("checkpoint.run_start")
    if place == len(run.checkpoints) - 1:
        return language.say("checkpoint.run_end")
    point = run.checkpoints[place]
    if point.kind is CheckpointKind.POINT:
        return cut(point.label)
    return language.say(f"checkpoint.{point.kind.value}", label=cut(point.label))
