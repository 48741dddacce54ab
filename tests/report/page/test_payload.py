"""The page's data: safe inside a script element, columns of one length, nothing lost."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import pytest
from factories import (
    ANY_TEXT,
    HOSTILE,
    MB,
    analysed,
    frame,
    hostile_report,
    lifetime,
    lifetimes_in,
    nested_steps,
    phase,
    program,
    report,
    run,
    thread_root,
    transient,
    tree,
    trees,
)
from hypothesis import given
from hypothesis import strategies as st

from memdeep.analysis import fold as folding
from memdeep.analysis.by_line import by_line
from memdeep.analysis.fold import fold
from memdeep.heap.lists import LifetimeList
from memdeep.model import LargeAllocation, Phase, Report, Sample, Stretch
from memdeep.report.json import document
from memdeep.report.page import payload
from memdeep.report.page.payload import MAX_TREND_POINTS
from memdeep.report.page.thinning import thin
from memdeep.text.safe import plain, plain_code

EDITOR = "vscode://file/{path}:{line}"


def encode(made: Report) -> Mapping[str, str]:
    peaks = [found.peak for found in made.phases]
    return payload.encode(made, fold(made.heap, peaks), by_line(made.heap, peaks), EDITOR)


def read(made: Report) -> dict[str, Any]:
    """The blocks as a script sees them, with the nodes of the lifetimes counted up."""
    blocks: dict[str, Any] = {name: payload.unpack(text) for name, text in encode(made).items()}
    lives = blocks["lifetimes"]
    blocks["lifetimes"] = {**lives, "node": list(accumulate(lives["node"]))}
    return blocks


@st.composite
def reports(draw: st.DrawFn) -> Report:
    steps = draw(nested_steps())
    stacks = draw(trees())
    lives = draw(lifetimes_in(len(stacks.parents), len(program(*steps))))
    made = analysed(run(*steps), stacks, lives)
    if draw(st.booleans()):
        gone = LifetimeList(tuple(transient(life.node, life.born, life.bytes, 2) for life in lives))
        large = tuple(LargeAllocation(life.node, life.born, life.died, 5) for life in lives[:3])
        made = replace(made, heap=replace(made.heap, transients=gone, largest=large))
    return made


def test_no_character_means_anything_to_html() -> None:
    for text in encode(hostile_report()).values():
        assert re.fullmatch("[A-Za-z0-9+/]+=*", text)
    assert read(hostile_report())["core"]["checkpoints"]["label"][1] == HOSTILE[0]


def test_the_same_report_is_the_same_page() -> None:
    assert encode(hostile_report()) == encode(hostile_report())


@given(label=ANY_TEXT, function=ANY_TEXT, source=ANY_TEXT)
def test_any_text_comes_back(label: str, function: str, source: str) -> None:
    called = frame(function)
    stacks, (node,) = tree([called])
    sources = {(called.filename, called.lineno): f"\\<{source}>&"}
    points = list(program("x"))
    points[1] = replace(points[1], label=label)
    recorded = run(checkpoints=tuple(points))
    blocks = read(analysed(recorded, stacks, [lifetime(node, 1)], sources))
    assert blocks["core"]["checkpoints"]["label"][1] == plain(label)
    assert plain(function) in blocks["core"]["strings"]
    assert blocks["sources"]["text"] == [[plain_code(f"\\<{source}>&")]]


@given(made=reports())
def test_columns_are_of_one_length_and_point_into_each_other(made: Report) -> None:
    blocks = read(made)
    core = blocks["core"]
    stacks = [blocks[name] for name in blocks if name.startswith("peak-")]
    tables = [core[name] for name in ("frames", "nodes", "checkpoints")]
    parts = core["phases"].pop("parts")
    tables.append({**core["phases"], **{f"part {name}": parts[name] for name in parts}})
    tables += [blocks["lifetimes"], blocks["lines"]]
    tables.append({name: blocks["sources"][name] for name in ("file", "start", "text")})
    tables += [{k: v for k, v in table.items() if k != "lines"} for table in stacks]
    tables += [table["lines"] for table in stacks]
    if "transients" in blocks:
        gone = blocks["transients"]
        tables += [gone["lines"], {k: v for k, v in gone.items() if k != "lines"}]
        tables.append(blocks["largest"])
    for table in tables:
        assert len({len(column) for column in table.values()}) == 1, table
    strings, frames, nodes = core["strings"], core["frames"], core["nodes"]
    assert len(strings) == len(set(strings))
    for column in (frames["function"], frames["file"], blocks["sources"]["file"]):
        assert all(0 <= place < len(strings) for place in column)
    assert all(0 <= origin <= 6 for origin in frames["origin"])
    assert all(0 <= place < len(frames["line"]) for place in [*nodes["frame"], *core["lines"]])
    assert all(-1 <= parent < place for place, parent in enumerate(nodes["parent"]))
    for table in tables:
        assert all(0 <= node < len(nodes["frame"]) for node in table.get("node", ()))
        assert all(0 <= line < len(core["lines"]) for line in table.get("line", ())) or (
            table is frames
        )


def moved(lives: dict[str, Any], stretches: Sequence[int]) -> tuple[int, int]:
    """Retained and freed bytes, as the page's script works them out."""
    retained = freed = 0
    for start, end in zip(stretches[::2], stretches[1::2], strict=True):
        for born, died, size in zip(lives["born"], lives["died"], lives["bytes"], strict=True):
            if start < born <= end and (died == -1 or died > end):
                retained += size
            if born <= start and start < died <= end:
                freed += size
    return retained, freed


@given(made=reports())
def test_the_page_finds_the_same_bytes_as_the_report(made: Report) -> None:
    blocks = read(made)
    columns = blocks["core"]["phases"]
    for place, found in enumerate(made.phases):
        assert found.heap is not None
        expected = (found.heap.retained_bytes, found.heap.freed_bytes)
        assert moved(blocks["lifetimes"], columns["stretches"][place]) == expected
        assert moved(blocks["lines"], columns["stretches"][place]) == expected
        peak = blocks[f"peak-{place}"]
        assert sum(peak["bytes"]) == sum(peak["lines"]["bytes"]) == found.heap.peak.bytes
        assert columns["peak"][place] == found.heap.peak.bytes
        assert columns["heap"][place] == found.heap_delta_bytes


@given(made=reports())
def test_the_table_of_phases_has_the_figures_of_the_report(made: Report) -> None:
    columns = read(made)["core"]["phases"]
    written = json.loads(b"".join(document.encode(made)))["phases"]
    pairs = {
        "name": "name",
        "kind": "kind",
        "depth": "depth",
        "rss": "rss_delta_bytes",
        "heap": "heap_delta_bytes",
        "peak": "peak_heap_bytes",
        "allocated": "allocated_bytes",
        "freed": "freed_bytes",
        "churn": "churn_bytes",
        "complete": "complete",
    }
    for place, fields in enumerate(written):
        for column, key in pairs.items():
            assert columns[column][place] == fields[key], column
        main = made.phases[place].main_culprit
        assert (columns["culprit"][place] >= 0) is (main is not None)
        if main is not None:
            assert columns["culpritBytes"][place] == main.bytes
            assert main.frame.lineno in [one["lineno"] for one in fields["culprits"]]


def test_a_peak_that_was_not_read_has_no_block() -> None:
    made = hostile_report()
    heap = made.phases[0].heap
    first = replace(made.phases[0], heap=replace(heap, peak=replace(heap.peak, stacks=None)))
    blocks = read(replace(made, phases=(first, *made.phases[1:])))
    assert "peak-0" not in blocks
    assert "peak-1" in blocks
    assert blocks["core"]["blocks"]["peaks"] == list(range(1, len(made.phases)))


def test_what_the_reader_cannot_know_has_no_block() -> None:
    blocks = read(hostile_report())
    assert not {"transients", "largest"} & set(blocks)
    assert blocks["core"]["blocks"] == {
        "transients": False,
        "largest": False,
        "peaks": list(range(6)),
        "peakFolded": [0.0] * 6,
    }


def holding(blocks: dict[str, Any]) -> list[dict[str, Any]]:
    names = [name for name in blocks if name.startswith("peak-")]
    return [blocks[name] for name in ("lifetimes", "transients", *names) if name in blocks]


@given(made=reports(), data=st.data())
def test_each_stack_has_the_allocators_that_it_and_those_folded_into_it_asked(
    made: Report, data: st.DataObject
) -> None:
    parents = made.heap.tree.parents
    assert "asked" not in read(made)["core"]["nodes"]
    asked = bytes(
        data.draw(st.lists(st.integers(0, 7), min_size=len(parents), max_size=len(parents)))
    )
    heap = replace(made.heap, tree=replace(made.heap.tree, asked=asked))
    kept = fold(heap, [found.peak for found in made.phases]).nodes
    expected = dict.fromkeys(kept, 0)
    for node, flags in enumerate(asked):
        at = node
        while at >= 0 and at not in expected:
            at = parents[at]
        if at >= 0:
            expected[at] |= flags
    found = read(replace(made, heap=heap))["core"]["nodes"]
    if any(asked) and kept:
        held = {place for table in holding(read(made)) for place in table["node"]}
        told = dict(enumerate(zip(found["asked"], expected.values(), strict=False)))
        assert all(told[place][0] == told[place][1] for place in held if place in told)
        assert len(found["asked"]) == len(found["frame"])
    else:
        assert "asked" not in found


def test_stacks_of_the_page_are_those_of_the_run() -> None:
    called = [frame("main"), frame("load"), frame("parse")]
    stacks, (node,) = tree(called)
    blocks = read(analysed(run("+load", "-load"), stacks, [lifetime(node, 2)]))
    core = blocks["core"]
    (place,) = blocks["lifetimes"]["node"]
    names: list[str] = []
    while place >= 0:
        function = core["frames"]["function"][core["nodes"]["frame"][place]]
        names.insert(0, core["strings"][function])
        place = core["nodes"]["parent"][place]
    assert names == ["main", "load", "parse"]


def test_what_has_no_caller_to_go_to_has_a_nameless_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MAX_NODES", 1)
    stacks, (large, small) = tree([frame("a")], [frame("b")])
    lives = [lifetime(large, bytes=9), lifetime(small, bytes=1)]
    blocks = read(analysed(run(), stacks, lives))
    core = blocks["core"]
    names = [core["strings"][core["frames"]["function"][f]] for f in core["nodes"]["frame"]]
    assert names == ["a", ""]
    assert sorted(zip(blocks["lifetimes"]["node"], blocks["lifetimes"]["bytes"], strict=True)) == [
        (0, 9),
        (1, 1),
    ]
    assert core["folded"] == 0.1


def test_threads_with_a_share_worth_looking_at_are_named() -> None:
    names = ("MainThread", "worker", "helper of the tracer")
    stacks, nodes = tree(*([thread_root(name), frame(lineno=9)] for name in names), [frame("x")])
    lives = [
        lifetime(node, bytes=size)
        for node, size in zip(nodes, (8 * MB, 2 * MB, 2000, 5 * MB), strict=True)
    ]
    core = read(analysed(run("x"), stacks, lives))["core"]
    of = [core["strings"][core["frames"]["function"][place]] for place in core["threads"]]
    assert of == ["MainThread", "worker"]


def test_source_lines_come_in_runs_and_only_of_files_that_are_named() -> None:
    load = frame("load", filename="/app/b.py", lineno=5)
    stacks, (node,) = tree([load])
    sources = {("/app/b.py", line): f"line {line}" for line in (3, 4, 5, 9)}
    made = analysed(
        run("a"), stacks, [lifetime(node)], {**sources, ("/app/unseen.py", 1): "secret"}
    )
    blocks = read(replace(made, private_files=("/app/.env",)))
    strings = blocks["core"]["strings"]
    found = blocks["sources"]
    assert [strings[place] for place in found["private"]] == ["/app/.env"]
    assert [strings[place] for place in found["file"]] == ["/app/b.py"] * 2
    assert found["start"] == [3, 9]
    assert found["text"] == [["line 3", "line 4", "line 5"], ["line 9"]]


def repeated(*rss_deltas_bytes: int | None) -> Phase:
    stretches = tuple(Stretch(place, place + 1) for place in range(len(rss_deltas_bytes)))
    return phase("step", stretches=stretches, rss_deltas_bytes=rss_deltas_bytes)


@given(deltas=st.lists(st.none() | st.integers(-(2**40), 2**40), min_size=1, max_size=250))
def test_the_trend_of_many_repeats_keeps_the_worst(deltas: list[int | None]) -> None:
    untraced = replace(repeated(*deltas), heap=None)
    made = report([untraced], run=run(*["tick"] * len(deltas)))
    (trend,) = read(made)["core"]["phases"]["deltas"]
    known = [delta for delta in deltas if delta is not None]
    assert len(trend) <= MAX_TREND_POINTS
    if len(deltas) > 1 and known:
        assert max(trend) == max(known)
    else:
        assert trend == []


@given(
    curve=st.lists(
        st.tuples(st.sampled_from([0.0, 0.05, 1.0, 3600.0]), st.integers(0, 10 * MB)), max_size=300
    ),
    most=st.integers(2, 60).map(lambda half: 2 * half),
)
def test_thinning_keeps_the_order_both_ends_and_both_extremes(
    curve: list[tuple[float, int]], most: int
) -> None:
    times_s = itertools.accumulate(gap_s for gap_s, _ in curve)
    sizes = [size for _, size in curve]
    samples = [Sample(time_s, size) for time_s, size in zip(times_s, sizes, strict=True)]
    kept = thin(samples, most)
    assert len(kept) <= most
    places = iter(samples)
    assert all(any(one is sample for one in places) for sample in kept)  # in this order
    if sizes:
        assert (kept[0], kept[-1]) == (samples[0], samples[-1])
        held = [sample.bytes for sample in kept]
        assert (min(held), max(held)) == (min(sizes), max(sizes))


def test_thinning_loses_nothing_of_a_time_that_has_few_samples() -> None:
    week = [Sample(600.0 * place, place) for place in range(1000)]
    minutes = [Sample(600_000 + place / 20, 7) for place in range(12_000)]
    kept = thin([*week, *minutes], 1500)
    assert sum(sample.time_s < 600_000 for sample in kept) > 300
    assert sum(sample.time_s >= 600_000 for sample in kept) > 300


@pytest.mark.parametrize("count", [0, 1, 4000])
def test_a_short_curve_is_kept_whole(count: int) -> None:
    samples = [Sample(float(place), place) for place in range(count)]
    assert list(thin(samples, payload.MAX_CURVE_POINTS)) == samples


def test_a_long_curve_is_thinned_on_the_page() -> None:
    curve = tuple(Sample(place / 10, place % 77) for place in range(20_000))
    curves = read(replace(hostile_report(), heap_curve=curve))["core"]["curves"]
    assert 1000 < len(curves["heap"]["t"]) == len(curves["heap"]["b"]) <= payload.MAX_CURVE_POINTS
