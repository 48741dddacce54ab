"""The layers of the timeline: every reading is in one of them, and they are few."""

from __future__ import annotations

from dataclasses import replace

from factories import MB, family_report, process, run, with_curve
from hypothesis import given
from hypothesis import strategies as st

from memdeep.model import Process, Report, Sample
from memdeep.report.page import layers, timeline
from memdeep.report.page.layers import MAX_LAYERS, OTHERS, Layers
from memdeep.text.language import language

ENGLISH = language("en")


def stacked(report: Report) -> Layers:
    found = layers.stacked(report)
    assert found is not None
    return found


def names(report: Report) -> list[str]:
    return [layers.label(report, layer, ENGLISH) for layer in stacked(report).layers]


def with_processes(*started: Process) -> Report:
    report = family_report(1)
    return replace(report, run=replace(report.run, processes=(report.run.processes[0], *started)))


def test_a_program_that_was_alone_has_no_layers() -> None:
    report = family_report(1)
    assert layers.stacked(replace(report, run=run())) is None
    assert layers.stacked(with_processes(process(7))) is None


def test_the_program_is_at_the_bottom_and_groups_are_neighbours() -> None:
    assert names(family_report(2)) == [
        "program",
        "fork 101 · prog.py:30",
        "fork 102 · prog.py:30",
        "subprocess 103 · prog.py:7",
    ]
    found = stacked(family_report(2)).layers
    assert [(layer.family, layer.tint) for layer in found] == [(0, 0), (1, 0), (1, 1), (2, 0)]


def test_a_large_group_is_one_layer() -> None:
    assert names(family_report(40))[1] == "fork × 40 · prog.py:30"


def test_many_groups_leave_the_small_ones_together() -> None:
    started = [with_curve(process(7 + place, group=place), place * MB) for place in range(1, 30)]
    found = stacked(with_processes(*started)).layers
    assert len(found) == MAX_LAYERS
    assert found[-1].family == OTHERS
    assert len(found[-1].members) == 29 - (MAX_LAYERS - 2)
    assert {29, 28, 27} <= {place for layer in found[:-1] for place in layer.members}


def test_one_that_ended_leaves_at_the_next_reading() -> None:
    """Until then nobody knows to whom the pages went that it shared."""
    dead = replace(with_curve(process(7, start_s=1.0, end_s=1.2), 30 * MB), end_s=1.2)
    found = stacked(with_processes(dead))
    sizes = dict(zip(found.times_s, found.layers[1].sizes, strict=True))
    assert sizes[1.0] == 30 * MB
    assert 1.2 not in sizes
    assert sizes[1.5] == 0


curves = st.lists(st.integers(0, 50 * MB), min_size=1, max_size=8)


@given(st.lists(st.tuples(curves, st.integers(1, 12), st.integers(0, 4)), min_size=1, max_size=20))
def test_the_layers_add_up_to_the_readings(drawn: list[tuple[list[int], int, int]]) -> None:
    started = [
        with_curve(process(7 + place, group=group, start_s=float(start), end_s=99.0), *sizes)
        for place, (sizes, group, start) in enumerate(drawn, 1)
    ]
    found = stacked(with_processes(*started))
    assert len(found.layers) <= MAX_LAYERS
    members = [place for layer in found.layers for place in layer.members]
    assert sorted(members) == list(range(len(started) + 1))
    known = [family_report(1).run.processes[0], *started]
    *_, top = found.tops()
    for sample in top:
        read = [one.bytes for each in known for one in each.curve if one.time_s == sample.time_s]
        assert sample.bytes == sum(read)


def test_ten_thousand_processes_are_few_points() -> None:
    report = family_report(3000)
    found = stacked(report)
    assert len(found.layers) == 3
    assert len(found.times_s) <= timeline.MAX_POINTS


def test_the_timeline_has_areas_in_place_of_the_rss() -> None:
    report = family_report(2)
    drawn = timeline.lay_out(report, stacked(report))
    assert drawn is not None
    assert len(drawn.areas) == 4
    assert (drawn.rss_area, drawn.rss_points, drawn.file_area) == ("", "", "")
    # The highest sum of all is below the top: 62 + 2 × 50 + 5 MB.
    assert max(sample.bytes for sample in [*stacked(report).tops()][-1]) == 167 * MB
    heights = [float(pair.split(",")[1]) for pair in drawn.areas[-1].points.split()]
    assert 0 <= min(heights) < 10


def test_a_curve_keeps_its_heights_when_it_is_thinned() -> None:
    sizes = [place % 7 for place in range(5000)]
    sizes[4321] = 1000
    plain = process(7, start_s=0.0, end_s=None, group=1)
    curve = tuple(Sample(place / 1000, size * MB) for place, size in enumerate(sizes))
    found = stacked(with_processes(replace(plain, curve=curve)))
    assert max(found.layers[1].sizes) == 1000 * MB
    assert len(found.times_s) <= timeline.MAX_POINTS
