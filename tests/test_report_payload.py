"""The page's data: safe inside a script element, columns of one length, nothing lost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
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
    program,
    run,
    tree,
    trees,
)
from hypothesis import given
from hypothesis import strategies as st

from memdeep.analysis.fold import fold
from memdeep.model import Report, Sample
from memdeep.report import payload
from memdeep.report.payload import thin


def encode(made: Report) -> str:
    return payload.encode(made, fold(made.heap, [phase.peak for phase in made.phases]))


def read(made: Report) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(encode(made))
    return fields


@st.composite
def reports(draw: st.DrawFn) -> Report:
    steps = draw(nested_steps())
    stacks = draw(trees())
    lives = draw(lifetimes_in(len(stacks.parents), len(program(*steps))))
    return analysed(run(*steps), stacks, lives)


def test_no_character_means_anything_to_html() -> None:
    text = encode(hostile_report())
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text)["checkpoints"]["label"][1] == HOSTILE[0]


@given(label=ANY_TEXT, function=ANY_TEXT, source=ANY_TEXT)
def test_any_text_is_safe_and_comes_back(label: str, function: str, source: str) -> None:
    called = frame(function)
    stacks, (node,) = tree([called])
    sources = {(called.filename, called.lineno): f"\\<{source}>&"}
    points = list(program("x"))
    points[1] = replace(points[1], label=label)
    recorded = run(checkpoints=tuple(points))
    text = encode(analysed(recorded, stacks, [lifetime(node, 1)], sources))
    assert not set("<>&\u2028\u2029") & set(text)
    fields = json.loads(text)
    assert fields["checkpoints"]["label"][1] == label
    assert function in fields["strings"]
    assert f"\\<{source}>&" in fields["strings"]


@given(made=reports())
def test_columns_are_of_one_length_and_point_into_each_other(made: Report) -> None:
    fields = read(made)
    for table in ("frames", "nodes", "checkpoints", "lifetimes"):
        assert len({len(column) for column in fields[table].values()}) == 1
    strings, frames, nodes = fields["strings"], fields["frames"], fields["nodes"]
    assert len(strings) == len(set(strings))
    for key in ("function", "file"):
        assert all(0 <= place < len(strings) for place in frames[key])
    assert all(-1 <= place < len(strings) for place in frames["source"])
    assert all(0 <= origin <= 4 for origin in frames["origin"])
    assert all(0 <= place < len(frames["line"]) for place in nodes["frame"])
    assert all(-1 <= parent < place for place, parent in enumerate(nodes["parent"]))
    assert all(0 <= node < len(nodes["frame"]) for node in fields["lifetimes"]["node"])
    for phase in fields["phases"]:
        assert all(0 <= node < len(nodes["frame"]) for node in phase["peak"]["node"])


def moved(fields: dict[str, Any], stretches: Sequence[int]) -> tuple[int, int]:
    """Retained and freed bytes, as the page's script works them out."""
    retained = freed = 0
    lives = fields["lifetimes"]
    for start, end in zip(stretches[::2], stretches[1::2], strict=True):
        for born, died, size in zip(lives["born"], lives["died"], lives["bytes"], strict=True):
            if start < born <= end and (died == -1 or died > end):
                retained += size
            if born <= start and start < died <= end:
                freed += size
    return retained, freed


@given(made=reports())
def test_the_page_finds_the_same_bytes_as_the_report(made: Report) -> None:
    fields = read(made)
    for phase, written in zip(made.phases, fields["phases"], strict=True):
        assert moved(fields, written["stretches"]) == (
            phase.heap.retained_bytes,
            phase.heap.freed_bytes,
        )
        assert sum(written["peak"]["bytes"]) == phase.peak.bytes == written["peakBytes"]
        assert written["heap"] == phase.heap_delta_bytes


def test_a_peak_that_was_not_read_is_null() -> None:
    made = hostile_report()
    heap = made.phases[0].heap
    first = replace(made.phases[0], heap=replace(heap, peak=replace(heap.peak, stacks=None)))
    fields = read(replace(made, phases=(first, *made.phases[1:])))
    assert fields["phases"][0]["peak"] is None
    assert fields["phases"][1]["peak"] is not None


def test_stacks_of_the_page_are_those_of_the_run() -> None:
    called = [frame("main"), frame("load"), frame("parse")]
    stacks, (node,) = tree(called)
    fields = read(analysed(run("+load", "-load"), stacks, [lifetime(node, 2)]))
    (place,) = fields["lifetimes"]["node"]
    names: list[str] = []
    while place >= 0:
        function = fields["frames"]["function"][fields["nodes"]["frame"][place]]
        names.insert(0, fields["strings"][function])
        place = fields["nodes"]["parent"][place]
    assert names == ["main", "load", "parse"]


@given(
    sizes=st.lists(st.integers(0, 10 * MB), max_size=300),
    most=st.integers(2, 60).map(lambda half: 2 * half),
)
def test_thinning_keeps_the_order_both_ends_and_both_extremes(sizes: list[int], most: int) -> None:
    samples = [Sample(float(place), size) for place, size in enumerate(sizes)]
    kept = thin(samples, most)
    assert len(kept) <= most
    assert [sample.time_s for sample in kept] == sorted({sample.time_s for sample in kept})
    assert set(kept) <= set(samples)
    if sizes:
        assert (kept[0], kept[-1]) == (samples[0], samples[-1])
        held = [sample.bytes for sample in kept]
        assert (min(held), max(held)) == (min(sizes), max(sizes))


@pytest.mark.parametrize("count", [0, 1, 4000])
def test_a_short_curve_is_kept_whole(count: int) -> None:
    samples = [Sample(float(place), place) for place in range(count)]
    assert list(thin(samples, payload.MAX_CURVE_POINTS)) == samples


def test_a_long_curve_is_thinned_on_the_page() -> None:
    curve = tuple(Sample(place / 10, place % 77) for place in range(20_000))
    curves = read(replace(hostile_report(), heap_curve=curve))["curves"]
    assert 1000 < len(curves["heap"]["t"]) == len(curves["heap"]["b"]) <= payload.MAX_CURVE_POINTS
