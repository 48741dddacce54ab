"""Every format keeps its contract: all bytes of a phase, and bytes of the report alone."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exported import (
    FIELDS,
    Profile,
    exported,
    phases_in,
    retained_in,
    rows_of_csv,
    sums_of,
)
from factories import (
    MB,
    analysed,
    family_report,
    frame,
    hostile_report,
    lifetime,
    lifetimes_in,
    native,
    nested_steps,
    program,
    report,
    run,
    thread_root,
    transient,
    tree,
)
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from properties import examples
from running import environment

from memdeep.analysis.accounts import Metric
from memdeep.errors import MemdeepError
from memdeep.heap.lists import LifetimeList
from memdeep.model import Peak, Phase, Report, Sample, StackBytes
from memdeep.model.alive import AliveStacks
from memdeep.report.exports import firefox, formats, options, selection
from memdeep.report.exports.csv import shown
from memdeep.report.exports.formats import BY_NAME, FORMATS, Format
from memdeep.report.exports.options import ExportOptions
from memdeep.report.exports.shown import paths_of
from memdeep.rundir import directory

TABLES_OF_ALL = ("phases", "lines", "checkpoints")  # which no run lacks
EACH = pytest.mark.parametrize("format", FORMATS, ids=lambda one: one.name)
WITH_STACKS = ("pprof", "speedscope", "collapsed", "csv")
SCHEMA = Path(__file__).parent / "speedscope.schema.json"

ENCODE_AGAIN = """
import sys
from exported import exported
from factories import hostile_report

sys.stdout.buffer.write(exported(sys.argv[1], hostile_report()))
"""
SURROGATE, MARK, PIPE = "lone \udc80", "‮right to left", "a|b`c`"
NAMES = ("=1+1", "a;b c", SURROGATE, MARK, PIPE, "x" * 10_000, '"q"\\n', "加载配置", "\x1b[31m")


def known_paths(made: Report) -> dict[str, Phase]:
    return dict(zip(paths_of(made.phases), made.phases, strict=True))


def assert_sums(name: str, made: Report) -> None:
    """The sums of a format are the figures of the phases, to the byte."""
    said = sums_of(name, made)
    assert said
    for figure, sums in said.items():
        for path, phase in known_paths(made).items():
            figured = Metric(figure).of(phase)
            if figured is None:
                assert (path, figure) not in sums
            else:
                assert sums.get((path, figure), 0) == figured, (path, figure)


def assert_zooms(made: Report) -> None:
    """Each stretch of a phase has in Firefox what it retained."""
    profile = json.loads(exported("firefox", made))
    sums: dict[str, int] = {}
    for path, start, end in phases_in(profile):
        sums[path] = sums.get(path, 0) + retained_in(profile, start, end)
    for path, phase in known_paths(made).items():
        if phase.heap is not None and not phase.shares_rss:
            assert sums[path] == phase.heap.retained_bytes, path


@st.composite
def reports(draw: st.DrawFn) -> Report:
    """Any run of nested spans over a few stacks of two threads, with what passed in it."""
    points = program(*draw(nested_steps()))
    stacks, nodes = tree(
        [thread_root("MainThread"), frame("main")],
        [thread_root("MainThread"), frame("main"), frame("load")],
        [thread_root("worker"), frame("work"), native()],
    )
    lives = draw(lifetimes_in(len(stacks.parents), len(points)))
    made = analysed(run(checkpoints=points), stacks, lives)
    if draw(st.booleans()):
        passing = tuple(
            transient(draw(st.sampled_from(nodes)), segment, draw(st.integers(1, MB)), 2)
            for segment in draw(st.sets(st.integers(1, len(points) - 1)))
        )
        made = with_transients(made, passing)
    return made


def with_transients(made: Report, passing: tuple[Any, ...]) -> Report:
    from memdeep.analysis.charging import Charging
    from memdeep.analysis.outline import outline
    from memdeep.analysis.own_heap import own_heaps
    from memdeep.analysis.phases import Figures, phases

    heap = replace(made.heap, transients=LifetimeList(passing))
    outlines = outline(made.run.checkpoints, died=False).phases
    assert own_heaps(heap, outlines, Charging(heap.tree, outlines, len(made.run.checkpoints))) == {}
    figures = Figures(made.run, heap)
    assert figures.heap is heap
    return replace(made, heap=heap, phases=phases(figures, outlines))


@examples(60)
@given(reports())
def test_the_bytes_of_a_phase_are_its_figures_to_the_byte(made: Report) -> None:
    for name in WITH_STACKS:
        assert_sums(name, made)
    assert_zooms(made)


THREADS = "m+all a+x b+y a-x a+z b-y a-z m-all h.tick m+late m-late"


@examples(60)
@given(st.data())
def test_so_are_those_of_phases_of_threads_side_by_side(data: st.DataObject) -> None:
    points = threads_steps(THREADS)
    stacks, _ = tree(
        *([thread_root(name), frame(f"line_{name}")] for name in ("MainThread", "A", "B", "helper"))
    )
    lives = data.draw(lifetimes_in(len(stacks.parents), len(points), most=20))
    made = analysed(run(checkpoints=points), stacks, lives)
    for name in WITH_STACKS:
        assert_sums(name, made)


def threads_steps(text: str) -> tuple[Any, ...]:
    from factories import checkpoint

    from memdeep.model import CheckpointKind

    names = {"m": "MainThread", "a": "A", "b": "B", "h": "helper"}
    points, spans = [checkpoint(0, "(start)")], {}
    for index, word in enumerate(text.split(), 1):
        thread, kind, name = names[word[0]], word[1], word[2:]
        more: dict[str, Any] = {"thread": thread}
        if kind == "+":
            spans[name] = index
            more |= {"kind": CheckpointKind.BEGIN, "span": index}
        elif kind == "-":
            more |= {"kind": CheckpointKind.END, "span": spans[name]}
        points.append(checkpoint(index, name, **more))
    return (*points, checkpoint(len(points), "(end)"))


@pytest.mark.parametrize("name", WITH_STACKS)
def test_so_are_those_of_a_program_with_processes(name: str) -> None:
    made = family_report()
    assert_sums(name, made)
    assert_zooms(made)


@EACH
def test_a_format_takes_any_label(format: Format) -> None:
    for made in (hostile_report(), hostile_report(NAMES)):
        for table in TABLES_OF_ALL:
            content = exported(format.name, made, ExportOptions(table=table))
            if format.name == "pprof":
                text = "\n".join(Profile.decoded(content).texts)
            elif format.is_text:
                text = content.decode()
            else:
                continue
            assert "加载配置" in text
            assert not {"\x1b", "\x07", "\r", "\u202e"} & {*text}


@EACH
def test_a_format_follows_from_the_report_and_the_options_alone(format: Format) -> None:
    elsewhere = environment(
        PYTHONHASHSEED="7",
        PYTHONPATH=str(Path(__file__).parents[1] / "support"),
        TZ="Asia/Shanghai",
        LC_ALL="C",
    )
    command = [sys.executable, "-c", ENCODE_AGAIN, format.name]
    done = subprocess.run(command, env=elsewhere, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == exported(format.name, hostile_report())


@EACH
def test_a_format_takes_a_run_without_anything(format: Format) -> None:
    for made in (report(), analysed(run("tick"), tree([frame()])[0], [])):
        for table in formats.TABLES:
            assert (
                exported(format.name, made, ExportOptions(table=table))
                or not format.is_text
                or (format.name == "collapsed")
            )


def test_names_and_suffixes_tell_formats_apart() -> None:
    assert len(BY_NAME) == len(FORMATS) == 8
    suffixes = [suffix for one in FORMATS for suffix in one.suffixes]
    assert len({*suffixes}) == len(suffixes)
    for one in FORMATS:
        for suffix in one.suffixes:
            assert formats.of_file(f"JOB{suffix.upper()}") is one
            assert formats.of_file(f"job{suffix}.gz") is one
    assert formats.of_file("job.json") is None
    assert tuple(one.suffixes[0] for one in FORMATS) == directory.EXPORTS
    assert tuple(metric.value for metric in Metric) == formats.METRICS
    assert options.DEFAULTS.table == formats.TABLES[0]


def test_pprof_has_the_types_labels_and_paths_that_it_promises() -> None:
    stacks, (node, other) = tree(
        [thread_root("MainThread"), frame("<module>"), frame("load")],
        [thread_root("worker"), frame("<module>", filename="/app/lib/more.py")],
    )
    lives = [lifetime(node, 2, bytes=3 * MB), lifetime(node, 2, 3, bytes=MB), lifetime(other, 2, 4)]
    made = analysed(run("+load", "+inner", "-inner", "-load", "tick"), stacks, lives)
    profile = Profile.decoded(exported("pprof", made))
    assert profile.types[::2] == [
        "retained_objects",
        "kept_objects",
        "inuse_objects",
        "peak_objects",
    ]
    functions = {frame[:2] for sample in profile.samples for frame in sample.stack}
    assert functions == {("<module>", "prog.py"), ("load", "prog.py"), ("<module>", "lib/more.py")}
    assert {label for sample in profile.samples for label in sample.labels} == {
        *("phase", "thread", "process")
    }
    assert profile.total("inuse_space") == made.heap.at_checkpoints[-1]
    assert profile.total("peak_space") == made.heap.peak_bytes
    assert profile.fields[9] == [1763634645123000000]


def test_what_no_phase_is_charged_with_is_there_too() -> None:
    stacks, (node,) = tree([frame("main")])
    made = analysed(run("+a", "-a"), stacks, [lifetime(node, 1, bytes=9)])
    made = with_transients(made, (transient(node, 1, 5, 1),))
    assert [phase.name for phase in made.phases] == ["a"]
    content = exported("collapsed", made, ExportOptions(metric=Metric.ALLOCATED))
    assert content.decode().startswith("(no phase);")
    assert Profile.decoded(exported("pprof", made)).total("alloc_space") == 14
    assert exported("collapsed", made, ExportOptions(frozenset({0}), Metric.ALLOCATED)) == b""


def test_stacks_of_a_peak_that_were_not_kept_are_said_to_be_unknown() -> None:
    made = hostile_report(("a", "b"))
    phase = made.phases[0]
    assert phase.heap is not None
    assert phase.heap.peak.stacks is not None
    held = sum(stack.bytes for stack in phase.heap.peak.stacks)
    for peak in (
        Peak(held, None, None),
        Peak(held + 7, None, phase.heap.peak.stacks),
        Peak(held - 7, None, phase.heap.peak.stacks),
    ):
        changed = replace(phase, heap=replace(phase.heap, peak=peak))
        less = replace(made, phases=(changed, *made.phases[1:]))
        assert_sums("collapsed", less)
        text = exported("collapsed", less, ExportOptions(metric=Metric.PEAK)).decode()
        assert ("(stack not known)" in text) == (peak.bytes > held or peak.stacks is None)


def test_speedscope_keeps_to_its_schema_and_says_what_it_left_out() -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    few = json.loads(exported("speedscope", hostile_report(NAMES)))
    many = json.loads(exported("speedscope", many_phases(150)))
    for fields in (few, many):
        Draft7Validator(schema).validate(fields)
        frames = len(fields["shared"]["frames"])
        for profile in fields["profiles"]:
            assert all(0 <= place < frames for stack in profile["samples"] for place in stack)
            assert all(weight > 0 for weight in profile["weights"])
        assert fields["profiles"][fields["activeProfileIndex"]]["name"].endswith(": kept")
    assert many["name"] == "prog.py (100 of 150 phases, those that moved most memory)"
    assert few["name"].endswith(".py")


def many_phases(count: int) -> Report:
    stacks, (node,) = tree([frame("main")])
    steps = [step for place in range(count) for step in (f"+p{place}", f"-p{place}")]
    lives = [lifetime(node, 2 * place + 2, bytes=place + 2 * MB) for place in range(count)]
    return analysed(run(*steps), stacks, lives)


def test_firefox_has_tables_of_one_length_and_indices_that_lead_somewhere() -> None:
    made = replace(family_report(), heap_curve=(Sample(0.0, 0), Sample(2.0, 9)), split_off=())
    profile = json.loads(exported("firefox", made))
    assert profile["meta"]["preprocessedProfileVersion"] == 70
    shared = profile["shared"]
    tables = [table for table in shared.values() if isinstance(table, dict)]
    for thread in profile["threads"]:
        tables += [thread["markers"], thread["samples"], thread.get("nativeAllocations") or {}]
    for table in tables:
        columns = [column for column in table.values() if isinstance(column, list)]
        assert {len(column) for column in columns} <= {table.get("length")}
    stack_table, texts = shared["stackTable"], shared["stringArray"]
    assert all(0 <= offset <= at for at, offset in enumerate(stack_table["prefixOffset"]))
    assert all(place < shared["frameTable"]["length"] for place in stack_table["frame"])
    assert all(place < shared["funcTable"]["length"] for place in shared["frameTable"]["func"])
    assert all(place < len(texts) for place in shared["funcTable"]["name"])
    categories = profile["meta"]["categories"]
    assert all(place < len(categories) for place in shared["frameTable"]["category"])
    schemas = {schema["name"] for schema in profile["meta"]["markerSchema"]}
    for thread in profile["threads"]:
        assert {data["type"] for data in thread["markers"]["data"]} <= schemas
        table = thread["nativeAllocations"]
        assert table["time"] == sorted(table["time"])
        assert all(place < stack_table["length"] for place in table["stack"])
    assert len({thread["pid"] for thread in profile["threads"]}) == len(profile["threads"]) == 4
    heap = next(one for one in profile["counters"] if one["name"] == "Heap")
    assert heap["samples"]["count"] == [0, 9]


def test_firefox_says_what_was_too_much_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = with_transients(nested(), (transient(0, 1, 5, 1), transient(0, 2, 5, 1)))
    whole = json.loads(exported("firefox", made))
    monkeypatch.setattr(firefox, "MAX_PASSING", 1)
    less = json.loads(exported("firefox", made))
    lengths = [one["threads"][0]["nativeAllocations"]["length"] for one in (whole, less)]
    assert lengths == [7, 3]
    assert "2 that were freed before the next checkpoint are left out" in json.dumps(less)
    assert "left out" not in json.dumps(whole)


def test_a_name_of_any_kind_may_be_asked_for() -> None:
    made = hostile_report(NAMES)
    for name in NAMES:
        assert len(selection.chosen(made, name)) == 1
        with pytest.raises(MemdeepError) as caught:
            selection.chosen(made, f"{name}?{name}")
        assert max(len(caught.value.message), len(caught.value.hint)) < 1000
        assert caught.value.message.isprintable()


def test_perfetto_has_slices_that_nest_and_a_name_for_each_track() -> None:
    stacks, (node,) = tree([frame("main")])
    points = threads_steps("m+x m+y a+z m-x m-y a-z")
    made = analysed(run(checkpoints=points, rss_curve=(Sample(1.0, 5),)), stacks, [lifetime(node)])
    events = json.loads(exported("perfetto", made))["traceEvents"]
    slices = [event for event in events if event["ph"] == "X"]
    names = {
        (event["pid"], event["tid"]): event["args"]["name"]
        for event in events
        if event["name"] == "thread_name"
    }
    assert {(event["pid"], event["tid"]) for event in slices} == {*names}
    assert sorted(names.values()) == ["A", "MainThread", "MainThread (2)", "phases"]
    for one in slices:
        for other in slices:
            if one["tid"] == other["tid"] and one["ts"] <= other["ts"]:
                end, last = one["ts"] + one["dur"], other["ts"] + other["dur"]
                assert other["ts"] >= end or last <= end
    for path, phase in known_paths(made).items():
        own = [event["args"] for event in slices if event["args"]["phase"] == path]
        assert sum(args["heap_delta_bytes"] for args in own) == phase.heap_delta_bytes
        assert {args["of_all_repeats"]["kept_bytes"] for args in own} == {
            phase.heap and phase.heap.kept_bytes
        }
    assert {event["name"] for event in events if event["ph"] == "C"} == {"RSS", "heap"}


def test_openmetrics_is_read_by_the_parser_of_prometheus() -> None:
    made = hostile_report(NAMES)
    content = exported("openmetrics", made)
    assert content.endswith(b"\n# EOF\n")
    families = {one.name: one for one in text_string_to_metric_families(content.decode())}
    grown = families["memdeep_phase_heap_delta_bytes"]
    assert (grown.type, grown.unit) == ("gauge", "bytes")
    values = {sample.labels["phase"]: sample.value for sample in grown.samples}
    assert values == {
        path: float(phase.heap_delta_bytes or 0) for path, phase in known_paths(made).items()
    }
    assert families["memdeep_run_peak_heap_bytes"].samples[0].value == made.heap.peak_bytes
    assert "memdeep_run_exit_status" not in families  # it was killed
    assert "memdeep_phase_allocated_bytes" not in families  # which is not known here


def test_a_table_has_the_fields_of_report_json() -> None:
    made = family_report()
    rows = rows_of_csv(exported("csv", made))
    assert [row["phase"] for row in rows] == list(known_paths(made))
    for row, phase in zip(rows, made.phases, strict=True):
        for figure, name in FIELDS.items():
            figured = Metric(figure).of(phase)
            assert row[name] == ("" if figured is None else str(figured))
    points = rows_of_csv(exported("csv", made, ExportOptions(table="checkpoints")))
    assert [row["label"] for row in points] == [point.label for point in made.run.checkpoints]
    assert [int(row["heap_bytes"]) for row in points] == [*made.heap.at_checkpoints]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1"])
def test_a_cell_is_no_formula(text: str) -> None:
    assert shown(text) == f"'{text}"


def test_figures_are_no_texts() -> None:
    assert [shown(cell) for cell in (-1, -1.5, None, True, "a=b")] == [
        -1,
        -1.5,
        None,
        "true",
        "a=b",
    ]


def test_parquet_is_read_by_pyarrow_with_the_types_of_its_columns(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    made = hostile_report(NAMES)
    for table in TABLES_OF_ALL:
        wanted = ExportOptions(table=table)
        path = tmp_path / f"{table}.parquet"
        path.write_bytes(exported("parquet", made, wanted))
        read = parquet.read_table(path)
        rows = rows_of_csv(exported("csv", made, wanted))
        assert read.column_names == list(rows[0])
        assert read.num_rows == len(rows)
        kinds = {str(kind) for kind in read.schema.types}
        assert kinds <= {"string", "int64", "double", "bool"}
    sums = read.select(["heap_bytes"]).to_pydict()["heap_bytes"]
    assert sums == [*made.heap.at_checkpoints]


def test_without_pyarrow_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MemdeepError, match="Parquet is written by pyarrow") as caught:
        exported("parquet", hostile_report())
    assert "memdeep[parquet]" in caught.value.hint


def nested() -> Report:
    stacks, (node,) = tree([frame("main")])
    return analysed(
        run("+a", "+b", "-b", "-a", "+c", "+b", "-b", "-c", "+加载config", "-加载config"),
        stacks,
        [lifetime(node, 3, 4, bytes=5), lifetime(node, 7, bytes=7)],
    )


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("a", ["a", "a/b"]),
        ("a/b", ["a/b"]),
        ("*/b", ["a/b", "c/b"]),
        ("加载*", ["加载config"]),
        ("[ac]", ["a", "a/b", "c", "c/b"]),
    ],
)
def test_a_phase_is_found_by_path_name_or_pattern(wanted: str, found: list[str]) -> None:
    made = nested()
    paths = paths_of(made.phases)
    assert [paths[place] for place in sorted(selection.chosen(made, wanted))] == found


def test_a_phase_that_is_not_there_is_told_with_the_nearest_ones() -> None:
    with pytest.raises(MemdeepError, match="No phase is called 加载conifg") as caught:
        selection.chosen(nested(), "加载conifg")
    assert caught.value.hint == "Did you mean 加载config?"
    assert caught.value.exit_status == 2
    with pytest.raises(MemdeepError) as caught:
        selection.chosen(nested(), "加载")
    assert caught.value.hint == "Did you mean 加载config?"
    with pytest.raises(MemdeepError) as caught:
        selection.chosen(nested(), "nothing like it")
    assert caught.value.hint == "The phases are a, a/b, c, c/b, 加载config."
    with pytest.raises(MemdeepError, match="2 phases are called b") as caught:
        selection.chosen(nested(), "b")
    assert caught.value.hint == "Name one by its path: a/b, c/b."
    with pytest.raises(MemdeepError) as caught:
        selection.chosen(report(), "b")
    assert caught.value.hint == "This run has no phases."


def test_phases_of_one_path_have_numbers() -> None:
    made = nested()
    twice = replace(made, phases=(made.phases[0], made.phases[0]))
    assert paths_of(twice.phases) == ["a #1", "a #2"]


@pytest.mark.parametrize("name", WITH_STACKS)
def test_an_export_of_a_phase_has_its_bytes_and_no_others(name: str) -> None:
    made = nested()
    wanted = ExportOptions(selection.chosen(made, "a"), table="lines")
    content = exported(name, made, wanted)
    if name == "pprof":
        profile = Profile.decoded(content)
        assert {path for one in profile.samples for path in one.labels["phase"]} <= {"a", "a/b"}
        assert profile.total("peak_space") == made.phases[0].peak_bytes == 5
        assert profile.by_phase("retained_space") == {"a": 0, "a/b": 5}
    else:
        text = content.decode()
        assert "a/b" in text
        assert "c/b" not in text


def test_a_choice_of_phases_is_all_that_events_tell_of() -> None:
    made = nested()
    wanted = ExportOptions(selection.chosen(made, "a"))
    events = json.loads(exported("perfetto", made, wanted))["traceEvents"]
    assert {event["name"] for event in events if event["ph"] == "X"} == {"a", "b"}
    profile = json.loads(exported("firefox", made, wanted))
    assert [path for path, *_ in phases_in(profile)] == ["a", "a/b"]
    assert profile["threads"][0]["nativeAllocations"]["weight"] == [5, -5]


def test_what_a_run_does_not_have_is_refused() -> None:
    made = nested()
    bare = replace(made, heap=replace(made.heap, at_checkpoints=(None,) * 12))
    for name in ("pprof", "speedscope", "collapsed"):
        with pytest.raises(MemdeepError, match="No allocations were traced") as caught:
            selection.refuse(bare, BY_NAME[name], ExportOptions())
        assert caught.value.exit_status == 65
        assert caught.value.hint.endswith("firefox, perfetto, openmetrics, parquet, csv.")
        with pytest.raises(MemdeepError, match="It is not known what this run allocated"):
            selection.refuse(made, BY_NAME[name], ExportOptions(metric=Metric.ALLOCATED))
    untraced = replace(made, phases=(replace(made.phases[0], heap=None),))
    with pytest.raises(MemdeepError, match="The heap of a is not known"):
        selection.refuse(untraced, BY_NAME["pprof"], ExportOptions(frozenset({0})))
    selection.refuse(bare, BY_NAME["csv"], ExportOptions(metric=Metric.ALLOCATED))


def test_a_phase_without_a_known_heap_has_no_bytes() -> None:
    made = nested()
    untraced = replace(made, phases=(replace(made.phases[0], heap=None), *made.phases[1:]))
    for name in WITH_STACKS:
        assert_sums(name, untraced)


def test_stacks_at_a_peak_are_named_once() -> None:
    alive = AliveStacks((StackBytes(0, 3, 1), StackBytes(0, 4, 1)))
    made = hostile_report(("a", "b"))
    assert made.phases[0].heap is not None
    peak = Peak(7, 1.0, alive)
    changed = replace(made.phases[0], heap=replace(made.phases[0].heap, peak=peak))
    assert_sums("speedscope", replace(made, phases=(changed, *made.phases[1:])))
