"""A table in Markdown as GitHub and GitLab show it: of a job's summary, or of a comment."""

from __future__ import annotations

import re
from collections.abc import Iterator

from memdeep.model.budget import Gate, State, Verdict
from memdeep.report.gate import wording
from memdeep.text import units
from memdeep.text.language import Language
from memdeep.text.safe import plain

MOST_FAILED = 200  # rows
MOST_WITHIN = 20
_MEANS_SOMETHING = re.compile(r"([\\`*_{}\[\]()#+!|~$-])")


def encode(gate: Gate, language: Language) -> bytes:
    """Return a heading, the table with the worst first, and what is to be told besides."""
    return "".join(f"{line}\n" for line in _lines(gate, language)).encode("utf-8", "replace")


def _lines(gate: Gate, language: Language) -> Iterator[str]:
    yield f"### {'✅' if gate.passed else '❌'} memdeep: {_safe(wording.headline(gate, language))}"
    failed = [verdict for verdict in gate.verdicts if verdict.state is not State.WITHIN]
    within = gate.of_state(State.WITHIN)
    rows = [*failed[:MOST_FAILED], *within[:MOST_WITHIN]]
    if rows:
        keys = ("phase", "figure", "value", "limit", "line")
        heads = [_safe(language.say(f"gate.head_{key}")) for key in keys]
        yield ""
        yield f"| | {' | '.join(heads)} |"
        yield "|---|---|---|---:|---:|---|"
        yield from (_row(gate, verdict, language) for verdict in rows)
    left_out = len(gate.verdicts) - len(rows)
    if left_out:
        yield f"\n{_safe(language.say('gate.more', n=left_out))}"
    for told in gate.notes:
        yield f"\n{_safe(wording.note(told, language))}"


def _row(gate: Gate, verdict: Verdict, language: Language) -> str:
    mark = "✅"
    if verdict.state is not State.WITHIN:
        mark = ("❌" if verdict.state is State.OVER else "❓") if verdict.fails else "⚠️"
    value = wording.shown(verdict, verdict.value)
    if verdict.state is State.UNKNOWN:
        known = "" if verdict.value is None else f"{value} ? "
        value = f"{known}({wording.why(verdict, language)})"
    cells = (
        _safe(wording.subject(verdict, language)),
        units.UNKNOWN if verdict.limit is None else _safe(wording.figure(verdict.check, language)),
        _safe(value),
        _safe(wording.shown(verdict, verdict.limit)),
        "" if verdict.state is State.WITHIN else _line(gate, verdict),
    )
    return f"| {mark} | {' | '.join(cells)} |"


def _line(gate: Gate, verdict: Verdict) -> str:
    if verdict.culprit is None:
        return ""
    where = wording.location(gate, verdict)
    source = wording.source_of(gate, verdict)
    shown = f"<code>{_safe(plain(where.path))}:{where.line}</code>"
    return shown if source is None else f"{shown} <code>{_safe(source)}</code>"


def _safe(text: str) -> str:
    """Return ``text`` so that none of it is Markdown, HTML, or the name of a user."""
    html = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MEANS_SOMETHING.sub(r"\\\1", html).replace("@", "&#64;").replace("://", ":&#47;/")
