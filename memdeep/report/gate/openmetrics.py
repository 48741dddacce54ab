"""OpenMetrics: the figures and their limits as gauges, which GitLab compares between branches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from memdeep.model.budget import Gate, State, Verdict
from memdeep.report.gate import wording
from memdeep.text.language import Language
from memdeep.text.safe import plain


def encode(gate: Gate, language: Language) -> bytes:
    """Return the gauges; a figure that is not known has none, and is not within its limit."""
    labelled = list(zip(gate.verdicts, _labels(gate.verdicts), strict=True))
    lines = ["# TYPE memdeep_check_within gauge"]
    lines += ["# HELP memdeep_check_within 1 if the figure is known and within its limit."]
    for verdict, labels in labelled:
        lines.append(f"memdeep_check_within{labels} {int(verdict.state is State.WITHIN)}")
    for unit, is_count in (("bytes", False), ("allocations", True)):
        for name, told in (("value", "figure"), ("limit", "limit")):
            samples = [
                f"{labels} {value}"
                for verdict, labels in labelled
                if verdict.check.is_count is is_count
                and (value := verdict.value if name == "value" else verdict.limit) is not None
            ]
            if samples:
                lines += _family(f"memdeep_check_{name}_{unit}", unit, told, samples)
    return "".join(f"{line}\n" for line in [*lines, "# EOF"]).encode("utf-8", "replace")


def _family(name: str, unit: str, told: str, samples: Sequence[str]) -> Iterator[str]:
    yield f"# TYPE {name} gauge"
    yield f"# UNIT {name} {unit}"
    yield f"# HELP {name} The {told} of a check."
    yield from (f"{name}{sample}" for sample in samples)


def _labels(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield the labels of each verdict; no two have the same."""
    taken: dict[str, int] = {}
    for verdict in verdicts:
        against = "baseline" if verdict.before is not None else f"budget {verdict.rule.number}"
        name = wording.cut(plain(verdict.name), wording.MAX_NAME)
        pairs = {"phase": name, "check": verdict.check.value, "against": against}
        labels = ",".join(f'{key}="{_escaped(value)}"' for key, value in pairs.items())
        taken[labels] = taken.get(labels, 0) + 1
        if taken[labels] > 1:
            labels += f',nth="{taken[labels]}"'
        yield f"{{{labels}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
