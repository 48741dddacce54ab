"""Workflow commands of GitHub: an annotation for each verdict at the line to blame.

GitHub shows ten of a kind from one step, and drops the others; so the worst come first.
"""

from __future__ import annotations

from collections.abc import Iterator

from memdeep.model.budget import Gate, Severity, State, Verdict
from memdeep.report.gate import wording
from memdeep.text.language import Language
from memdeep.text.safe import plain

MOST = 10


def encode(gate: Gate, language: Language) -> bytes:
    """Return the annotations, one a line."""
    return "".join(f"{line}\n" for line in _lines(gate, language)).encode("utf-8", "replace")


def _lines(gate: Gate, language: Language) -> Iterator[str]:
    told = {"error": 0, "warning": 0}
    left_out = 0
    for verdict in gate.verdicts:
        if verdict.state is State.WITHIN:
            continue
        kind = "error" if verdict.fails else Severity.WARNING.value
        if told[kind] == MOST:
            left_out += 1
            continue
        told[kind] += 1
        yield _annotation(kind, gate, verdict, language)
    if left_out:
        yield f"::notice title=memdeep::{_text(language.say('gate.more', n=left_out))}"


def _annotation(kind: str, gate: Gate, verdict: Verdict, language: Language) -> str:
    where = wording.location(gate, verdict)
    title = f"memdeep: {wording.figure(verdict.check, language)}"
    parts = (wording.sentence(verdict, language), wording.blame(gate, verdict, language))
    text = "\n".join(filter(None, parts))
    properties = {"file": plain(where.path), "line": str(where.line), "title": title}
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{kind} {listed}::{_text(text)}"


def _text(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _text(text).replace(":", "%3A").replace(",", "%2C")
