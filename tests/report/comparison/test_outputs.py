"""A comparison as text, Markdown and JSON: the answer first, nothing hostile gets through."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from comparisons import compared, job
from factories import hostile_report
from jsonschema import Draft202012Validator
from rich.cells import cell_len
from running import ROOT

from memdeep.model.comparison import Caution, Comparison
from memdeep.report.comparison import encoders
from memdeep.report.comparison.markdown import code
from memdeep.report.comparison.options import DiffOptions
from memdeep.report.options import ReportOptions

SCHEMA = ROOT / "memdeep" / "schema" / "diff-1.schema.json"
HOSTILE = [
    "a\nb",
    "\x1b[31mred",
    "a|b",
    "`code` ``more``",
    "<script>alert(1)</script>",
    "\ud800 alone",
    "\u202eright to left",
    "@somebody #1 **bold** [link](x)",
    "x" * 10_000,
    "加载config",
    "[red]markup[/red] :smile:",
]


@cache
def changed() -> Comparison:
    before = job({"load": 30, "search": 60, "write": 1})
    return compared(before, job({"load": 30, "search": 20, "check": 9, "write": 1}, shift=4))


def shown(found: Comparison, name: str, **options: Any) -> str:
    report = ReportOptions(**{"lang": "en", **options})
    return b"".join(encoders.encode(found, name, DiffOptions(report))).decode("utf-8")


def decoded(found: Comparison, **options: Any) -> Mapping[str, Any]:
    fields: dict[str, Any] = json.loads(shown(found, "json", **options))
    Draft202012Validator(json.loads(SCHEMA.read_bytes())).validate(fields)
    return fields


def test_the_first_line_is_the_answer_with_the_line_before_and_after() -> None:
    lines = shown(changed(), "text").splitlines()
    assert lines[0] == "search keeps 40.0 MB less than before: /app/prog.py:3 → :7."
    assert shown(changed(), "markdown").splitlines()[0] == (
        "**`search` keeps 40.0 MB less than before: `/app/prog.py:3` → `:7`.**"
    )
    assert decoded(changed())["answer"] == lines[0]
    chinese = shown(changed(), "text", lang="zh")
    assert "search 比之前少保留 40.0 MB：/app/prog.py:3 → :7。" in chinese
    assert "▶ search 比之前少保留 40.0 MB：\n" in chinese


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_text_fits_its_terminal(width: int, lang: str) -> None:
    for found in (changed(), compared(hostile_report(), job({"load": 50}))):
        lines = shown(found, "text", width=width, lang=lang).splitlines()
        assert max(map(cell_len, lines)) <= width


def test_runs_that_are_alike_are_told_in_one_calm_sentence() -> None:
    one = job({"load": 30, "search": 60})
    text = shown(compared(one, one), "text").splitlines()
    assert text == [
        "The runs are alike: no figure and no phase differs by more than the noise.",
        "before → after",
    ]
    markdown = shown(compared(one, one), "markdown")
    assert "|" not in markdown
    assert decoded(compared(one, one))["differing"] == []


def test_phases_within_the_noise_have_a_tilde_and_those_alike_are_counted() -> None:
    before = job({"load": 30, "search": 60, "first check": 1})
    text = shown(compared(before, job({"load": 31, "search": 60, "other check": 1})), "text")
    row = next(line for line in text.splitlines() if line.startswith("other check"))
    assert row.split()[-2:] == ["~", "~"]
    assert "  was first check" in text
    assert "2 phases are alike." in text


def test_all_phases_are_listed_where_that_is_asked_for() -> None:
    options = DiffOptions(ReportOptions(lang="en"), all_phases=True)
    for name in ("text", "markdown"):
        text = b"".join(encoders.encode(changed(), name, options)).decode()
        assert "write" in text
        assert "alike" not in text


def test_source_lines_are_shown_unless_they_are_not_wished_for() -> None:
    for name in ("text", "markdown", "json"):
        assert "rows.append(bytes" in shown(changed(), name)
        assert "rows.append(bytes" not in shown(changed(), name, source=False)


@pytest.mark.parametrize("label", HOSTILE)
def test_hostile_labels_are_harmless_in_every_format(label: str) -> None:
    found = compared(job({label: 30, "search": 60}), job({label: 90, "search": 60}))
    found = replace(
        found, cautions=(Caution("caution.unfinished", {"run": label, "verdict": "x"}),)
    )
    text = shown(found, "text", width=80)
    assert "\x1b" not in text
    assert max(map(cell_len, text.splitlines())) <= 80
    assert decoded(found)["phases"]
    markdown = shown(found, "markdown")
    assert "\x1b" not in markdown
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", markdown)
    for mark in ("<script", "@somebody", "**bold**", "\u202e"):
        assert mark not in outside
    for line in markdown.splitlines():
        if line.startswith("| `"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (6, 7)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_code_span_ends_where_it_should(text: str) -> None:
    span = code(text)
    fence = re.match("`+", span)
    assert fence is not None
    assert span.endswith(fence[0])
    inside = span[len(fence[0]) : -len(fence[0])]
    assert fence[0] not in re.findall("`+", inside)
    assert "\n" not in span


def test_a_figure_that_is_not_known_is_shown_as_not_known() -> None:
    one = job({"load": 30})
    bare = replace(one, heap=replace(one.heap, peak_bytes=None))
    found = compared(one, bare)
    text = shown(found, "text").splitlines()
    assert text[0].startswith("What is known of both sides is alike")
    row = next(line for line in text if "peak heap" in line)
    assert row.split()[-1] == "–"
    assert decoded(found)["figures"]["peak_heap"]["after"] == []
    assert decoded(found)["figures"]["peak_heap"]["delta"] is None
