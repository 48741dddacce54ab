"""A comparison as JSON, schema 1, which `memdeep/schema/diff-1.schema.json` describes.

Owns the names and the order of the fields. Nothing in it is left to be found in the two reports.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from memdeep.analysis.compare.telling import Telling, telling
from memdeep.model.comparison import (
    Change,
    Comparison,
    Figure,
    LineAt,
    LineChange,
    PhaseChange,
    Side,
)
from memdeep.report.comparison.options import DIFF_DEFAULTS, DiffOptions
from memdeep.report.comparison.wording import Wording
from memdeep.text.language import language
from memdeep.version import __version__

SCHEMA = 1
MAX_LINES = 50  # of one list
Json = Mapping[str, object]


def encode(comparison: Comparison, options: DiffOptions = DIFF_DEFAULTS) -> Iterator[bytes]:
    """Return the comparison as JSON in ASCII; sentences are in English.

    Phases that are alike are listed too, in whatever way it is asked for. Of the lines of a phase
    the 50 that differ most are listed; ``lines_left_out`` counts the others.
    """
    has_text = options.report.source is not False
    wording = Wording(comparison, language("en"), str)
    document = {
        "schema": SCHEMA,
        "memdeep": __version__,
        "answer": wording.answer(),
        "before": _side(comparison.before),
        "after": _side(comparison.after),
        "deep": comparison.is_deep,
        "cautions": [
            {"kind": caution.key.removeprefix("caution."), **caution.values, "sentence": sentence}
            for caution, sentence in zip(comparison.cautions, wording.cautions(), strict=True)
        ],
        "figures": _figures(comparison.figures),
        "files": [{"before": old, "after": new} for old, new in comparison.files.items()],
        "phases": [_phase(comparison, one, has_text) for one in comparison.phases],
        **_lines("peak_lines", comparison.peak_lines, has_text),
        "differing": [_telling(one, wording, has_text) for one in telling(comparison)],
    }
    return iter([json.dumps(document, indent=1, allow_nan=False).encode("ascii"), b"\n"])


def _side(side: Side) -> Json:
    run = side.report.run
    return {
        "runs": list(side.names),
        "chosen": side.chosen,
        "program": run.name,
        "python": run.python,
        "memray": run.memray,
        "verdict": None if run.exit is None else run.exit.verdict,
    }


def _figures(figures: Mapping[Figure, Change]) -> Json:
    return {figure.name.lower(): _change(change) for figure, change in figures.items()}


def _change(change: Change) -> Json:
    return {
        "before": list(change.before),
        "after": list(change.after),
        "delta": change.delta,
        "noise": change.noise,
        "alike": change.is_alike,
    }


def _phase(comparison: Comparison, change: PhaseChange, has_text: bool) -> Json:
    return {
        "match": change.match.value,
        "before": _place(comparison.before, change.before),
        "after": _place(comparison.after, change.after),
        "parent": change.parent,
        "depth": change.depth,
        "alike": change.is_alike,
        "figures": _figures(change.figures),
        **_lines("lines", change.lines, has_text),
        **_lines("peak_lines", change.peak_lines, has_text),
    }


def _place(side: Side, number: int | None) -> Json | None:
    """Return a phase of one side; its index is that in the phases of the run that was chosen."""
    if number is None:
        return None
    phase = side.report.phases[number]
    kind = phase.outline.kind.value
    return {"index": number, "name": phase.name, "kind": kind, "repeats": phase.repeats}


def _lines(name: str, lines: Sequence[LineChange], has_text: bool) -> Json:
    return {
        name: [_line(line, has_text) for line in lines[:MAX_LINES]],
        f"{name}_left_out": max(0, len(lines) - MAX_LINES),
    }


def _line(line: LineChange, has_text: bool) -> Json:
    return {
        "match": line.match.value,
        "before": _line_at(line.before, has_text),
        "after": _line_at(line.after, has_text),
        "bytes": _change(line.bytes),
    }


def _line_at(line: LineAt | None, has_text: bool) -> Json | None:
    if line is None:
        return None
    return {
        "path": line.path,
        "line": line.frame.lineno,
        "function": line.frame.function,
        "text": line.text if has_text else None,
    }


def _telling(one: Telling, wording: Wording, has_text: bool) -> Json:
    return {
        "phase": one.phase,
        "figure": one.figure.name.lower(),
        "delta": one.delta,
        "line": None if one.line is None else _line(one.line, has_text),
        "sentence": wording.told(one),
    }
