"""GitLab's report of code quality, a part of what Code Climate wrote: a list of issues in JSON."""

from __future__ import annotations

import json

from memdeep.model.budget import Gate, State
from memdeep.report.gate import wording
from memdeep.text.language import Language
from memdeep.text.safe import plain


def encode(gate: Gate, language: Language) -> bytes:
    """Return the list; GitLab takes an issue for the same by its fingerprint."""
    issues = []
    for verdict, identity in zip(gate.verdicts, wording.identities(gate), strict=True):
        if verdict.state is State.WITHIN:
            continue
        parts = (wording.sentence(verdict, language), wording.blame(gate, verdict, language))
        where = wording.location(gate, verdict)
        issues.append(
            {
                "description": " ".join(filter(None, parts)),
                "check_name": f"memdeep/{verdict.check.value}",
                "fingerprint": identity,
                "severity": "major" if verdict.fails else "minor",
                "location": {"path": plain(where.path), "lines": {"begin": where.line}},
            }
        )
    return (json.dumps(issues, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")
