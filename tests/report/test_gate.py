"""Every format of a check's result, read by its own reader, of labels that mean harm."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
import xmlschema
from factories import MB, culprit, frame, hostile_report, library, phase, report, tree
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator
from jsonschema.exceptions import best_match
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from properties import examples
from running import TESTS

from memdeep import pipeline
from memdeep.cli.arguments import CHECK_FORMATS as FORMATS
from memdeep.model import Exit, Frame, Report
from memdeep.model.budget import Budget, Check, Gate, Note, NoteKind, Rule, Severity, State
from memdeep.report.gate import baseline, formats, github, markdown, wording
from memdeep.text.language import LANGUAGES, language

SCHEMAS = TESTS / "schemas"
SARIF = Draft4Validator(json.loads((SCHEMAS / "sarif-2.1.0-rtm.5.json").read_bytes()))
JUNIT = xmlschema.XMLSchema(str(SCHEMAS / "junit-10.xsd"))
EN = language("en")
RULE = Rule("/app/memdeep.toml", 7)
ROOTS = ("/app",)
NASTY = (
    "a|b`c`<img src=x onerror=alert(1)>",
    "::error::%0A, x: y",
    "\ud83d lone",
    "\u202eright to left",
    "nul\0bell\x07\x1b[31mred\r\nline",
    "@everyone https://evil.example [x](y)",
    "\ufffe\uffff",
    'quote " and \\ back',
)


def hostile(end: str = "completed") -> Gate:
    """A check of many phases: some over their limits, some warned of, some not known."""
    checks = (Check.PEAK_HEAP, Check.GROWTH, Check.RISE)
    plain = hostile_report()
    found = replace(plain, run=replace(plain.run, exit=Exit(0, None, end)))
    more = [phase(name, delta_bytes=MB, culprits=(culprit(frame(name)),)) for name in NASTY]
    found = replace(found, phases=(*found.phases, *more))
    budgets = [
        Budget(dict.fromkeys(checks, MB // 2), RULE, "*"),
        Budget(dict.fromkeys(checks, MB // 4), RULE, "*", Severity.WARNING),
        Budget(dict.fromkeys(checks, 1 << 40), RULE, "*"),
        Budget({Check.NO_GROWTH: None, Check.ALLOCATIONS: 5}, RULE, "*"),
        Budget({Check.GROWTH: 1}, RULE, NASTY[0]),
        Budget({Check.GROWTH: 1}, Rule("/elsewhere/b\n.toml"), "no\nsuch\x1b"),
        Budget({Check.PEAK_HEAP: 1, Check.PEAK_RSS: 1, Check.ALLOCATIONS: 1}, RULE),
    ]
    return pipeline.check(found, budgets, ROOTS)


def of(*names: str, budgets: int = 0, **changes: Any) -> Gate:
    """A check of phases of these names that grew by a megabyte each."""
    found = report([phase(name, delta_bytes=MB, **changes) for name in names])
    return pipeline.check(found, [Budget({Check.GROWTH: budgets}, RULE, "*")], ROOTS)


def test_the_list_of_formats_is_that_of_the_command_line() -> None:
    assert tuple(formats.MODULES) == FORMATS


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("code", LANGUAGES)
def test_a_format_encodes_hostile_labels(name: str, code: str) -> None:
    gate = hostile()
    content = pipeline.tell(gate, name, language(code))
    text = content.decode("utf-8")
    if name in ("sarif", "gitlab"):
        text = str(json.loads(text))
    assert "加载配置" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e\ud800-\udfff]", text)
    assert pipeline.tell(gate, name, language(code)) == content


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_encodes_a_check_of_nothing(name: str) -> None:
    pipeline.tell(Gate(report(), (), (), ROOTS), name, EN).decode("utf-8")


@pytest.mark.parametrize("end", ["completed", "killed"])
def test_junit_is_as_its_schema_says(end: str) -> None:
    gate = hostile(end)
    content = pipeline.tell(gate, "junit", EN)
    JUNIT.validate(content.decode())
    root = ElementTree.fromstring(content)
    assert len(root.findall(".//testcase")) == len(gate.verdicts)
    failed = [one for one in gate.verdicts if one.state is State.OVER and one.fails]
    assert len(root.findall(".//failure")) == len(failed) == int(root.attrib["failures"])
    unknown = gate.of_state(State.UNKNOWN)
    assert len(root.findall(".//error")) == len(unknown) == int(root.attrib["errors"])
    assert bool(failed or unknown)


@pytest.mark.parametrize("end", ["completed", "killed"])
def test_sarif_is_as_its_schema_says(end: str) -> None:
    gate = hostile(end)
    document = json.loads(pipeline.tell(gate, "sarif", EN))
    error = best_match(SARIF.iter_errors(document))
    assert error is None, f"{error.json_path}: {error.message[:300]}"
    (run,) = document["runs"]
    results = run["results"]
    assert len(results) == sum(one.state is not State.WITHIN for one in gate.verdicts)
    prints = [one["partialFingerprints"]["memdeepCheck/v1"] for one in results]
    assert len(set(prints)) == len(prints)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert all(rules[one["ruleIndex"]] == one["ruleId"] for one in results)


def called() -> Gate:
    """A check of a phase whose line was called by another, and itself calls a library."""
    stack = [frame("main", lineno=3), frame("读", filename="/app/pkg/a b%.py", lineno=9), library()]
    stacks, (node,) = tree(stack)
    blamed = culprit(stack[1], node=node)
    plain = report([phase("load", delta_bytes=MB, culprits=(blamed,))])
    plain = replace(plain, heap=replace(plain.heap, tree=stacks))
    return pipeline.check(plain, [Budget({Check.GROWTH: 1}, RULE, "*")], ROOTS)


def test_a_result_of_sarif_has_the_python_stack() -> None:
    (run,) = json.loads(pipeline.tell(called(), "sarif", EN))["runs"]
    (result,) = run["results"]
    steps = result["codeFlows"][0]["threadFlows"][0]["locations"]
    places = [step["location"]["physicalLocation"] for step in steps]
    found = [
        (unquote(one["artifactLocation"]["uri"]), one["region"]["startLine"]) for one in places
    ]
    assert found == [("prog.py", 3), ("pkg/a b%.py", 9)]
    (location,) = result["locations"]
    assert location["physicalLocation"] == places[-1]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "pkg/a%20b%25.py"


def moved(found: Report, lines: int, size: int) -> Report:
    """The report of an edited program: all lines are further down, and figures differ."""
    phases = []
    for one in found.phases:
        assert one.heap is not None
        blamed = tuple(
            replace(item, frame=replace(item.frame, lineno=item.frame.lineno + lines))
            for item in one.heap.culprits
        )
        heap = replace(one.heap, culprits=blamed, delta_bytes=one.heap.delta_bytes + size)
        phases.append(replace(one, heap=heap))
    return replace(found, phases=tuple(phases))


@examples(30)
@given(st.integers(0, 500), st.integers(0, 100 * MB))
def test_a_result_is_known_again_after_an_edit(lines: int, size: int) -> None:
    budgets = [Budget({Check.GROWTH: 1}, RULE, "*")]
    gates = [
        pipeline.check(found, budgets, ROOTS)
        for found in (called().report, moved(called().report, lines, size))
    ]
    for name, prints in (
        ("sarif", lambda told: [one["partialFingerprints"] for one in told["runs"][0]["results"]]),
        ("gitlab", lambda told: [one["fingerprint"] for one in told]),
    ):
        one, other = (prints(json.loads(pipeline.tell(gate, name, EN))) for gate in gates)
        assert one == other


@pytest.mark.parametrize("end", ["completed", "killed"])
def test_gitlab_gets_what_it_asks_of_each_issue(end: str) -> None:
    issues = json.loads(pipeline.tell(hostile(end), "gitlab", EN))
    assert isinstance(issues, list) and issues
    for issue in issues:
        assert issue["description"] and issue["check_name"]
        assert issue["severity"] in ("info", "minor", "major", "critical", "blocker")
        path = issue["location"]["path"]
        assert path and not path.startswith(("/", "./")) and "\\" not in path
        assert issue["location"]["lines"]["begin"] >= 1
    prints = [issue["fingerprint"] for issue in issues]
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize("end", ["completed", "killed"])
def test_openmetrics_are_read_by_their_own_parser(end: str) -> None:
    gate = hostile(end)
    text = pipeline.tell(gate, "openmetrics", EN).decode()
    assert text.endswith("# EOF\n")
    families = {one.name: one for one in text_string_to_metric_families(text)}
    within = families["memdeep_check_within"].samples
    assert [int(sample.value) for sample in within] == [
        int(one.state is State.WITHIN) for one in gate.verdicts
    ]
    assert len({tuple(sample.labels.items()) for sample in within}) == len(within)
    figures = [one for one in gate.verdicts if one.value is not None and not one.check.is_count]
    values = families["memdeep_check_value_bytes"].samples
    assert [int(sample.value) for sample in values] == [one.value for one in figures]


def unescaped(text: str) -> str:
    for code, character in (("%0A", "\n"), ("%0D", "\r"), ("%3A", ":"), ("%2C", ",")):
        text = text.replace(code, character)
    return text.replace("%25", "%")


ANNOTATION = re.compile(r"::(error|warning) file=([^,:]+),line=(\d+),title=([^,:]+)::(.+)")


def test_annotations_are_one_a_line_and_ten_of_a_kind() -> None:
    *lines, last = pipeline.tell(hostile(), "github", EN).decode().splitlines()
    kinds = [ANNOTATION.fullmatch(line) for line in lines]
    assert all(kinds)
    told = [match[1] for match in kinds if match]
    assert told.count("error") == told.count("warning") == github.MOST
    assert re.fullmatch(r"::notice title=memdeep::and \d+ more", last)


def test_an_annotation_says_what_the_label_says_and_no_command_of_its_own() -> None:
    (line,) = pipeline.tell(of("50%, 5:5"), "github", EN).decode().splitlines()
    match = ANNOTATION.fullmatch(line)
    assert match
    assert unescaped(match[5]).startswith("50%, 5:5: growth 1.0 MB, over the limit of 0 B.")
    assert (match[2], match[3]) == ("memdeep.toml", "7")


@pytest.mark.parametrize("label", NASTY)
def test_markdown_is_a_table_whatever_the_labels_are(label: str) -> None:
    text = pipeline.tell(of(label), "markdown", EN).decode()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 3
    for row in rows:
        assert len(re.findall(r"(?<!\\)\|", row)) == 7, row
    tags: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append(tag)  # type: ignore[method-assign]
    parser.feed(text)
    assert set(tags) <= {"code"}
    assert "`" not in re.sub(r"\\`", "", text)
    assert "@" not in text and "://" not in text and not re.search(r"(?<!\\)\]\(", text)


INSTALLED = "/app/.venv/lib/python3.11/site-packages/pandas/io.py"


@pytest.mark.parametrize("blamed", [library(filename=INSTALLED), frame(filename="/other/p.py")])
def test_a_line_of_a_library_or_of_another_place_is_never_the_one(blamed: Frame) -> None:
    gate = of("load", culprits=(culprit(blamed),))
    where = wording.location(gate, gate.verdicts[0])
    assert where.path == "prog.py"  # the line of the program that called it
    stacks, _ = tree([blamed])
    alone = replace(gate.report, heap=replace(gate.report.heap, tree=stacks))
    where = wording.location(replace(gate, report=alone), gate.verdicts[0])
    assert (where.path, where.line) == ("memdeep.toml", 7)


def test_very_many_rows_are_folded() -> None:
    gate = of(*(f"第{number}天" for number in range(3000)))
    within = of(*(f"第{number}天" for number in range(3000)), budgets=MB)
    for one in (gate, within):
        text = pipeline.tell(one, "text", EN).decode()
        assert len(text.splitlines()) < 60
        assert re.search(r"and 2,9\d\d more", text)
        table = pipeline.tell(one, "markdown", EN)
        assert len(table.splitlines()) < markdown.MOST_FAILED + 20
        assert len(pipeline.tell(one, "github", EN).splitlines()) <= 2 * github.MOST + 1


@pytest.mark.parametrize("code", LANGUAGES)
def test_text_fits_80_columns_and_has_the_worst_first(code: str) -> None:
    from rich.cells import cell_len

    lines = pipeline.tell(hostile(), "text", language(code)).decode().splitlines()
    assert max(map(cell_len, lines)) <= 80
    states = [
        line.split()[0] for line in lines[2:] if re.match(r"over|unknown|ok|超限|未知|正常", line)
    ]
    order = ["over", "超限", "unknown", "未知", "ok", "正常"]
    assert [order.index(one) for one in states] == sorted(order.index(one) for one in states)


def test_what_looks_alike_is_told_to_the_byte() -> None:
    text = pipeline.tell(of("load", budgets=MB - 1), "text", EN).decode()
    assert "1,048,576 B" in text and "1,048,575 B" in text


def test_every_note_has_words() -> None:
    values = {
        "n": 2,
        "most_bytes": 5 * MB,
        "names": "a\x1b, b",
        "before": "1",
        "now": "2",
    }
    for code in LANGUAGES:
        for kind in NoteKind:
            assert "\x1b" not in wording.note(Note(kind, values), language(code))


@examples(60)
@given(st.text(max_size=300))
def test_a_long_name_is_cut_and_stays_apart(name: str) -> None:
    assert len(wording.cut(name, 60)) <= 60
    if len(name) > 60:
        assert wording.cut(name, 60) != wording.cut(name[:30] + "x" + name[30:], 60)


def test_paths_are_told_from_either_name_of_the_root() -> None:
    gate = replace(of("load"), roots=("/link", "/real/place/"))
    assert wording.below_root(gate, "/link/a/b.py") == "a/b.py"
    assert wording.below_root(gate, "/real/place/b.py") == "b.py"
    assert wording.below_root(gate, "/linked/b.py") is None
    assert wording.below_root(gate, "<string>") is None


def test_the_baseline_module_reads_what_no_one_writes(tmp_path: Path) -> None:
    from memdeep.errors import MemdeepError

    for content in (
        *(b"", b"\xff", b"version = 2", b"version = 1", b"[[", b"x = 1\nversion = 1\nmode = 2"),
        b'version = 1\nmode = "m"\n[run]\ngrowth = "x"\n[phases]\n',
        b'version = 1\nmode = "m"\n[run]\nother = 1\n[phases]\n',
        b'version = 1\nmode = "m"\n[run]\n[phases]\na = 1\n',
        b"[" * 5000,
    ):
        with pytest.raises(MemdeepError) as caught:
            baseline.decode(content, "b\x1b.toml")
        assert caught.value.exit_status == 2
        assert "\x1b" not in caught.value.message + caught.value.hint
