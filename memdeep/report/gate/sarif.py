"""SARIF 2.1.0, as code scanning reads it: a result for each verdict, with the Python stack.

A result is the same as in another run by its fingerprint, in which there is no line and no figure.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from memdeep.model import Origin
from memdeep.model.budget import Check, Gate, State, Verdict
from memdeep.report.gate import wording
from memdeep.text.language import Language
from memdeep.text.safe import plain
from memdeep.version import __version__

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
FINGERPRINT = "memdeepCheck/v1"
MOST = 5000  # results that GitHub shows of one run
MAX_FRAMES = 100  # of a stack, the innermost ones


def encode(gate: Gate, language: Language) -> bytes:
    """Return the log with one run in it."""
    rules = list(Check)
    told = [
        _result(gate, verdict, language) | {"partialFingerprints": {FINGERPRINT: identity}}
        for verdict, identity in zip(gate.verdicts, wording.identities(gate), strict=True)
        if verdict.state is not State.WITHIN
    ]
    driver = {
        "name": "memdeep",
        "version": __version__,
        "rules": [
            {"id": rule.value, "shortDescription": {"text": wording.figure(rule, language)}}
            for rule in rules
        ],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": told[:MOST],
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return (json.dumps(document, indent=1) + "\n").encode("ascii")


def _result(gate: Gate, verdict: Verdict, language: Language) -> dict[str, Any]:
    parts = (wording.sentence(verdict, language), wording.blame(gate, verdict, language))
    where = wording.location(gate, verdict)
    logical = [{"name": wording.subject(verdict, language), "kind": "module"}]
    if where.frame is not None:
        logical.append({"name": plain(where.frame.function), "kind": "function"})
    known = {"limit": verdict.limit, "value": verdict.value, "before": verdict.before}
    result: dict[str, Any] = {
        "ruleId": verdict.check.value,
        "ruleIndex": list(Check).index(verdict.check),
        "level": "error" if verdict.fails else "warning",
        "message": {"text": "\n".join(filter(None, parts))},
        "locations": [{**_physical(where.path, where.line), "logicalLocations": logical}],
        "properties": {
            "phase": wording.subject(verdict, language),
            **{name: value for name, value in known.items() if value is not None},
        },
    }
    if flow := _flow(gate, verdict):
        result["codeFlows"] = [{"threadFlows": [{"locations": flow}]}]
    return result


def _flow(gate: Gate, verdict: Verdict) -> list[dict[str, Any]]:
    """Return the calls to the line to blame in the program's own code, outermost first."""
    if verdict.culprit is None:
        return []
    steps = []
    for frame in gate.report_of(verdict).heap.tree.stack(verdict.culprit.node)[-MAX_FRAMES:]:
        path = wording.below_root(gate, frame.filename)
        if path is not None and frame.origin in (Origin.USER, Origin.TOOL):
            place = _physical(path, max(1, frame.lineno))
            steps.append({"location": {**place, "message": {"text": plain(frame.function)}}})
    return steps


def _physical(path: str, line: int) -> dict[str, Any]:
    address = quote(path.encode("utf-8", "surrogateescape" if _is_escaped(path) else "replace"))
    artifact = {"uri": address, "uriBaseId": "%SRCROOT%"}
    return {"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": line}}}


def _is_escaped(path: str) -> bool:
    """Tell if all lone surrogates of a path stand for bytes that are not UTF-8."""
    return all(not 0xD800 <= ord(one) < 0xE000 or 0xDC80 <= ord(one) <= 0xDCFF for one in path)
