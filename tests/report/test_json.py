"""`report.json` is as its schema says, with null where a figure is not known."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pytest
from factories import (
    CHINESE,
    HOSTILE,
    MB,
    analysed,
    family_report,
    frame,
    heap,
    hostile_report,
    library,
    lifetime,
    native,
    phase,
    program,
    report,
    run,
    stdlib,
    tree,
    with_rows,
    with_rss,
)
from hypothesis import given
from hypothesis import strategies as st
from running import culprits_of, faults_of_reports, stack_of, validate_report

from memdeep.model import Exit, Frame, Identity, Origin, Parts, Process, Report, Worker
from memdeep.model.paths import path_of
from memdeep.model.statement import state
from memdeep.report.json import across as json_across
from memdeep.report.json import checkpoints as json_checkpoints
from memdeep.report.json import phases as json_phases
from memdeep.report.json.document import encode
from memdeep.report.json.phases import named_ratio
from memdeep.report.json.records import encoded, lines, listed, record

# Fields beyond those that were promised.
OPTIONAL = {"row", "rss_worst_bytes", "peak_time_s", "released_bytes", "trend", "ended_by_program"}
OPTIONAL |= {"earlier", "merged"}

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
    validate_report(fields)
    return fields


def one_culprit() -> Report:
    stacks, (node,) = tree([frame("main"), frame("load"), stdlib("loads"), native("malloc")])
    points = with_rss(program("+load", "-load"), MB, 2 * MB, 12 * MB, None)
    recorded = run(checkpoints=points)
    load = frame("load")
    sources = {(load.filename, load.lineno): "return json.loads(text)"}
    return analysed(recorded, stacks, [lifetime(node, 2, allocations=7)], sources)


@pytest.mark.parametrize("made", [report(), one_culprit(), hostile_report()])
def test_a_report_is_as_its_schema_says(made: Report) -> None:
    read(made)


def test_the_schema_demands_every_field_and_its_type() -> None:
    fields = json.loads(b"".join(encode(one_culprit())))
    lists = (fields["checkpoints"], fields["phases"], fields["findings"], fields["processes"])
    for part in (fields, *(records[-1] for records in lists), *culprits_of(fields)):
        for name, value in list(part.items()):
            wanted = name not in OPTIONAL
            del part[name]
            assert is_valid(fields) is not wanted, name
            part[name] = object()
            assert not is_valid(fields), name
            part[name] = value
        part["added later"] = 1
        assert is_valid(fields)


def is_valid(fields: dict[str, Any]) -> bool:
    try:
        validate_report(fields)
    except (AssertionError, KeyError):
        return False
    return True


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
    fields = read(one_culprit())
    (load,) = (found for found in fields["phases"] if found["name"] == "load")
    (culprit,) = load["culprits"]
    assert culprit["function"] == "load"
    assert culprit["source"] == "return json.loads(text)"
    assert (culprit["bytes"], culprit["allocations"], culprit["share"]) == (10 * MB, 7, 1.0)
    assert [(called["function"], called["origin"]) for called in stack_of(fields, culprit)] == [
        ("main", "user"),
        ("load", "user"),
        ("loads", "stdlib"),
        ("malloc", "native"),
    ]
    assert culprit["thread"] is culprit["resident_bytes"] is culprit["holders"] is None


def test_the_thread_of_a_culprit_is_no_frame_of_its_stack() -> None:
    worker = Frame("worker", "", 0, Origin.THREAD)
    stacks, (node,) = tree([worker, frame("main"), frame("load")])
    fields = read(analysed(run("loaded"), stacks, [lifetime(node, 1)]))
    culprit = fields["phases"][0]["culprits"][0]
    assert culprit["thread"] == "worker"
    assert [called["function"] for called in stack_of(fields, culprit)] == ["main", "load"]


def test_frames_and_stacks_are_stored_once() -> None:
    stacks, nodes = tree(*([frame("main"), frame("load"), stdlib("loads")] for _ in range(3)))
    lives = [lifetime(nodes[0], place) for place in (1, 2, 3)]
    fields = read(analysed(run("one", "two"), stacks, lives))
    assert len({culprit["stack"] for culprit in culprits_of(fields)}) == len(fields["stacks"]) == 1
    assert len(culprits_of(fields)) > 3
    assert sorted(called["function"] for called in fields["frames"]) == ["load", "loads", "main"]


@pytest.mark.parametrize("cycle", [1, 2, 7])
def test_a_deep_stack_is_folded_where_it_repeats(cycle: int) -> None:
    called = [frame(f"walk{place}", lineno=place + 1) for place in range(cycle)]
    stack = [frame("main"), *called * 5_000, frame("leaf")]
    stacks, (node,) = tree(stack)
    fields = read(analysed(run("loaded"), stacks, [lifetime(node, 1)]))
    shown = stack_of(fields, culprits_of(fields)[0])
    folded = [called for called in shown if "left_out" in called]
    assert len(shown) < 100
    assert sum(called.get("left_out", 1) for called in shown) == len(stack)
    assert [called["function"] for called in (shown[0], shown[-1])] == ["main", "leaf"]
    assert f"{folded[0]['left_out']:,} more frames of walk" in folded[0]["function"]
    assert {called["function"] for called in shown} >= {one.function for one in called}


@given(st.lists(st.integers(0, 150), min_size=101, max_size=400))
def test_a_folded_stack_keeps_its_order_its_ends_and_every_frame(numbers: list[int]) -> None:
    frames = [frame(f"f{number}", lineno=number + 1) for number in numbers]
    stacks, (node,) = tree(frames)
    fields = read(analysed(run("loaded"), stacks, [lifetime(node, 1)]))
    shown = stack_of(fields, culprits_of(fields)[0])
    place = 0
    for called in shown:
        if "left_out" in called:
            place += called["left_out"]
        else:
            assert called["function"] == f"f{numbers[place]}"
            place += 1
    assert place == len(numbers)
    names = [called["function"] for called in shown]
    assert {*names} >= {f"f{number}" for number in numbers}
    assert names[:16] == [f"f{number}" for number in numbers[:16]]
    assert names[-16:] == [f"f{number}" for number in numbers[-16:]]


@pytest.mark.parametrize(
    ("called", "path"),
    [
        (frame("load", filename="/work/app/prog.py"), "prog.py"),
        (frame("load", filename="/work/app/in/here.py"), "in/here.py"),
        (frame("load", filename="/work/shared/lib.py"), "../shared/lib.py"),
        (frame("load", filename="<string>"), None),
        (library(filename="/v/lib/python3.12/site-packages/pandas/io.py"), "<site>/pandas/io.py"),
        (library(filename="/usr/lib/python3/dist-packages/yaml/x.py"), "<site>/yaml/x.py"),
        (native(filename="/work/app/src/fast.c"), "src/fast.c"),
        (native(filename="/build/Python-3.12/Objects/call.c"), None),
        (native(filename="fast.c"), None),
        (library(filename="/elsewhere/x.py"), None),
        (stdlib(filename="/usr/lib/python3.12/json/decoder.py"), "<std>/json/decoder.py"),
        (stdlib(filename="/usr/lib/python3.13t/os.py"), "<std>/os.py"),
        (stdlib(filename="<frozen importlib._bootstrap>"), None),
        (native("malloc"), None),
    ],
)
def test_the_path_of_a_frame_is_the_same_on_every_machine(called: Frame, path: str | None) -> None:
    assert path_of(called, ("/work/app",)) == path


def test_user_paths_begin_at_the_main_program() -> None:
    main = frame("<module>", filename="/work/app/prog.py")
    other = frame("<module>", filename="/work/app/in/here.py")
    worker = Frame("MainThread", "", 0, Origin.THREAD)
    stacks, (node,) = tree([worker, native("main"), main, other])
    fields = read(analysed(run("loaded"), stacks, [lifetime(node, 1)]))
    assert (fields["identity"]["root"], fields["identity"]["main"]) == ("/work/app", "prog.py")
    paths = [called["path"] for called in stack_of(fields, culprits_of(fields)[0])]
    assert paths == [None, "prog.py", "in/here.py"]


def test_a_run_with_an_identity_has_its_main_file_even_without_a_stack() -> None:
    known = Identity("/work", "/work/app", "prog.py", "0" * 40, True, "linux-x86_64", "musl", 7)
    made = one_culprit()
    assert read(replace(made, run=replace(made.run, identity=known)))["identity"] == {
        "cwd": "/work",
        "root": "/work/app",
        "main": "prog.py",
        "commit": "0" * 40,
        "dirty": True,
        "platform": "linux-x86_64",
        "libc": "musl",
        "hash_seed": 7,
    }


def test_code_in_no_file_has_paths_from_where_it_imports() -> None:
    stacks, (node,) = tree([frame("load", filename="/work/app/other.py")])
    known = Identity(root="/work/app")
    fields = read(analysed(run("loaded", identity=known), stacks, [lifetime(node, 1)]))
    assert [called["path"] for called in fields["frames"]] == ["other.py"]


def test_an_installed_program_is_the_users_code() -> None:
    site = "/v/lib/python3.12/site-packages/tool/main.py"
    stacks, (node,) = tree([frame("<module>", filename=site, origin=Origin.TOOL)])
    (called,) = read(analysed(run("loaded"), stacks, [lifetime(node, 1)]))["frames"]
    assert (called["origin"], called["path"]) == ("user", "<site>/tool/main.py")


def test_an_unknown_main_program_is_null() -> None:
    fields = read(one_culprit())
    assert set(fields["identity"].values()) == {None}
    assert {called["path"] for called in fields["frames"] if called["origin"] == "user"} == {None}


def test_a_line_that_is_rebound_keeps_only_its_last_value() -> None:
    stacks, (node,) = tree([frame("main"), frame("load")])
    steps = ["+load", "-load"] * 5
    lives = [lifetime(node, 2 * n, None if n == 5 else 2 * n + 2) for n in range(1, 6)]
    fields = read(analysed(run(checkpoints=program(*steps)), stacks, lives))
    (load,) = (found for found in fields["phases"] if found["name"] == "load")
    assert load["repeats"] == 5
    assert (load["retained_bytes"], load["kept_bytes"]) == (50 * MB, 10 * MB)


@pytest.mark.parametrize(
    ("rss_bytes", "explained"), [(20, 0.5), (10, 1.0), (9.9, 1.0), (5, None), (0.5, None)]
)
def test_more_than_all_of_the_growth_is_never_explained(
    rss_bytes: float, explained: float | None
) -> None:
    stacks, (node,) = tree([frame("main"), frame("load")])
    points = with_rss(program("+load", "-load"), MB, MB, MB + round(rss_bytes * MB), None)
    fields = read(analysed(run(checkpoints=points), stacks, [lifetime(node, 2)]))
    (load,) = (found for found in fields["phases"] if found["name"] == "load")
    assert load["explained_ratio"] == explained


def test_totals_count_lines_only_where_none_was_left_out() -> None:
    many = [[frame("main"), frame("load", lineno=place)] for place in range(1, 31)]
    stacks, nodes = tree(*many)
    for number, total in ((5, 5), (30, None)):
        lives = [lifetime(node, 1) for node in nodes[:number]]
        found = read(analysed(run("loaded"), stacks, lives))["phases"][0]
        assert len(found["culprits"]) == min(number, 20)
        assert found["culprit_totals"]["culprits"] == total


def test_of_too_many_phases_those_that_moved_most_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(json_phases, "MAX_LISTED", 0)
    monkeypatch.setattr(json_phases, "MIN_PHASES", 6)
    stacks, (node,) = tree([frame("main"), frame("load")])
    steps = [step for n in range(50) for step in (f"+outer{n}", "+inner", "-inner", f"-outer{n}")]
    lives = [lifetime(node, 4 * n + 3, None, bytes=(n % 7 + 1) * MB) for n in range(50)]
    made = analysed(run(checkpoints=program(*steps)), stacks, lives)
    fields = read(made)
    phases = [phase for phase in fields["phases"] if phase["kind"] != "pattern"]
    listed_names = [phase["name"] for phase in phases]
    assert fields["phases_left_out"] == len(made.phases) - len(phases) > 50
    assert listed_names.count("inner") == len(listed_names) / 2
    for place, (around, inner) in enumerate(pairwise(fields["phases"])):
        if inner["name"] == "inner":
            assert inner["parent"] == place
            assert inner["start"] == around["start"] + 1
    for finding, known in zip(fields["findings"], made.findings, strict=True):
        assert len(finding["phases"]) + finding["phases_left_out"] == len(known.phases)
        assert fields["phases"][finding["phase"]]["start"] == made.phases[known.phase].start


@given(
    st.lists(st.sampled_from([["round"], ["+load", "-load"], ["day"]]), min_size=1, max_size=40),
    st.integers(1, 10),
    st.booleans(),
)
def test_of_too_many_checkpoints_some_of_each_label_are_listed(
    steps: list[list[str]], wanted: int, died: bool
) -> None:
    stacks, (node,) = tree([frame("main"), frame("load")])
    recorded = run(checkpoints=program(*chain.from_iterable(steps)))
    if died:
        recorded = replace(recorded, exit=Exit(None, "SIGKILL", "killed", ()))
    made = analysed(recorded, stacks, [lifetime(node, 1), lifetime(node, len(steps))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_checkpoints, "MAX_LISTED", 0)
        patch.setattr(json_checkpoints, "WANTED", wanted)
        few = read(made)
    points = made.run.checkpoints
    assert few["checkpoints_left_out"] == len(points) - len(few["checkpoints"])
    assert [point["index"] for point in few["checkpoints"]] == [*range(len(few["checkpoints"]))]
    assert {point["label"] for point in few["checkpoints"]} == {point.label for point in points}
    times = [point["time_s"] for point in few["checkpoints"]]
    assert times == sorted(times)

    whole = read(made)
    assert whole["checkpoints_left_out"] == 0

    def named(fields: dict[str, Any]) -> list[Any]:
        death = fields["death"] or {"last_checkpoint": None, "known_at": None, "last_growth": None}
        growth = death["last_growth"] or {"start": None, "end": None}
        places = [place for found in fields["phases"] for place in (found["start"], found["end"])]
        places += [death["last_checkpoint"], death["known_at"], growth["start"], growth["end"]]
        known = [place for place in places if place is not None]
        return [{**fields["checkpoints"][place], "index": None} for place in known]

    assert named(few) == named(whole)


def test_of_a_phase_that_repeats_very_often_few_checkpoints_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(json_checkpoints, "MAX_LISTED", 100)
    monkeypatch.setattr(json_checkpoints, "WANTED", 50)
    stacks, (node,) = tree([frame("main"), frame("load")])
    recorded = run(checkpoints=program(*["+round", "-round"] * 500))
    fields = read(analysed(recorded, stacks, [lifetime(node, 501)]))
    assert 50 <= len(fields["checkpoints"]) <= 60
    assert fields["phases"][0]["repeats"] == 500


def test_a_finding_has_its_sentence_and_its_advice() -> None:
    (finding,) = read(one_culprit())["findings"]
    assert finding["title"].startswith("10.0 MB stayed: allocated by prog.py:")
    assert finding["bytes"] == 10 * MB
    assert "into Python objects" in finding["advice"]
    assert (finding["kind"], finding["phases"]) == ("growth", [finding["phase"]])
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


def test_the_program_is_the_first_of_its_processes() -> None:
    seen = (
        Process(42, None, "python prog.py", 9, 0, how="run"),
        Process(44, 0, "python child.py", 5),
        Process(45, 1, "python grandchild.py", 7),
    )
    points = tuple(replace(point, pid=42) for point in program("loaded"))
    found = read(analysed(run(checkpoints=points, processes=seen), tree([])[0], []))["processes"]
    known = [[one[name] for name in ("pid", "parent", "how", "peak_rss_bytes")] for one in found]
    assert known == [[42, None, "run", 9], [44, 0, None, 5], [45, 1, None, 7]]
    assert [one["verdict"] for one in found] == ["completed", None, None]
    assert [one["traced"] for one in found] == [True, False, False]


def test_of_thousands_of_processes_those_that_are_named_and_the_largest_are_listed() -> None:
    made = family_report(3000)
    unrecorded = [
        replace(one, directory=None, peak_pss_bytes=place) if 5 < place <= 3000 else one
        for place, one in enumerate(made.run.processes)
    ]
    phases = tuple(replace(phase, workers=()) for phase in made.phases)
    few = replace(made, run=replace(made.run, processes=tuple(unrecorded)), phases=phases)
    first = replace(few.findings[0], processes=(2, 1500))
    fields = read(replace(few, findings=(first,)))
    listed = fields["processes"]
    assert (len(listed), fields["processes_left_out"]) == (1000, 2003)
    named = [listed[place]["pid"] for place in fields["findings"][0]["processes"]]
    assert named == [few.run.processes[place].pid for place in (2, 1500)]
    assert {few.run.processes[3000].pid, few.run.processes[3001].pid} <= {
        one["pid"] for one in listed
    }
    by_pid = {one["pid"]: one for one in listed}
    inner = by_pid[few.run.processes[3001].pid]
    assert listed[inner["parent"]]["pid"] == few.run.processes[1].pid
    assert {listed[one["group"]]["how"] for one in listed[1:-2]} == {"fork"}


def test_a_culprit_in_a_process_names_its_place_in_the_list() -> None:
    made = family_report(2)
    fields = read(made)
    first = fields["findings"][0]
    assert fields["processes_left_out"] == 0
    assert first["processes"] == [1, 2]
    assert first["culprit"]["process"] in (1, 2)
    assert [one["peak_heap_bytes"] for one in fields["processes"]] == [
        40 * MB,
        30 * MB,
        30 * MB,
        4 * MB,
        None,
    ]
    search = next(phase for phase in fields["phases"] if phase["name"] == "search")
    assert [share["processes"] for share in search["workers"]] == [[1, 2], [3]]


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


def test_phases_of_like_names_are_summed_in_a_pattern_behind_all_phases() -> None:
    stacks, (node,) = tree([frame("main")])
    days = [f"第{day}天" for day in range(1, 6)]
    steps = [step for day in days for step in (f"+{day}", "+load", "-load", f"-{day}")]
    lives = [lifetime(node, 4 * day - 1, bytes=3 * MB) for day in range(1, 6)]
    made = analysed(run(checkpoints=program(*steps)), stacks, lives)
    phases = read(made)["phases"]
    count = len(made.phases)
    assert [phase["name"] for phase in phases[count:]] == ["第*天", "load"]
    outer, inner = phases[count:]
    assert (outer["kind"], outer["parent"], inner["parent"]) == ("pattern", None, count)
    assert [phases[place]["name"] for place in outer["members"]] == days
    assert outer["heap_delta_bytes"] == 15 * MB == outer["kept_bytes"]
    assert outer["peak_heap_bytes"] == max(phase["peak_heap_bytes"] for phase in phases)
    assert all(phase["members"] is None for phase in phases[:count])


def test_phases_of_one_path_in_several_processes_are_summed_behind_all_phases() -> None:
    stacks, (node, other) = tree([frame("main"), frame("load")], [frame("main")])
    recorded = run("+task", "+load", "-load", "-task")
    lives = [lifetime(node, 3, bytes=3 * MB), lifetime(other, 4, 5, bytes=MB)]
    own = analysed(recorded, stacks, lives)
    twice = analysed(recorded, stacks, [*lives, lifetime(node, 3, bytes=MB)])
    family = family_report(2)
    named = Worker("w2", "tcp://a", 4, 9 * MB)
    processes = [
        replace(one, worker=named) if place == 2 else one
        for place, one in enumerate(family.run.processes)
    ]
    recorded = replace(family.run, processes=tuple(processes))
    made = with_rows(replace(family, run=recorded), {1: own, 2: twice})
    fields = read(made)
    task, load = (phase for phase in fields["phases"] if phase["process"] is None)
    assert [fields["phases"].index(one) for one in (task, load)] == [
        len(fields["phases"]) - 2,
        load["parent"] + 1,
    ]
    assert (task["parent"], task["depth"], load["depth"], task["kind"]) == (None, 0, 1, "pattern")
    members = [fields["phases"][place] for place in load["members"]]
    assert [(one["process"], one["name"]) for one in members] == [(1, "load"), (2, "load")]
    for figure in ("heap_delta_bytes", "retained_bytes", "repeats", "duration_s"):
        assert load[figure] == sum(one[figure] for one in members)
    for figure in ("peak_heap_bytes", "rise_bytes"):
        assert load[figure] == max(one[figure] for one in members) == 4 * MB
    assert (load["start"], load["kept_bytes"], load["thread"], load["members_left_out"]) == (
        *(None, None, None),
        0,
    )
    (culprit,) = load["culprits"]
    assert (culprit["bytes"], culprit["share"], culprit["process"]) == (7 * MB, 1.0, 2)
    assert [one["function"] for one in stack_of(fields, culprit)] == ["main", "load"]
    assert [(one["process"], one["retained_bytes"]) for one in load["shares"]] == [
        (2, 4 * MB),
        (1, 3 * MB),
    ]
    assert task["released_bytes"] == 0 and task["retained_bytes"] == 9 * MB
    findings = [replace(made.findings[0], row=path) for path in (("task", "load"), ())]
    told = read(replace(made, findings=tuple(findings)))["findings"]
    assert [one["row"] for one in told] == [load["parent"] + 1, None]
    assert " in task/load (in 2 processes that " in told[0]["title"]
    workers = [one["worker"] for one in fields["processes"]]
    assert workers == [None, None, asdict(named), None, None]


def test_of_too_many_rows_those_with_most_in_use_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(json_across, "MAX_ROWS", 3)
    monkeypatch.setattr(json_across, "MAX_SHARES", 1)
    steps = [step for n in range(5) for step in (f"+t{n}", "+in", "-in", f"-t{n}")]
    stacks, (node,) = tree([frame("main")])
    lives = [lifetime(node, 4 * n + 3, bytes=(n + 1) * MB) for n in range(5)]
    own = analysed(run(*steps), stacks, lives)
    fields = read(with_rows(family_report(2), {1: own, 2: own}))
    rows = [phase for phase in fields["phases"] if phase["process"] is None]
    assert [row["name"] for row in rows] == ["t4", "in", "t3"]
    assert (fields["rows_left_out"], rows[0]["shares_left_out"]) == (7, 1)


def test_where_only_workers_grew_no_share_of_the_programs_growth_is_named() -> None:
    """Its RSS stood still; the explained part is that of its workers."""
    phase = analysed(run(checkpoints=program("loaded")), tree([])[0], []).phases[0]
    parts = Parts(heap=0, file=0, shared=0, allocator=0, untouched=0, unseen=0, tracer=0, unknown=0)
    grown = replace(phase, rss_delta_bytes=0, explained_ratio=0.9, parts=parts)
    assert named_ratio(grown) is None
    assert named_ratio(replace(grown, rss_delta_bytes=8 << 20)) == 1.0


def test_every_report_that_a_test_leaves_is_held_against_the_schema(tmp_path: Path) -> None:
    content = b"".join(encode(hostile_report()))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "report.json").write_bytes(content)
    (tmp_path / "one.bin.report.json").write_bytes(content.replace(b'"schema": 2', b'"schema": 2 '))
    (tmp_path / "report.json").write_bytes(b"a file of a test's own")
    assert faults_of_reports(tmp_path) == []
    broken = content.replace(b'"peak_rss_bytes": ', b'"peak_rss_bytes": -')
    (tmp_path / "in" / "report.json").write_bytes(broken)
    (tmp_path / "cut.report.json").write_bytes(content[:-10])
    try:
        cut, wrong = faults_of_reports(tmp_path)
        assert "cut.report.json" in cut
        assert "in/report.json: $.peak_rss_bytes: -" in wrong
    finally:
        for path in tmp_path.rglob("*report.json"):
            path.unlink()
