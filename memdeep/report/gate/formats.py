"""The formats of a check's result: one list with the name and the encoder of each.

A format is one more module with a function `encode`, and one more line in the list.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from memdeep.model.budget import Gate
from memdeep.text.language import Language

MODULES = {
    "text": "memdeep.report.gate.text",
    "github": "memdeep.report.gate.github",
    "markdown": "memdeep.report.gate.markdown",
    "junit": "memdeep.report.gate.junit",
    "sarif": "memdeep.report.gate.sarif",
    "gitlab": "memdeep.report.gate.gitlab",
    "openmetrics": "memdeep.report.gate.openmetrics",
}


class Encoder(Protocol):
    """A module that encodes the result of a check."""

    def encode(self, gate: Gate, language: Language, /) -> bytes:
        """Return ``gate`` as a whole file. The same one gives the same bytes."""


def encode(name: str, gate: Gate, language: Language) -> bytes:
    """Return ``gate`` in the format ``name``, a key of `MODULES`."""
    return cast(Encoder, import_module(MODULES[name])).encode(gate, language)
