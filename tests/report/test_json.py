"""`report.json` has every field of schema 1, null where a figure is not known, and a line each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from factories import (
    CHINESE,
    HOSTILE,
    MB,
    analysed,
    frame,
    heap,
    hostile_report,
    lifetime,
    native,
    phase,
    program,
    report,
    run,
    stdlib,
    tree,
    with_rss,
)
from hypothesis import given
from hypothesis import strategies as st

from memdeep.model import Exit, Process, Report
from memdeep.model.statement import state
from memdeep.report.json import encode, encoded, lines, listed, record

TOP = {
    "schema",
    "memdeep",
    "python",
    "memray",
    "command",
    "mode",
    "started",
    "duration_s",
    "exit",
    "peak_rss_bytes",
    "peak_heap_bytes",
    "thresholds",
    "processes",
    "checkpoints",
    "phases",
    "findings",
}
CHECKPOINT = {"index", "label", "note", "time_s", "rss_bytes", "heap_bytes", "thread", "pid"}
PHASE = {
    "name",
    "kind",
    "start",
    "end",
    "depth",
    "parent",
    "repeats",
    "pid",
    "duration_s",
    "rss_start_bytes",
    "rss_end_bytes",
    "rss_delta_bytes",
    "heap_start_bytes",
    "heap_end_bytes",
    "heap_delta_bytes",
    "peak_heap_bytes",
    "allocated_bytes",
    "freed_bytes",
    "churn_bytes",
    "allocations",
    "explained_ratio",
    "complete",
    "culprits",
    "peak_culprits",
    "freed_culprits",
    "largest",
}
CULPRIT = {"filename", "lineno", "function", "source", "bytes", "allocations", "share", "stack"}
FINDING = {"title", "phase", "bytes", "culprit", "advice"}

TEXT = st.text()
VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.dictionaries(TEXT, st.tuples(VALUE, st.booleans()), max_size=6)


def read(made: Report) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(b"".join(encode(made)))
    return fields


def one_culprit() -> Report:
    stacks, (node,) = tree([frame("main"), frame("load"), stdlib("loads"), native("malloc")])
    points = with_rss(program("+load", "-load"), MB, 2 * MB, 12 * MB, None)
    recorded = run(checkpoints=points)
    load = frame("load")
    sources = {(load.filename, load.lineno): "return json.loads(text)"}
    return analysed(recorded, stacks, [lifetime(node, 2, allocations=7)], sources)


@pytest.mark.parametrize("made", [report(), one_culprit(), hostile_report()])
def test_every_documented_field_is_there(made: Report) -> None:
    fields = read(made)
    assert fields.keys() >= TOP
    assert all(point.keys() >= CHECKPOINT for point in fields["checkpoints"])
    assert all(found.keys() >= PHASE for found in fields["phases"])
    assert all(found.keys() >= FINDING for found in fields["findings"])
    for found in fields["phases"]:
        for key in ("culprits", "peak_culprits", "freed_culprits"):
            assert all(culprit.keys() >= CULPRIT for culprit in found[key])


def test_a_phase_carries_its_figures() -> None:
    made = one_culprit()
    (load,) = (found for found in read(made)["phases"] if found["name"] == "load")
    expected = {
        "kind": "span",
        "start": 1,
        "end": 2,
        "depth": 0,
        "parent": None,
        "repeats": 1,
        "duration_s": 1.0,
        "rss_start_bytes": 2 * MB,
        "rss_end_bytes": 12 * MB,
        "rss_delta_bytes": 10 * MB,
        "heap_start_bytes": 0,
        "heap_end_bytes": 10 * MB,
        "heap_delta_bytes": 10 * MB,
        "peak_heap_bytes": 10 * MB,
        "explained_ratio": 1.0,
        "complete": True,
    }
    assert {key: load[key] for key in expected} == expected


def test_a_culprit_carries_its_line_and_its_stack_outermost_first() -> None:
    (load,) = (found for found in read(one_culprit())["phases"] if found["name"] == "load")
    (culprit,) = load["culprits"]
    assert culprit["function"] == "load"
    assert culprit["source"] == "return json.loads(text)"
    assert (culprit["bytes"], culprit["allocations"], culprit["share"]) == (10 * MB, 7, 1.0)
    assert [(called["function"], called["native"]) for called in culprit["stack"]] == [
        ("main", False),
        ("load", False),
        ("loads", False),
        ("malloc", True),
    ]


def test_a_finding_has_its_sentence_and_its_advice() -> None:
    (finding,) = read(one_culprit())["findings"]
    assert finding["title"].startswith("load grew RSS by 10.0 MB: prog.py:")
    assert finding["bytes"] == 10 * MB
    assert "at once" in finding["advice"]
    assert finding["culprit"]["function"] == "load"


def test_checkpoints_come_in_program_order_with_both_figures() -> None:
    points = read(one_culprit())["checkpoints"]
    assert [point["index"] for point in points] == [0, 1, 2, 3]
    assert [point["rss_bytes"] for point in points] == [MB, 2 * MB, 12 * MB, None]
    assert [point["heap_bytes"] for point in points] == [0, 0, 10 * MB, 10 * MB]


def test_what_is_not_known_is_null() -> None:
    unknown = run(
        python=None, memray=None, started=None, duration_s=None, exit=None, peak_rss_bytes=None
    )
    fields = read(report([phase()], run=unknown))
    for key in ("python", "memray", "started", "duration_s", "exit", "peak_rss_bytes"):
        assert fields[key] is None
    assert fields["thresholds"] is None
    (found,) = fields["phases"]
    for key in ("rss_start_bytes", "rss_delta_bytes", "explained_ratio", "allocated_bytes"):
        assert found[key] is None


def test_an_exit_names_its_evidence_and_the_last_checkpoint() -> None:
    risen = state("exit.cgroup_counter", before=0, after=1)
    killed = run("loaded", exit=Exit(None, "SIGKILL", "oom-killed", (risen,)))
    made = report(run=killed, heap=heap(tree([frame()])[0], checkpoints=3))
    assert read(made)["exit"] == {
        "code": None,
        "signal": "SIGKILL",
        "verdict": "oom-killed",
        "evidence": [
            "The kernel's out-of-memory kill counter of its cgroup rose from 0 to 1 during the run."
        ],
        "last_checkpoint": "loaded",
    }


@pytest.mark.parametrize(("warning", "critical"), [(1, None), (None, 2), (1, 2)])
def test_thresholds_are_there_if_one_was_given(warning: int | None, critical: int | None) -> None:
    made = report(run=run(warning_bytes=warning, critical_bytes=critical))
    assert read(made)["thresholds"] == {"warning_bytes": warning, "critical_bytes": critical}


def test_processes_are_listed() -> None:
    made = report(run=run(processes=(Process(42, 1, "python prog.py", 9, 0),)))
    assert read(made)["processes"] == [
        {
            "pid": 42,
            "parent_pid": 1,
            "command": "python prog.py",
            "peak_rss_bytes": 9,
            "exit": 0,
        }
    ]


def test_any_label_comes_back_as_it_was() -> None:
    labels = [point["label"] for point in read(hostile_report())["checkpoints"]]
    assert labels[1:-1:2] == list(HOSTILE)
    assert CHINESE.encode() in b"".join(encode(hostile_report()))


def test_a_file_name_that_is_not_utf8_does_not_stop_the_report() -> None:
    fields = read(report(run=run(command=("\udcff.py",))))
    assert fields["command"] == ["?.py"]


@given(FIELDS)
def test_a_record_reads_the_same_whichever_of_its_fields_were_encoded_before(
    given_fields: dict[str, tuple[object, bool]],
) -> None:
    made = record(
        {name: encoded(value) if early else value for name, (value, early) in given_fields.items()}
    )
    wanted = [(name, value) for name, (value, _) in given_fields.items()]
    assert list(json.loads(made).items()) == wanted
    assert "\n" not in made


@given(st.lists(st.dictionaries(TEXT, VALUE, max_size=3), max_size=4), VALUE)
def test_each_field_and_each_record_of_a_document_has_a_line(
    records: list[dict[str, object]], value: object
) -> None:
    fields = {"plain": value, "records": iter(records), "early": encoded(value)}
    text = "".join(lines(fields))
    assert json.loads(text) == {"plain": value, "records": records, "early": value}
    assert text.count("\n") == 5 + len(records) + bool(records)


def test_a_list_of_encoded_values() -> None:
    assert json.loads(listed([encoded("a"), encoded(None)])) == ["a", None]
    assert listed([]) == "[]"


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        record({"share": float("nan")})
