"""JUnit's XML, which nearly every CI reads: a test case for each check of a phase or of the run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from memdeep.model.budget import Gate, State, Verdict
from memdeep.report.gate import wording
from memdeep.text.language import Language
from memdeep.text.safe import plain

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def encode(gate: Gate, language: Language) -> bytes:
    """Return the document: what is over its limit has failed, what is not known is an error."""
    return "".join(f"{line}\n" for line in _lines(gate, language)).encode()


def _lines(gate: Gate, language: Language) -> Iterator[str]:
    unknown = len(gate.of_state(State.UNKNOWN))
    failed = sum(verdict.fails for verdict in gate.of_state(State.OVER))
    counts = f'tests="{len(gate.verdicts)}" failures="{failed}" errors="{unknown}"'
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield f'<testsuites name="memdeep" {counts}>'
    yield f'<testsuite name={_attribute(gate.report.run.name)} {counts} skipped="0" time="0">'
    for verdict in gate.verdicts:
        yield from _case(gate, verdict, language)
    yield from ("</testsuite>", "</testsuites>")


def _case(gate: Gate, verdict: Verdict, language: Language) -> Iterator[str]:
    name = verdict.check.value
    if verdict.before is not None:
        name += " (baseline)"
    subject = _attribute(f"memdeep.{wording.subject(verdict, language)}")
    yield f'<testcase classname={subject} name={_attribute(name)} time="0">'
    said = wording.sentence(verdict, language)
    if verdict.state is State.WITHIN:
        yield f"<system-out>{_text(said)}</system-out>"
    else:
        where = wording.location(gate, verdict)
        lines = (said, wording.blame(gate, verdict, language), f"{where.path}:{where.line}")
        text = "\n".join(map(_text, filter(None, lines)))
        element = "error" if verdict.state is State.UNKNOWN else "failure"
        if verdict.fails:
            message = f'type="memdeep.{verdict.check.value}" message={_attribute(said)}'
            yield f"<{element} {message}>{text}</{element}>"
        else:
            yield f"<system-out>{text}</system-out>"
    yield "</testcase>"


def _allowed(text: str) -> str:
    return _NOT_XML.sub("\ufffd", plain(text))


def _text(text: str) -> str:
    return escape(_allowed(text))


def _attribute(text: str) -> str:
    return quoteattr(_allowed(text))
