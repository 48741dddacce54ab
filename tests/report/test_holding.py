"""Types and holders as words, and in report.json."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from factories import MB, analysed, frame, lifetime, run, tree
from graphs import held
from running import validate_report

from memdeep.analysis.holders import LineHolders, views, with_holders
from memdeep.model import Report
from memdeep.model.graph import GARBAGE, HELD_BY_C, NAMED, Holder
from memdeep.model.holders import HeapSnapshot, HeldBytes, HeldPath, Joined
from memdeep.report import terminal
from memdeep.report.holding import held as said
from memdeep.report.json.document import encode
from memdeep.report.options import ReportOptions
from memdeep.text.language import language

TYPES = ("dict", "float", "str", "pandas.DataFrame")
ROWS = (
    Holder(None, 0, "learning", "learning", 0, 340 * MB, 1),
    Holder(0, 0, "learning._cache", "._cache", 64, 300 * MB, 1),
    Holder(1, 0, "learning._cache['BTC']", "['BTC']", 64, 290 * MB, 1),
)


def part(kind: int, mb: int, **changes: Any) -> HeldBytes:
    return HeldBytes(0, kind, 2, NAMED, Joined.OWN, mb * MB, 10)._replace(**changes)


def made(*parts: HeldBytes, at: int = 2, gc_enabled: bool = True) -> Report:
    """A report on a line that keeps 331 MB in a phase, with a snapshot of these parts."""
    stacks, (node,) = tree([frame("main"), frame("load")])
    plain = analysed(run("+load", "-load", "after"), stacks, [lifetime(node, 2, bytes=331 * MB)])
    rows = held([one._replace(node=node) for one in parts])
    snapshot = HeapSnapshot(at, TYPES, ROWS, rows, 40, 300 * MB, 7, 0, gc_enabled)
    heap = replace(plain.heap, snapshots=(snapshot,))
    phases, findings = with_holders(LineHolders(heap), plain.phases, plain.findings)
    return replace(plain, heap=heap, phases=phases, findings=findings, snapshots=views(heap))


CASES = {
    "one holder": (
        made(part(0, 202), part(1, 76), part(2, 30), part(3, 8)),
        "316.0 MB = dict 63.9 %, float 24.1 %, str 9.5 %; "
        "held by `learning._cache['BTC']`: dropping it frees 316.0 MB.",
        "316.0 MB = dict 63.9 %、float 24.1 %、str 9.5 %；"
        "由 `learning._cache['BTC']` 持有：去掉它可释放 316.0 MB。",
    ),
    "a part, and garbage": (
        made(part(3, 100), part(0, 100, holder=None, state=GARBAGE), gc_enabled=False),
        "200.0 MB = dict 50.0 %, pandas.DataFrame 50.0 %; 100.0 MB of it held by "
        "`learning._cache['BTC']`: "
        "dropping it frees 290.0 MB; 100.0 MB is garbage, and the collector is turned off.",
        None,
    ),
    "C, later": (
        made(part(2, 50, holder=None, state=HELD_BY_C), at=3),
        "At “after” the line had 50.0 MB = str 100 %; 50.0 MB hangs on a reference "
        "without a name: of C code, or of a running function's passing value.",
        None,
    ),
    "shared": (
        made(part(2, 50, how=Joined.SHARED, holder=None)),
        "50.0 MB = str 100 %. 50.0 MB of it lies in arenas that lines share, so that other lines' "
        "objects may be among them: --deep tells them apart.",
        None,
    ),
    "little known": (
        made(part(0, 20), HeldBytes(0, None, None, None, Joined.UNKNOWN, 980 * MB, 0)),
        "With what it allocated in other phases the line had 0.98 GB there = dict 2.0 %; held by "
        "`learning._cache['BTC']`: dropping it frees 290.0 MB; "
        "980.0 MB belongs to no known object.",
        None,
    ),
    "nothing known": (
        made(HeldBytes(0, None, None, None, Joined.UNKNOWN, MB, 0)),
        "1.0 MB = no object is known.",
        None,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_types_and_holder_are_a_sentence(case: str) -> None:
    report, english, chinese = CASES[case]
    assert said(report, report.findings[0], language("en")) == english
    in_chinese = said(report, report.findings[0], language("zh"))
    assert in_chinese
    assert chinese in (None, in_chinese)


def with_paths(*paths: HeldPath) -> Report:
    """The report on one holder, with these in its place."""
    report, *_ = CASES["one holder"]
    (finding,) = report.findings
    assert finding.culprit is not None
    assert finding.culprit.holders is not None
    holders = replace(finding.culprit.holders, paths=paths)
    culprit = replace(finding.culprit, holders=holders)
    return replace(report, findings=(replace(finding, culprit=culprit),))


A = HeldPath("job.A", 300 * MB, 301 * MB, 0)
TWO = ("job.A[0]", "job.B[0]")


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (
            [replace(A, ways=TWO, also=1)],
            "held by `job.A[0]` and by `job.B[0]` at once: when both let go of it, 301.0 MB is "
            "free.",
        ),
        (
            [replace(A, ways=TWO, also=4)],
            "held by `job.A[0]`, by `job.B[0]` and by 3 more at once: when all let go of it, "
            "301.0 MB is free.",
        ),
        (
            [replace(A, path="job", ways=TWO, is_namespace=True)],
            "held within `job` by more than one at once, the largest object by `job.A[0]` and "
            "`job.B[0]`: it is free when all let go of it.",
        ),
        ([replace(A, path="job", is_namespace=True)], "held by many objects in `job`."),
        (
            [replace(A, path="suspended generator rows() local 'table'", count=3)],
            "held by 3 like `suspended generator rows() local 'table'`: dropping all of these "
            "frees 301.0 MB.",
        ),
        (
            [replace(A, bytes=200 * MB), HeldPath("job.B", 90 * MB, 95 * MB)],
            "200.0 MB of it held by `job.A`: dropping it frees 301.0 MB; "
            "90.0 MB of it held by `job.B`: dropping it frees 95.0 MB.",
        ),
        ([replace(A, retained_bytes=0)], "held by `job.A`."),
        ([], "str 9.5 %."),
    ],
)
def test_several_holders_are_told_as_such(paths: list[HeldPath], expected: str) -> None:
    report = with_paths(*paths)
    assert said(report, report.findings[0], language("en")).endswith(expected)
    assert said(report, report.findings[0], language("zh"))


def test_without_a_snapshot_nothing_is_said() -> None:
    stacks, (node,) = tree([frame("main"), frame("load")])
    plain = analysed(run("+load", "-load"), stacks, [lifetime(node, 2, bytes=331 * MB)])
    assert said(plain, plain.findings[0], language("en")) == ""


def test_the_terminal_says_it_under_the_finding() -> None:
    report, *_ = CASES["one holder"]
    shown = b"".join(terminal.encode(report, ReportOptions(lang="en"))).decode()
    assert "316.0 MB = dict 63.9 %, float 24.1 %, str 9.5 %" in shown


def test_the_document_has_holders_and_snapshots() -> None:
    report, *_ = CASES["one holder"]
    fields = json.loads(b"".join(encode(report)))
    validate_report(fields)
    holders = fields["findings"][0]["culprit"]["holders"]
    assert holders["snapshot"] == 0
    assert holders["bytes"] == 316 * MB
    assert holders["types"][0] == {"type": "dict", "bytes": 202 * MB, "count": 10}
    assert holders["paths"] == [
        {
            "path": "learning._cache['BTC']",
            "bytes": 316 * MB,
            "retained_bytes": 316 * MB,
            "also": 0,
            "ways": [],
            "count": 1,
        }
    ]
    (snapshot,) = fields["snapshots"]
    assert snapshot["checkpoint"] == 2
    assert snapshot["objects"] == 40
    assert sum(one["bytes"] for one in snapshot["types"]) == holders["bytes"]
    assert [one["path"] for one in snapshot["holders"]] == [row.path for row in ROWS]
    assert snapshot["change"] is None
